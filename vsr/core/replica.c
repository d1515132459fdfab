/**
 * A replica's entry: memory, step() and ticks.
 */
#include "admission.h"
#include "checkpoint.h"
#include "durable.h"
#include "execute.h"
#include "layout.h"
#include "liveness.h"
#include "log_room.h"
#include "message.h"
#include "normal.h"
#include "queue.h"
#include "recovery.h"
#include "reply.h"
#include "request.h"
#include "say.h"
#include "state.h"
#include "state_transfer.h"
#include "transfer.h"
#include "view.h"
#include "view_change.h"

#include <vsr/invariants.h>

#include <string.h>

/** Asks for the first superblock to be made durable: before that we say nothing. Source: 9.2. */
static enum vsr_drop on_start(struct vsr_replica *r, struct vsr_effects *out)
{
    VSR_ASSERT(r->status == VSR_STATUS_STARTING);
    VSR_ASSERT(r->log.op == 0);
    VSR_ASSERT(r->view == 0);
    VSR_ASSERT(r->due == 0);
    vsr_durable_begin(r, &(struct vsr_superblock){0});
    /* View 0 needs no StartView: everybody begins in it, with an empty log. */
    memset(r->in_view.has_answered, true, sizeof r->in_view.has_answered);
    vsr_draw_suspicion(r);
    r->change.ticks_stable = UINT32_MAX; /* Nothing has failed yet. */
    vsr_persist(r, out);
    return VSR_DROP_NONE;
}

/** Everything is gone but the superblock. Source: VRR §4.3; rule 8.3. */
static enum vsr_drop on_recover(struct vsr_replica *r, const struct vsr_superblock *superblock,
                                struct vsr_effects *out)
{
    VSR_ASSERT(r->status == VSR_STATUS_STARTING);
    VSR_ASSERT(superblock->incarnation < r->options.incarnation);
    VSR_ASSERT(r->log.op == 0);
    VSR_ASSERT(r->applied == 0);
    r->status = VSR_STATUS_RECOVERING;
    enter_view(r, superblock->view);
    r->log_view = superblock->log_view;
    r->members.epoch = superblock->epoch;
    vsr_durable_begin(r, superblock);
    vsr_draw_suspicion(r);
    vsr_persist(r, out); /* No two lives share an incarnation: its nonces are its own. */
    return VSR_DROP_NONE;
}

/** Entries leave the log once every replica has executed them. */
static void release_executed(struct vsr_replica *r)
{
    VSR_ASSERT(is_serving(r));
    VSR_ASSERT(r->log.start <= r->applied);
    r->peers.applied[r->members.self] = r->applied;
    vsr_release(r, vsr_members_minimum(&r->members, r->peers.applied));
}

static enum vsr_drop on_turn_end(struct vsr_replica *r, struct vsr_effects *out)
{
    if (r->status != VSR_STATUS_NORMAL) return VSR_DROP_STATUS;
    if (is_primary(r)) {
        release_executed(r);
        vsr_close_turn(r, out);
        vsr_flush_replies(r, out);
        if (r->view != 0 && r->in_view.announced < r->clients.count) vsr_announce_view(r, out);
    } else {
        vsr_fetch_missing(r, out);
        vsr_acknowledge(r, out);
    }
    return VSR_DROP_NONE;
}

static void tick_normal(struct vsr_replica *r, struct vsr_effects *out)
{
    struct vsr_view_change *change = &r->change;

    /* Backoff outlives a view that starts and does not last. */
    if (change->ticks_stable < UINT32_MAX) change->ticks_stable++;
    if (vsr_has_lasted(r)) change->attempts = 0;
    if (vsr_members_is_alone(&r->members)) return;
    if (is_primary(r)) {
        VSR_ASSERT(r->ticks_to_resend > 0);
        VSR_ASSERT(r->ticks_to_heartbeat > 0);
        vsr_look_at_quorum(r, out);
        if (--r->ticks_to_resend == 0) vsr_on_resend_timeout(r, out);
        /* The last: a primary that has abdicated may leave the view with it. */
        if (--r->ticks_to_heartbeat == 0) vsr_on_heartbeat_timeout(r, out);
    } else {
        vsr_transfer_tick(r, out);
        if (r->transfer.is_loading) return; /* Nothing comes between a load and its end. */
        vsr_backup_tick(r, out);
    }
}

/** Counts down what every status counts. */
static void tick_peers(struct vsr_replica *r)
{
    for (uint32_t i = 0; i < r->members.count; i++) {
        if (r->peers.away[i] > 0)
            r->peers.away[i]--;
        else if (r->peers.ticks_unheard[i] < UINT32_MAX)
            r->peers.ticks_unheard[i]++;
        if (r->peers.pong_ticks[i] > 0) r->peers.pong_ticks[i]--;
        if (r->change.vote_ticks[i] > 0 && --r->change.vote_ticks[i] == 0) r->change.votes[i] = 0;
    }
}

