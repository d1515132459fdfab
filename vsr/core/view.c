/**
 * The view a replica is in: raised, given its log. What follows from it is decided by those who
 * call.
 *
 * Source: VRR §4.2; rule G6 of DESIGN.md.
 */
#include "view.h"

#include "durable.h"
#include "queue.h"
#include "reply.h"
#include "staging.h"
#include "state.h"
#include "view_change.h"

/** Patience doubles so often at most. Source: rule 6.7. */
enum { DOUBLINGS_MAX = 5 };

void vsr_halt(struct vsr_replica *r, enum vsr_notice why, vsr_op op, struct vsr_effects *out)
{
    VSR_ASSERT(r->status != VSR_STATUS_STARTING);
    VSR_ASSERT(r->status != VSR_STATUS_HALTED); /* it is said once */
    effects_notice(out, why, r->members.self, op);
    r->status = VSR_STATUS_HALTED;
}

void vsr_note_commit(struct vsr_replica *r, vsr_op commit, vsr_checksum checksum)
{
    if (commit <= r->change.commit) return;
    r->change.commit = commit;
    r->change.commit_checksum = checksum;
}

void vsr_withdraw_vote(struct vsr_replica *r)
{
    r->change.votes[r->members.self] = 0;
}

uint32_t vsr_grown(const struct vsr_replica *r, uint32_t ticks)
{
    VSR_ASSERT(ticks <= UINT32_MAX >> DOUBLINGS_MAX); /* the options leave room for the doublings */
    return ticks << (r->change.attempts < DOUBLINGS_MAX ? r->change.attempts : DOUBLINGS_MAX);
}

bool vsr_has_lasted(const struct vsr_replica *r)
{
    uint64_t patience = vsr_grown(r, r->options.abdicate_ticks);

    /* One that its own primary gives up for want of progress has not lasted. A primary waits for
     * three round trips at least: rule 6.7. */
    for (uint32_t i = 0; is_primary(r) && i < r->members.count; i++)
        if (patience < 3 * (uint64_t)r->peers.round_trip[i])
            patience = 3 * (uint64_t)r->peers.round_trip[i];
    return !r->in_view.is_abdicating && r->change.ticks_stable / 3 >= r->suspect_ticks &&
           r->change.ticks_stable / 2 >= patience;
}

void vsr_draw_suspicion(struct vsr_replica *r)
{
    /* Staggered, so that one replica votes first and the others find its vote. */
    const uint32_t spread = r->options.suspect_ticks / 5 + 1;

    r->suspect_ticks = vsr_grown(r, r->options.suspect_ticks + r->members.self * (spread * 3 / 4) +
                                        (uint32_t)(splitmix_next(&r->random) % spread));
    VSR_ASSERT(r->suspect_ticks >= r->options.suspect_ticks);
}

/** Draws T_vc, which doubles with every view change in a row that did not end. */
static uint32_t view_change_ticks(struct vsr_replica *r)
{
    VSR_ASSERT(r->options.suspect_ticks > 0);
    return vsr_grown(r, r->options.suspect_ticks) +
           (uint32_t)(splitmix_next(&r->random) % r->options.suspect_ticks);
}

void vsr_note_progress(struct vsr_replica *r)
{
    struct vsr_transfer *t = &r->transfer;

    VSR_ASSERT(t->kind != TRANSFER_NONE); /* or nothing was asked for */
    VSR_ASSERT(!t->is_loading);           /* all has come before that */
    /* Answered at the first asking: so much patience was not needed. Else the next question begins
     * with as much, or on a slow network each would be asked many times over. */
    if (t->tries == 0 && t->doublings > 0) t->doublings--;
    t->tries = t->aways = 0;
    t->asks_giver = false;
    if (r->status == VSR_STATUS_VIEW_CHANGE) r->change.ticks_left = view_change_ticks(r);
}

void vsr_start_view_timer(struct vsr_replica *r)
{
    VSR_ASSERT(r->status != VSR_STATUS_NORMAL);
    r->change.ticks_left = view_change_ticks(r);
    r->change.ticks_to_resend = r->options.resend_ticks;
    VSR_ASSERT(r->change.ticks_left > 0);
    VSR_ASSERT(r->change.ticks_to_resend > 0);
}

void vsr_clear_in_view(struct vsr_replica *r)
{
    for (uint32_t i = 0; i < REORDER_MAX; i++)
        if (r->in_view.reorder[i].header != NULL) unref(r, &r->in_view.reorder[i]);
    r->in_view = (struct vsr_in_view){0};
}

void vsr_set_view(struct vsr_replica *r, vsr_view view, struct vsr_effects *out)
{
    VSR_ASSERT(!r->transfer.is_loading); /* nothing comes between a load and its end */
    VSR_ASSERT(r->status != VSR_STATUS_STARTING);
    VSR_ASSERT(r->status != VSR_STATUS_HALTED);
    VSR_ASSERT(view > r->view);
    VSR_ASSERT(view <= VSR_VIEW_MAX);
    if (r->status == VSR_STATUS_NORMAL) {
        if (is_primary(r)) vsr_flush_replies(r, out);
        vsr_note_commit(r, r->commit, r->commit_checksum);
        r->counters.view_changes++;
        effects_notice(out, VSR_NOTICE_VIEW_CHANGE, vsr_members_primary(&r->members, view),
                       r->log.op);
    }
    vsr_drop_requests(r);
    vsr_transfer_break_off(r);
    vsr_withdraw_vote(r);
    vsr_clear_in_view(r);
    enter_view(r, view);
    VSR_ASSERT(r->log_view < r->view); /* our log is that of a view that is left */
    r->status = r->status == VSR_STATUS_RECOVERING ? VSR_STATUS_RECOVERING : VSR_STATUS_VIEW_CHANGE;
}

void vsr_install_view(struct vsr_replica *r, struct vsr_effects *out)
{
    VSR_ASSERT(r->status != VSR_STATUS_NORMAL);
    VSR_ASSERT(r->status != VSR_STATUS_HALTED);
    VSR_ASSERT(r->transfer.kind == TRANSFER_NONE);
    VSR_ASSERT(r->log.op >= r->commit);
    /* A view's log is put in place once; RECOVERING may be from a fork in the same view. */
    VSR_ASSERT(r->log_view < r->view || r->status == VSR_STATUS_RECOVERING);
    r->log_view = r->view;
    r->confirmed = r->log.op;
    vsr_persist(r, out);
}
