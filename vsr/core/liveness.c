/**
 * Who is silent, who votes for the next view, who is told of the present one.
 *
 * Nothing here promises anything: rules 6.1, 6.7 and 16 of DESIGN.md.
 */
#include "liveness.h"

#include "commit.h"
#include "message.h"
#include "recovery.h"
#include "say.h"
#include "state.h"
#include "view.h"
#include "view_change.h"

/** A primary that is heard and commits nothing is silent for so many times T_abdicate. */
enum { GIVE_UP_PATIENCES = 8 };

/** Whoever lacks something for so many suspect_ticks, and gets nothing, says so. */
enum { WAIT_SUSPICIONS = 16 };

/** So many suspect_ticks is one away at most where catch_up_ticks is no bound. */
enum { AWAY_SUSPICIONS = 10 };

enum vsr_drop vsr_on_ping(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out)
{
    VSR_ASSERT(r->status != VSR_STATUS_RECOVERING); /* it has no part in views */
    VSR_ASSERT(vsr_members_has_other(&r->members, m->header->from));
    if (m->header->view > r->view) {
        /* A view is only entered with a quorum's votes: who is left behind joins those who went,
         * or they may be too few to go on, and so may we. */
        vsr_enter_view_change(r, m->header->view, out);
        return VSR_DROP_NONE;
    }
    if (r->status != VSR_STATUS_NORMAL) return VSR_DROP_STATUS;
    vsr_send_pong(r, (uint32_t)m->header->from, out);
    return VSR_DROP_NONE;
}

/** Learns from a NORMAL replica what its view is, and how far it got. Source: rule 7.2. */
enum vsr_drop vsr_on_pong(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out)
{
    const struct vsr_pong *pong = vsr_read_pong(m->header);

    VSR_ASSERT(r->status != VSR_STATUS_RECOVERING);
    if (pong->commit > pong->op) return VSR_DROP_MALFORMED;
    if (m->header->view < r->view) return VSR_DROP_STALE_VIEW;
    if (m->header->view > r->view || r->status == VSR_STATUS_VIEW_CHANGE) {
        vsr_catch_up(r, m->header->view, out);
        return VSR_DROP_NONE;
    }
    VSR_ASSERT(r->status == VSR_STATUS_NORMAL);
    VSR_ASSERT(m->header->view == r->view);
    VSR_ASSERT(vsr_members_has_other(&r->members, m->header->from));
    r->peers.ticks_unheard[m->header->from] = 0; /* It is NORMAL in our view, and answers us. */
    if (is_primary(r)) return VSR_DROP_NONE;
    if (pong->op > r->in_view.fetch.op_heard) r->in_view.fetch.op_heard = pong->op;
    /* A backup that its primary does not reach goes on with what others tell. */
    const uint64_t witness = vsr_witness(WITNESS_OTHER, m->header->from);
    return vsr_learn_commit(r, pong->commit, pong->commit_checksum, witness, out) ? VSR_DROP_NONE
                                                                                  : VSR_DROP_FORKED;
}

/** Source: rule 6.8. */
enum vsr_drop vsr_on_away(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out)
{
    const uint32_t most = r->options.catch_up_ticks;

    (void)out;
    VSR_ASSERT(vsr_members_has_other(&r->members, m->header->from));
    VSR_ASSERT(most > 0);
    if (r->transfer.kind != TRANSFER_NONE && r->transfer.provider == m->header->from)
        r->transfer.aways++;
    /* The log may wait for one that moves without a bound; one that is away may have died. */
    r->peers.away[m->header->from] =
        most != UINT32_MAX ? most : AWAY_SUSPICIONS * r->options.suspect_ticks;
    return VSR_DROP_NONE;
}

/** T_abdicate: longer after views that did not last, and never shorter than answers take. */
static uint32_t patience_with(const struct vsr_replica *r, uint32_t i)
{
    const uint32_t ticks = vsr_grown(r, r->options.abdicate_ticks);
    const uint64_t answer = 3 * (uint64_t)r->peers.round_trip[i];

    return answer > ticks ? (answer < UINT32_MAX ? (uint32_t)answer : UINT32_MAX) : ticks;
}

/** How many replicas acknowledge what it says, itself included, and how long that takes at most. */
static uint32_t count_support(const struct vsr_replica *r, uint32_t *patience)
{
    uint32_t count = 1;

    *patience = vsr_grown(r, r->options.abdicate_ticks);
    for (uint32_t i = 0; i < r->members.count; i++) {
        const uint32_t most = patience_with(r, i);
        if (i == r->members.self || r->peers.ticks_unheard[i] >= most) continue;
        count++;
        if (most > *patience) *patience = most;
    }
    VSR_ASSERT(count <= r->members.count);
    VSR_ASSERT(*patience >= r->options.abdicate_ticks);
    return count;
}

/** Whether new ops wait for one that is served: that has a bound of its own, there or here. */
static bool is_kept_waiting(const struct vsr_replica *r)
{
    for (uint32_t i = 0; i < r->members.count; i++) {
        bool is_full = r->in_view.is_full[i] && r->peers.ticks_unheard[i] < patience_with(r, i);
        if (r->peers.is_waited_for[i] || r->peers.away[i] > 0 || is_full) return true;
    }
    return false;
}

