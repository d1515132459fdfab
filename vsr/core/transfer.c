/**
 * Gathering another log, and if need be a snapshot, beside the own one: VRR §5.2, corrected.
 *
 * Nothing of the own log is cut off before all of the other is there; then it takes its place in
 * one step, and log_view moves with it.
 */
#include "transfer.h"

#include "commit.h"
#include "make.h"
#include "message.h"
#include "say.h"
#include "state.h"
#include "view.h"

#include <string.h>

/** Unanswered questions after which another replica is asked. */
enum { TRIES_PER_PROVIDER = 3 };

/** One is waited for while it saves or loads: what it was at when it was asked, and then for us. */
enum { AWAYS_PER_PROVIDER = 2 };

/** A repeated question waits twice as long as before, up to so many suspect_ticks. */
enum { PATIENCE_SUSPICIONS = 4 };

uint32_t vsr_next_provider(const struct vsr_replica *r, uint32_t provider)
{
    VSR_ASSERT(vsr_members_has(&r->members, provider));
    VSR_ASSERT(!vsr_members_is_alone(&r->members)); /* or there is none, and no end */
    do
        provider = vsr_members_next(&r->members, provider);
    while (provider == r->members.self);
    return provider;
}

bool vsr_send_get_state(struct vsr_replica *r, uint32_t to, const struct vsr_question *question,
                        struct vsr_effects *out)
{
    struct vsr_buffer buffer;

    VSR_ASSERT(vsr_members_has_other(&r->members, to));
    VSR_ASSERT(question->nonce != 0);
    struct vsr_get_state *get = vsr_make_get_state(r, &buffer);
    if (get == NULL) {
        drop(r, VSR_DROP_NO_BUFFER);
        return false;
    }
    get->from_op = question->from_op;
    get->from_checksum = question->from_checksum;
    get->commit = r->commit;
    get->nonce = question->nonce;
    get->flags = question->flags;
    get->reserved = 0;
    effects_send(out, vsr_mask_of(to), buffer);
    return true;
}

uint32_t vsr_patience(const struct vsr_replica *r, uint32_t repeats)
{
    const uint32_t most = PATIENCE_SUSPICIONS * r->options.suspect_ticks;
    uint32_t ticks = r->options.resend_ticks;

    VSR_ASSERT(ticks > 0); /* nobody is asked twice in a tick */
    while (repeats-- > 0 && ticks < most)
        ticks *= 2;
    return ticks;
}

const struct vsr_prepare *vsr_entry_in(const struct vsr_new_state *state, uint32_t offset)
{
    VSR_ASSERT(offset >= sizeof *state);
    VSR_ASSERT(offset <= state->header.bytes);
    const uint32_t left = state->header.bytes - offset;
    const struct vsr_prepare *entry =
        (const struct vsr_prepare *)(const void *)((const uint8_t *)state + offset);

    if (left < sizeof *entry || entry->header.bytes > left || entry->header.bytes < sizeof *entry ||
        entry->header.bytes % 8 != 0)
        return NULL;
    return entry;
}

enum vsr_drop vsr_copy_entry(struct vsr_replica *r, const struct vsr_prepare *entry, vsr_op op,
                             vsr_checksum checksum, struct vsr_buffer *copy)
{
    VSR_ASSERT(entry->header.bytes >= sizeof *entry); /* vsr_entry_in gives no shorter one */
    if (entry->entry.op != op + 1 || !vsr_entry_is_well_formed(&r->options, r->view, entry))
        return VSR_DROP_MALFORMED;
    if (entry->entry.checksum != vsr_entry_checksum(entry)) return VSR_DROP_DAMAGED;
    if (entry->entry.parent_checksum != checksum) return VSR_DROP_FORKED;
    if (!r->options.buffers.take(r->options.buffers.context, entry->header.bytes, copy))
        return VSR_DROP_NO_BUFFER;
    memcpy(copy->header, entry, entry->header.bytes);
    return VSR_DROP_NONE;
}

