/**
 * Logs on their way: GetState, NewState.
 *
 * Within the view (VRR §5.2) a backup closes a gap by asking; the entries are appended. Into
 * another view nothing is appended: the new log is gathered beside the old one, which stays valid
 * for view changes until all of the new one is there. Then it takes the old one's place in one
 * step.
 *
 * Deviates from VRR §5.2: nothing is cut off before its replacement is in hand, and log_view moves
 * with the log only. The paper's order loses acknowledged operations: tests/vsr/stories.c.
 */
#include "state_transfer.h"

#include "commit.h"
#include "log_room.h"
#include "make.h"
#include "message.h"
#include "say.h"
#include "state.h"
#include "transfer.h"

#include <string.h>

void vsr_fetch_missing(struct vsr_replica *r, struct vsr_effects *out)
{
    struct vsr_fetch *fetch = &r->in_view.fetch;

    VSR_ASSERT(r->status == VSR_STATUS_NORMAL);
    VSR_ASSERT(vsr_members_has(&r->members, fetch->provider));
    VSR_ASSERT(!is_primary(r));
    if (!has_gap(r) || r->transfer.kind != TRANSFER_NONE) {
        fetch->is_waiting = false;
        return;
    }
    /* An answer that has arrived whole, and was not enough, is followed up at once. */
    bool was_answered = !fetch->is_waiting && r->log.op >= fetch->target;
    if (fetch->ticks_left > 0 && !was_answered) return;
    /* A backup that its primary does not reach catches up by way of another one. */
    if (fetch->is_waiting) fetch->provider = vsr_next_provider(r, fetch->provider);
    if (!fetch->is_waiting) {
        fetch->nonce = next_nonce(r);
        fetch->repeats = 0;
    }
    const struct vsr_question question = {
        .nonce = fetch->nonce,
        .from_op = r->log.op,
        .from_checksum = r->log.head_checksum,
    };
    if (!vsr_send_get_state(r, fetch->provider, &question, out)) return;
    fetch->is_waiting = true;
    fetch->ticks_left = vsr_patience(r, fetch->repeats++);
}

/* Answering. */

/** Writes entries into a NewState's body, as many as fit. */
static void fill_body(struct vsr_replica *r, struct vsr_new_state *state, uint32_t capacity)
{
    uint32_t bytes = sizeof *state;

    VSR_ASSERT(bytes <= capacity);
    VSR_ASSERT(state->header.count == 0);
    VSR_ASSERT(state->base >= r->log.start); /* who is behind is given none */
    VSR_ASSERT(state->base <= r->log.op);
    state->end = state->base;
    while (state->end < r->log.op) {
        const struct vsr_header *entry = vsr_log_buffer(&r->log, state->end + 1)->header;
        if (bytes + entry->bytes > capacity) break;
        memcpy((uint8_t *)state + bytes, entry, entry->bytes);
        bytes += entry->bytes;
        state->header.count++;
        state->end++;
    }
    VSR_ASSERT(bytes <= capacity);
    VSR_ASSERT(state->end - state->base == state->header.count);
    state->header.bytes = bytes;
}

/** The entries as the view's own Prepares: the buffers that the log holds anyway. */
static void send_prepares(struct vsr_replica *r, vsr_op base, vsr_op end, uint32_t to_mask,
                          struct vsr_effects *out)
{
    VSR_ASSERT(is_serving(r)); /* they are the view's own */
    VSR_ASSERT(end <= r->log.op);
    VSR_ASSERT(base < end);
    VSR_ASSERT(end - base <= REORDER_MAX); /* as many as who is behind can keep */

    for (vsr_op op = base + 1; op <= end; op++) {
        struct vsr_buffer entry = *vsr_log_buffer(&r->log, op);
        entry.handle = r->options.buffers.ref(r->options.buffers.context, entry.handle);
        if (entry.handle == NULL) return;
        effects_send(out, to_mask, entry);
        r->counters.prepares_resent++;
    }
}

