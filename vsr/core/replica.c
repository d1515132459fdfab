/**
 * A replica's entry: options, memory, step(), admission and ticks.
 */
#include "state.h"

#include <string.h>

typedef enum vsr_drop (*handler_fn)(struct vsr_replica *, struct vsr_buffer *,
                                    struct vsr_effects *);

enum role {
    FROM_CLIENT,  /* anyone; the view in it is a hint */
    FROM_PRIMARY, /* the primary of the message's view */
    FROM_BACKUP,  /* a backup, and we are the primary */
    FROM_REPLICA, /* any other replica */
};

enum views {
    SAME_VIEW, /* older: dropped, and the sender is told. Newer: never acted upon */
    STARTED,   /* likewise; but a newer one says that its view has started, so we follow */
    ANY_VIEW,  /* the handler decides */
};

/* Statuses in which a message is looked at. */
#define NORMAL (1u << VSR_STATUS_NORMAL)
#define VIEW_CHANGE (1u << VSR_STATUS_VIEW_CHANGE)
#define RECOVERING (1u << VSR_STATUS_RECOVERING)

struct handler {
    handler_fn handle; /* NULL: replicas do not receive this */
    enum role role;
    enum views views;
    uint32_t statuses;
    uint32_t bytes_min;
    bool is_fixed; /* bytes_min is its only size */
};

#define FIXED(type) sizeof(type), true
#define AT_LEAST(type) sizeof(type), false

static const struct handler handlers[VSR_MESSAGE_COUNT] = {
    [VSR_REQUEST] = {vsr_on_request, FROM_CLIENT, ANY_VIEW, NORMAL, AT_LEAST(struct vsr_header)},
    [VSR_PREPARE] = {vsr_on_prepare, FROM_PRIMARY, STARTED, NORMAL | VIEW_CHANGE,
                     AT_LEAST(struct vsr_prepare)},
    [VSR_PREPARE_OK] = {vsr_on_prepare_ok, FROM_BACKUP, SAME_VIEW, NORMAL,
                        FIXED(struct vsr_prepare_ok)},
    [VSR_COMMIT] = {vsr_on_commit, FROM_PRIMARY, STARTED, NORMAL | VIEW_CHANGE,
                    FIXED(struct vsr_commit)},
    [VSR_COMMIT_OK] = {vsr_on_commit_ok, FROM_BACKUP, SAME_VIEW, NORMAL,
                       FIXED(struct vsr_commit_ok)},
    [VSR_GET_STATE] = {vsr_on_get_state, FROM_REPLICA, SAME_VIEW, NORMAL | VIEW_CHANGE,
                       FIXED(struct vsr_get_state)},
    [VSR_NEW_STATE] = {vsr_on_new_state, FROM_REPLICA, SAME_VIEW, NORMAL | VIEW_CHANGE | RECOVERING,
                       AT_LEAST(struct vsr_new_state)},
    [VSR_START_VIEW_CHANGE] = {vsr_on_start_view_change, FROM_REPLICA, ANY_VIEW,
                               NORMAL | VIEW_CHANGE, FIXED(struct vsr_start_view_change)},
    [VSR_DO_VIEW_CHANGE] = {vsr_on_do_view_change, FROM_REPLICA, ANY_VIEW, NORMAL | VIEW_CHANGE,
                            FIXED(struct vsr_do_view_change)},
    [VSR_START_VIEW] = {vsr_on_start_view, FROM_PRIMARY, ANY_VIEW, NORMAL | VIEW_CHANGE,
                        FIXED(struct vsr_start_view)},
    [VSR_RECOVERY] = {vsr_on_recovery, FROM_REPLICA, ANY_VIEW, NORMAL | VIEW_CHANGE,
                      FIXED(struct vsr_recovery)},
    [VSR_RECOVERY_RESPONSE] = {vsr_on_recovery_response, FROM_REPLICA, ANY_VIEW, RECOVERING,
                               FIXED(struct vsr_recovery_response)},
    [VSR_GET_CHUNK] = {vsr_on_get_chunk, FROM_REPLICA, SAME_VIEW, NORMAL,
                       FIXED(struct vsr_get_chunk)},
    [VSR_CHUNK] = {vsr_on_chunk, FROM_REPLICA, SAME_VIEW, NORMAL | VIEW_CHANGE | RECOVERING,
                   AT_LEAST(struct vsr_chunk)},
    [VSR_PING] = {vsr_on_ping, FROM_REPLICA, ANY_VIEW, NORMAL | VIEW_CHANGE,
                  FIXED(struct vsr_header)},
    [VSR_PONG] = {vsr_on_pong, FROM_REPLICA, ANY_VIEW, NORMAL | VIEW_CHANGE,
                  FIXED(struct vsr_pong)},
};