static void ask_for_chunk(struct vsr_replica *r, struct vsr_effects *out)
{
    struct vsr_transfer *t = &r->transfer;
    struct vsr_buffer buffer;

    VSR_ASSERT(vsr_members_has_other(&r->members, t->provider));
    VSR_ASSERT(t->snapshot_at <= t->snapshot.bytes);
    /* All of it has come before, or it is of no use any more: the next one begins anew. */
    if (t->snapshot_at == t->snapshot.bytes || t->snapshot.op <= r->commit) {
        t->snapshot = (struct vsr_snapshot){0};
        t->snapshot_at = 0;
    }
    VSR_ASSERT((t->snapshot.op == 0) == (t->snapshot_at == 0)); /* what has a name has begun */
    struct vsr_get_chunk *get = vsr_make_get_chunk(r, &buffer);
    if (get == NULL) {
        drop(r, VSR_DROP_NO_BUFFER);
        return;
    }
    get->nonce = t->nonce;
    get->checkpoint_op = t->snapshot.op;
    get->checkpoint_id = t->snapshot.id;
    get->offset = t->snapshot_at;
    effects_send(out, vsr_mask_of(t->provider), buffer);
}

/** Says the question that is out, perhaps again. */
static void transmit(struct vsr_replica *r, struct vsr_effects *out)
{
    struct vsr_transfer *t = &r->transfer;

    VSR_ASSERT(vsr_members_has_other(&r->members, t->provider));
    VSR_ASSERT(!t->is_loading);
    VSR_ASSERT(t->kind != TRANSFER_NONE);
    VSR_ASSERT(t->nonce != 0);
    t->ticks_left = vsr_patience(r, t->doublings);
    if (t->needs_snapshot && !t->has_snapshot) {
        ask_for_chunk(r, out);
        return;
    }
    const struct vsr_question question = {
        .nonce = t->nonce,
        .from_op = t->op,
        .from_checksum = t->op_checksum,
        .flags = VSR_GET_TRANSFER | (t->kind == TRANSFER_SELECTED ? VSR_GET_SELECTED : 0u),
    };
    vsr_send_get_state(r, t->provider, &question, out);
}

void vsr_transfer_ask(struct vsr_replica *r, struct vsr_effects *out)
{
    VSR_ASSERT(r->transfer.kind != TRANSFER_NONE); /* what was broken off asks no more */
    r->transfer.nonce = next_nonce(r);
    transmit(r, out);
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

    VSR_ASSERT(!r->is_applying);
    VSR_ASSERT(base <= r->log.op);
    if (change->commit <= base && !vsr_log_has(&r->log, change->commit, change->commit_checksum))
        return;
    vsr_commit_to(r, change->commit < base ? change->commit : base, out);
}

void vsr_transfer_finish(struct vsr_replica *r, struct vsr_effects *out)
{
    struct vsr_transfer *t = &r->transfer;

    if (t->kind == TRANSFER_NONE || t->is_loading || r->is_applying || r->checkpoint.is_saving)
        return;
    VSR_ASSERT(t->op >= t->base);
    if (t->kind != TRANSFER_BEHIND) {
        if (!t->has_target || t->op != t->target) return;
        if (t->op_checksum != t->target_checksum) {
            effects_notice(out, VSR_NOTICE_FORKED_LOG, t->provider, t->op);
            vsr_transfer_restart(r, out);
            return;
        }
    }
    if (t->needs_snapshot) {
        if (!t->has_snapshot) return;
        if (t->snapshot.op <= r->commit) { /* We have come as far by ourselves. */
            vsr_transfer_reset(r);
            return;
        }
        VSR_ASSERT(t->snapshot_at == t->snapshot.bytes);
        VSR_ASSERT(t->base == t->snapshot.op);
        VSR_ASSERT(!t->has_touched_state);
        t->is_loading = true;
        vsr_send_away(r, out);
        effects_next(out, VSR_EFFECT_LOAD)->snapshot = t->snapshot;
        return;
    }
    if (!vsr_replace_log(r)) {
        execute_common(r, out);
        return;
    }
    VSR_ASSERT(!r->recovery.is_installed || r->status != VSR_STATUS_RECOVERING); /* once */
    if (r->status == VSR_STATUS_RECOVERING) r->recovery.is_installed = true;
    VSR_ASSERT(r->log.op >= r->commit);
    vsr_transfer_reset(r);
    vsr_install_view(r, out);
}

/** Whether nobody else may give this log: who has sent it in a DoViewChange alone answers between
 * views. That of a view that has started is named by {op, checksum}, and all that are NORMAL in it
 * have it or a part of it. */
