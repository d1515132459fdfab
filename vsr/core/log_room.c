/**
 * Room in the log's ring: which entries may leave it, and for whom they stay.
 */
#include "log_room.h"

#include "state.h"

bool vsr_log_is_pinned(const struct vsr_replica *r)
{
    for (uint32_t i = 0; i < r->members.count; i++)
        if (r->peers.pin_ticks[i] > 0 && r->peers.pin[i] <= r->log.start) return true;
    return false;
}

void vsr_release(struct vsr_replica *r, vsr_op released)
{
    if (released > r->released) r->released = released;
    vsr_op op = r->released < r->applied ? r->released : r->applied;
    for (uint32_t i = 0; i < r->members.count; i++)
        if (r->peers.pin_ticks[i] > 0 && r->peers.pin[i] < op) op = r->peers.pin[i];
    if (op > r->log.start) vsr_log_release(&r->log, op, &r->options.buffers);
}

/**
 * Makes room in the ring for one more op.
 *
 * A replica that lacks the oldest entry and was heard of late (its thread may have lost its core
 * for some milliseconds) is waited for; one that is silent is not, and has to catch up later.
 * Returns: false when the oldest entry has to stay.
 */
bool vsr_make_primary_room(struct vsr_replica *r)
{
    if (vsr_log_has_room(&r->log)) return true;
    if (r->log.start >= r->applied || vsr_log_is_pinned(r)) return false;
    for (uint32_t i = 0; i < r->members.count; i++) {
        bool is_alive = r->peers.ticks_silent[i] < r->options.suspect_ticks;
        /* Its PrepareOK may be lost; when all is committed nobody asks for it again. */
        const vsr_op held =
            r->peers.acked[i] > r->peers.applied[i] ? r->peers.acked[i] : r->peers.applied[i];
        /* Behind the ring already: it will ask for a snapshot, and no entry here helps it. */
        bool is_behind = held < r->log.start && r->peers.is_in_view[i];
        bool is_new = !r->peers.is_in_view[i] && r->log.start < r->view_start_op;
        if (is_alive && held <= r->log.start && !is_behind && !is_new) return false;
    }
    vsr_log_release(&r->log, r->log.start + 1, &r->options.buffers);
    return true;
}

static bool make_backup_room(struct vsr_replica *r, struct vsr_effects *out)
{
    if (vsr_log_has_room(&r->log)) return true;
    if (r->log.start < r->applied && !vsr_log_is_pinned(r)) {
        vsr_log_release(&r->log, r->log.start + 1, &r->options.buffers);
        return true;
    }
    effects_notice(out, VSR_NOTICE_LOG_FULL, r->members.self, r->log.op);
    return false;
}

/** Appends the op after our last. Ownership: takes m on VSR_DROP_NONE. */
enum vsr_drop vsr_append_entry(struct vsr_replica *r, const struct vsr_buffer *m,
                               struct vsr_effects *out)
{
    const struct vsr_entry *entry = &log_prepare(m)->entry;

    VSR_ASSERT(entry->op == r->log.op + 1);
    if (entry->parent_checksum != r->log.head_checksum) return note_fork(r, r->log.op, out);
    /* The view's next entry names our head: it is the view's. The next one itself nobody has named.
     */
    if (r->log.op > r->confirmed) r->confirmed = r->log.op;
    if (!make_backup_room(r, out)) return VSR_DROP_LOG_FULL;
    vsr_log_append(&r->log, *m);
    r->is_ack_due = true;
    return VSR_DROP_NONE;
}