/** Rules G3 and G5: epochs, senders and views of what replicas say. */
static enum vsr_drop admit_replica(struct vsr_replica *r, const struct handler *row,
                                   const struct vsr_header *m, struct vsr_effects *out)
{
    const uint32_t count = r->options.replica_count;

    if (m->epoch != r->epoch) return VSR_DROP_WRONG_EPOCH;
    if (m->from >= count || m->from == r->options.replica) return VSR_DROP_WRONG_SENDER;
    if (row->role == FROM_PRIMARY && m->from != primary_of(m->view, count))
        return VSR_DROP_WRONG_SENDER;
    if (row->views != ANY_VIEW && m->view < r->view) {
        vsr_tell_view(r, (uint32_t)m->from, out);
        return VSR_DROP_STALE_VIEW;
    }
    if (row->views != ANY_VIEW && m->view > r->view) {
        if (row->views == STARTED) vsr_catch_up(r, m->view, out);
        return VSR_DROP_NEWER_VIEW;
    }
    if (row->role == FROM_BACKUP && !is_primary(r)) return VSR_DROP_WRONG_SENDER;
    if (m->view == r->view) r->peers.ticks_silent[m->from] = 0;
    return VSR_DROP_NONE;
}

/** What is the same for every message. Nothing from outside asserts: it is counted and dropped. */
static enum vsr_drop admit(struct vsr_replica *r, const struct vsr_header *m,
                           struct vsr_effects *out)
{
    const struct vsr_replica_options *o = &r->options;

    if (m->magic != VSR_MAGIC || m->version != VSR_VERSION) return VSR_DROP_WRONG_VERSION;
    if (m->cluster != o->cluster) return VSR_DROP_WRONG_CLUSTER;
    if (m->type >= VSR_MESSAGE_COUNT) return VSR_DROP_MALFORMED;
    const struct handler *row = &handlers[m->type];
    if (row->handle == NULL) return VSR_DROP_WRONG_SENDER;
    if (m->bytes < row->bytes_min || m->bytes > VSR_MESSAGE_BYTES_MAX || m->bytes % 8 != 0)
        return VSR_DROP_MALFORMED;
    if (row->is_fixed && m->bytes != row->bytes_min) return VSR_DROP_MALFORMED;
    if (m->to != VSR_TO_ALL && m->to != o->replica) return VSR_DROP_MISDELIVERED;
    if ((row->statuses >> r->status & 1) == 0) return VSR_DROP_STATUS;
    return row->role == FROM_CLIENT ? VSR_DROP_NONE : admit_replica(r, row, m, out);
}

static enum vsr_drop on_message(struct vsr_replica *r, struct vsr_buffer m, struct vsr_effects *out)
{
    enum vsr_drop why = admit(r, m.header, out);

    if (why == VSR_DROP_NONE) why = handlers[m.header->type].handle(r, &m, out);
    if (why != VSR_DROP_NONE) r->drops[why]++;
    if (m.header != NULL) unref(r, &m);
    return why;
}

/** Asks for the first superblock to be made durable: before that we say nothing. Source: 9.2. */
static enum vsr_drop on_start(struct vsr_replica *r, struct vsr_effects *out)
{
    VSR_ASSERT(r->status == VSR_STATUS_STARTING && !r->is_persisting);
    /* View 0 needs no StartView: everybody begins in it, with an empty log. */
    memset(r->peers.is_in_view, true, sizeof r->peers.is_in_view);
    vsr_draw_suspicion(r);
    vsr_persist(r, out);
    return VSR_DROP_NONE;
}