static bool is_bound(const struct vsr_transfer *t)
{
    return t->kind == TRANSFER_SELECTED;
}

/** Begins from what that log and ours are sure to have in common: what is committed. */
static void begin_from_commit(struct vsr_replica *r)
{
    struct vsr_transfer *t = &r->transfer;

    VSR_ASSERT(t->kind != TRANSFER_NONE);
    VSR_ASSERT(!t->is_loading);
    VSR_ASSERT(r->commit <= r->log.op);
    vsr_transfer_drop_entries(r);
    t->base = t->op = r->commit;
    t->op_checksum = r->commit_checksum;
    t->needs_snapshot = t->has_snapshot = false;
}

/** A snapshot is needed. Whoever has given a part of one is asked for the rest of it, in whatever
 * view: another one keeps another snapshot, and in turns none would ever be whole. It is asked
 * once, for it may be gone; then whoever has told that a snapshot is needed. */
static void need_snapshot(struct vsr_replica *r)
{
    struct vsr_transfer *t = &r->transfer;

    VSR_ASSERT(!t->has_snapshot);
    VSR_ASSERT(!t->is_loading);
    VSR_ASSERT(t->op == t->base); /* what follows a snapshot comes after it */
    VSR_ASSERT(t->snapshot_at <= t->snapshot.bytes);
    t->needs_snapshot = true;
    const bool has_part = t->snapshot_at > 0 && t->snapshot_at < t->snapshot.bytes;
    if (!has_part || t->snapshot.op <= r->commit || t->snapshot_from == t->provider) return;
    t->asks_giver = true;
    t->teller = t->provider;
    t->provider = t->snapshot_from;
}

/** That log begins behind what we have and have gathered, or the ring is too short for what lies
 * between: a snapshot, or a newer one, has to come first. */
static void begin_from_snapshot(struct vsr_replica *r)
{
    begin_from_commit(r);
    need_snapshot(r);
}

/** The end of the log that is wanted is known: is what we have, and have gathered, of that log? */
static void fit_to_target(struct vsr_replica *r)
{
    struct vsr_transfer *t = &r->transfer;

    VSR_ASSERT(t->has_target);
    if (t->has_snapshot && t->target <= t->base) {
        /* It reaches beyond that end: all of it is committed, and in that log by now. */
        vsr_transfer_drop_entries(r);
        t->op_checksum = t->snapshot_checksum;
        t->target = t->snapshot.op;
        t->target_checksum = t->snapshot_checksum;
        return;
    }
    if (t->target > t->op) return; /* Who is asked for the rest looks at what it is to follow. */
    const bool is_gathered = t->target > t->base;
    VSR_ASSERT(!is_gathered || t->ring[t->target & r->log.mask].header != NULL);
    const vsr_checksum checksum =
        is_gathered ? log_prepare(&t->ring[t->target & r->log.mask])->entry.checksum : 0;
    if (!is_gathered || checksum != t->target_checksum) {
        begin_from_commit(r);
        return;
    }
    vsr_transfer_drop_after(r, t->target);
    t->op_checksum = checksum;
}

/**
 * Begins to gather a log. Returns whether anything of it has to be asked for.
 *
 * What was gathered for an earlier view is gone on with: entries are named by their checksums, and
 * a snapshot is of what is committed. The log that a view is to start from is another matter, since
 * its holder alone gives it; and within the view entries come one by one.
 */
