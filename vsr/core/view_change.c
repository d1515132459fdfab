/**
 * From one view's log to the next one's: DoViewChange, StartView.
 *
 * Rule 6.2: a replica that leaves its view freezes its log until it has all of the next view's log;
 * then log and log_view change in one step. Bodies never travel in these messages: logs are hash
 * chains, so {op, checksum} names one, and what is missing is fetched (state_transfer.c).
 *
 * Source: VRR §4.2, corrected as in DESIGN.md, "Views".
 */
#include "view_change.h"

#include "commit.h"
#include "execute.h"
#include "make.h"
#include "message.h"
#include "normal.h"
#include "pending.h"
#include "recovery.h"
#include "say.h"
#include "state.h"
#include "transfer.h"
#include "view.h"

#include <string.h>

void vsr_enter_view_change(struct vsr_replica *r, vsr_view view, struct vsr_effects *out)
{
    /* A view that does not start, or does not last, is one more attempt: all patience grows. */
    const bool has_lasted = r->status == VSR_STATUS_NORMAL && vsr_has_lasted(r);

    if (!has_lasted && r->change.attempts < UINT32_MAX) r->change.attempts++;
    vsr_set_view(r, view, out);
    vsr_start_view_timer(r);
    vsr_persist(r, out);
}

void vsr_catch_up(struct vsr_replica *r, vsr_view view, struct vsr_effects *out)
{
    const uint32_t primary = vsr_members_primary(&r->members, view);

    VSR_ASSERT(r->status != VSR_STATUS_RECOVERING); /* that has a question of its own */
    VSR_ASSERT(view >= r->view);
    if (primary == r->members.self) return;
    if (view > r->view) {
        vsr_set_view(r, view, out);
        vsr_start_view_timer(r);
        vsr_persist(r, out);
    }
    if (r->log_view == r->view || r->transfer.kind == TRANSFER_CATCH_UP) return;
    VSR_ASSERT(r->status == VSR_STATUS_VIEW_CHANGE);
    vsr_transfer_start(r, TRANSFER_CATCH_UP, primary, UINT64_MAX, 0, out);
}

/** Sends what our log is to everybody: the new primary counts it, the others learn of the view. */
static void send_do_view_change(struct vsr_replica *r, struct vsr_effects *out)
{
    const struct vsr_known_log *own = &r->in_view.logs[r->members.self];
    struct vsr_buffer buffer;

    VSR_ASSERT(r->status == VSR_STATUS_VIEW_CHANGE);
    VSR_ASSERT(vsr_is_durable(r));
    VSR_ASSERT(own->is_here);
    VSR_ASSERT(own->log_view == r->log_view);
    /* Or vsr_on_do_view_change takes it for malformed. */
    VSR_ASSERT(own->log_view < r->view);
    VSR_ASSERT(own->log_start <= own->op);
    VSR_ASSERT(own->commit <= own->op);
    struct vsr_do_view_change *do_view_change = vsr_make_do_view_change(r, &buffer);
    if (do_view_change == NULL) {
        drop(r, VSR_DROP_NO_BUFFER);
        return;
    }
    do_view_change->log_view = own->log_view;
    do_view_change->log_start = own->log_start;
    do_view_change->op = own->op;
    do_view_change->checksum = own->checksum;
    do_view_change->commit = own->commit;
    do_view_change->commit_checksum = own->commit_checksum;
    effects_send(out, others_mask(r), buffer);
}

/** Whether a log may be chosen. */
static bool is_eligible(const struct vsr_known_log *log)
{
    return log->is_here && !log->is_out_of_reach;
}

/** How many may be chosen. */
static uint32_t count_eligible(const struct vsr_replica *r)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < r->members.count; i++)
        count += is_eligible(&r->in_view.logs[i]);
    return count;
}

/** The log to start with: the highest (log_view, op) in that order. Source: VRR §4.2 step 3. */
static uint32_t select_log(const struct vsr_replica *r)
{
    const struct vsr_known_log *logs = r->in_view.logs;
    uint32_t best = r->members.self;

    VSR_ASSERT(logs[best].is_here); /* it is our own, and one of those it is compared with */
    for (uint32_t i = 0; i < r->members.count; i++) {
        if (!is_eligible(&logs[i])) continue;
        bool is_better = logs[i].log_view != logs[best].log_view
                             ? logs[i].log_view > logs[best].log_view
                             : logs[i].op > logs[best].op;
        if (is_better) best = i;
    }
    VSR_ASSERT(logs[best].is_here);
    VSR_ASSERT(logs[best].commit <= logs[best].op); /* as it came in */
    VSR_ASSERT(logs[best].log_view < r->view);
    return best;
}

