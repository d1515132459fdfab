/**
 * Logs on their way: GetState, NewState.
 *
 * Within the view (VRR §5.2) a backup closes a gap by asking; the entries are appended. Into
 * another view nothing is appended: the new log is gathered beside the old one, which stays valid
 * for view changes until all of the new one is there. Then it takes the old one's place in one
 * step.
 *
 * Deviates from VRR §5.2: nothing is cut off before its replacement is in hand, and log_view moves
 * with the log only. The paper's order loses operations that were acknowledged: tests/vsr/traces.c.
 */
#include "state.h"

#include <string.h>

/** Unanswered questions after which another replica is asked. */
enum { TRIES_PER_PROVIDER = 3 };

static uint32_t next_provider(const struct vsr_replica *r, uint32_t provider)
{
    do
        provider = (provider + 1) % r->options.replica_count;
    while (provider == r->options.replica);
    return provider;
}

static bool send_get_state(struct vsr_replica *r, uint32_t to, vsr_op from_op,
                           vsr_checksum from_checksum, uint32_t flags, struct vsr_effects *out)
{
    struct vsr_buffer buffer;

    if (!vsr_take_message(r, VSR_GET_STATE, sizeof(struct vsr_get_state),
                          sizeof(struct vsr_get_state), &buffer)) {
        drop(r, VSR_DROP_NO_BUFFER);
        return false;
    }
    struct vsr_get_state *get = (struct vsr_get_state *)(void *)buffer.header;
    get->from_op = from_op;
    get->from_checksum = from_checksum;
    get->commit = r->commit;
    get->nonce = next_nonce(r);
    get->flags = flags;
    get->reserved = 0;
    effects_send(out, 1u << to, buffer);
    return true;
}

void vsr_fetch_missing(struct vsr_replica *r, struct vsr_effects *out)
{
    struct vsr_fetch *fetch = &r->fetch;

    VSR_ASSERT(!is_primary(r));
    if (!has_gap(r) || r->transfer.kind != TRANSFER_NONE) {
        fetch->is_waiting = false;
        return;
    }
    /* An answer that has arrived whole, and was not enough, is followed up at once. */
    bool was_answered = !fetch->is_waiting && r->log.op >= fetch->target;
    if (fetch->ticks_left > 0 && !was_answered) return;
    /* A backup that its primary does not reach catches up by way of another one. */
    if (fetch->is_waiting) fetch->provider = next_provider(r, fetch->provider);
    if (!send_get_state(r, fetch->provider, r->log.op, r->log.head_checksum, 0, out)) return;
    fetch->is_waiting = true;
    fetch->ticks_left = r->options.resend_ticks;
}

/* Answering. */

bool vsr_log_is_pinned(const struct vsr_replica *r)
{
    for (uint32_t i = 0; i < r->options.replica_count; i++)
        if (r->peers.pin_ticks[i] > 0 && r->peers.pin[i] <= r->log.start) return true;
    return false;
}

/** Writes entries into a NewState's body, as many as fit. */
static void fill_body(struct vsr_replica *r, struct vsr_new_state *state, uint32_t capacity)
{
    uint32_t bytes = sizeof *state;

    state->end = state->base;
    while (state->end < r->log.op) {
        const struct vsr_header *entry = vsr_log_buffer(&r->log, state->end + 1)->header;
        if (bytes + entry->bytes > capacity) break;
        memcpy((uint8_t *)state + bytes, entry, entry->bytes);
        bytes += entry->bytes;
        state->header.count++;
        state->end++;
    }
    state->header.bytes = bytes;
}

/** The entries as the view's own Prepares: the buffers that the log holds anyway. */
static void send_prepares(struct vsr_replica *r, vsr_op base, vsr_op end, uint32_t to_mask,
                          struct vsr_effects *out)
{
    for (vsr_op op = base + 1; op <= end; op++) {
        struct vsr_buffer entry = *vsr_log_buffer(&r->log, op);
        entry.handle = r->options.buffers.ref(r->options.buffers.context, entry.handle);
        if (entry.handle == NULL) return;
        effects_send(out, to_mask, entry);
        r->prepares_resent++;
    }
}