static bool set_out(struct vsr_replica *r, enum vsr_transfer_kind kind, uint32_t provider,
                    vsr_op target, vsr_checksum target_checksum, struct vsr_effects *out)
{
    struct vsr_transfer *t = &r->transfer;
    const bool may_go_on = kind == TRANSFER_CATCH_UP || kind == TRANSFER_RECOVERY;

    VSR_ASSERT(kind != TRANSFER_NONE);
    VSR_ASSERT(!t->is_loading); /* nothing comes between a load and its end */
    if (!may_go_on || (t->has_snapshot && t->snapshot.op <= r->commit)) vsr_transfer_reset(r);
    if (!t->has_snapshot && t->op == t->base) {
        t->base = t->op = r->log.op;
        t->op_checksum = r->log.head_checksum;
    }
    VSR_ASSERT(t->has_snapshot || t->base <= r->log.op);
    VSR_ASSERT(!t->has_snapshot || t->base == t->snapshot.op);
    vsr_transfer_break_off(r);
    t->kind = kind;
    t->provider = provider;
    t->has_target = target != UINT64_MAX;
    t->target = target;
    t->target_checksum = target_checksum;
    t->began_at = r->log.op;
    t->needs_snapshot = t->has_snapshot;
    if (kind == TRANSFER_BEHIND) need_snapshot(r);
    if (!t->has_target) return true;
    if (target >= r->commit && vsr_log_has(&r->log, target, target_checksum)) {
        /* All of it is ours already, and perhaps a tail that is not that log's. */
        begin_from_commit(r);
        t->base = t->op = target;
        t->op_checksum = target_checksum;
    } else {
        fit_to_target(r);
        if (t->op != t->target || t->op_checksum != t->target_checksum) return true;
    }
    /* Not loaded in a step that makes the view durable: the two would come home in any order. */
    if (!t->needs_snapshot) vsr_transfer_finish(r, out);
    return false;
}

void vsr_transfer_start(struct vsr_replica *r, enum vsr_transfer_kind kind, uint32_t provider,
                        vsr_op target, vsr_checksum target_checksum, struct vsr_effects *out)
{
    VSR_ASSERT(vsr_members_has(&r->members, provider));
    /* Within the view only a snapshot is gathered. */
    VSR_ASSERT((kind == TRANSFER_BEHIND) == (r->status == VSR_STATUS_NORMAL));
    VSR_ASSERT((kind == TRANSFER_RECOVERY) == (r->status == VSR_STATUS_RECOVERING));
    VSR_ASSERT(kind != TRANSFER_SELECTED || is_primary(r));
    VSR_ASSERT(kind != TRANSFER_CATCH_UP || !is_primary(r)); /* whose view would that be? */
    if (set_out(r, kind, provider, target, target_checksum, out)) vsr_transfer_ask(r, out);
}

/** Another one's turn. */
static void leave_provider(struct vsr_replica *r)
{
    VSR_ASSERT(!is_bound(&r->transfer)); /* nobody else gives that log */
    r->transfer.provider = vsr_next_provider(r, r->transfer.provider);
    r->transfer.aways = 0;
}

void vsr_transfer_restart(struct vsr_replica *r, struct vsr_effects *out)
{
    struct vsr_transfer *t = &r->transfer;
    const uint32_t refusals = t->refusals + 1;

    VSR_ASSERT(t->kind != TRANSFER_NONE);
    VSR_ASSERT(!t->is_loading);
    const struct vsr_transfer before = *t;
    vsr_transfer_reset(r);
    if (!set_out(r, before.kind, before.provider, before.has_target ? before.target : UINT64_MAX,
                 before.target_checksum, out))
        return;
    t->refusals = refusals;
    if (refusals == 1) { /* Damaged on its way: it is there in whole. */
        vsr_transfer_ask(r, out);
        return;
    }
    if (!is_bound(t)) leave_provider(r);
    t->nonce = next_nonce(r);
    t->ticks_left = vsr_patience(r, refusals);
}

/** Stages what an answer brings of the log that is gathered. */
static enum vsr_drop stage_body(struct vsr_replica *r, const struct vsr_new_state *state)
{
    struct vsr_transfer *t = &r->transfer;
    uint32_t offset = sizeof *state;

    VSR_ASSERT(t->has_target);
    VSR_ASSERT(!t->is_loading);
    for (uint32_t i = 0; i < state->header.count && t->op < t->target; i++) {
        const struct vsr_prepare *entry = vsr_entry_in(state, offset);
        struct vsr_buffer copy;
        if (entry == NULL) return VSR_DROP_MALFORMED;
        if (t->op - t->base > r->log.mask) {
            begin_from_snapshot(r);
            return VSR_DROP_LOG_FULL;
        }
        enum vsr_drop why = vsr_copy_entry(r, entry, t->op, t->op_checksum, &copy);
        if (why != VSR_DROP_NONE) return why;
        offset += entry->header.bytes;
        t->op++;
        t->op_checksum = entry->entry.checksum;
        VSR_ASSERT(t->ring[t->op & r->log.mask].header == NULL); /* or a buffer would be lost */
        t->ring[t->op & r->log.mask] = copy;
    }
    return VSR_DROP_NONE;
}