/** Everything is gone but the superblock. Source: VRR §4.3; rule 8.3. */
static enum vsr_drop on_recover(struct vsr_replica *r, const struct vsr_superblock *superblock,
                                struct vsr_effects *out)
{
    VSR_ASSERT(r->status == VSR_STATUS_STARTING && !r->is_persisting);
    VSR_ASSERT(superblock->incarnation < r->options.incarnation);
    r->status = VSR_STATUS_RECOVERING;
    r->view = superblock->view;
    r->log_view = superblock->log_view;
    r->epoch = superblock->epoch;
    r->durable = *superblock;
    vsr_draw_suspicion(r);
    vsr_persist(r, out); /* No two lives share an incarnation: its nonces are its own. */
    return VSR_DROP_NONE;
}

static enum vsr_drop on_persisted(struct vsr_replica *r, const struct vsr_superblock *superblock,
                                  struct vsr_effects *out)
{
    VSR_ASSERT(r->is_persisting);
    VSR_ASSERT(superblock->view <= r->view && superblock->log_view <= r->log_view);
    r->is_persisting = false;
    r->durable = *superblock;
    vsr_persist(r, out); /* The view may have moved on meanwhile. */
    vsr_proceed(r, out);
    return VSR_DROP_NONE;
}

/** Entries leave the log once every replica has executed them. */
static void release_executed(struct vsr_replica *r)
{
    r->peers.applied[r->options.replica] = r->applied;
    vsr_release(r, quorum_minimum(r->peers.applied, r->options.replica_count));
}