/** Whether we may answer at all. Rule 7.2: a log that is not its view's is given to nobody but the
 * primary of the view that is to start from it. */
static enum vsr_drop may_answer(const struct vsr_replica *r, const struct vsr_get_state *get)
{
    bool is_for_selected = (get->flags & VSR_GET_SELECTED) != 0;

    if (r->status == VSR_STATUS_NORMAL)
        return is_for_selected ? VSR_DROP_STARTED_VIEW : VSR_DROP_NONE;
    if (!is_for_selected || r->log_view == r->view || r->transfer.kind != TRANSFER_NONE)
        return VSR_DROP_STATUS;
    return get->header.from == primary_of(r->view, r->options.replica_count)
               ? VSR_DROP_NONE
               : VSR_DROP_WRONG_SENDER;
}

/**
 * Sends the part of the log that a replica lacks, as much as fits an answer.
 *
 * Source: VRR §5.2; rule 7.1.
 */
enum vsr_drop vsr_on_get_state(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out)
{
    const struct vsr_get_state *get = (const struct vsr_get_state *)(const void *)m->header;
    const uint32_t from = (uint32_t)m->header->from;
    struct vsr_buffer buffer;

    enum vsr_drop why = may_answer(r, get);
    if (why != VSR_DROP_NONE) return why;
    if (get->commit > get->from_op) return VSR_DROP_MALFORMED;
    vsr_op base = get->from_op;
    if (base >= r->log.start && !vsr_log_has(&r->log, base, get->from_checksum)) {
        base = get->commit;
        if (get->flags == 0 || base > r->log.op) return VSR_DROP_NOT_HELD;
    }
    bool is_behind = base < r->log.start;
    if (is_behind) base = r->log.start; /* What it lacks has left; the rest would not attach. */
    bool has_next = base < r->log.op;
    bool as_prepares = get->flags == 0 && is_primary(r) && has_next && !is_behind &&
                       vsr_log_at(&r->log, base + 1)->header.view == r->view;
    const uint32_t capacity =
        (uint32_t)sizeof(struct vsr_new_state) +
        (as_prepares || is_behind || !has_next ? 0 : r->options.batch_bytes_max);
    if (!vsr_take_message(r, VSR_NEW_STATE, sizeof(struct vsr_new_state), capacity, &buffer))
        return VSR_DROP_NO_BUFFER;

    struct vsr_new_state *state = (struct vsr_new_state *)(void *)buffer.header;
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
    if (get->flags != 0) {
        r->peers.pin[from] = base;
        r->peers.pin_ticks[from] = r->options.suspect_ticks;
    }
    const vsr_op end = state->end;
    effects_send(out, 1u << from, buffer);
    if (as_prepares) send_prepares(r, base, end, 1u << from, out);
    return VSR_DROP_NONE;
}

/* Taking answers in. */

/** The entry at `offset` of a NewState's body, or NULL when none fits there. */
static const struct vsr_prepare *entry_at(const struct vsr_new_state *state, uint32_t offset)
{
    const uint32_t left = state->header.bytes - offset;
    const struct vsr_prepare *entry =
        (const struct vsr_prepare *)(const void *)((const uint8_t *)state + offset);

    if (left < sizeof *entry || entry->header.bytes > left || entry->header.bytes < sizeof *entry ||
        entry->header.bytes % 8 != 0)
        return NULL;
    return entry;
}

/**
 * Gives a copy of an entry of a NewState's body, if it is the one that follows {op, checksum}.
 *
 * Returns: VSR_DROP_NONE and the buffer in *copy, or why not.
 */
static enum vsr_drop copy_entry(struct vsr_replica *r, const struct vsr_prepare *entry, vsr_op op,
                                vsr_checksum checksum, struct vsr_buffer *copy)
{
    if (entry->header.type != VSR_PREPARE || entry->header.bytes > r->options.batch_bytes_max ||
        entry->entry.kind >= VSR_KIND_COUNT || entry->entry.op != op + 1 ||
        entry->header.count > r->options.batch_requests_max ||
        !vsr_requests_are_well_formed(&entry->header, sizeof *entry))
        return VSR_DROP_MALFORMED;
    if (entry->entry.parent_checksum != checksum ||
        entry->entry.checksum != vsr_entry_checksum(entry))
        return VSR_DROP_FORKED;
    if (!r->options.buffers.take(r->options.buffers.context, entry->header.bytes, copy))
        return VSR_DROP_NO_BUFFER;
    memcpy(copy->header, entry, entry->header.bytes);
    return VSR_DROP_NONE;
}

