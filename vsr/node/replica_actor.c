/**
 * A replica as an actor: turns messages into events and performs the effects.
 *
 * A message is one event, the turn's end another; what the core sends in a turn leaves at its end.
 *
 * The actor is a shell that outlives its replica: killed, it drops the replica's memory and ends
 * what it is sent, as the network of a dead process would; restarted, it has a new one that knows
 * the superblock only.
 */
#include "replica_actor.h"
#include "buffers.h"
#include "control.h"
#include "health.h"
#include "life.h"
#include "messages.h"
#include "outbox.h"
#include "snapshots.h"
#include "storage.h"
#include "trace.h"
#include "wait.h"

#include "../core/assert.h"

#include <act/message.h>
#include <act/timer.h>
#include <vsr/message.h>
#include <vsr/replica.h>
#include <vsr/trace.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct vsr_node_replica {
    bool is_watched; /* not running, or logged: messages are looked at before the core gets them */
    enum vsr_run_state run_state;
    struct vsr_node_life life;
    struct vsr_node_outbox outbox;
    act_id peers[VSR_REPLICAS_MAX];
    uint32_t peer_count;
    bool sends_plainly; /* nobody between the replicas has a hand on their messages */
    uint32_t index;
    uint64_t tick_ns;
    struct vsr_node_storage *storage;
    struct vsr_node_inbox *inbox;
    struct vsr_node_event *stopped;
    struct vsr_node_health *health;
    bool is_lost;            /* as the cluster's health has it */
    bool may_have_turned;    /* that may not be so any more */
    uint64_t changed_ns;     /* when run_state did */
    uint64_t messages_ended; /* that came while it was not running */
    bool has_timer;          /* ticks come; false too before the first life */
    bool is_traced;
    void (*on_notice)(void *context, uint32_t replica, enum vsr_notice notice, uint32_t about,
                      vsr_op op);
    void *notice_context;
};

static void print_notice(void *context, uint32_t replica, enum vsr_notice what, uint32_t about,
                         vsr_op op)
{
    (void)context;
    if (vsr_trace_wanted() >= VSR_TRACE_INFO) return; /* It stands there already. */
    fprintf(stderr, "vsr: replica %u: %s (replica %u, op %llu)\n", replica, vsr_notice_text(what),
            about, (unsigned long long)op);
}

static void notice(struct vsr_node_replica *n, enum vsr_notice what, uint32_t about, vsr_op op)
{
    if (vsr_trace_wanted() >= VSR_TRACE_INFO) vsr_node_trace_notice(n->index, what, about, op);
    n->on_notice(n->notice_context, n->index, what, about, op);
    n->may_have_turned = true; /* No status that matters changes without a notice. */
}

/** Tells the clients' side whether this replica has a log. */
static void note_health(struct vsr_node_replica *n)
{
    bool is_lost = n->run_state == VSR_DOWN || n->run_state == VSR_FAILED;

    VSR_ASSERT((n->run_state == VSR_DOWN) == (n->life.driver.core == NULL));
    if (n->life.driver.core != NULL) {
        struct vsr_replica_report report;
        vsr_replica_report(n->life.driver.core, &report);
        is_lost =
            is_lost || report.status == VSR_STATUS_RECOVERING || report.status == VSR_STATUS_HALTED;
    }
    n->may_have_turned = false;
    if (is_lost != n->is_lost) vsr_node_health_note(n->health, n->index, is_lost);
    n->is_lost = is_lost;
}

static void set_run_state(struct vsr_node_replica *n, enum vsr_run_state state)
{
    static const char *const texts[] = {[VSR_RUNNING] = "runs",
                                        [VSR_PAUSED] = "is paused",
                                        [VSR_DOWN] = "is down: its memory is gone",
                                        [VSR_FAILED] = "has failed"};

    VSR_ASSERT(state != n->run_state);
    VSR_ASSERT((state == VSR_DOWN) == (n->life.driver.core == NULL));
    n->run_state = state;
    n->changed_ns = act_now_ns();
    n->is_watched = state != VSR_RUNNING || n->is_traced;
    n->may_have_turned = true;
    if (vsr_trace_wanted() >= VSR_TRACE_INFO) vsr_node_trace_event(n->index, texts[state]);
}