static enum vsr_drop on_turn_end(struct vsr_replica *r, struct vsr_effects *out)
{
    if (r->status != VSR_STATUS_NORMAL) return VSR_DROP_STATUS;
    if (is_primary(r)) {
        release_executed(r);
        vsr_close_turn(r, out);
        vsr_flush_replies(r, out);
        if (r->view != 0 && r->announced < r->clients.count) vsr_announce_view(r, out);
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
    if (++change->ticks_stable >= 3 * r->options.suspect_ticks) change->attempts = 0;
    if (r->options.replica_count == 1) return;
    if (is_primary(r)) {
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
    for (uint32_t i = 0; i < r->options.replica_count; i++) {
        r->peers.ticks_silent[i]++;
        if (r->peers.pong_ticks[i] > 0) r->peers.pong_ticks[i]--;
        if (r->peers.pin_ticks[i] > 0) r->peers.pin_ticks[i]--;
        if (r->change.vote_ticks[i] > 0 && --r->change.vote_ticks[i] == 0) r->change.votes[i] = 0;
    }
}

static enum vsr_drop on_tick(struct vsr_replica *r, uint64_t now_ns, struct vsr_effects *out)
{
    if (now_ns > r->now_ns) r->now_ns = now_ns;
    tick_peers(r);
    switch (r->status) {
    case VSR_STATUS_NORMAL:
        tick_normal(r, out);
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

enum vsr_drop vsr_replica_step(struct vsr_replica *r, const struct vsr_event *event,
                               struct vsr_effects *out)
{
    enum vsr_drop why = VSR_DROP_NONE;

    VSR_ASSERT(event->kind < VSR_EVENT_COUNT);
    switch (event->kind) {
    case VSR_EVENT_START:
        why = on_start(r, out);
        break;
    case VSR_EVENT_RECOVER:
        why = on_recover(r, &event->superblock, out);
        break;
    case VSR_EVENT_MESSAGE:
        why = on_message(r, event->message, out);
        break;
    case VSR_EVENT_TURN_END:
        why = on_turn_end(r, out);
        break;
    case VSR_EVENT_TICK:
        why = on_tick(r, event->now_ns, out);
        break;
    case VSR_EVENT_PERSISTED:
        why = on_persisted(r, &event->superblock, out);
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
#ifdef VSR_DEBUG_CHECKS
    vsr_replica_check(r);
#endif
    return why;
}

/* Memory: the replica, then its arrays, each on a cache line of its own. */

struct layout {
    size_t ring;
    size_t staged;
    size_t queue;
    size_t operations;
    size_t clients;
    size_t end;
};

static size_t take_bytes(size_t *at, size_t bytes)
{
    size_t start = *at;
    *at = (start + bytes + 63) & ~(size_t)63;
    return start;
}

static struct layout lay_out(const struct vsr_replica_options *o)
{
    struct layout l;
    size_t at = 0;

    take_bytes(&at, sizeof(struct vsr_replica));
    l.ring = take_bytes(&at, o->log_ops * sizeof(struct vsr_buffer));
    l.staged = take_bytes(&at, o->log_ops * sizeof(struct vsr_buffer));
    l.queue = take_bytes(&at, o->queue_max * sizeof(struct vsr_waiting));
    l.operations = take_bytes(&at, o->batch_requests_max * sizeof(struct vsr_operation));
    l.clients = take_bytes(&at, vsr_client_table_bytes(o->sessions_max, o->result_bytes_max));
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
    *o = *options;
    if (o->quorum_replication == 0) o->quorum_replication = quorum_majority(o->replica_count);
    if (o->quorum_view_change == 0) o->quorum_view_change = quorum_majority(o->replica_count);
    if (o->recovery_quorum == 0) o->recovery_quorum = o->replica_count - o->quorum_view_change + 1;
    vsr_log_init(&r->log, (struct vsr_buffer *)(void *)(base + l.ring), o->log_ops);
    vsr_client_table_init(&r->clients, base + l.clients, o->sessions_max, o->result_bytes_max);
    r->queue = (struct vsr_queue){
        .ring = (struct vsr_waiting *)(void *)(base + l.queue),
        .mask = o->queue_max - 1,
    };
    r->operations = (struct vsr_operation *)(void *)(base + l.operations);
    r->transfer.ring = (struct vsr_buffer *)(void *)(base + l.staged);
    r->random = o->seed ^ (uint64_t)o->replica << 32 ^ (uint64_t)o->incarnation << 48;
    r->status = VSR_STATUS_STARTING;
    r->ticks_to_heartbeat = o->heartbeat_ticks;
    r->ticks_to_resend = o->resend_ticks;
    return r;
}

void vsr_replica_deinit(struct vsr_replica *r)
{
    vsr_transfer_reset(r);
    vsr_log_release(&r->log, r->log.op, &r->options.buffers);
    for (uint32_t i = 0; i < REORDER_MAX; i++)
        if (r->reorder[i].header != NULL) unref(r, &r->reorder[i]);
    for (uint32_t i = 0; i < OPEN_REPLIES_MAX; i++)
        if (r->replies[i].buffer.header != NULL) unref(r, &r->replies[i].buffer);
    vsr_drop_requests(r);
}

void vsr_replica_report(const struct vsr_replica *r, struct vsr_replica_report *report)
{
    *report = (struct vsr_replica_report){
        .status = r->status,
        .is_primary = is_serving(r),
        .primary_is_silent = r->is_primary_silent,
        .is_behind_log = r->transfer.needs_snapshot,
        .view = r->view,
        .log_view = r->log_view,
        .op = r->log.op,
        .commit = r->commit,
        .applied = r->applied,
        .log_start = r->log.start,
        .head_checksum = r->log.head_checksum,
        .requests_executed = r->requests_executed,
        .requests_repeated = r->requests_repeated,
        .evictions = r->clients.evictions,
        .prepares_resent = r->prepares_resent,
        .view_changes = r->counts.view_changes,
        .views_started = r->counts.views_started,
        .votes = r->counts.votes,
        .forfeits = r->counts.forfeits,
        .abdications = r->counts.abdications,
        .recoveries = r->counts.recoveries,
        .log_transfers = r->counts.log_transfers,
        .snapshots_saved = r->counts.snapshots_saved,
        .snapshots_loaded = r->counts.snapshots_loaded,
    };
    memcpy(report->drops, r->drops, sizeof r->drops);
}

#define X(name, text) [VSR_DROP_##name] = #name,
static const char *const drop_names[VSR_DROP_COUNT] = {VSR_DROPS(X)};
#undef X
#define X(name, text) [VSR_DROP_##name] = text,
static const char *const drop_texts[VSR_DROP_COUNT] = {VSR_DROPS(X)};
#undef X
#define X(name, text) [VSR_NOTICE_##name] = text,
static const char *const notice_texts[VSR_NOTICE_COUNT] = {VSR_NOTICES(X)};
#undef X

const char *vsr_drop_name(enum vsr_drop why)
{
    return why < VSR_DROP_COUNT ? drop_names[why] : "?";
}

const char *vsr_drop_text(enum vsr_drop why)
{
    return why < VSR_DROP_COUNT ? drop_texts[why] : "?";
}

const char *vsr_notice_text(enum vsr_notice notice)
{
    return notice < VSR_NOTICE_COUNT ? notice_texts[notice] : "?";
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