/** Starts the view once a quorum's logs are known, the own one among them. Source: rule 6.4. */
static void try_start_view(struct vsr_replica *r, struct vsr_effects *out)
{
    const struct vsr_known_log *logs = r->in_view.logs;

    if (!is_primary(r) || r->in_view.is_log_selected || !logs[r->members.self].is_here) return;
    VSR_ASSERT(r->log_view < r->view);
    VSR_ASSERT(r->transfer.kind == TRANSFER_NONE); /* the log that it is of is not chosen yet */
    VSR_ASSERT(!logs[r->members.self].is_out_of_reach);
    if (count_eligible(r) < r->members.quorums.view_change) return;

    /* Chosen once. To choose again when one more log is known would be as safe, since nothing of
     * the view has been said, but the transfer would begin anew. */
    r->in_view.is_log_selected = true;
    for (uint32_t i = 0; i < r->members.count; i++)
        if (logs[i].is_here) vsr_note_commit(r, logs[i].commit, logs[i].commit_checksum);
    const uint32_t best = select_log(r);
    const struct vsr_known_log *log = &logs[best];
    if (log->op < r->change.commit) {
        vsr_halt(r, VSR_NOTICE_DATA_LOST, log->op, out);
        return;
    }
    if (!vsr_log_has(&r->log, log->op, log->checksum) && log->log_start > r->commit) {
        /* We lag by more than that log reaches back: a view whose primary does not is better. */
        r->counters.forfeits++;
        r->change.ticks_left = 0;
        vsr_vote(r, out);
        return;
    }
    vsr_transfer_start(r, TRANSFER_SELECTED, best, log->op, log->checksum, out);
}

static void begin_as_primary(struct vsr_replica *r, struct vsr_effects *out)
{
    const uint32_t self = r->members.self;

    VSR_ASSERT(is_serving(r));
    VSR_ASSERT(r->replies_open == 0);
    VSR_ASSERT(r->queue.count == 0);
    VSR_ASSERT(r->batch.buffer.header == NULL); /* requests are admitted from now on */
    VSR_ASSERT(r->in_view.acked[self] == 0);    /* 6.4.5: acknowledgements start from nothing */
    VSR_ASSERT(!r->in_view.is_abdicating);
    r->counters.views_started++;
    r->in_view.view_start_op = r->log.op;
    memset(r->peers.applied, 0, sizeof r->peers.applied);
    memset(r->peers.ticks_unheard, 0, sizeof r->peers.ticks_unheard);
    memset(r->peers.ticks_still, 0, sizeof r->peers.ticks_still);
    r->in_view.acked[self] = r->log.op;
    r->in_view.has_answered[self] = true;
    r->ticks_to_heartbeat = r->options.heartbeat_ticks;
    r->ticks_to_resend = r->options.resend_ticks;
    vsr_rebuild_pending(r);
    effects_notice(out, VSR_NOTICE_PRIMARY, self, r->log.op);
    vsr_send_start_view(r, others_mask(r), out);
}

static void begin_as_backup(struct vsr_replica *r, struct vsr_effects *out)
{
    VSR_ASSERT(!is_primary(r));
    VSR_ASSERT(r->replies_open == 0);
    VSR_ASSERT(r->queue.count == 0);
    VSR_ASSERT(!r->in_view.fetch.is_waiting);
    r->in_view.fetch.provider = r->primary;
    r->in_view.is_ack_due = true;
    effects_notice(out, VSR_NOTICE_BACKUP, r->in_view.fetch.provider, r->log.op);
}

void vsr_become_normal(struct vsr_replica *r, struct vsr_effects *out)
{
    VSR_ASSERT(r->status != VSR_STATUS_NORMAL);
    VSR_ASSERT(r->status != VSR_STATUS_STARTING);
    VSR_ASSERT(r->status != VSR_STATUS_HALTED);
    VSR_ASSERT(r->log_view == r->view);
    VSR_ASSERT(vsr_is_durable(r));
    VSR_ASSERT(r->transfer.kind == TRANSFER_NONE);
    VSR_ASSERT(r->transfer.op == r->transfer.base);
    VSR_ASSERT(!r->transfer.has_snapshot);
    VSR_ASSERT(r->commit <= r->log.op);
    if (r->status == VSR_STATUS_RECOVERING) {
        r->counters.recoveries++;
        r->has_source = false;
        effects_notice(out, VSR_NOTICE_RECOVERED, r->members.self, r->log.op);
    }
    r->status = VSR_STATUS_NORMAL;
    r->change.ticks_stable = 0;
    r->ticks_silent = 0;
    vsr_draw_suspicion(r);
    if (is_primary(r))
        begin_as_primary(r, out);
    else
        begin_as_backup(r, out);
    const uint64_t witness = vsr_witness(WITNESS_OTHER, r->change.commit);
    if (!vsr_learn_commit(r, r->change.commit, r->change.commit_checksum, witness, out)) return;
    if (is_primary(r))
        vsr_count_acks(r, out);
    else
        vsr_acknowledge(r, out);
    vsr_execute(r, out);
}