static enum vsr_drop on_tick(struct vsr_replica *r, uint64_t now_ns, struct vsr_effects *out)
{
    vsr_clock_read(&r->clock, now_ns);
    r->ticks++;
    tick_peers(r);
    vsr_watch_waiting(r, out);
    switch (r->status) {
    case VSR_STATUS_NORMAL:
        tick_normal(r, out);
        vsr_tick_room(r, out);
        return on_turn_end(r, out);
    case VSR_STATUS_VIEW_CHANGE:
        vsr_view_change_tick(r, out);
        return VSR_DROP_NONE;
    case VSR_STATUS_RECOVERING:
        vsr_recovery_tick(r, out);
        return VSR_DROP_NONE;
    case VSR_STATUS_STARTING:
    case VSR_STATUS_HALTED:
        break;
    }
    return VSR_DROP_STATUS;
}

/** What waited for the superblock, or for one more DoViewChange, goes on. */
static void change_status(struct vsr_replica *r, struct vsr_effects *out)
{
    if (!vsr_is_durable(r)) {
        /* Raised for a transfer that came to nothing: the next question needs it all the same. */
        if (r->status == VSR_STATUS_RECOVERING && r->recovery.nonce == 0) vsr_persist(r, out);
        return;
    }
    if (r->status == VSR_STATUS_STARTING) {
        VSR_ASSERT(r->view == 0);
        VSR_ASSERT(r->log.op == 0);
        r->status = VSR_STATUS_NORMAL;
    } else if (r->status == VSR_STATUS_VIEW_CHANGE) {
        vsr_proceed_between_views(r, out);
    } else if (r->status == VSR_STATUS_RECOVERING) {
        if (r->recovery.is_installed)
            vsr_become_normal(r, out);
        else if (r->recovery.nonce == 0)
            vsr_recovery_start(r, out);
    }
}

/**
 * The end of every step, and the one place where the status changes and votes are counted.
 *
 * What a handler does to a log or a view is whole by then, so no handler is entered again by what
 * follows from it.
 */
static void proceed(struct vsr_replica *r, struct vsr_effects *out)
{
    const uint32_t due = r->due & ~(uint32_t)DUE_VOTES;

    r->due &= DUE_VOTES;
    if ((due & DUE_HALT) != 0 && r->status != VSR_STATUS_HALTED)
        vsr_halt(r, VSR_NOTICE_DIVERGED, r->divergence.halts_at, out);
    if ((due & DUE_LOST_STATE) != 0 && r->status != VSR_STATUS_HALTED) vsr_lose_state(r, out);
    if ((due & DUE_FORK) != 0 && r->status == VSR_STATUS_NORMAL && !r->transfer.is_loading)
        vsr_leave_fork(r);
    if (r->status != VSR_STATUS_NORMAL) change_status(r, out);
    if (r->status == VSR_STATUS_HALTED) r->due = 0; /* that is the end */
    if ((r->due & DUE_VOTES) == 0) return;
    r->due &= ~(uint32_t)DUE_VOTES;
    vsr_count_votes(r, out);
}

enum vsr_drop vsr_replica_step(struct vsr_replica *r, const struct vsr_event *event,
                               struct vsr_effects *out)
{
    enum vsr_drop why = VSR_DROP_NONE;

    VSR_ASSERT(event->kind < VSR_EVENT_COUNT);
    r->effects_end = out->count + r->effects_max;
    VSR_ASSERT(r->effects_end <= out->capacity);
    switch (event->kind) {
    case VSR_EVENT_START:
        why = on_start(r, out);
        break;
    case VSR_EVENT_RECOVER:
        why = on_recover(r, &event->superblock, out);
        break;
    case VSR_EVENT_MESSAGE:
        r->is_local = event->is_local;
        why = vsr_on_message(r, load_buffer(&event->message), out);
        break;
    case VSR_EVENT_TURN_END:
        why = on_turn_end(r, out);
        break;
    case VSR_EVENT_TICK:
        why = on_tick(r, event->now_ns, out);
        break;
    case VSR_EVENT_DURABLE:
        why = vsr_on_durable(r, event->sequence, out);
        break;
    case VSR_EVENT_APPLIED:
        why = vsr_on_applied(r, event->op, out);
        break;
    case VSR_EVENT_SAVED:
        why = vsr_on_saved(r, &event->snapshot, out);
        break;
    case VSR_EVENT_LOADED:
        why = vsr_on_loaded(r, event->is_loaded, out);
        break;
    case VSR_EVENT_COUNT:
        break;
    }
    if (r->due != 0 || r->status != VSR_STATUS_NORMAL) proceed(r, out);
#ifdef VSR_DEBUG_CHECKS
    vsr_replica_check(r);
#endif
    return why;
}

/* Memory: the replica, then its arrays, each on a cache line of its own. */

struct layout {
    size_t ring;
    size_t staged;
    size_t digests;
    size_t queue;
    size_t operations;
    size_t clients;
    size_t end;
};

static struct layout lay_out(const struct vsr_replica_options *o)
{
    struct layout l;
    size_t at = 0;