/** Ends a replica whose superblock may not be durable: it promises nothing more. */
static void fail(struct vsr_node_replica *n)
{
    VSR_ASSERT(n->run_state == VSR_RUNNING);
    set_run_state(n, VSR_FAILED);
    notice(n, VSR_NOTICE_STORAGE_FAILED, n->index, 0);
}

static void send_to_replicas(struct vsr_node_replica *n, uint32_t to_mask, struct act_message *m)
{
    VSR_ASSERT(to_mask != 0);
    VSR_ASSERT(to_mask >> n->peer_count == 0);
    if (n->is_traced) vsr_node_trace_message(n->index, "->", m->body);
    for (uint32_t i = 0; to_mask != 0; i++) {
        if ((to_mask >> i & 1) == 0) continue;
        to_mask &= ~(1u << i);
        /* Out of handles: this replica misses the message, as if a network had lost it. */
        struct act_message *own = to_mask == 0 ? m : act_message_ref(m);
        if (own != NULL)
            vsr_node_outbox_send(&n->outbox, n->peers[i], own);
        else
            n->outbox.dropped++;
    }
}

/* What the driver has its host do. */

static void send_to_mask(void *context, uint32_t to_mask, struct vsr_buffer buffer)
{
    send_to_replicas(context, to_mask, vsr_node_message(&buffer));
}

static void send_to_client(void *context, vsr_address address, struct vsr_buffer buffer)
{
    struct vsr_node_replica *n = context;

    if (n->is_traced) vsr_node_trace_message(n->index, "->", buffer.header);
    vsr_node_outbox_send(&n->outbox, address, vsr_node_message(&buffer));
}

static bool apply(void *context, const struct vsr_effect *e)
{
    struct vsr_node_replica *n = context;

    vsr_driver_apply(&n->life.machine, e);
    return true;
}

static bool persist(void *context, const struct vsr_effect *e)
{
    struct vsr_node_replica *n = context;
    /* I21, and what on_durable() is told of. */
    VSR_ASSERT(e->superblock.incarnation == n->life.superblock.incarnation + 1);
    VSR_ASSERT(e->superblock.view >= n->life.superblock.view);
    VSR_ASSERT(e->superblock.log_view <= e->superblock.view);
    int error = vsr_node_storage_persist(n->storage, n->index, e->sequence, &e->superblock);

    if (error != 0 && error != -EINPROGRESS) fail(n);
    return error == 0;
}

static bool save(void *context, vsr_op op, struct vsr_snapshot *snapshot)
{
    struct vsr_node_life *life = &((struct vsr_node_replica *)context)->life;

    /* Away, which the core has said just before, has to leave before this worker is busy, or the
     * others take the silence for a sign. Source: rule 6.8. */
    act_flush();
    *snapshot = vsr_node_snapshot_save(&life->snapshots, life->driver.core, &life->machine, op);
    return true;
}

static void fill_chunk(void *context, const struct vsr_effect *e)
{
    vsr_node_snapshot_fill(&((struct vsr_node_replica *)context)->life.snapshots, e);
}

static void store_chunk(void *context, const struct vsr_effect *e)
{
    vsr_node_snapshot_store(&((struct vsr_node_replica *)context)->life.snapshots, e);
}

static bool load(void *context, const struct vsr_snapshot *snapshot, bool *is_loaded)
{
    struct vsr_node_life *life = &((struct vsr_node_replica *)context)->life;

    act_flush(); /* As in save. */
    *is_loaded =
        vsr_node_snapshot_load(&life->snapshots, life->driver.core, &life->machine, snapshot);
    return true;
}

static void on_notice_effect(void *context, const struct vsr_effect *e)
{
    notice(context, e->notice, e->replica, e->at_op);
}

const struct vsr_host vsr_node_replica_host = {
    .send = send_to_mask,
    .send_client = send_to_client,
    .apply = apply,
    .persist = persist,
    .save = save,
    .fill_chunk = fill_chunk,
    .store_chunk = store_chunk,
    .load = load,
    .notice = on_notice_effect,
};

static void step(struct vsr_node_replica *n, const struct vsr_event *event)
{
    VSR_ASSERT(n->run_state == VSR_RUNNING);
    vsr_driver_step(&n->life.driver, event);
}

static void start_tick(struct vsr_node_replica *n)
{
    n->has_timer = act_timer_start_periodic(n->tick_ns, NODE_TICK, 0, NULL) == 0;
    if (!n->has_timer)
        fprintf(stderr,
                "vsr: replica %u: no memory for its timer; it asks again at the end of every "
                "turn\n",
                n->index);
}

