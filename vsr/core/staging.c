/**
 * The log that is gathered beside the own one: forgotten, or put in its place.
 */
#include "staging.h"

#include "state.h"

void vsr_transfer_drop_entries(struct vsr_replica *r)
{
    struct vsr_transfer *t = &r->transfer;

    VSR_ASSERT(t->op >= t->base && t->op - t->base <= (vsr_op)r->log.mask + 1);
    for (; t->op > t->base; t->op--)
        if (t->ring[t->op & r->log.mask].header != NULL) unref(r, &t->ring[t->op & r->log.mask]);
}

void vsr_transfer_reset(struct vsr_replica *r)
{
    struct vsr_transfer *t = &r->transfer;

    if (t->kind == TRANSFER_NONE) return;
    vsr_transfer_drop_entries(r);
    /* The part of a snapshot that has come is as good in the next view: where views change faster
     * than a snapshot comes, none would ever be whole. */
    *t = (struct vsr_transfer){
        .ring = t->ring,
        .doublings = t->doublings,
        .snapshot = t->snapshot,
        .snapshot_checksum = t->snapshot_checksum,
        .snapshot_at = t->snapshot_at,
    };
}

/** Puts the gathered log in the place of ours. Returns false when it has to wait for room. */
bool vsr_replace_log(struct vsr_replica *r)
{
    struct vsr_transfer *t = &r->transfer;

    VSR_ASSERT(t->kind != TRANSFER_NONE && t->kind != TRANSFER_BEHIND);
    VSR_ASSERT(!t->needs_snapshot && !t->is_loading);
    VSR_ASSERT(t->op == t->target && t->op_checksum == t->target_checksum);
    VSR_ASSERT(t->base >= r->commit && t->base <= r->log.op);
    const uint64_t kept = t->base - r->log.start;
    const uint64_t size = (uint64_t)r->log.mask + 1;
    const uint64_t excess = kept + (t->op - t->base) > size ? kept + (t->op - t->base) - size : 0;
    if (r->log.start + excess > r->applied) return false;

    vsr_log_truncate(&r->log, t->base, &r->options.buffers);
    vsr_log_release(&r->log, r->log.start + excess, &r->options.buffers);
    for (vsr_op op = t->base + 1; op <= t->op; op++) {
        struct vsr_buffer *place = &t->ring[op & r->log.mask];
        VSR_ASSERT(place->header != NULL);
        vsr_log_append(&r->log, *place);
        *place = (struct vsr_buffer){0};
    }
    VSR_ASSERT(r->log.op == t->op && r->log.head_checksum == t->op_checksum);
    r->counters.log_transfers += t->op > t->base;
    return true;
}
