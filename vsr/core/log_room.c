/**
 * Room in the log's ring: which entries may leave it, and for whom they stay.
 */
#include "log_room.h"

#include "make.h"
#include "state.h"

/** A replica that was waited for gets a tick of its allowance back in so many. */
enum { REGAIN_TICKS = 8 };

/** Whoever acknowledges nothing of the last so many rings gets no new op until it does. */
enum { LAG_RINGS = 2 };

void vsr_time_question(struct vsr_replica *r, uint32_t replica, uint64_t nonce)
{
    struct vsr_asked *asked = &r->peers.asked[replica];
    const uint64_t ticks = r->ticks - asked->at;

    VSR_ASSERT(vsr_members_has_other(&r->members, replica));
    VSR_ASSERT(asked->at <= r->ticks);
    if (nonce == asked->nonce) return; /* Again: what answers it may have been the first answer. */
    /* Whoever gathers parts asks for the next when one has come, under the next number. */
    if (nonce == asked->nonce + 1)
        asked->round_trip = ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX;
    asked->nonce = nonce;
    asked->at = r->ticks;
}

/** Within so many ticks a replica moves: no two parts come faster than a question and its answer. A
 * primary times its heartbeats; a backup that gives a snapshot has only what it is asked. */
static uint32_t motion_ticks(const struct vsr_replica *r, uint32_t i)
{
    const uint32_t asked = r->peers.asked[i].round_trip;
    const uint32_t timed = r->peers.round_trip[i];
    const uint64_t trips = 3 * (uint64_t)(asked > timed ? asked : timed);
    const uint64_t ticks = trips > r->options.suspect_ticks ? trips : r->options.suspect_ticks;

    return ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX;
}

void vsr_note_move(struct vsr_replica *r, uint32_t replica)
{
    VSR_ASSERT(vsr_members_has(&r->members, replica));
    r->peers.ticks_still[replica] = 0;
}

void vsr_hold_log(struct vsr_replica *r, uint32_t replica, vsr_op op, uint64_t at)
{
    struct vsr_hold *hold = &r->peers.holds[replica];

    VSR_ASSERT(vsr_members_has_other(&r->members, replica));
    VSR_ASSERT(op >= r->log.start); /* what has left cannot be held */
    VSR_ASSERT(op <= r->log.op);
    if (at != HOLD_LOG) at++;
    /* Only progress renews it: a question that comes again, or for what came before, does not. */
    if (op < hold->op || (op == hold->op && at <= hold->at)) return;
    *hold = (struct vsr_hold){.op = op, .at = at, .ticks = motion_ticks(r, replica)};
    r->peers.held_for |= vsr_mask_of(replica);
    vsr_note_move(r, replica);
}

void vsr_release(struct vsr_replica *r, vsr_op released)
{
    VSR_ASSERT(r->log.start <= r->applied);
    if (released > r->released) r->released = released; /* of the network: of any size */
    vsr_op op = r->released < r->applied ? r->released : r->applied;
    for (uint32_t left = r->peers.held_for; left != 0; left &= left - 1) {
        const struct vsr_hold *hold = &r->peers.holds[__builtin_ctz(left)];
        if (hold->ticks > 0 && hold->op < op) op = hold->op;
    }
    VSR_ASSERT(op <= r->applied);
    if (op > r->log.start) vsr_log_release(&r->log, op, &r->options.buffers);
}

/** What of the log a replica has. Its PrepareOK may be lost; when all is committed nobody asks for
 * it again. */
static vsr_op last_op_of(const struct vsr_replica *r, uint32_t i)
{
    const vsr_op acked = r->in_view.acked[i];

    return acked > r->peers.applied[i] ? acked : r->peers.applied[i];
}

/** Whether a replica needs the oldest entry, and can have it sent. */
static bool lacks_oldest(const struct vsr_replica *r, uint32_t i)
{
    const struct vsr_hold *hold = &r->peers.holds[i];

    if (hold->ticks > 0 && hold->op <= r->log.start) return true;
    if (!is_serving(r) || i == r->members.self) return false;
    const vsr_op last = last_op_of(r, i);
    /* Behind the ring already: it will ask for a snapshot, and no entry here helps it. */
    bool is_behind = last < r->log.start && r->in_view.has_answered[i];
    bool is_new = !r->in_view.has_answered[i] && r->log.start < r->in_view.view_start_op;
    return last <= r->log.start && !is_behind && !is_new;
}

/**
 * Whether too few have the oldest entry: nothing is committed then without those that lack it, so
 * what would take its place could not be either.
 */
static bool is_oldest_needed(const struct vsr_replica *r)
{
    uint32_t count = 1;

    if (!is_serving(r)) return false;
    for (uint32_t i = 0; i < r->members.count; i++)
        count += i != r->members.self && last_op_of(r, i) > r->log.start;
    VSR_ASSERT(count <= r->members.count);
    return count < r->members.quorums.replication;
}