static void on_tick(struct vsr_node_replica *n)
{
    struct timespec now;

    if (n->run_state != VSR_RUNNING) return;
    clock_gettime(CLOCK_REALTIME, &now);
    step(n,
         &(struct vsr_event){.kind = VSR_EVENT_TICK,
                             .now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec});
}

/** The storage may have an answer; it keeps it until the replica runs. */
static void on_durable(struct vsr_node_replica *n)
{
    vsr_sequence sequence;
    int error;

    if (n->run_state != VSR_RUNNING) return;
    if (!vsr_node_storage_take(n->storage, n->index, &sequence, &error)) return;
    VSR_ASSERT(error != -EINPROGRESS); /* that is no answer */
    if (error == 0)
        step(n, &(struct vsr_event){.kind = VSR_EVENT_DURABLE, .sequence = sequence});
    else
        fail(n);
}

/* What the cluster's owner asks. Each returns the answer. */

/** Puts one life in the place of another. Ownership: takes life, gives the old one in its place. */
static void exchange(struct vsr_node_replica *n, struct vsr_node_life *life)
{
    VSR_ASSERT(n->run_state != VSR_RUNNING || life->driver.core == NULL);
    const struct vsr_node_life old = n->life;

    n->life = *life;
    *life = old;
    vsr_node_outbox_clear(&n->outbox);
}

static int on_begin(struct vsr_node_replica *n, struct vsr_node_control *c)
{
    if (n->run_state != VSR_DOWN && n->run_state != VSR_FAILED) return -EALREADY;
    VSR_ASSERT(c->peers != NULL);
    VSR_ASSERT(c->life.driver.core != NULL);
    VSR_ASSERT(c->life.machine.apply != NULL);
    VSR_ASSERT(n->outbox.count == 0 || n->run_state == VSR_FAILED);
    memcpy(n->peers, c->peers, n->peer_count * sizeof n->peers[0]);
    exchange(n, &c->life);
    n->life.driver.context = n;
    set_run_state(n, VSR_RUNNING);
    if (!n->has_timer) start_tick(n);
    bool is_first = n->life.superblock.incarnation == 0;
    step(n, &(struct vsr_event){.kind = is_first ? VSR_EVENT_START : VSR_EVENT_RECOVER,
                                .superblock = n->life.superblock});
    return 0;
}

static int on_kill(struct vsr_node_replica *n, struct vsr_node_control *c)
{
    if (n->run_state == VSR_DOWN) return -EALREADY;
    exchange(n, &c->life);
    set_run_state(n, VSR_DOWN);
    return 0;
}

static int on_pause(struct vsr_node_replica *n)
{
    if (n->run_state == VSR_PAUSED) return -EALREADY;
    if (n->run_state != VSR_RUNNING) return -ESRCH;
    set_run_state(n, VSR_PAUSED);
    return 0;
}

static int on_resume(struct vsr_node_replica *n)
{
    if (n->run_state == VSR_RUNNING) return -EALREADY;
    if (n->run_state != VSR_PAUSED) return -ESRCH;
    set_run_state(n, VSR_RUNNING);
    on_durable(n); /* An answer may have come during the pause. */
    return 0;
}

static int on_inspect(struct vsr_node_replica *n, const struct vsr_node_control *c)
{
    VSR_ASSERT(c->report != NULL);
    *c->report = (struct vsr_cluster_report){
        .run_state = n->run_state,
        .changed_ns = n->changed_ns,
        .messages_dropped = n->outbox.dropped,
        .messages_ended = n->messages_ended,
    };
    if (n->life.driver.core == NULL) return 0;
    vsr_replica_report(n->life.driver.core, &c->report->replica);
    if (c->wants_digest) c->report->digest = n->life.machine.digest(n->life.machine.state);
    return 0;
}

static void answer(struct vsr_node_replica *n, struct vsr_node_control *c)
{
    switch (c->command) {
    case NODE_BEGIN:
        c->error = on_begin(n, c);
        break;
    case NODE_KILL:
        c->error = on_kill(n, c);
        break;
    case NODE_PAUSE:
        c->error = on_pause(n);
        break;
    case NODE_RESUME:
        c->error = on_resume(n);
        break;
    case NODE_INSPECT:
        c->error = on_inspect(n, c);
        break;
    }
    vsr_node_event_set(&c->done); /* the last look at *c */
}