    layout_reserve(&at, sizeof(struct vsr_replica));
    l.ring = layout_reserve(&at, o->log_ops * sizeof(struct vsr_buffer));
    l.staged = layout_reserve(&at, o->log_ops * sizeof(struct vsr_buffer));
    l.digests = layout_reserve(&at, o->log_ops * sizeof(uint64_t));
    l.queue = layout_reserve(&at, o->queue_max * sizeof(struct vsr_waiting));
    l.operations = layout_reserve(&at, o->batch_requests_max * sizeof(struct vsr_operation));
    l.clients = layout_reserve(&at, vsr_client_table_bytes(o->sessions_max, o->result_bytes_max));
    l.end = at;
    return l;
}

size_t vsr_replica_bytes(const struct vsr_replica_options *options)
{
    return lay_out(options).end;
}

uint32_t vsr_replica_effects_max(const struct vsr_replica_options *options)
{
    return options->batch_requests_max + 2 * options->pipeline_max + 2 * EFFECTS_SPARE;
}

struct vsr_replica *vsr_replica_init(void *memory, const struct vsr_replica_options *options)
{
    const struct layout l = lay_out(options);
    uint8_t *base = memory;
    struct vsr_replica *r = memory;
    struct vsr_replica_options *o = &r->options;

    VSR_ASSERT((uintptr_t)memory % 64 == 0);
    VSR_ASSERT(vsr_replica_options_check(options, NULL) == 0);
    VSR_ASSERT(r->log.op == 0); /* the memory is zeroed */
    VSR_ASSERT(r->replies_open == 0);
    *o = *options;
    r->members = vsr_members_of(o->replica_count, o->replica, o->quorum_replication,
                                o->quorum_view_change, o->recovery_quorum);
    if (o->catch_up_ticks == 0) o->catch_up_ticks = 10 * o->suspect_ticks;
    vsr_log_init(&r->log, (struct vsr_buffer *)(void *)(base + l.ring), o->log_ops);
    vsr_client_table_init(&r->clients, base + l.clients, o->sessions_max, o->result_bytes_max);
    r->queue = (struct vsr_queue){
        .ring = (struct vsr_waiting *)(void *)(base + l.queue),
        .mask = o->queue_max - 1,
    };
    r->operations = (struct vsr_operation *)(void *)(base + l.operations);
    r->divergence.digests = (uint64_t *)(void *)(base + l.digests);
    r->transfer.ring = (struct vsr_buffer *)(void *)(base + l.staged);
    r->random = o->seed ^ (uint64_t)o->replica << 32 ^ (uint64_t)o->incarnation << 48;
    r->status = VSR_STATUS_STARTING;
    r->effects_max = vsr_replica_effects_max(o);
    for (uint32_t i = 0; i < o->replica_count; i++)
        r->peers.allowance[i] = o->catch_up_ticks;
    r->ticks_to_heartbeat = o->heartbeat_ticks;
    r->ticks_to_resend = o->resend_ticks;
    return r;
}

void vsr_replica_deinit(struct vsr_replica *r)
{
    vsr_transfer_reset(r);
    vsr_log_release(&r->log, r->log.op, &r->options.buffers);
    vsr_clear_in_view(r);
    for (uint32_t left = r->replies_open; left != 0; left &= left - 1)
        unref(r, &r->replies[__builtin_ctz(left)].buffer);
    vsr_drop_requests(r);
}

const struct vsr_prepare *vsr_replica_entry(const struct vsr_replica *r, vsr_op op)
{
    return vsr_log_holds(&r->log, op) ? vsr_log_at(&r->log, op) : NULL;
}

void vsr_replica_report(const struct vsr_replica *r, struct vsr_replica_report *report)
{
    *report = (struct vsr_replica_report){
        .status = r->status,
        .is_primary = is_serving(r),
        .primary_is_silent = r->in_view.is_primary_silent,
        .is_abdicating = r->in_view.is_abdicating,
        .is_behind_log = r->transfer.needs_snapshot,
        .sessions = r->clients.open,
        .view = r->view,
        .log_view = r->log_view,
        .op = r->log.op,
        .commit = r->commit,
        .applied = r->applied,
        .log_start = r->log.start,
        .head_checksum = r->log.head_checksum,
        .results_digest = r->divergence.digest,
        .snapshot_op = r->checkpoint.snapshot.op,
        .snapshot_id = r->checkpoint.snapshot.id,
        .counters = r->counters,
    };
    report->counters.evictions = r->clients.evictions;
    memcpy(report->drops, r->drops, sizeof r->drops);
    memcpy(report->costs, r->peers.costs, sizeof r->peers.costs);
}

const char *vsr_status_name(enum vsr_status status)
{
    static const char *const names[] = {
        [VSR_STATUS_STARTING] = "STARTING",       [VSR_STATUS_NORMAL] = "NORMAL",
        [VSR_STATUS_VIEW_CHANGE] = "VIEW_CHANGE", [VSR_STATUS_RECOVERING] = "RECOVERING",
        [VSR_STATUS_HALTED] = "HALTED",
    };
    return status < sizeof names / sizeof names[0] ? names[status] : "?";
}
