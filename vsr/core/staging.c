/**
 * The log that is gathered beside the own one: forgotten, or put in its place.
 */
#include "staging.h"

#include "state.h"

void vsr_transfer_drop_after(struct vsr_replica *r, vsr_op op)
{
    struct vsr_transfer *t = &r->transfer;

    VSR_ASSERT(t->op >= t->base);
    VSR_ASSERT(t->op - t->base <= (vsr_op)r->log.mask + 1);
    VSR_ASSERT(op >= t->base);
    VSR_ASSERT(op <= t->op);
    for (; t->op > op; t->op--)
        if (t->ring[t->op & r->log.mask].header != NULL) unref(r, &t->ring[t->op & r->log.mask]);
}

void vsr_transfer_drop_entries(struct vsr_replica *r)
{
    vsr_transfer_drop_after(r, r->transfer.base);
}

void vsr_transfer_break_off(struct vsr_replica *r)
{
    struct vsr_transfer *t = &r->transfer;

    VSR_ASSERT(t->op >= t->base);
    VSR_ASSERT(t->snapshot_at <= t->snapshot.bytes);
    VSR_ASSERT(!t->has_snapshot || t->base == t->snapshot.op); /* what is kept fits together */
    *t = (struct vsr_transfer){
        .ring = t->ring,
        .doublings = t->doublings,
        .base = t->base,
        .op = t->op,
        .op_checksum = t->op_checksum,
        .has_snapshot = t->has_snapshot,
        .snapshot = t->snapshot,
        .snapshot_checksum = t->snapshot_checksum,
        .snapshot_at = t->snapshot_at,
        .snapshot_from = t->snapshot_from,
    };
}

void vsr_transfer_reset(struct vsr_replica *r)
{
    struct vsr_transfer *t = &r->transfer;

    vsr_transfer_drop_entries(r);
    t->base = t->op = 0;
    t->op_checksum = 0;
    t->has_snapshot = false;
    vsr_transfer_break_off(r);
}

bool vsr_replace_log(struct vsr_replica *r)
{
    struct vsr_transfer *t = &r->transfer;

    VSR_ASSERT(r->status != VSR_STATUS_NORMAL); /* within a view a log only grows */
    VSR_ASSERT(!r->is_applying);
    VSR_ASSERT(t->kind != TRANSFER_NONE);
    VSR_ASSERT(t->kind != TRANSFER_BEHIND);
    VSR_ASSERT(!t->needs_snapshot);
    VSR_ASSERT(!t->is_loading);
    VSR_ASSERT(t->op == t->target);
    VSR_ASSERT(t->op_checksum == t->target_checksum);
    VSR_ASSERT(t->base >= r->commit);
    VSR_ASSERT(t->base <= r->log.op);
    VSR_ASSERT(r->log.start <= r->applied);
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
    VSR_ASSERT(r->log.op == t->op);
    VSR_ASSERT(r->log.head_checksum == t->op_checksum);
    r->counters.log_transfers += t->op > t->base;
    return true;
}
