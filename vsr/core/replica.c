/**
 * A replica's entry: options, memory, step(), admission and ticks.
 */
#include "state.h"

#include <string.h>

typedef enum vsr_drop (*handler_fn)(struct vsr_replica *, struct vsr_buffer *,
                                    struct vsr_effects *);

enum role {
    FROM_CLIENT,  /* anyone; the view in it is a hint */
    FROM_PRIMARY, /* the primary of our view, and we are a backup */
    FROM_BACKUP,  /* a backup, and we are the primary */
};

struct handler {
    handler_fn handle; /* NULL: replicas do not receive this */
    enum role role;
    uint32_t bytes_min;
    bool is_fixed; /* bytes_min is its only size */
};

#define FIXED(type) sizeof(type), true
#define AT_LEAST(type) sizeof(type), false

static const struct handler handlers[VSR_MESSAGE_COUNT] = {
    [VSR_REQUEST] = {vsr_on_request, FROM_CLIENT, AT_LEAST(struct vsr_header)},
    [VSR_PREPARE] = {vsr_on_prepare, FROM_PRIMARY, AT_LEAST(struct vsr_prepare)},
    [VSR_PREPARE_OK] = {vsr_on_prepare_ok, FROM_BACKUP, FIXED(struct vsr_prepare_ok)},
    [VSR_COMMIT] = {vsr_on_commit, FROM_PRIMARY, FIXED(struct vsr_commit)},
    [VSR_COMMIT_OK] = {vsr_on_commit_ok, FROM_BACKUP, FIXED(struct vsr_commit_ok)},
    [VSR_GET_STATE] = {vsr_on_get_state, FROM_BACKUP, FIXED(struct vsr_get_state)},
    [VSR_NEW_STATE] = {vsr_on_new_state, FROM_PRIMARY, FIXED(struct vsr_new_state)},
};

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
    if (r->status != VSR_STATUS_NORMAL) return VSR_DROP_STATUS;
    if (m->epoch != r->epoch && row->role != FROM_CLIENT) return VSR_DROP_WRONG_EPOCH;
    if (row->role == FROM_CLIENT) return VSR_DROP_NONE;

    if (m->from >= o->replica_count || m->from == o->replica) return VSR_DROP_WRONG_SENDER;
    if (m->view < r->view) return VSR_DROP_STALE_VIEW;
    if (m->view > r->view) {
        /* VRR §5.2 would follow; until view changes exist there is no such view to follow. */
        effects_notice(out, VSR_NOTICE_NEWER_VIEW, (uint32_t)m->from, r->log.op);
        return VSR_DROP_NEWER_VIEW;
    }
    bool is_from_primary = m->from == primary_of(r->view, o->replica_count);
    if (row->role == FROM_PRIMARY && !is_from_primary) return VSR_DROP_WRONG_SENDER;
    if (row->role == FROM_BACKUP && !is_primary(r)) return VSR_DROP_WRONG_SENDER;
    if (row->role == FROM_BACKUP) r->peers.ticks_silent[m->from] = 0;
    return VSR_DROP_NONE;
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
    r->is_persisting = true;
    effects_next(out, VSR_EFFECT_PERSIST)->superblock = (struct vsr_superblock){
        .view = r->view,
        .log_view = r->log_view,
        .epoch = r->epoch,
        .incarnation = r->options.incarnation,
    };
    return VSR_DROP_NONE;
}

static enum vsr_drop on_persisted(struct vsr_replica *r, const struct vsr_superblock *superblock)
{
    VSR_ASSERT(r->is_persisting);
    VSR_ASSERT(superblock->view <= r->view && superblock->log_view <= r->log_view);
    r->is_persisting = false;
    r->durable = *superblock;
    if (r->durable.view == r->view && r->durable.log_view == r->log_view)
        r->status = VSR_STATUS_NORMAL;
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
    } else {
        vsr_fetch_missing(r, out);
        vsr_acknowledge(r, out);
    }
    return VSR_DROP_NONE;
}

static void tick_primary(struct vsr_replica *r, struct vsr_effects *out)
{
    for (uint32_t i = 0; i < r->options.replica_count; i++)
        r->peers.ticks_silent[i]++;
    if (--r->ticks_to_heartbeat == 0) vsr_on_heartbeat_timeout(r, out);
    if (--r->ticks_to_resend == 0) vsr_on_resend_timeout(r, out);
}

static void tick_backup(struct vsr_replica *r, struct vsr_effects *out)
{
    if (r->fetch.ticks_left > 0) r->fetch.ticks_left--;
    if (++r->ticks_silent != r->options.suspect_ticks) return;
    r->is_primary_silent = true;
    effects_notice(out, VSR_NOTICE_PRIMARY_SILENT, primary_of(r->view, r->options.replica_count),
                   r->log.op);
}

static enum vsr_drop on_tick(struct vsr_replica *r, uint64_t now_ns, struct vsr_effects *out)
{
    if (now_ns > r->now_ns) r->now_ns = now_ns;
    if (r->status != VSR_STATUS_NORMAL) return VSR_DROP_STATUS;
    if (is_primary(r))
        tick_primary(r, out);
    else
        tick_backup(r, out);
    return on_turn_end(r, out);
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
        why = on_persisted(r, &event->superblock);
        break;
    case VSR_EVENT_APPLIED:
        why = vsr_on_applied(r, event->op, out);
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
    vsr_log_init(&r->log, (struct vsr_buffer *)(void *)(base + l.ring), o->log_ops);
    vsr_client_table_init(&r->clients, base + l.clients, o->sessions_max, o->result_bytes_max);
    r->queue = (struct vsr_queue){
        .ring = (struct vsr_waiting *)(void *)(base + l.queue),
        .mask = o->queue_max - 1,
    };
    r->operations = (struct vsr_operation *)(void *)(base + l.operations);
    r->status = VSR_STATUS_STARTING;
    r->ticks_to_heartbeat = o->heartbeat_ticks;
    r->ticks_to_resend = o->resend_ticks;
    return r;
}

void vsr_replica_deinit(struct vsr_replica *r)
{
    vsr_log_release(&r->log, r->log.op, &r->options.buffers);
    for (uint32_t i = 0; i < REORDER_MAX; i++)
        if (r->reorder[i].header != NULL) unref(r, &r->reorder[i]);
    for (uint32_t i = 0; i < OPEN_REPLIES_MAX; i++)
        if (r->replies[i].buffer.header != NULL) unref(r, &r->replies[i].buffer);
    for (; r->queue.count > 0; r->queue.count--)
        unref(r, &r->queue.ring[(r->queue.head + r->queue.count - 1) & r->queue.mask].buffer);
    if (r->batch.buffer.header != NULL) unref(r, &r->batch.buffer);
}

void vsr_replica_report(const struct vsr_replica *r, struct vsr_replica_report *report)
{
    *report = (struct vsr_replica_report){
        .status = r->status,
        .is_primary = is_primary(r),
        .primary_is_silent = r->is_primary_silent,
        .is_behind_log = r->fetch.is_behind_log,
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