/** Whether we may answer at all. Rule 7.2: a log that is not its view's is given to nobody but the
 * primary of the view that is to start from it. */
static enum vsr_drop may_answer(const struct vsr_replica *r, const struct vsr_get_state *get)
{
    bool is_for_selected = (get->flags & VSR_GET_SELECTED) != 0;

    if (r->status == VSR_STATUS_NORMAL)
        return is_for_selected ? VSR_DROP_STARTED_VIEW : VSR_DROP_NONE;
    VSR_ASSERT(r->status == VSR_STATUS_VIEW_CHANGE);
    if (!is_for_selected || r->log_view == r->view || r->transfer.kind != TRANSFER_NONE)
        return VSR_DROP_STATUS;
    return get->header.from == r->primary ? VSR_DROP_NONE : VSR_DROP_WRONG_SENDER;
}

/**
 * Sends the part of the log that a replica lacks, as much as fits an answer.
 *
 * Source: VRR §5.2; rule 7.1.
 */
enum vsr_drop vsr_on_get_state(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out)
{
    const struct vsr_get_state *get = vsr_read_get_state(m->header);
    const uint32_t from = (uint32_t)m->header->from;
    struct vsr_buffer buffer;

    VSR_ASSERT(m->header->view == r->view);
    enum vsr_drop why = may_answer(r, get);
    if (why != VSR_DROP_NONE) return why;
    if (get->commit > get->from_op) return VSR_DROP_MALFORMED;
    vsr_time_question(r, from, get->nonce);
    vsr_op base = get->from_op;
    if (base >= r->log.start && !vsr_log_has(&r->log, base, get->from_checksum)) {
        base = get->commit;
        if (get->flags == 0 || base > r->log.op) return VSR_DROP_NOT_HELD;
    }
    bool is_behind = base < r->log.start;
    if (is_behind) base = r->log.start; /* What it lacks has left; the rest would not attach. */
    VSR_ASSERT(base >= r->log.start);
    VSR_ASSERT(base <= r->log.op);
    bool has_next = base < r->log.op;
    bool as_prepares = get->flags == 0 && is_primary(r) && has_next && !is_behind &&
                       vsr_log_at(&r->log, base + 1)->header.view == r->view;
    const uint32_t capacity =
        (uint32_t)sizeof(struct vsr_new_state) +
        (as_prepares || is_behind || !has_next ? 0 : r->options.batch_bytes_max);
    struct vsr_new_state *state =
        vsr_make_new_state(r, sizeof(struct vsr_new_state), capacity, &buffer);
    if (state == NULL) return VSR_DROP_NO_BUFFER;

    VSR_ASSERT(r->commit <= r->log.op); /* or who asked takes it for malformed */
    state->nonce = get->nonce;
    state->base = state->end = base;
    state->op = r->log.op;
    state->checksum = r->log.head_checksum;
    state->commit = r->commit;
    state->commit_checksum = r->commit_checksum;
    state->is_behind = is_behind;
    if (as_prepares)
        state->end =
            r->log.op - base < r->options.pipeline_max ? r->log.op : base + r->options.pipeline_max;
    else if (!is_behind)
        fill_body(r, state, capacity);
    /* Who is behind needs a snapshot, not our oldest entry: that would be another one each time. */
    if (get->flags != 0 && !is_behind) vsr_hold_log(r, from, base, HOLD_LOG);
    const vsr_op end = state->end;
    effects_send(out, vsr_mask_of(from), buffer);
    if (as_prepares) send_prepares(r, base, end, vsr_mask_of(from), out);
    return VSR_DROP_NONE;
}

/* Answers to us. */

/** Appends what an answer within the view brings, but for what has come another way. */
static enum vsr_drop append_body(struct vsr_replica *r, const struct vsr_new_state *state,
                                 struct vsr_effects *out)
{
    uint32_t offset = sizeof *state;