/** Counts the age of the oldest work that is not served. */
static void age_work(struct vsr_replica *r)
{
    const vsr_op served = r->commit + r->applied;
    VSR_ASSERT(r->applied <= r->commit);
    VSR_ASSERT(r->commit <= r->log.op);
    const bool has_work =
        r->log.op > r->commit || r->queue.count > 0 || r->batch.buffer.header != NULL;

    if (!has_work || served != r->served)
        r->in_view.ticks_unserved = 0;
    else if (!is_kept_waiting(r) && r->in_view.ticks_unserved < UINT32_MAX)
        r->in_view.ticks_unserved++;
    r->served = served;
    /* An acknowledgement came after all, and nothing is left to give up for. */
    if (r->in_view.ticks_unserved == 0 && r->applied == r->log.op) r->in_view.is_giving_up = false;
}

static void abdicate(struct vsr_replica *r, bool is_giving_up, struct vsr_effects *out)
{
    VSR_ASSERT(is_serving(r));
    VSR_ASSERT(!vsr_members_is_alone(&r->members)); /* that is a quorum by itself */
    VSR_ASSERT(!r->in_view.is_abdicating);
    r->in_view.is_abdicating = true;
    r->in_view.is_giving_up = is_giving_up;
    r->ticks_abdicating = 0;
    r->counters.abdications++;
    effects_notice(out, VSR_NOTICE_ABDICATED, r->members.self, r->log.op);
}

void vsr_look_at_quorum(struct vsr_replica *r, struct vsr_effects *out)
{
    uint32_t patience;

    VSR_ASSERT(is_serving(r));
    const bool has_quorum = count_support(r, &patience) >= r->members.quorums.replication;

    age_work(r);
    if (!r->in_view.is_abdicating) {
        if (!has_quorum)
            abdicate(r, false, out);
        else if (r->in_view.ticks_unserved >= patience)
            abdicate(r, true, out);
        return;
    }
    VSR_ASSERT(!vsr_members_is_alone(&r->members)); /* that never abdicates */
    /* Who gave up stays silent until the others have had time for a view change. */
    if (r->ticks_abdicating < UINT32_MAX) r->ticks_abdicating++;
    if (!has_quorum ||
        (r->in_view.is_giving_up && r->ticks_abdicating / GIVE_UP_PATIENCES < patience))
        return;
    r->in_view.is_abdicating = r->in_view.is_giving_up = false;
    r->in_view.ticks_unserved = 0;
    vsr_withdraw_vote(r);
}

/** Whether it lacks what another replica has to give, and whose turn that is. */
static bool is_waiting(const struct vsr_replica *r, uint32_t *whom)
{
    if (r->transfer.kind != TRANSFER_NONE) {
        *whom = r->transfer.provider;
        return !r->transfer.is_loading;
    }
    if (r->status == VSR_STATUS_RECOVERING) {
        *whom = vsr_recovery_lacks(r);
        return r->recovery.nonce != 0 && !r->recovery.is_installed;
    }
    *whom = r->in_view.fetch.provider;
    return r->status == VSR_STATUS_NORMAL && !is_primary(r) && has_gap(r);
}

void vsr_watch_waiting(struct vsr_replica *r, struct vsr_effects *out)
{
    const struct vsr_transfer *t = &r->transfer;
    const uint64_t progress = r->log.op + t->op + t->snapshot_at;
    uint32_t whom;

    if (vsr_members_is_alone(&r->members) || r->status == VSR_STATUS_HALTED) return;
    if (!is_waiting(r, &whom) || progress != r->wait.progress) {
        r->wait.progress = progress;
        r->wait.ticks = r->wait.told = 0;
        return;
    }
    VSR_ASSERT(vsr_members_has(&r->members, whom));
    VSR_ASSERT(!is_serving(r)); /* it has all of the log */
    if (++r->wait.ticks / WAIT_SUSPICIONS < r->options.suspect_ticks) return;
    r->wait.ticks = 0;
    /* Told at once, and then less and less often. */
    if ((r->wait.told & (r->wait.told + 1)) == 0)
        effects_notice(out, VSR_NOTICE_WAITS_LONG, whom, r->log.op);
    if (r->wait.told < UINT32_MAX) r->wait.told++;
}

void vsr_backup_tick(struct vsr_replica *r, struct vsr_effects *out)
{
    VSR_ASSERT(!r->transfer.is_loading);
    VSR_ASSERT(r->suspect_ticks > 0); /* drawn with the view */
    VSR_ASSERT(r->status == VSR_STATUS_NORMAL);
    VSR_ASSERT(!is_primary(r));
    if (r->in_view.fetch.ticks_left > 0) r->in_view.fetch.ticks_left--;
    if (r->peers.away[r->primary] > 0) return;
    if (r->ticks_silent == UINT32_MAX) r->ticks_silent = r->suspect_ticks; /* it votes on */
    if (++r->ticks_silent < r->suspect_ticks) return;
    if (!r->in_view.is_primary_silent) {
        r->in_view.is_primary_silent = true;
        effects_notice(out, VSR_NOTICE_PRIMARY_SILENT, r->primary, r->log.op);
    }
    if ((r->ticks_silent - r->suspect_ticks) % r->options.resend_ticks != 0) return;
    vsr_send_ping(r, out);
    vsr_vote(r, out);
}