/** Our own DoViewChange, as it will stay until the view has started: the log is frozen. */
static void note_own(struct vsr_replica *r)
{
    struct vsr_known_log *own = &r->in_view.logs[r->members.self];

    if (own->is_here) return;
    VSR_ASSERT(r->transfer.kind == TRANSFER_NONE);
    VSR_ASSERT(r->log_view < r->view); /* in a view that has started it would be no vote */
    *own = (struct vsr_known_log){
        .is_here = true,
        .log_view = r->log_view,
        .log_start = r->log.start,
        .op = r->log.op,
        .checksum = r->log.head_checksum,
        .commit = r->change.commit <= r->log.op ? r->change.commit : r->commit,
        .commit_checksum =
            r->change.commit <= r->log.op ? r->change.commit_checksum : r->commit_checksum,
    };
}

void vsr_proceed_between_views(struct vsr_replica *r, struct vsr_effects *out)
{
    VSR_ASSERT(r->status == VSR_STATUS_VIEW_CHANGE);
    VSR_ASSERT(vsr_is_durable(r));
    if (r->log_view == r->view) {
        vsr_become_normal(r, out);
        return;
    }
    if (r->transfer.kind == TRANSFER_CATCH_UP) return;
    if (!r->in_view.logs[r->members.self].is_here) {
        note_own(r);
        send_do_view_change(r, out);
    }
    try_start_view(r, out);
}

void vsr_count_votes(struct vsr_replica *r, struct vsr_effects *out)
{
    const vsr_view target = vsr_members_voted(&r->members, r->change.votes);

    VSR_ASSERT(r->status != VSR_STATUS_HALTED);
    VSR_ASSERT(!vsr_members_is_alone(&r->members)); /* nobody else votes, and we had not to */
    VSR_ASSERT(target <= VSR_VIEW_MAX);
    if (target > r->view) vsr_enter_view_change(r, target, out);
}

/**
 * Counts a vote to leave views below its target.
 *
 * Deviates from VRR §4.2: a vote moves nobody. A replica that hears nobody would otherwise drag a
 * healthy group through view after view.
 */
enum vsr_drop vsr_on_start_view_change(struct vsr_replica *r, struct vsr_buffer *m,
                                       struct vsr_effects *out)
{
    const struct vsr_start_view_change *vote = vsr_read_start_view_change(m->header);
    const uint32_t from = (uint32_t)m->header->from;

    VSR_ASSERT(r->status != VSR_STATUS_RECOVERING);
    VSR_ASSERT(vsr_members_has_other(&r->members, from));
    if (vote->target > VSR_VIEW_MAX) return VSR_DROP_MALFORMED;
    if (m->header->view < r->view) vsr_tell_view(r, from, out);
    if (vote->target <= r->view) return VSR_DROP_STALE_VIEW;
    /* One slot per sender: a vote that comes twice counts once, and one that comes late lowers
     * nothing. */
    if (vote->target < r->change.votes[from]) return VSR_DROP_STALE;
    r->change.votes[from] = vote->target;
    r->due |= DUE_VOTES;
    r->change.vote_ticks[from] = r->options.suspect_ticks + 2 * r->options.resend_ticks;
    return VSR_DROP_NONE;
}

/**
 * Stores a replica's log for the view that we shall start, or learns of a higher view.
 *
 * Source: VRR §4.2 steps 2 and 3; rule 6.3.
 */
enum vsr_drop vsr_on_do_view_change(struct vsr_replica *r, struct vsr_buffer *m,
                                    struct vsr_effects *out)
{
    const struct vsr_do_view_change *do_view_change = vsr_read_do_view_change(m->header);
    const uint32_t from = (uint32_t)m->header->from;

    VSR_ASSERT(r->status != VSR_STATUS_RECOVERING);
    VSR_ASSERT(vsr_members_has_other(&r->members, from));
    if (do_view_change->log_view >= m->header->view ||
        do_view_change->commit > do_view_change->op ||
        do_view_change->log_start > do_view_change->op)
        return VSR_DROP_MALFORMED;
    if (m->header->view < r->view) {
        vsr_tell_view(r, from, out);
        return VSR_DROP_STALE_VIEW;
    }
    if (m->header->view > r->view) vsr_enter_view_change(r, m->header->view, out);
    if (r->status == VSR_STATUS_NORMAL) {
        if (is_primary(r)) vsr_send_start_view(r, vsr_mask_of(from), out);
        return VSR_DROP_STARTED_VIEW;
    }
    if (!is_primary(r)) return VSR_DROP_NOT_PRIMARY;
    VSR_ASSERT(r->status == VSR_STATUS_VIEW_CHANGE);
    VSR_ASSERT(m->header->view == r->view);
    r->in_view.logs[from] = (struct vsr_known_log){
        .is_here = true,
        .is_out_of_reach = r->in_view.logs[from].is_out_of_reach,
        .log_view = do_view_change->log_view,
        .log_start = do_view_change->log_start,
        .op = do_view_change->op,
        .checksum = do_view_change->checksum,
        .commit = do_view_change->commit,
        .commit_checksum = do_view_change->commit_checksum,
    };
    return VSR_DROP_NONE;
}

