/**
 * Who is silent, who votes for the next view, who is told of the present one.
 *
 * Nothing here promises anything: rules 6.1, 6.7 and 16 of DESIGN.md.
 */
#include "liveness.h"

#include "commit.h"
#include "say.h"
#include "state.h"
#include "view.h"
#include "view_change.h"

enum vsr_drop vsr_on_ping(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out)
{
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
    const struct vsr_pong *pong = (const struct vsr_pong *)(const void *)m->header;

    if (pong->commit > pong->op) return VSR_DROP_MALFORMED;
    if (m->header->view < r->view) return VSR_DROP_STALE_VIEW;
    if (m->header->view > r->view || r->status == VSR_STATUS_VIEW_CHANGE) {
        vsr_catch_up(r, m->header->view, out);
        return VSR_DROP_NONE;
    }
    if (is_primary(r)) return VSR_DROP_NONE; /* It was heard: that is all it is for. */
    /* A backup that its primary does not reach goes on with what others tell. */
    return vsr_learn_commit(r, pong->commit, pong->commit_checksum, out) ? VSR_DROP_NONE
                                                                         : VSR_DROP_FORKED;
}

void vsr_look_at_quorum(struct vsr_replica *r, struct vsr_effects *out)
{
    uint32_t heard = 1;

    for (uint32_t i = 0; i < r->members.count; i++)
        heard += i != r->members.self && r->peers.ticks_silent[i] < r->options.abdicate_ticks;
    bool has_quorum = heard >= r->members.quorums.replication;
    if (has_quorum == !r->is_abdicating) return;
    r->is_abdicating = !has_quorum;
    if (has_quorum) {
        vsr_withdraw_vote(r);
        return;
    }
    r->counts.abdications++;
    effects_notice(out, VSR_NOTICE_ABDICATED, r->members.self, r->log.op);
}

void vsr_backup_tick(struct vsr_replica *r, struct vsr_effects *out)
{
    if (r->fetch.ticks_left > 0) r->fetch.ticks_left--;
    if (++r->ticks_silent < r->suspect_ticks) return;
    if (!r->is_primary_silent) {
        r->is_primary_silent = true;
        effects_notice(out, VSR_NOTICE_PRIMARY_SILENT, vsr_members_primary(&r->members, r->view),
                       r->log.op);
    }
    if ((r->ticks_silent - r->suspect_ticks) % r->options.resend_ticks != 0) return;
    vsr_send_ping(r, out);
    vsr_vote(r, out);
}