static void on_control(struct vsr_node_replica *n)
{
    struct vsr_node_control *c;

    while ((c = vsr_node_inbox_take(n->inbox)) != NULL)
        answer(n, c);
}

/** A message to a replica that does not run, or is logged. Returns whether the core gets it. */
static bool watch(struct vsr_node_replica *n, const struct act_message *m)
{
    VSR_ASSERT(n->is_watched);
    if (n->run_state != VSR_RUNNING) {
        n->messages_ended++;
        return false;
    }
    vsr_node_trace_message(n->index, "<-", m->body);
    return true;
}

static void receive(void *state, struct act_message *m)
{
    struct vsr_node_replica *n = state;

    if (m->type == NODE_MESSAGE) {
        /* A body that is no whole message never reaches the core. */
        const struct vsr_header *header = m->body;
        if (m->body_bytes < sizeof *header || m->body_bytes != header->bytes ||
            (n->is_watched && !watch(n, m))) {
            act_message_unref(m);
            return;
        }
        /* The sender is what the runtime says, not the message: nobody else passes for a peer. */
        step(n, &(struct vsr_event){.kind = VSR_EVENT_MESSAGE,
                                    .is_local = n->sends_plainly && header->from < n->peer_count &&
                                                m->from == n->peers[header->from],
                                    .message = {.header = m->body, .handle = m}});
        return;
    }
    if (m->type == NODE_TICK) {
        on_tick(n);
    } else if (m->type == NODE_CONTROL) {
        on_control(n);
    } else if (m->type == NODE_DURABLE) {
        on_durable(n);
    } /* ACT_TYPE_ROOM: the turn's end tries again. */
    act_message_unref(m);
}

static void turn_end(void *state)
{
    struct vsr_node_replica *n = state;

    if (n->may_have_turned) note_health(n);
    if (n->run_state != VSR_RUNNING) return;
    if (!n->has_timer) start_tick(n);
    VSR_ASSERT(n->life.driver.core != NULL);
    vsr_driver_turn_end(&n->life.driver);
    if (n->outbox.count > 0) vsr_node_outbox_retry(&n->outbox);
}

static void stopped(void *state, int reason)
{
    struct vsr_node_replica *n = state;
    struct vsr_node_event *event = n->stopped;

    (void)reason;
    vsr_node_replica_destroy(n);
    vsr_node_event_set(event);
}

const struct act_behaviour vsr_node_replica_behaviour = {
    .receive = receive,
    .turn_end = turn_end,
    .stopped = stopped,
};

void vsr_node_replica_destroy(struct vsr_node_replica *n)
{
    vsr_node_life_destroy(&n->life);
    vsr_node_outbox_deinit(&n->outbox);
    free(n);
}

struct vsr_node_replica *vsr_node_replica_create(const struct vsr_cluster_options *options,
                                                 uint32_t replica, struct vsr_node_storage *storage,
                                                 struct vsr_node_inbox *inbox,
                                                 struct vsr_node_event *stopped_event,
                                                 struct vsr_node_health *health)
{
    struct vsr_node_replica *n = calloc(1, sizeof *n);

    VSR_ASSERT(replica < options->replica.replica_count);
    VSR_ASSERT(options->replica.replica_count <= VSR_REPLICAS_MAX);
    VSR_ASSERT(options->tick_ns > 0);
    VSR_ASSERT(storage != NULL);
    VSR_ASSERT(inbox != NULL);
    VSR_ASSERT(stopped_event != NULL);
    if (n == NULL) return NULL;
    n->is_watched = true;
    n->run_state = VSR_DOWN;
    n->index = replica;
    n->peer_count = options->replica.replica_count;
    n->sends_plainly = options->send == NULL;
    n->tick_ns = options->tick_ns;
    n->storage = storage;
    n->inbox = inbox;
    n->health = health;
    n->stopped = stopped_event;
    n->is_traced = vsr_trace_wanted() >= VSR_TRACE_DEBUG;
    n->on_notice = options->on_notice != NULL ? options->on_notice : print_notice;
    n->notice_context = options->notice_context;
    if (vsr_node_outbox_init(&n->outbox, options->send, options->send_context) == 0) return n;
    free(n);
    return NULL;
}
