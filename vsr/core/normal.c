/**
 * Normal operation: Prepare, PrepareOK, Commit, CommitOK, and the timers that repeat them.
 *
 * Source: VRR §4.1; cumulative acknowledgement, retransmission and checksums as in DESIGN.md.
 */
#include "normal.h"

#include "commit.h"
#include "divergence.h"
#include "durable.h"
#include "log_room.h"
#include "make.h"
#include "message.h"
#include "say.h"
#include "state.h"
#include "view.h"

/** Mode P acknowledges from memory; a durable log will answer with what its last fsync covers. */
static vsr_op acknowledged_op(const struct vsr_replica *r)
{
    return r->log.op;
}

void vsr_append_and_send(struct vsr_replica *r, struct vsr_buffer prepare, struct vsr_effects *out)
{
    VSR_ASSERT(!r->in_view.is_abdicating); /* it would keep the backups from voting */
    VSR_ASSERT(is_serving(r));
    VSR_ASSERT(r->log_view == r->view);
    VSR_ASSERT(vsr_is_durable(r));

    vsr_log_append(&r->log, prepare);
    r->in_view.acked[r->members.self] = acknowledged_op(r);
    const uint32_t to_mask = others_mask(r) & ~r->in_view.lagging;
    if (to_mask != 0) vsr_send_entry(r, r->log.op, to_mask, out);
    /* Nobody has more than we: with another quorum than our own this changes nothing. */
    if (r->members.quorums.replication == 1) vsr_count_acks(r, out);
}

static void hear_primary(struct vsr_replica *r, struct vsr_effects *out)
{
    VSR_ASSERT(r->status == VSR_STATUS_NORMAL);
    VSR_ASSERT(!is_primary(r));
    r->ticks_silent = 0;
    if (!r->in_view.is_primary_silent) return;
    r->in_view.is_primary_silent = false;
    vsr_withdraw_vote(r);
    effects_notice(out, VSR_NOTICE_PRIMARY_BACK, r->primary, r->log.op);
}

/** Keeps a Prepare from beyond a gap, if there is a place. Ownership: takes m when it does. */
static enum vsr_drop keep_early(struct vsr_replica *r, struct vsr_buffer *m)
{
    const vsr_op op = log_prepare(m)->entry.op;
    struct vsr_buffer *place = &r->in_view.reorder[op % REORDER_MAX];

    VSR_ASSERT(op > r->log.op + 1);
    VSR_ASSERT(op <= r->in_view.fetch.op_heard); /* or nobody would ask for what lies between */
    if (op > r->log.op + REORDER_MAX) return VSR_DROP_GAP;
    if (place->header != NULL) {
        if (log_prepare(place)->entry.op == op) return VSR_DROP_STALE;
        unref(r, place); /* of an op that has come another way since */
    }
    *place = *m;
    m->header = NULL;
    return VSR_DROP_NONE;
}

/** Appends what was kept and follows now without a gap. */
static void append_early(struct vsr_replica *r, struct vsr_effects *out)
{
    for (;;) {
        struct vsr_buffer *place = &r->in_view.reorder[(r->log.op + 1) % REORDER_MAX];
        if (place->header == NULL || log_prepare(place)->entry.op != r->log.op + 1) return;
        struct vsr_buffer next = *place;
        *place = (struct vsr_buffer){0};
        enum vsr_drop why = vsr_append_entry(r, &next, out);
        if (why == VSR_DROP_NONE) continue;
        drop(r, why);
        unref(r, &next);
        return;
    }
}

/** Whether the log has an entry of this name at its op. */
static bool is_held(const struct vsr_replica *r, const struct vsr_entry *entry)
{
    return vsr_log_holds(&r->log, entry->op) &&
           vsr_log_at(&r->log, entry->op)->entry.checksum == entry->checksum;
}

/**
 * Whether a Prepare can be an entry of our log.
 *
 * A core that sends one from its log, in this process, has looked at its requests when it entered
 * there, or made it; the bytes are the same, not a copy, and nobody writes to them any more.
 * Source: rule G0.
 */
static bool is_well_formed(const struct vsr_replica *r, const struct vsr_prepare *prepare)
{
    if (prepare->commit >= prepare->entry.op) return false;
    return r->is_local ? vsr_entry_may_enter(&r->options, r->view, prepare)
                       : vsr_entry_is_well_formed(&r->options, r->view, prepare);
}

