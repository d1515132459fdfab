/**
 * What a replica says on its own account, in any role: messages made and sent, nothing decided.
 *
 * Without a buffer nothing is said: whatever has to be heard is said again by a timer.
 */
#include "say.h"

#include "make.h"
#include "state.h"
#include "view_change.h"

/** New views are told to so many clients in a step, after looking at so many sessions. */
enum { ANNOUNCE_SENDS = 16, ANNOUNCE_SLOTS = 1024, ANNOUNCE_KNOWN = 8 };

void vsr_send_entry(struct vsr_replica *r, vsr_op op, uint32_t to_mask, struct vsr_effects *out)
{
    struct vsr_buffer copy = *vsr_log_buffer(&r->log, op);

    VSR_ASSERT(to_mask != 0);
    VSR_ASSERT((to_mask & ~others_mask(r)) == 0);
    copy.handle = r->options.buffers.ref(r->options.buffers.context, copy.handle);
    if (copy.handle == NULL) {
        drop(r, VSR_DROP_NO_BUFFER);
        return;
    }
    effects_send(out, to_mask, copy);
}

void vsr_vote(struct vsr_replica *r, struct vsr_effects *out)
{
    const uint32_t self = r->members.self;
    struct vsr_buffer buffer;

    VSR_ASSERT(r->status != VSR_STATUS_STARTING);
    VSR_ASSERT(r->status != VSR_STATUS_RECOVERING); /* that has no part in view changes */
    VSR_ASSERT(r->change.votes[self] <= r->view + 1);
    if (vsr_members_is_alone(&r->members) || r->view == VSR_VIEW_MAX) return;
    if (r->change.votes[self] != r->view + 1) r->counters.votes++;
    r->change.votes[self] = r->view + 1;
    r->due |= DUE_VOTES;
    r->change.vote_ticks[self] = r->options.suspect_ticks + 2 * r->options.resend_ticks;
    struct vsr_start_view_change *vote = vsr_make_start_view_change(r, &buffer);
    if (vote == NULL) {
        drop(r, VSR_DROP_NO_BUFFER);
        return;
    }
    vote->target = r->view + 1;
    effects_send(out, others_mask(r), buffer);
}

static void send_pong(struct vsr_replica *r, uint32_t to_mask, struct vsr_effects *out)
{
    struct vsr_buffer buffer;

    VSR_ASSERT(r->status == VSR_STATUS_NORMAL);
    VSR_ASSERT((to_mask & ~others_mask(r)) == 0);
    VSR_ASSERT(r->commit <= r->log.op); /* or vsr_on_pong takes it for malformed */
    struct vsr_pong *pong = vsr_make_pong(r, &buffer);
    if (pong == NULL) {
        drop(r, VSR_DROP_NO_BUFFER);
        return;
    }
    pong->op = r->log.op;
    pong->commit = r->commit;
    pong->commit_checksum = r->commit_checksum;
    effects_send(out, to_mask, buffer);
}

void vsr_send_pong(struct vsr_replica *r, uint32_t to, struct vsr_effects *out)
{
    VSR_ASSERT(vsr_members_has_other(&r->members, to));
    send_pong(r, vsr_mask_of(to), out);
}

void vsr_tell_view(struct vsr_replica *r, uint32_t to, struct vsr_effects *out)
{
    VSR_ASSERT(vsr_members_has_other(&r->members, to));
    if (r->status != VSR_STATUS_NORMAL || r->peers.pong_ticks[to] > 0) return;
    r->peers.pong_ticks[to] = r->options.resend_ticks;
    send_pong(r, vsr_mask_of(to), out);
}

void vsr_send_ping(struct vsr_replica *r, struct vsr_effects *out)
{
    struct vsr_buffer buffer;

    VSR_ASSERT(r->status != VSR_STATUS_STARTING);
    VSR_ASSERT(!vsr_members_is_alone(&r->members)); /* nobody would answer */
    if (vsr_make_ping(r, &buffer) != NULL)
        effects_send(out, others_mask(r), buffer);
    else
        drop(r, VSR_DROP_NO_BUFFER);
}

void vsr_send_away(struct vsr_replica *r, struct vsr_effects *out)
{
    struct vsr_buffer buffer;

    if (vsr_members_is_alone(&r->members)) return;
    if (vsr_make_away(r, &buffer) != NULL)
        effects_send(out, others_mask(r), buffer);
    else
        drop(r, VSR_DROP_NO_BUFFER);
}

void vsr_send_back(struct vsr_replica *r, struct vsr_effects *out)
{
    if (vsr_members_is_alone(&r->members)) return;
    if (r->status == VSR_STATUS_NORMAL)
        send_pong(r, others_mask(r), out);
    else
        vsr_send_ping(r, out);
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

    VSR_ASSERT(is_serving(r));
    VSR_ASSERT(r->view != 0); /* that is where every client begins */
    VSR_ASSERT(r->in_view.announced <= r->clients.count);
    for (uint32_t i = 0; i < ANNOUNCE_SLOTS && r->in_view.announced < r->clients.count; i++) {
        const vsr_address address = vsr_client_table_at(&r->clients, r->in_view.announced)->address;
        struct vsr_buffer buffer;
        if (!is_known(known, sent, address)) {
            if (sent == ANNOUNCE_SENDS || vsr_make_new_view(r, &buffer) == NULL) return;
            effects_send_client(out, address, buffer);
            known[sent++ % ANNOUNCE_KNOWN] = address;
        }
        r->in_view.announced++;
    }
}

void vsr_send_start_view(struct vsr_replica *r, uint32_t to_mask, struct vsr_effects *out)
{
    struct vsr_buffer buffer;

    VSR_ASSERT(is_serving(r));
    VSR_ASSERT(r->log_view == r->view);
    VSR_ASSERT(vsr_is_durable(r));
    if (to_mask == 0) return;
    VSR_ASSERT((to_mask & ~others_mask(r)) == 0);
    VSR_ASSERT(r->view != 0); /* everybody begins in that one */
    VSR_ASSERT(r->log.start <= r->log.op);
    VSR_ASSERT(r->commit <= r->log.op); /* or vsr_on_start_view takes it for malformed */
    struct vsr_start_view *start_view = vsr_make_start_view(r, &buffer);
    if (start_view == NULL) {
        drop(r, VSR_DROP_NO_BUFFER);
        return;
    }
    start_view->log_start = r->log.start;
    start_view->op = r->log.op;
    start_view->checksum = r->log.head_checksum;
    start_view->commit = r->commit;
    start_view->commit_checksum = r->commit_checksum;
    effects_send(out, to_mask, buffer);
}
