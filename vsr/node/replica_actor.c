/**
 * A replica as an actor: turns messages into events and performs the effects.
 *
 * A message is one event, the turn's end another; what the core sends in a turn leaves at its end.
 */
#include "node.h"

#include <act/timer.h>
#include <vsr/replica.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct node_replica {
    struct vsr_replica *core;
    struct vsr_effects effects;
    struct vsr_state_machine machine;
    struct node_snapshots snapshots;
    struct node_outbox outbox;
    act_id peers[VSR_REPLICAS_MAX];
    uint32_t peer_count;
    uint32_t index;
    uint64_t tick_ns;
    struct node_storage *storage;
    struct node_event *stopped;
    void (*on_notice)(void *context, uint32_t replica, enum vsr_notice notice, uint32_t about,
                      vsr_op op);
    void *notice_context;
};

static void print_notice(void *context, uint32_t replica, enum vsr_notice notice, uint32_t about,
                         vsr_op op)
{
    (void)context;
    fprintf(stderr, "vsr: replica %u: %s (replica %u, op %llu)\n", replica, vsr_notice_text(notice),
            about, (unsigned long long)op);
}

static void send_to_replicas(struct node_replica *n, uint32_t to_mask, struct act_message *m)
{
    for (uint32_t i = 0; i < n->peer_count; i++) {
        if ((to_mask >> i & 1) == 0) continue;
        to_mask &= ~(1u << i);
        if (to_mask == 0) {
            node_outbox_send(&n->outbox, n->peers[i], m);
            return;
        }
        /* Out of handles: this replica misses the message, as if a network had lost it. */
        struct act_message *copy = act_message_ref(m);
        if (copy != NULL)
            node_outbox_send(&n->outbox, n->peers[i], copy);
        else
            n->outbox.dropped++;
    }
    act_message_unref(m);
}

/** What the effects of a step ask to be told. */
struct completions {
    bool has_applied;
    bool has_persisted;
    bool has_saved;
    bool has_loaded;
    bool is_loaded;
    vsr_op op;
    struct vsr_superblock superblock;
    struct vsr_snapshot snapshot;
};

static void perform(struct node_replica *n, const struct vsr_effect *e, struct completions *done)
{
    switch (e->kind) {
    case VSR_EFFECT_SEND:
        send_to_replicas(n, e->to, node_message(&e->buffer));
        break;
    case VSR_EFFECT_SEND_CLIENT:
        node_outbox_send(&n->outbox, e->address, node_message(&e->buffer));
        break;
    case VSR_EFFECT_APPLY:
        if (e->count > 0)
            n->machine.apply(n->machine.state, e->op, e->timestamp, e->operations, e->count);
        done->has_applied = true;
        done->op = e->op;
        break;
    case VSR_EFFECT_PERSIST:
        /* In process, durable means: outside of the replica's memory. */
        n->storage->superblock = e->superblock;
        n->storage->is_written = true;
        done->has_persisted = true;
        done->superblock = e->superblock;
        break;
    case VSR_EFFECT_SAVE:
        done->has_saved = true;
        done->snapshot = node_snapshot_save(&n->snapshots, n->core, &n->machine, e->snapshot.op);
        break;
    case VSR_EFFECT_SEND_CHUNK:
        node_snapshot_fill(&n->snapshots, e);
        send_to_replicas(n, e->to, node_message(&e->buffer));
        break;
    case VSR_EFFECT_STORE_CHUNK:
        node_snapshot_store(&n->snapshots, e);
        act_message_unref(node_message(&e->buffer));
        break;
    case VSR_EFFECT_LOAD:
        done->has_loaded = true;
        done->is_loaded = node_snapshot_load(&n->snapshots, n->core, &n->machine, &e->snapshot);
        break;
    case VSR_EFFECT_NOTICE:
        n->on_notice(n->notice_context, n->index, e->notice, e->replica, e->at_op);
        break;
    }
}

/** The next event that the effects performed so far ask for; false when there is none. */
static bool next_completion(struct completions *done, struct vsr_event *event)
{
    if (done->has_saved) {
        done->has_saved = false;
        *event = (struct vsr_event){.kind = VSR_EVENT_SAVED, .snapshot = done->snapshot};
    } else if (done->has_loaded) {
        done->has_loaded = false;
        *event = (struct vsr_event){.kind = VSR_EVENT_LOADED, .is_loaded = done->is_loaded};
    } else if (done->has_persisted) {
        done->has_persisted = false;
        *event = (struct vsr_event){.kind = VSR_EVENT_PERSISTED, .superblock = done->superblock};
    } else if (done->has_applied) {
        done->has_applied = false;
        *event = (struct vsr_event){.kind = VSR_EVENT_APPLIED, .op = done->op};
    } else {
        return false;
    }
    return true;
}

/** Takes one event and everything that follows from it at once. Returns whether ops were applied.
 */
static bool step(struct node_replica *n, const struct vsr_event *event)
{
    struct completions done = {0};
    struct vsr_event next = *event;
    bool has_applied = false;

    do {
        n->effects.count = 0;
        vsr_replica_step(n->core, &next, &n->effects);
        for (uint32_t i = 0; i < n->effects.count; i++)
            perform(n, &n->effects.list[i], &done);
        has_applied |= done.has_applied;
    } while (next_completion(&done, &next));
    return has_applied;
}