/** Whether an entry's bytes are those of its checksum; verified once in a process, as its form. */
static bool is_undamaged(const struct vsr_replica *r, const struct vsr_prepare *prepare,
                         struct vsr_effects *out)
{
    if (r->is_local || prepare->entry.checksum == vsr_entry_checksum(prepare)) return true;
    effects_notice(out, VSR_NOTICE_DAMAGED, (uint32_t)prepare->header.from, prepare->entry.op);
    return false;
}

/** An op that we have must be the same entry: then only the acknowledgement was lost. */
static enum vsr_drop acknowledge_again(struct vsr_replica *r, const struct vsr_entry *entry,
                                       struct vsr_effects *out)
{
    VSR_ASSERT(entry->op <= r->log.op);
    if (vsr_log_holds(&r->log, entry->op) && !is_held(r, entry))
        return note_fork(r, entry->op, out);
    r->in_view.is_ack_due = true;
    return VSR_DROP_STALE;
}

/**
 * Logs the primary's next op; the turn's end acknowledges it.
 *
 * Ownership: takes m when the log or the reorder buffer keeps it.
 * Source:    VRR §4.1 step 4; gaps, §5.2.
 */
enum vsr_drop vsr_on_prepare(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out)
{
    const struct vsr_prepare *prepare = log_prepare(m);
    const struct vsr_entry *entry = &prepare->entry;
    enum vsr_drop why;

    if (!is_well_formed(r, prepare)) return VSR_DROP_MALFORMED;
    VSR_ASSERT(!is_primary(r));
    /* Before anything follows from it: a damaged repetition would pass for another entry. */
    if (!is_held(r, entry) && !is_undamaged(r, prepare, out)) return VSR_DROP_DAMAGED;
    hear_primary(r, out);
    const vsr_op commit = prepare->commit;
    const vsr_op released = prepare->released;
    const vsr_checksum commit_checksum = prepare->commit_checksum;

    const uint64_t witness = vsr_witness(WITNESS_OP, entry->op);

    vsr_hear_claim(r, (uint32_t)m->header->from, &prepare->agreed, witness, out);
    if (r->divergence.halts_at != 0) return VSR_DROP_FORKED;

    if (entry->op > r->in_view.fetch.op_heard) r->in_view.fetch.op_heard = entry->op;
    if (entry->op <= r->log.op) {
        why = acknowledge_again(r, entry, out);
    } else if (entry->op > r->log.op + 1) {
        why = keep_early(r, m);
    } else {
        why = vsr_append_entry(r, m, out);
        if (why == VSR_DROP_NONE) {
            m->header = NULL;
            append_early(r, out);
        }
    }
    if ((r->due & DUE_FORK) != 0 || !vsr_learn_commit(r, commit, commit_checksum, witness, out))
        return VSR_DROP_FORKED;
    vsr_release(r, released);
    return why;
}

/**
 * Counts a backup's cumulative acknowledgement.
 *
 * Source: VRR §4.1 step 5.
 */
enum vsr_drop vsr_on_prepare_ok(struct vsr_replica *r, struct vsr_buffer *m,
                                struct vsr_effects *out)
{
    const struct vsr_prepare_ok *ok = vsr_read_prepare_ok(m->header);
    const uint32_t from = (uint32_t)m->header->from;

    VSR_ASSERT(is_serving(r));
    VSR_ASSERT(vsr_members_has_other(&r->members, from));
    if (ok->op > r->log.op || ok->applied > ok->op) return VSR_DROP_MALFORMED;
    if (ok->op >= r->log.start && !vsr_log_has(&r->log, ok->op, ok->checksum)) {
        effects_notice(out, VSR_NOTICE_FORKED_LOG, from, ok->op);
        return VSR_DROP_FORKED;
    }
    r->in_view.has_answered[from] = true;
    r->peers.holds[from].ticks = 0;
    r->peers.ticks_unheard[from] = 0;
    vsr_hear_claim(r, from, &ok->own, vsr_witness(WITNESS_OP, ok->op), out);
    if (r->divergence.halts_at != 0) return VSR_DROP_FORKED;
    /* One slot per sender: an acknowledgement that comes twice counts once. */
    if (ok->applied > r->peers.applied[from]) {
        r->peers.applied[from] = ok->applied;
        vsr_note_move(r, from);
    }
    if (ok->op <= r->in_view.acked[from]) return VSR_DROP_STALE;
    r->in_view.acked[from] = ok->op;
    vsr_note_move(r, from);
    r->in_view.is_behind_log[from] = false;
    if (ok->op > r->commit) vsr_count_acks(r, out);
    return VSR_DROP_NONE;
}