/** Appends what an answer within the view brings, but for what has come another way. */
static enum vsr_drop append_body(struct vsr_replica *r, const struct vsr_new_state *state,
                                 struct vsr_effects *out)
{
    uint32_t offset = sizeof *state;

    for (uint32_t i = 0; i < state->header.count; i++) {
        const struct vsr_prepare *entry = entry_at(state, offset);
        struct vsr_buffer copy;
        if (entry == NULL) return VSR_DROP_MALFORMED;
        offset += entry->header.bytes;
        if (entry->entry.op <= r->log.op) continue;
        enum vsr_drop why = copy_entry(r, entry, r->log.op, r->log.head_checksum, &copy);
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
    struct vsr_fetch *fetch = &r->fetch;

    if (!fetch->is_waiting) return VSR_DROP_WRONG_NONCE;
    fetch->is_waiting = false;
    fetch->target = state->end;
    if (state->op > fetch->op_heard) fetch->op_heard = state->op;
    if (state->base > r->log.op) {
        effects_notice(out, VSR_NOTICE_BEHIND_LOG, r->options.replica, r->log.op);
        vsr_transfer_start(r, TRANSFER_BEHIND, (uint32_t)state->header.from, UINT64_MAX, 0, out);
        return VSR_DROP_NONE;
    }
    if (state->op <= r->log.op) {
        /* It has no more than we do. Two that lack the same would ask each other for ever. */
        fetch->provider = next_provider(r, fetch->provider);
        fetch->target = UINT64_MAX; /* not at once */
    }
    enum vsr_drop why = append_body(r, state, out);
    if (!vsr_learn_commit(r, state->commit, state->commit_checksum, out)) return VSR_DROP_FORKED;
    return why;
}

/** Stages what an answer brings of the log that is gathered. */
static enum vsr_drop stage_body(struct vsr_replica *r, const struct vsr_new_state *state)
{
    struct vsr_transfer *t = &r->transfer;
    uint32_t offset = sizeof *state;

    for (uint32_t i = 0; i < state->header.count && t->op < t->target; i++) {
        const struct vsr_prepare *entry = entry_at(state, offset);
        struct vsr_buffer copy;
        if (entry == NULL) return VSR_DROP_MALFORMED;
        if (t->op - t->base > r->log.mask) {
            t->needs_snapshot = true; /* More than a ring holds: another way. */
            return VSR_DROP_LOG_FULL;
        }
        enum vsr_drop why = copy_entry(r, entry, t->op, t->op_checksum, &copy);
        if (why != VSR_DROP_NONE) return why;
        offset += entry->header.bytes;
        t->op++;
        t->op_checksum = entry->entry.checksum;
        t->ring[t->op & r->log.mask] = copy;
        t->tries = 0;
    }
    return VSR_DROP_NONE;
}

static enum vsr_drop gather(struct vsr_replica *r, const struct vsr_new_state *state,
                            struct vsr_effects *out)
{
    struct vsr_transfer *t = &r->transfer;
    const bool is_first = t->op == t->base && !t->has_snapshot;

