/**
 * Who is silent, who votes for the next view, who is told of the present one.
 *
 * Nothing here promises anything: rules 6.1, 6.7 and 16 of DESIGN.md.
 */
#include "state.h"

/** New views are told to so many clients in a step, after looking at so many sessions. */
enum { ANNOUNCE_SENDS = 16, ANNOUNCE_SLOTS = 1024, ANNOUNCE_KNOWN = 8 };

void vsr_draw_suspicion(struct vsr_replica *r)
{
    /* Staggered, so that one replica votes first and the others find its vote. */
    const uint32_t spread = r->options.suspect_ticks / 5 + 1;

    r->suspect_ticks = r->options.suspect_ticks + r->options.replica * (spread * 3 / 4) +
                       (uint32_t)(splitmix_next(&r->random) % spread);
}

void vsr_withdraw_vote(struct vsr_replica *r)
{
    r->change.votes[r->options.replica] = 0;
}

/** The highest view that a quorum wants at least. Source: rule 6.1. */
void vsr_count_votes(struct vsr_replica *r, struct vsr_effects *out)
{
    const vsr_view target =
        quorum_reached(r->change.votes, r->options.replica_count, r->options.quorum_view_change);

    if (target > r->view) vsr_enter_view_change(r, target, out);
}

void vsr_vote(struct vsr_replica *r, struct vsr_effects *out)
{
    const uint32_t self = r->options.replica;
    struct vsr_buffer buffer;

    if (r->options.replica_count == 1) return;
    if (r->change.votes[self] != r->view + 1) r->counts.votes++;
    r->change.votes[self] = r->view + 1;
    r->change.vote_ticks[self] = r->options.suspect_ticks + 2 * r->options.resend_ticks;
    if (vsr_take_message(r, VSR_START_VIEW_CHANGE, sizeof(struct vsr_start_view_change),
                         sizeof(struct vsr_start_view_change), &buffer)) {
        ((struct vsr_start_view_change *)(void *)buffer.header)->target = r->view + 1;
        effects_send(out, others_mask(r), buffer);
    } else {
        drop(r, VSR_DROP_NO_BUFFER);
    }
    vsr_count_votes(r, out);
}

static void send_pong(struct vsr_replica *r, uint32_t to, struct vsr_effects *out)
{
    struct vsr_buffer buffer;

    VSR_ASSERT(r->status == VSR_STATUS_NORMAL);
    if (!vsr_take_message(r, VSR_PONG, sizeof(struct vsr_pong), sizeof(struct vsr_pong), &buffer)) {
        drop(r, VSR_DROP_NO_BUFFER);
        return;
    }
    struct vsr_pong *pong = (struct vsr_pong *)(void *)buffer.header;
    pong->op = r->log.op;
    pong->commit = r->commit;
    pong->commit_checksum = r->commit_checksum;
    effects_send(out, 1u << to, buffer);
}

void vsr_tell_view(struct vsr_replica *r, uint32_t to, struct vsr_effects *out)
{
    if (r->status != VSR_STATUS_NORMAL || r->peers.pong_ticks[to] > 0) return;
    r->peers.pong_ticks[to] = r->options.resend_ticks;
    send_pong(r, to, out);
}

void vsr_send_ping(struct vsr_replica *r, struct vsr_effects *out)
{
    struct vsr_buffer buffer;

    if (vsr_take_message(r, VSR_PING, sizeof(struct vsr_header), sizeof(struct vsr_header),
                         &buffer))
        effects_send(out, others_mask(r), buffer);
    else
        drop(r, VSR_DROP_NO_BUFFER);
}

enum vsr_drop vsr_on_ping(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out)
{
    if (m->header->view > r->view) {
        /* A view is only entered with a quorum's votes: who is left behind joins those who went,
         * or they may be too few to go on, and so may we. */
        vsr_enter_view_change(r, m->header->view, out);
        return VSR_DROP_NONE;
    }
    if (r->status != VSR_STATUS_NORMAL) return VSR_DROP_STATUS;
    send_pong(r, (uint32_t)m->header->from, out);
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

    for (uint32_t i = 0; i < r->options.replica_count; i++)
        heard += i != r->options.replica && r->peers.ticks_silent[i] < r->options.abdicate_ticks;
    bool has_quorum = heard >= r->options.quorum_replication;
    if (has_quorum == !r->is_abdicating) return;
    r->is_abdicating = !has_quorum;
    if (has_quorum) {
        vsr_withdraw_vote(r);
        return;
    }
    r->counts.abdications++;
    effects_notice(out, VSR_NOTICE_ABDICATED, r->options.replica, r->log.op);
}

/** Whether an address is among the last few that were told. */
static bool is_known(const vsr_address *known, uint32_t count, vsr_address address)
{
    for (uint32_t i = 0; i < count && i < ANNOUNCE_KNOWN; i++)
        if (known[i] == address) return true;
    return false;
}

void vsr_announce_view(struct vsr_replica *r, struct vsr_effects *out)
{
    vsr_address known[ANNOUNCE_KNOWN];
    uint32_t sent = 0;

    for (uint32_t i = 0; i < ANNOUNCE_SLOTS && r->announced < r->clients.count; i++) {
        const vsr_address address = vsr_client_table_at(&r->clients, r->announced)->address;
        struct vsr_buffer buffer;
        if (!is_known(known, sent, address)) {
            if (sent == ANNOUNCE_SENDS ||
                !vsr_take_message(r, VSR_NEW_VIEW, sizeof(struct vsr_header),
                                  sizeof(struct vsr_header), &buffer))
                return;
            effects_send_client(out, address, buffer);
            known[sent++ % ANNOUNCE_KNOWN] = address;
        }
        r->announced++;
    }
}

void vsr_backup_tick(struct vsr_replica *r, struct vsr_effects *out)
{
    if (r->fetch.ticks_left > 0) r->fetch.ticks_left--;
    if (++r->ticks_silent < r->suspect_ticks) return;
    if (!r->is_primary_silent) {
        r->is_primary_silent = true;
        effects_notice(out, VSR_NOTICE_PRIMARY_SILENT,
                       primary_of(r->view, r->options.replica_count), r->log.op);
    }
    if ((r->ticks_silent - r->suspect_ticks) % r->options.resend_ticks != 0) return;
    vsr_send_ping(r, out);
    vsr_vote(r, out);
}