void vsr_acknowledge(struct vsr_replica *r, struct vsr_effects *out)
{
    struct vsr_buffer buffer;

    VSR_ASSERT(r->status == VSR_STATUS_NORMAL);
    VSR_ASSERT(!is_primary(r));
    if (!r->in_view.is_ack_due) return;
    VSR_ASSERT(r->log_view == r->view);
    VSR_ASSERT(vsr_is_durable(r));
    struct vsr_prepare_ok *ok = vsr_make_prepare_ok(r, &buffer);
    if (ok == NULL) {
        drop(r, VSR_DROP_NO_BUFFER);
        return;
    }
    ok->op = acknowledged_op(r);
    ok->checksum = r->log.head_checksum;
    ok->applied = r->applied;
    ok->own = vsr_claim_own(r);
    r->in_view.is_ack_due = false;
    effects_send(out, primary_mask(r), buffer);
}

/**
 * Takes the primary's commit number.
 *
 * Source: VRR §4.1 step 6.
 */
enum vsr_drop vsr_on_commit(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out)
{
    const struct vsr_commit *commit = vsr_read_commit(m->header);
    struct vsr_buffer buffer;

    VSR_ASSERT(r->status == VSR_STATUS_NORMAL);
    VSR_ASSERT(!is_primary(r));
    VSR_ASSERT(m->header->view == r->view);
    hear_primary(r, out);
    if (commit->op > r->in_view.fetch.op_heard) r->in_view.fetch.op_heard = commit->op;
    const uint64_t witness = vsr_witness(WITNESS_SEQUENCE, commit->sequence);
    vsr_hear_claim(r, (uint32_t)m->header->from, &commit->agreed, witness, out);
    if (r->divergence.halts_at != 0) return VSR_DROP_FORKED;
    if (!vsr_confirm(r, commit->op, commit->op_checksum, witness, out) ||
        !vsr_learn_commit(r, commit->commit, commit->commit_checksum, witness, out))
        return VSR_DROP_FORKED;
    vsr_release(r, commit->released);
    /* An entry of an older view is not sent again, so nothing else asks for the acknowledgement. */
    if (commit->commit < r->log.op) r->in_view.is_ack_due = true;

    struct vsr_commit_ok *ok = vsr_make_commit_ok(r, &buffer);
    if (ok == NULL) return VSR_DROP_NO_BUFFER;
    VSR_ASSERT(vsr_is_durable(r)); /* 9.2 */
    VSR_ASSERT(r->applied <= r->commit);
    ok->sequence = commit->sequence;
    ok->op = r->log.op;
    ok->applied = r->applied;
    ok->own = vsr_claim_own(r);
    ok->is_full = vsr_is_full(r);
    effects_send(out, primary_mask(r), buffer);
    return VSR_DROP_NONE;
}

/** Times the way from a heartbeat to its answer; an answer to an old one took at least as long. */
static void time_answer(struct vsr_replica *r, uint32_t from, uint64_t sequence)
{
    const uint64_t age = r->heartbeat_sequence - sequence;
    const uint64_t kept = age < HEARTBEATS_KEPT ? sequence : r->heartbeat_sequence + 1;
    const uint64_t ticks = r->ticks - r->heartbeat_at[kept % HEARTBEATS_KEPT];

    VSR_ASSERT(sequence <= r->heartbeat_sequence);
    VSR_ASSERT(r->peers.timed[from] <= r->heartbeat_sequence);
    VSR_ASSERT(r->heartbeat_at[kept % HEARTBEATS_KEPT] <= r->ticks);
    /* What comes late or again has been timed, or a later one has: it is no measure any more. */
    if (sequence <= r->peers.timed[from]) return;
    r->peers.timed[from] = sequence;
    r->peers.round_trip[from] = ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX;
}

/** Learns how far a backup has executed, so that the log's tail can go. */
enum vsr_drop vsr_on_commit_ok(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out)
{
    const struct vsr_commit_ok *ok = vsr_read_commit_ok(m->header);
    const uint32_t from = (uint32_t)m->header->from;