    if (state->header.from != t->provider) return VSR_DROP_WRONG_SENDER;
    if (is_first && state->is_behind == 0 && state->base == r->commit && state->base != t->op) {
        /* Our tail is not that log's: it follows our last committed op instead. */
        t->base = t->op = r->commit;
        t->op_checksum = r->commit_checksum;
    }
    if (!t->has_target) {
        t->has_target = true;
        t->target = state->op;
        t->target_checksum = state->checksum;
    }
    vsr_note_commit(r, state->commit, state->commit_checksum);
    if (state->is_behind != 0) {
        if (t->kind == TRANSFER_SELECTED) return VSR_DROP_NOT_HELD;
        t->needs_snapshot = true;
        t->has_snapshot = false;
        vsr_transfer_ask(r, out);
        return VSR_DROP_NONE;
    }
    if (state->base != t->op) return VSR_DROP_STALE;
    enum vsr_drop why = stage_body(r, state);
    if (why != VSR_DROP_NONE) return why;
    if (t->op == t->target)
        vsr_transfer_finish(r, out);
    else if (state->header.count > 0)
        vsr_transfer_ask(r, out);
    return VSR_DROP_NONE;
}

enum vsr_drop vsr_on_new_state(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out)
{
    const struct vsr_new_state *state = (const struct vsr_new_state *)(const void *)m->header;