static void start_tick(struct node_replica *n)
{
    /* The pool's bound is the only reason to fail; a timer itself takes nothing from it. */
    if (act_timer_start(n->tick_ns, NODE_TICK, 0, NULL) != 0)
        fprintf(stderr, "vsr: replica %u: no memory for its timer; it stops retrying\n", n->index);
}

static void on_tick(struct node_replica *n)
{
    struct timespec now;

    start_tick(n);
    clock_gettime(CLOCK_REALTIME, &now);
    node_outbox_retry(&n->outbox);
    step(n,
         &(struct vsr_event){.kind = VSR_EVENT_TICK,
                             .now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec});
}

static void on_inspect(struct node_replica *n, const struct act_message *m)
{
    struct node_inspect *inspect;

    memcpy(&inspect, m->body, sizeof inspect);
    vsr_replica_report(n->core, &inspect->report->replica);
    if (inspect->wants_digest) inspect->report->digest = n->machine.digest(n->machine.state);
    inspect->report->messages_dropped = n->outbox.dropped;
    node_event_set(&inspect->done);
}

static void receive(void *state, struct act_message *m)
{
    struct node_replica *n = state;

    if (m->type == NODE_MESSAGE) {
        /* A body that is no whole message never reaches the core. */
        const struct vsr_header *header = m->body;
        if (m->body_bytes < sizeof *header || m->body_bytes != header->bytes) {
            act_message_unref(m);
            return;
        }
        step(n, &(struct vsr_event){.kind = VSR_EVENT_MESSAGE,
                                    .message = {.header = m->body, .handle = m}});
        return;
    }
    if (m->type == NODE_START) {
        memcpy(n->peers, m->body, n->peer_count * sizeof n->peers[0]);
        start_tick(n);
        step(n, &(struct vsr_event){.kind = VSR_EVENT_START});
    } else if (m->type == NODE_TICK) {
        on_tick(n);
    } else if (m->type == NODE_INSPECT) {
        on_inspect(n, m);
    } /* ACT_TYPE_ROOM: the turn's end tries again. */
    act_message_unref(m);
}

static void turn_end(void *state)
{
    struct node_replica *n = state;

    while (step(n, &(struct vsr_event){.kind = VSR_EVENT_TURN_END})) {
        /* A batch that commits at once (one replica) has replies: they belong to this turn. */
    }
    if (n->outbox.count > 0) node_outbox_retry(&n->outbox);
}

static void stopped(void *state, int reason)
{
    struct node_replica *n = state;
    struct node_event *event = n->stopped;

    (void)reason;
    vsr_replica_deinit(n->core);
    node_replica_destroy(n);
    node_event_set(event);
}

const struct act_behaviour node_replica_behaviour = {
    .receive = receive,
    .turn_end = turn_end,
    .stopped = stopped,
};

void node_replica_destroy(struct node_replica *n)
{
    node_outbox_deinit(&n->outbox);
    if (n->machine.destroy != NULL) n->machine.destroy(n->machine.state);
    node_snapshots_deinit(&n->snapshots);
    free(n->effects.list);
    free(n->core);
    free(n);
}

/** Lays out the core and its list of effects. */
static int create_core(struct node_replica *n, struct vsr_replica_options *o,
                       const struct node_storage *storage)
{
    const size_t bytes = (vsr_replica_bytes(o) + 63) & ~(size_t)63;
    void *memory = aligned_alloc(64, bytes);

    if (memory == NULL) return -ENOMEM;
    memset(memory, 0, bytes);
    o->incarnation = storage->is_written ? storage->superblock.incarnation + 1 : 1;
    n->core = vsr_replica_init(memory, o);
    n->effects.capacity = vsr_replica_effects_max(o);
    n->effects.list = calloc(n->effects.capacity, sizeof *n->effects.list);
    return n->effects.list != NULL ? 0 : -ENOMEM;
}

struct node_replica *node_replica_create(const struct vsr_cluster_options *options,
                                         uint32_t replica, struct node_storage *storage,
                                         struct node_event *stopped_event, int *error)
{
    struct vsr_replica_options o = options->replica;
    struct node_replica *n = calloc(1, sizeof *n);

    *error = -ENOMEM;
    if (n == NULL) return NULL;
    n->index = replica;
    n->peer_count = o.replica_count;
    n->tick_ns = options->tick_ns;
    n->storage = storage;
    n->stopped = stopped_event;
    n->on_notice = options->on_notice != NULL ? options->on_notice : print_notice;
    n->notice_context = options->notice_context;
    if (node_outbox_init(&n->outbox, options) != 0) goto undo;
    *error = options->create_machine(options->machine_context, replica, &n->machine);
    if (*error != 0) goto undo_machine;
    o.replica = replica;
    o.buffers = node_buffers;
    *error = create_core(n, &o, storage);
    if (*error != 0) goto undo;
    return n;

undo_machine:
    n->machine.destroy = NULL;
undo:
    node_replica_destroy(n);
    return NULL;
}