    VSR_ASSERT(is_serving(r));
    VSR_ASSERT(vsr_members_has_other(&r->members, from));
    if (ok->applied > r->commit || ok->op > r->log.op || ok->sequence > r->heartbeat_sequence)
        return VSR_DROP_MALFORMED;
    r->in_view.has_answered[from] = true;
    r->peers.ticks_unheard[from] = 0;
    r->in_view.is_full[from] = ok->is_full != 0;
    time_answer(r, from, ok->sequence);
    vsr_hear_claim(r, from, &ok->own, vsr_witness(WITNESS_SEQUENCE, ok->sequence), out);
    if (ok->applied <= r->peers.applied[from]) return VSR_DROP_STALE;
    r->peers.applied[from] = ok->applied;
    vsr_note_move(r, from);
    return VSR_DROP_NONE;
}

void vsr_on_heartbeat_timeout(struct vsr_replica *r, struct vsr_effects *out)
{
    struct vsr_buffer buffer;

    VSR_ASSERT(r->status == VSR_STATUS_NORMAL);
    VSR_ASSERT(is_primary(r));
    VSR_ASSERT(r->ticks_to_heartbeat == 0);
    r->ticks_to_heartbeat = r->options.heartbeat_ticks;
    if (vsr_members_is_alone(&r->members)) return;
    if (r->in_view.is_abdicating) {
        vsr_send_ping(r, out); /* Whoever answers is heard, and nobody takes us for the primary. */
        /* Those who wait for another view may lack just our vote. */
        vsr_vote(r, out);
        return;
    }
    struct vsr_commit *commit = vsr_make_commit(r, &buffer);
    if (commit == NULL) {
        drop(r, VSR_DROP_NO_BUFFER);
        return;
    }
    VSR_ASSERT(vsr_is_durable(r)); /* 9.2 */
    commit->commit = r->commit;
    commit->commit_checksum = r->commit_checksum;
    commit->released = r->released;
    commit->sequence = ++r->heartbeat_sequence;
    r->heartbeat_at[commit->sequence % HEARTBEATS_KEPT] = r->ticks;
    commit->op = r->log.op;
    commit->op_checksum = r->log.head_checksum;
    commit->agreed = r->in_view.compared.agreed;
    effects_send(out, others_mask(r), buffer);
}

/** Those that have not answered in this view. View 0 has no StartView. */
static uint32_t silent_in_view(const struct vsr_replica *r)
{
    uint32_t mask = 0;

    if (r->view == 0) return 0;
    VSR_ASSERT(r->in_view.has_answered[r->members.self]);
    for (uint32_t i = 0; i < r->members.count; i++)
        if (!r->in_view.has_answered[i]) mask |= vsr_mask_of(i);
    return mask;
}

/** Sends each backup that has not moved since the last look its oldest unacknowledged Prepare. */
void vsr_on_resend_timeout(struct vsr_replica *r, struct vsr_effects *out)
{
    VSR_ASSERT(is_serving(r));
    VSR_ASSERT(r->ticks_to_resend == 0);
    VSR_ASSERT(r->in_view.acked[r->members.self] == r->log.op);
    r->ticks_to_resend = r->options.resend_ticks;
    if (r->in_view.is_abdicating) return;
    vsr_send_start_view(r, silent_in_view(r), out);
    for (uint32_t i = 0; i < r->members.count; i++) {
        VSR_ASSERT(r->in_view.acked[i] <= r->log.op);
        bool has_moved = r->in_view.acked[i] != r->in_view.acked_before[i];
        r->in_view.acked_before[i] = r->in_view.acked[i];
        if (has_moved || r->in_view.acked[i] == r->log.op || !r->in_view.has_answered[i]) continue;
        if (vsr_log_holds(&r->log, r->in_view.acked[i] + 1)) {
            /* One of an older view it has to ask for: the heartbeat says that there is one. */
            if (vsr_log_at(&r->log, r->in_view.acked[i] + 1)->header.view != r->view) continue;
            vsr_send_entry(r, r->in_view.acked[i] + 1, vsr_mask_of(i), out);
            r->counters.prepares_resent++;
        } else if (!r->in_view.is_behind_log[i]) {
            r->in_view.is_behind_log[i] = true;
            effects_notice(out, VSR_NOTICE_REPLICA_BEHIND_LOG, i, r->in_view.acked[i]);
        }
    }
}