enum vsr_drop vsr_gather(struct vsr_replica *r, const struct vsr_new_state *state,
                         struct vsr_effects *out)
{
    struct vsr_transfer *t = &r->transfer;

    VSR_ASSERT(!t->is_loading);
    VSR_ASSERT(t->kind != TRANSFER_NONE);
    VSR_ASSERT(t->kind != TRANSFER_BEHIND);
    VSR_ASSERT(t->op >= t->base);
    VSR_ASSERT(vsr_members_has_other(&r->members, state->header.from));

    if (is_bound(t) && state->header.from != t->provider) return VSR_DROP_WRONG_SENDER;
    t->provider = (uint32_t)state->header.from; /* or whoever was asked before */

    if (!t->has_target) {
        t->has_target = true;
        t->target = state->op;
        t->target_checksum = state->checksum;
        fit_to_target(r);
    }
    vsr_note_commit(r, state->commit, state->commit_checksum);
    if (state->is_behind != 0) {
        if (t->kind == TRANSFER_SELECTED) return VSR_DROP_NOT_HELD;
        begin_from_snapshot(r);
        vsr_transfer_ask(r, out);
        return VSR_DROP_NONE;
    }
    /* Our tail, or what was gathered of another view's log, is not that log's. One that is shorter
     * does not know. */
    if (state->base == r->commit && state->base != t->op && state->op >= t->op &&
        t->op != t->target)
        begin_from_commit(r);
    if (t->op == t->target) {
        vsr_transfer_finish(r, out);
        return VSR_DROP_NONE;
    }
    if (state->base != t->op) return VSR_DROP_STALE;
    const vsr_op staged = t->op;
    enum vsr_drop why = stage_body(r, state);
    if (t->op > staged) vsr_note_progress(r);
    if (why != VSR_DROP_NONE) return why;
    if (t->op == t->target)
        vsr_transfer_finish(r, out);
    else if (state->header.count > 0)
        vsr_transfer_ask(r, out);
    return VSR_DROP_NONE;
}

/** One that saves the snapshot for us is not replaced, or each of them in turn saves one. */
static bool is_coming(const struct vsr_replica *r)
{
    VSR_ASSERT(vsr_members_has(&r->members, r->transfer.provider));
    return r->peers.away[r->transfer.provider] > 0 && r->transfer.aways <= AWAYS_PER_PROVIDER;
}

bool vsr_transfer_is_unanswered(const struct vsr_replica *r)
{
    return r->transfer.kind == TRANSFER_SELECTED && r->transfer.tries >= TRIES_PER_PROVIDER &&
           !is_coming(r);
}

void vsr_transfer_tick(struct vsr_replica *r, struct vsr_effects *out)
{
    struct vsr_transfer *t = &r->transfer;

    if (t->kind == TRANSFER_NONE) return;
    VSR_ASSERT((t->kind == TRANSFER_BEHIND) == (r->status == VSR_STATUS_NORMAL));
    VSR_ASSERT((t->kind == TRANSFER_RECOVERY) == (r->status == VSR_STATUS_RECOVERING));
    if (t->kind == TRANSFER_BEHIND && !t->is_loading && (!has_gap(r) || r->log.op > t->began_at)) {
        vsr_transfer_reset(r); /* The log comes another way. */
        return;
    }
    if (t->ticks_left > 0 && --t->ticks_left > 0) return;
    bool is_whole = t->kind == TRANSFER_BEHIND || (t->has_target && t->op == t->target);
    if (is_whole && (!t->needs_snapshot || t->has_snapshot)) {
        vsr_transfer_finish(r, out); /* It waits for an apply effect, or for room. */
        return;
    }
    if (t->asks_giver && !is_coming(r)) {
        t->asks_giver = false;
        t->provider = t->snapshot_from = t->teller; /* What it has begins anew, and comes. */
        t->aways = 0;
    } else if (++t->tries % TRIES_PER_PROVIDER == 0 && !is_bound(t) && !is_coming(r)) {
        leave_provider(r);
    }
    if (vsr_patience(r, t->doublings) < vsr_patience(r, t->doublings + 1)) t->doublings++;
    transmit(r, out);
}