    VSR_ASSERT(!is_primary(r));
    VSR_ASSERT(state->base <= r->log.op); /* or a gap would be left */
    for (uint32_t i = 0; i < state->header.count; i++) {
        const struct vsr_prepare *entry = vsr_entry_in(state, offset);
        struct vsr_buffer copy;
        if (entry == NULL) return VSR_DROP_MALFORMED;
        offset += entry->header.bytes;
        if (entry->entry.op <= r->log.op) continue;
        enum vsr_drop why = vsr_copy_entry(r, entry, r->log.op, r->log.head_checksum, &copy);
        if (why != VSR_DROP_NONE) return why;
        why = vsr_append_entry(r, &copy, out);
        if (why == VSR_DROP_NONE) continue;
        unref(r, &copy);
        return why;
    }
    return VSR_DROP_NONE;
}

/** An answer within the view: how much of the gap it closes, or that the log behind it cannot. */
static enum vsr_drop close_gap(struct vsr_replica *r, const struct vsr_new_state *state,
                               struct vsr_effects *out)
{
    struct vsr_fetch *fetch = &r->in_view.fetch;
    const uint64_t witness = vsr_witness(WITNESS_OTHER, state->nonce);

    VSR_ASSERT(r->status == VSR_STATUS_NORMAL);
    VSR_ASSERT(r->transfer.kind == TRANSFER_NONE); /* that comes before what follows it */
    if (!fetch->is_waiting) return VSR_DROP_WRONG_NONCE;
    VSR_ASSERT(!r->transfer.is_loading);
    VSR_ASSERT(fetch->nonce != 0);
    if (state->op > fetch->op_heard) fetch->op_heard = state->op;
    if (state->op <= r->log.op) {
        /* It has no more than we do, and that answers nothing: another one's answer to the same
         * question may be on its way, and the next one is asked when the patience is over. */
        return vsr_learn_commit(r, state->commit, state->commit_checksum, witness, out)
                   ? VSR_DROP_STALE
                   : VSR_DROP_FORKED;
    }
    fetch->is_waiting = false;
    fetch->target = state->end;
    if (state->base > r->log.op) {
        effects_notice(out, VSR_NOTICE_BEHIND_LOG, r->members.self, r->log.op);
        /* Rather from another backup: a primary that saves holds all of them up. */
        uint32_t provider = (uint32_t)state->header.from;
        if (provider == r->primary) provider = vsr_next_provider(r, provider);
        vsr_transfer_start(r, TRANSFER_BEHIND, provider, UINT64_MAX, 0, out);
        return VSR_DROP_NONE;
    }
    enum vsr_drop why = append_body(r, state, out);
    if (!vsr_learn_commit(r, state->commit, state->commit_checksum, witness, out))
        return VSR_DROP_FORKED;
    return why;
}

enum vsr_drop vsr_on_new_state(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out)
{
    const struct vsr_new_state *state = vsr_read_new_state(m->header);

    VSR_ASSERT(m->header->view == r->view);
    VSR_ASSERT(vsr_members_has_other(&r->members, m->header->from));
    const bool is_gap = r->status == VSR_STATUS_NORMAL && r->transfer.kind == TRANSFER_NONE;
    /* 0 is what stands there before anything was asked. */
    if (state->nonce == 0 || state->nonce != (is_gap ? r->in_view.fetch.nonce : r->transfer.nonce))
        return VSR_DROP_WRONG_NONCE;
    if (state->commit > state->op || state->base > state->op) return VSR_DROP_MALFORMED;
    if (is_gap) return is_primary(r) ? VSR_DROP_WRONG_NONCE : close_gap(r, state, out);
    if (r->transfer.kind == TRANSFER_NONE || r->transfer.kind == TRANSFER_BEHIND ||
        (r->transfer.needs_snapshot && !r->transfer.has_snapshot))
        return VSR_DROP_WRONG_NONCE;
    return vsr_gather(r, state, out);
}