    if (state->nonce != r->nonce) return VSR_DROP_WRONG_NONCE;
    if (state->commit > state->op || state->base > state->op) return VSR_DROP_MALFORMED;
    if (r->status == VSR_STATUS_NORMAL && r->transfer.kind == TRANSFER_NONE)
        return is_primary(r) ? VSR_DROP_WRONG_NONCE : close_gap(r, state, out);
    if (r->transfer.kind == TRANSFER_NONE || r->transfer.kind == TRANSFER_BEHIND ||
        (r->transfer.needs_snapshot && !r->transfer.has_snapshot))
        return VSR_DROP_WRONG_NONCE;
    return gather(r, state, out);
}

/* Gathering. */

void vsr_transfer_drop_entries(struct vsr_replica *r)
{
    struct vsr_transfer *t = &r->transfer;

    for (; t->op > t->base; t->op--)
        if (t->ring[t->op & r->log.mask].header != NULL) unref(r, &t->ring[t->op & r->log.mask]);
}

void vsr_transfer_reset(struct vsr_replica *r)
{
    struct vsr_transfer *t = &r->transfer;

    if (t->kind == TRANSFER_NONE) return;
    vsr_transfer_drop_entries(r);
    *t = (struct vsr_transfer){.ring = t->ring};
}

static void ask_for_chunk(struct vsr_replica *r, struct vsr_effects *out)
{
    struct vsr_transfer *t = &r->transfer;
    struct vsr_buffer buffer;

    if (!vsr_take_message(r, VSR_GET_CHUNK, sizeof(struct vsr_get_chunk),
                          sizeof(struct vsr_get_chunk), &buffer)) {
        drop(r, VSR_DROP_NO_BUFFER);
        return;
    }
    struct vsr_get_chunk *get = (struct vsr_get_chunk *)(void *)buffer.header;
    get->nonce = next_nonce(r);
    get->checkpoint_op = t->snapshot.op;
    get->checkpoint_id = t->snapshot.id;
    get->offset = t->snapshot_at;
    effects_send(out, 1u << t->provider, buffer);
}

void vsr_transfer_ask(struct vsr_replica *r, struct vsr_effects *out)
{
    struct vsr_transfer *t = &r->transfer;
    const uint32_t flags =
        VSR_GET_TRANSFER | (t->kind == TRANSFER_SELECTED ? VSR_GET_SELECTED : 0u);

    VSR_ASSERT(t->kind != TRANSFER_NONE);
    t->ticks_left = r->options.resend_ticks;
    if (t->needs_snapshot && !t->has_snapshot)
        ask_for_chunk(r, out);
    else
        send_get_state(r, t->provider, t->op, t->op_checksum, flags, out);
}

void vsr_transfer_start(struct vsr_replica *r, enum vsr_transfer_kind kind, uint32_t provider,
                        vsr_op target, vsr_checksum target_checksum, struct vsr_effects *out)
{
    struct vsr_transfer *t = &r->transfer;

    vsr_transfer_reset(r);
    *t = (struct vsr_transfer){
        .kind = kind,
        .provider = provider,
        .has_target = target != UINT64_MAX,
        .base = r->log.op,
        .op = r->log.op,
        .op_checksum = r->log.head_checksum,
        .target = target,
        .target_checksum = target_checksum,
        .ring = t->ring,
        .needs_snapshot = kind == TRANSFER_BEHIND,
    };
    if (t->has_target && target >= r->commit && vsr_log_has(&r->log, target, target_checksum)) {
        /* All of it is ours already, and perhaps a tail that is not that log's. */
        t->base = t->op = target;
        t->op_checksum = target_checksum;
        vsr_transfer_finish(r, out);
        return;
    }
    vsr_transfer_ask(r, out);
}

/** Puts the gathered log in the place of ours. Returns false when it has to wait for room. */
static bool replace_log(struct vsr_replica *r)
{
    struct vsr_transfer *t = &r->transfer;

    VSR_ASSERT(t->base >= r->commit && t->base <= r->log.op);
    const uint64_t kept = t->base - r->log.start;
    const uint64_t size = (uint64_t)r->log.mask + 1;
    const uint64_t excess = kept + (t->op - t->base) > size ? kept + (t->op - t->base) - size : 0;
    if (r->log.start + excess > r->applied) return false;

    vsr_log_truncate(&r->log, t->base, &r->options.buffers);
    vsr_log_release(&r->log, r->log.start + excess, &r->options.buffers);
    for (vsr_op op = t->base + 1; op <= t->op; op++) {
        struct vsr_buffer *place = &t->ring[op & r->log.mask];
        vsr_log_append(&r->log, *place);
        *place = (struct vsr_buffer){0};
    }
    r->counts.log_transfers += t->op > t->base;
    return true;
}

/**
 * Executes what the log that is coming shares with ours, so that the ring has room for the rest.
 *
 * The provider has executed what has left its log, so what we still hold of that is committed.
 */
static void execute_common(struct vsr_replica *r, struct vsr_effects *out)
{
    const struct vsr_view_change *change = &r->change;
    const vsr_op base = r->transfer.base;

    if (change->commit <= base && !vsr_log_has(&r->log, change->commit, change->commit_checksum))
        return;
    vsr_commit_to(r, change->commit < base ? change->commit : base, out);
}

void vsr_transfer_finish(struct vsr_replica *r, struct vsr_effects *out)
{
    struct vsr_transfer *t = &r->transfer;

    if (t->kind == TRANSFER_NONE || t->is_loading || r->is_applying || r->checkpoint.is_saving)
        return;
    if (t->kind != TRANSFER_BEHIND) {
        if (!t->has_target || t->op != t->target) return;
        if (t->op_checksum != t->target_checksum) {
            effects_notice(out, VSR_NOTICE_FORKED_LOG, t->provider, t->op);
            vsr_transfer_start(r, t->kind, t->provider, t->target, t->target_checksum, out);
            return;
        }
    }
    if (t->needs_snapshot) {
        if (!t->has_snapshot) return;
        if (t->snapshot.op <= r->commit) { /* We have come as far by ourselves. */
            vsr_transfer_reset(r);
            return;
        }
        t->is_loading = true;
        effects_next(out, VSR_EFFECT_LOAD)->snapshot = t->snapshot;
        return;
    }
    if (!replace_log(r)) {
        execute_common(r, out);
        return;
    }
    if (r->status == VSR_STATUS_RECOVERING) r->recovery.is_installed = true;
    vsr_transfer_reset(r);
    vsr_install_view(r, out);
}

void vsr_transfer_tick(struct vsr_replica *r, struct vsr_effects *out)
{
    struct vsr_transfer *t = &r->transfer;

    if (t->kind == TRANSFER_NONE) return;
    if (t->kind == TRANSFER_BEHIND && !has_gap(r)) { /* The log has come another way. */
        vsr_transfer_reset(r);
        return;
    }
    if (t->ticks_left > 0 && --t->ticks_left > 0) return;
    bool is_whole = t->kind == TRANSFER_BEHIND || (t->has_target && t->op == t->target);
    if (is_whole && (!t->needs_snapshot || t->has_snapshot)) {
        vsr_transfer_finish(r, out); /* It waits for an apply effect, or for room. */
        return;
    }
    bool is_bound = t->kind == TRANSFER_SELECTED || t->kind == TRANSFER_RECOVERY;
    if (++t->tries % TRIES_PER_PROVIDER == 0 && !is_bound)
        t->provider = next_provider(r, t->provider);
    vsr_transfer_ask(r, out);
}
