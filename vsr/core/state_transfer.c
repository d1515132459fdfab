/**
 * Closing a gap within the view: GetState, NewState.
 *
 * Deviates from VRR §5.2: the NewState tells what the primary's log holds and its entries follow as
 * the view's own Prepares. They are the buffers that the log holds anyway, so nothing is copied,
 * and Prepares are harmless to repeat, lose or mix with new ones.
 */
#include "state.h"

void vsr_fetch_missing(struct vsr_replica *r, struct vsr_effects *out)
{
    struct vsr_fetch *fetch = &r->fetch;
    struct vsr_buffer buffer;

    VSR_ASSERT(!is_primary(r));
    if (!has_gap(r)) {
        fetch->is_waiting = false;
        fetch->is_behind_log = false;
        return;
    }
    /* An answer that has arrived whole, and was not enough, is followed up at once. */
    bool was_answered = !fetch->is_waiting && !fetch->is_behind_log && r->log.op >= fetch->target;
    if (fetch->ticks_left > 0 && !was_answered) return;
    if (!vsr_take_message(r, VSR_GET_STATE, sizeof(struct vsr_get_state),
                          sizeof(struct vsr_get_state), &buffer)) {
        drop(r, VSR_DROP_NO_BUFFER);
        return;
    }
    struct vsr_get_state *get = (struct vsr_get_state *)(void *)buffer.header;
    get->from_op = r->log.op;
    get->nonce = ++fetch->nonce;
    fetch->is_waiting = true;
    fetch->ticks_left = r->options.resend_ticks;
    effects_send(out, primary_mask(r), buffer);
}

/**
 * Sends a backup the part of the log that it lacks, as much as its reorder buffer holds.
 *
 * Source: VRR §5.2.
 */
enum vsr_drop vsr_on_get_state(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out)
{
    const struct vsr_get_state *get = (const struct vsr_get_state *)(const void *)m->header;
    const uint32_t to = 1u << m->header->from;
    struct vsr_buffer buffer;

    if (get->from_op > r->log.op) return VSR_DROP_MALFORMED;
    if (!vsr_take_message(r, VSR_NEW_STATE, sizeof(struct vsr_new_state),
                          sizeof(struct vsr_new_state), &buffer))
        return VSR_DROP_NO_BUFFER;

    struct vsr_new_state *state = (struct vsr_new_state *)(void *)buffer.header;
    vsr_op base = get->from_op > r->log.start ? get->from_op : r->log.start;
    vsr_op end =
        r->log.op < base + r->options.pipeline_max ? r->log.op : base + r->options.pipeline_max;
    if (base > get->from_op) end = base; /* What it lacks has left; the rest would not attach. */
    state->nonce = get->nonce;
    state->base = base;
    state->op = end;
    state->commit = r->commit;
    effects_send(out, to, buffer);
    for (vsr_op op = base + 1; op <= end; op++) {
        struct vsr_buffer entry = *vsr_log_buffer(&r->log, op);
        entry.handle = r->options.buffers.ref(r->options.buffers.context, entry.handle);
        if (entry.handle == NULL) break;
        effects_send(out, to, entry);
        r->prepares_resent++;
    }
    return VSR_DROP_NONE;
}

/** Learns from the primary how much of the gap its answer closes, or that its log cannot. */
enum vsr_drop vsr_on_new_state(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out)
{
    const struct vsr_new_state *state = (const struct vsr_new_state *)(const void *)m->header;
    struct vsr_fetch *fetch = &r->fetch;

    vsr_hear_primary(r, out);
    if (state->nonce != fetch->nonce || !fetch->is_waiting) return VSR_DROP_STALE;
    fetch->is_waiting = false;
    fetch->target = state->op;
    if (state->op > fetch->op_heard) fetch->op_heard = state->op;
    bool is_behind = state->base > r->log.op;
    if (is_behind && !fetch->is_behind_log)
        effects_notice(out, VSR_NOTICE_BEHIND_LOG, r->options.replica, r->log.op);
    fetch->is_behind_log = is_behind;
    return VSR_DROP_NONE;
}