/** Whether the ring's oldest entry stays, and notes for whom. */
static bool waits_for_others(struct vsr_replica *r)
{
    struct vsr_known_peers *peers = &r->peers;

    VSR_ASSERT(!vsr_log_has_room(&r->log));
    VSR_ASSERT(r->log.start < r->applied);
    const bool is_needed = is_oldest_needed(r);
    bool has_to_wait = is_needed;
    for (uint32_t i = 0; i < r->members.count; i++) {
        /* That it is heard counts for nothing: whoever moves is waited for. Source: rule 4.7. */
        bool moves = peers->ticks_still[i] < motion_ticks(r, i);
        if (!moves || (peers->is_left_behind[i] && !is_needed) || !lacks_oldest(r, i)) continue;
        peers->is_waited_for[i] = true;
        has_to_wait = true;
    }
    return has_to_wait;
}

bool vsr_make_room(struct vsr_replica *r)
{
    if (vsr_log_has_room(&r->log)) return true;
    if (r->log.start >= r->applied || waits_for_others(r)) return false;
    vsr_log_release(&r->log, r->log.start + 1, &r->options.buffers);
    VSR_ASSERT(vsr_log_has_room(&r->log));
    return true;
}

bool vsr_is_full(struct vsr_replica *r)
{
    VSR_ASSERT(r->status == VSR_STATUS_NORMAL);
    VSR_ASSERT(!is_primary(r));
    return has_gap(r) && !vsr_log_has_room(&r->log) && r->log.start < r->applied &&
           waits_for_others(r);
}

/** Spends the allowance of one that was waited for, or gives some of it back. */
static void tick_allowance(struct vsr_replica *r, uint32_t i, struct vsr_effects *out)
{
    struct vsr_known_peers *peers = &r->peers;
    const uint32_t most = r->options.catch_up_ticks;

    VSR_ASSERT(peers->allowance[i] <= most);
    VSR_ASSERT(peers->allowance[i] > 0 || peers->is_left_behind[i]);
    VSR_ASSERT(!peers->is_waited_for[i] || i != r->members.self);
    if (peers->is_waited_for[i]) {
        peers->costs[i].waited_ticks++;
        if (most == UINT32_MAX || peers->is_left_behind[i] || --peers->allowance[i] > 0) return;
        peers->is_left_behind[i] = true;
        peers->costs[i].left_behind++;
        effects_notice(out, VSR_NOTICE_LEFT_BEHIND, i, r->in_view.acked[i]);
    } else if (peers->allowance[i] < most && ++peers->regained[i] % REGAIN_TICKS == 0) {
        /* Spent tick by tick as it comes back it would let nobody catch up, and the log stutter. */
        if (++peers->allowance[i] == most) peers->is_left_behind[i] = false;
    }
}

/**
 * Whether what it has not handled yet goes round the ring twice: new ops would lie in its mailbox
 * behind those, and keep it from hearing how far behind it is for as long as it is slower than we.
 */
static bool is_lagging(const struct vsr_replica *r, uint32_t i)
{
    const vsr_op last = last_op_of(r, i);
    const vsr_op known = last > r->in_view.view_start_op ? last : r->in_view.view_start_op;

    VSR_ASSERT(is_serving(r));
    if (i == r->members.self || r->log.op <= known) return false; /* It says that: of any size. */
    return r->log.op - known > LAG_RINGS * ((vsr_op)r->log.mask + 1);
}

void vsr_tick_room(struct vsr_replica *r, struct vsr_effects *out)
{
    struct vsr_known_peers *peers = &r->peers;

    VSR_ASSERT(r->status == VSR_STATUS_NORMAL);
    /* Each tick counts, also one without a Prepare to refuse. */
    if (!is_primary(r)) (void)vsr_is_full(r);
    r->in_view.lagging = 0;
    for (uint32_t i = 0; is_serving(r) && i < r->members.count; i++)
        r->in_view.lagging |= is_lagging(r, i) ? vsr_mask_of(i) : 0;
    for (uint32_t i = 0; i < r->members.count; i++) {
        struct vsr_hold *hold = &peers->holds[i];
        bool lacks_nothing = is_serving(r) && r->in_view.acked[i] == r->log.op;
        if (hold->ticks == 0 || --hold->ticks == 0) peers->held_for &= ~vsr_mask_of(i);
        if (lacks_nothing && hold->ticks == 0)
            vsr_note_move(r, i);
        else if (peers->ticks_still[i] < UINT32_MAX && peers->away[i] == 0)
            peers->ticks_still[i]++;
        tick_allowance(r, i, out);
        peers->is_waited_for[i] = false;
    }
}

enum vsr_drop vsr_append_entry(struct vsr_replica *r, const struct vsr_buffer *m,
                               struct vsr_effects *out)
{
    const struct vsr_entry *entry = &log_prepare(m)->entry;

    VSR_ASSERT(!is_serving(r));
    VSR_ASSERT(entry->op == r->log.op + 1);
    VSR_ASSERT(r->status == VSR_STATUS_NORMAL); /* between views the log is frozen */
    if (entry->parent_checksum != r->log.head_checksum) return note_fork(r, r->log.op, out);
    /* The view's next entry names our head: it is the view's. The next one itself nobody has named.
     */
    if (r->log.op > r->confirmed) r->confirmed = r->log.op;
    if (!vsr_make_room(r)) {
        if (r->log.start >= r->applied)
            effects_notice(out, VSR_NOTICE_LOG_FULL, r->members.self, r->log.op);
        return VSR_DROP_LOG_FULL;
    }
    vsr_log_append(&r->log, *m);
    r->in_view.is_ack_due = true;
    return VSR_DROP_NONE;
}