/**
 * Takes the new view's log in place of the own one, at once or when all of it has come.
 *
 * Never in a view that has started here already: a StartView that comes twice would cut the log.
 * Source: VRR §4.2 step 5; rule 6.5.
 */
enum vsr_drop vsr_on_start_view(struct vsr_replica *r, struct vsr_buffer *m,
                                struct vsr_effects *out)
{
    const struct vsr_start_view *start_view = vsr_read_start_view(m->header);

    VSR_ASSERT(r->status != VSR_STATUS_RECOVERING);
    VSR_ASSERT(m->header->from == primary_in(r, m->header->view));
    if (m->header->view < r->view) {
        vsr_tell_view(r, (uint32_t)m->header->from, out);
        return VSR_DROP_STALE_VIEW;
    }
    if (m->header->view == r->view &&
        (r->status != VSR_STATUS_VIEW_CHANGE || r->log_view == r->view))
        return VSR_DROP_STARTED_VIEW;
    if (start_view->commit > start_view->op || start_view->log_start > start_view->op)
        return VSR_DROP_MALFORMED;
    if (start_view->op < r->commit) {
        vsr_halt(r, VSR_NOTICE_DATA_LOST, start_view->op, out);
        return VSR_DROP_FORKED;
    }
    if (m->header->view > r->view) {
        vsr_set_view(r, m->header->view, out);
        vsr_start_view_timer(r);
    }
    VSR_ASSERT(r->status == VSR_STATUS_VIEW_CHANGE);
    VSR_ASSERT(m->header->view == r->view);
    VSR_ASSERT(!is_primary(r));
    VSR_ASSERT(r->log_view < r->view); /* what has started here is not cut */
    vsr_note_commit(r, start_view->commit, start_view->commit_checksum);
    if (r->transfer.kind == TRANSFER_CATCH_UP && r->transfer.has_target)
        return VSR_DROP_STARTED_VIEW;
    vsr_persist(r, out);
    vsr_transfer_start(r, TRANSFER_CATCH_UP, (uint32_t)m->header->from, start_view->op,
                       start_view->checksum, out);
    return VSR_DROP_NONE;
}

/**
 * Chooses without a log that is heard of and not given, if a quorum's logs are left: whoever has it
 * may not hear us. Any quorum's logs hold all that is committed, and nothing has been said yet.
 */
static void pass_over_silent(struct vsr_replica *r)
{
    struct vsr_known_log *log = &r->in_view.logs[r->transfer.provider];

    if (!vsr_transfer_is_unanswered(r)) return;
    VSR_ASSERT(is_primary(r));
    VSR_ASSERT(log->is_here); /* or it was not chosen */
    VSR_ASSERT(r->in_view.is_log_selected);
    VSR_ASSERT(r->transfer.provider != r->members.self); /* that one answers */
    log->is_out_of_reach = true;
    if (count_eligible(r) < r->members.quorums.view_change) {
        log->is_out_of_reach = false; /* There is no other way. */
        return;
    }
    vsr_transfer_reset(r);
    r->in_view.is_log_selected = false;
}

void vsr_view_change_tick(struct vsr_replica *r, struct vsr_effects *out)
{
    struct vsr_view_change *change = &r->change;

    VSR_ASSERT(r->status == VSR_STATUS_VIEW_CHANGE);
    VSR_ASSERT(change->ticks_to_resend > 0);
    /* A primary to be that saves or loads is waited for. */
    const uint32_t primary = r->primary;
    if (change->ticks_left > 0 && r->peers.away[primary] == 0) change->ticks_left--;
    vsr_transfer_tick(r, out);
    if (r->transfer.is_loading) return; /* Nothing comes between a load and its end. */
    pass_over_silent(r);
    if (r->status != VSR_STATUS_VIEW_CHANGE || --change->ticks_to_resend > 0) return;

    change->ticks_to_resend = r->options.resend_ticks;
    vsr_send_ping(r, out);
    if (r->log_view < r->view && r->in_view.logs[r->members.self].is_here &&
        r->transfer.kind != TRANSFER_CATCH_UP)
        send_do_view_change(r, out);
    if (change->ticks_left == 0) vsr_vote(r, out);
}
