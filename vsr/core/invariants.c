/**
 * The invariants that one replica can see. Debug builds run them after every step.
 */
#include <vsr/invariants.h>

#include "durable.h"
#include "message.h"
#include "state.h"

/** I10: applied <= commit <= op, and the log holds what is not executed yet. */
static void check_order(const struct vsr_replica *r)
{
    VSR_ASSERT(r->applied <= r->commit);
    VSR_ASSERT(r->commit <= r->log.op);
    VSR_ASSERT(r->log.start <= r->applied);
    VSR_ASSERT(r->log.op - r->log.start <= (vsr_op)r->log.mask + 1);
    VSR_ASSERT(!r->is_applying || r->applied < r->commit);
}

/** I11: log_view <= view, and a NORMAL replica's log is that of its view. */
static void check_views(const struct vsr_replica *r)
{
    VSR_ASSERT(r->log_view <= r->view);
    VSR_ASSERT(r->primary == vsr_members_primary(&r->members, r->view));
    VSR_ASSERT(r->durability.superblock.view <= r->view);
    VSR_ASSERT(r->durability.superblock.log_view <= r->log_view);
    VSR_ASSERT(r->durability.durable <= r->durability.asked);
    VSR_ASSERT(r->durability.asked <= r->durability.durable + 1);
    if (r->status != VSR_STATUS_NORMAL) return;
    VSR_ASSERT(r->log_view == r->view);
    VSR_ASSERT(r->confirmed <= r->log.op);
    VSR_ASSERT(vsr_is_durable(r));
}

/** I12: the hash chain is intact and the ops are consecutive. */
static void check_chain(const struct vsr_replica *r)
{
    vsr_checksum parent = r->log.start_checksum;

    for (vsr_op op = r->log.start + 1; op <= r->log.op; op++) {
        const struct vsr_entry *entry = &vsr_log_at(&r->log, op)->entry;
        VSR_ASSERT(entry->op == op);
        VSR_ASSERT(entry->parent_checksum == parent);
        VSR_ASSERT(entry->view <= r->view);
        parent = entry->checksum;
    }
    VSR_ASSERT(parent == r->log.head_checksum);
}

/** The highest number that the log's suffix and the open batch hold of a session. */
static uint64_t scan_requests(const void *message, uint32_t offset, uint32_t count,
                              vsr_session session, uint32_t slot)
{
    uint64_t number = 0;

    for (uint32_t i = 0; i < count; i++) {
        const struct vsr_request *request = request_at(message, offset);
        if (request->kind == VSR_KIND_OPERATION && request->session == session &&
            request->slot == slot && request->number > number)
            number = request->number;
        offset += request_bytes(request);
    }
    return number;
}

/** I18: the primary's pending numbers are a scan of its suffix; a table is never ahead of the log.
 */
static void check_clients(const struct vsr_replica *r)
{
    const uint32_t checked = r->clients.count < 8 ? r->clients.count : 8; /* a sample: O(n * log) */
    const vsr_op executed = r->applied + (r->is_applying ? 1 : 0);

    for (uint32_t i = 0; i < checked; i++) {
        uint32_t slot = (uint32_t)((r->log.op + i) % r->clients.count);
        const struct vsr_client_entry *entry = vsr_client_table_at(&r->clients, slot);

        if (entry->session == 0) {
            VSR_ASSERT(entry->pending == UINT64_MAX);
            VSR_ASSERT(r->clients.past[slot].session != 0);
            continue;
        }
        VSR_ASSERT(entry->session <= entry->last_op);
        VSR_ASSERT(r->clients.past[slot].session < entry->session);
        VSR_ASSERT(entry->last_op <= executed);
        VSR_ASSERT(vsr_client_table_slot_of(&r->clients, r->clients.ids[slot]) == slot);
        if (!is_serving(r)) continue;
        uint64_t pending = entry->number;
        for (vsr_op op = executed + 1; op <= r->log.op; op++) {
            const struct vsr_prepare *p = vsr_log_at(&r->log, op);
            uint64_t n = scan_requests(p, sizeof *p, p->header.count, entry->session, slot);
            if (n > pending) pending = n;
        }
        if (r->batch.buffer.header != NULL) {
            uint64_t n = scan_requests(r->batch.buffer.header, sizeof(struct vsr_prepare),
                                       r->batch.count, entry->session, slot);
            if (n > pending) pending = n;
        }
        VSR_ASSERT(entry->pending == pending);
    }
}

/** The primary's own slot and the quorum behind its commit number. Source: 4.4. */
static void check_quorum(const struct vsr_replica *r)
{
    uint32_t holders = 0;

    if (!is_serving(r)) return;
    for (uint32_t i = 0; i < r->members.count; i++) {
        VSR_ASSERT(r->in_view.acked[i] <= r->log.op);
        if (r->in_view.acked[i] >= r->commit) holders++;
    }
    /* What the view began with was committed by acknowledgements of older views. */
    VSR_ASSERT(r->commit <= r->in_view.view_start_op || holders >= r->members.quorums.replication);
}

/** I14: what is gathered stands beside the log, and is whole up to where it ends. */
static void check_transfer(const struct vsr_replica *r)
{
    const struct vsr_transfer *t = &r->transfer;

    VSR_ASSERT(t->op >= t->base);
    VSR_ASSERT(t->op - t->base <= (vsr_op)r->log.mask + 1);
    VSR_ASSERT(t->snapshot_at <= t->snapshot.bytes);
    VSR_ASSERT(!t->has_snapshot || t->base == t->snapshot.op);
    for (vsr_op op = t->base + 1; op <= t->op; op++) {
        const struct vsr_buffer *place = &t->ring[op & r->log.mask];
        VSR_ASSERT(place->header != NULL);
        VSR_ASSERT(log_prepare(place)->entry.op == op);
    }
    if (t->is_loading) {
        VSR_ASSERT(t->has_snapshot);
        VSR_ASSERT(!r->is_applying);
        VSR_ASSERT(!r->checkpoint.is_saving);
    }
    if (t->kind == TRANSFER_NONE || r->status == VSR_STATUS_HALTED) return;
    VSR_ASSERT((t->kind == TRANSFER_BEHIND) == (r->status == VSR_STATUS_NORMAL));
    VSR_ASSERT((t->kind == TRANSFER_RECOVERY) == (r->status == VSR_STATUS_RECOVERING));
    VSR_ASSERT((t->kind == TRANSFER_SELECTED) ==
               (r->status == VSR_STATUS_VIEW_CHANGE && is_primary(r)));
}

/** What a role keeps is there in that role alone. */
static void check_role(const struct vsr_replica *r)
{
    VSR_ASSERT(r->checkpoint.snapshot.op <= r->applied);
    VSR_ASSERT(!r->checkpoint.is_saving || !r->is_applying);
    VSR_ASSERT((r->due & DUE_VOTES) == 0); /* counted in the step in which they came */
    if (r->status == VSR_STATUS_HALTED) {  /* what it had is left as it was */
        VSR_ASSERT(r->due == 0);
        return;
    }
    if (is_serving(r)) {
        VSR_ASSERT(!r->in_view.is_primary_silent);
        VSR_ASSERT(r->in_view.acked[r->members.self] == r->log.op);
        return;
    }
    VSR_ASSERT(r->queue.count == 0);
    VSR_ASSERT(r->batch.buffer.header == NULL);
    VSR_ASSERT(r->replies_open == 0);
}

void vsr_replica_check(const struct vsr_replica *r)
{
    check_order(r);
    check_views(r);
    check_chain(r);
    check_clients(r);
    check_quorum(r);
    check_transfer(r);
    check_role(r);
}
