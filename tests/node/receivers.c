/**
 * Answers go to whom they belong, whatever sessions, receivers and services do meanwhile:
 * service.h, caller.h.
 */
#include "leak_check.h"

#include "messages.h"
#include "submit.h"
#include "world.h"

#include <act/actor.h>
#include <act/message.h>
#include <act/port.h>
#include <vsr/peers.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

LEAK_CHECKED_SUITE(receivers);

static const struct vsr_counter_add add = {.index = 1, .amount = 1};

/** A network that loses what one actor sends, while the gate is shut. */
struct gate {
    _Atomic(act_id) shut; /* that actor; ACT_ID_NONE: nobody */
    atomic_uint everybody;
    atomic_uint lost;
};

static int send_through_gate(void *context, act_id to, struct act_message *m)
{
    struct gate *gate = context;

    if (act_self() != atomic_load(&gate->shut) && atomic_load(&gate->everybody) == 0)
        return act_send(to, m);
    atomic_fetch_add(&gate->lost, 1);
    act_message_unref(m);
    return 0;
}

static int call(struct vsr_caller *caller, uint64_t amount, uint64_t *value)
{
    return world_add(caller, (struct vsr_counter_add){1, amount}, value, 20 * SECOND);
}

/** One session in all, that of a service whose caller has called once; its gate is shut. */
static void start_and_shut(struct world *w, struct gate *gate, uint32_t waiting_max)
{
    uint64_t value;

    *gate = (struct gate){.shut = ACT_ID_NONE};
    world_init(w);
    w->options.replica.sessions_max = 1;
    w->options.send = send_through_gate;
    w->options.send_context = gate;
    w->service_options.sessions = 1;
    w->service_options.waiting_max = waiting_max;
    world_start_caller(w);
    cr_assert_eq(call(w->caller, 1, &value), 0);
    atomic_store(&gate->shut, w->service);
}

static void open_gate(struct gate *gate)
{
    atomic_store(&gate->shut, ACT_ID_NONE);
}

static void send(struct world *w, uint64_t *ticket)
{
    cr_assert_eq(vsr_caller_send(w->caller, &add, sizeof add, ticket), 0);
}

/** Another service takes the one session there is. */
static act_id evict(struct world *w, uint32_t evictions)
{
    const act_id id = world_spawn_service(w);

    AWAIT(world_look(w, 0).replica.counters.evictions >= evictions);
    return id;
}

static void stop(struct world *w, act_id service)
{
    cr_assert_eq(vsr_service_stop(w->runtime, service, 10 * SECOND), 0);
}

/* 5.6: evicted, and its slot had another session since: what was outstanding is unknown. It is
 * said, once, and the service goes on in a new session. */
Test(receivers, an_outcome_that_nobody_knows_is_said_to_be_so)
{
    struct world w;
    struct gate gate;
    uint64_t ticket, got;
    uint64_t value = 0;

    start_and_shut(&w, &gate, 4);
    send(&w, &ticket);
    AWAIT(atomic_load(&gate.lost) > 0);
    const act_id second = evict(&w, 1);
    const act_id third = evict(&w, 2);
    open_gate(&gate);
    cr_assert_eq(vsr_caller_receive(w.caller, &got, NULL, NULL, 20 * SECOND), -ECONNRESET);
    cr_assert_eq(got, ticket);
    for (uint64_t i = 0; i < 3; i++) {
        cr_assert_eq(call(w.caller, 1, &value), 0);
        cr_assert_eq(value, 2 + i);
    }
    stop(&w, second);
    stop(&w, third);
    world_stop(&w);
}

/* service.h: an operation that was not executed waits for another session, if there is room; else
 * it is answered -EAGAIN, and those that wait are left alone. */
Test(receivers, an_operation_without_session_and_room_is_answered)
{
    struct world w;
    struct gate gate;
    uint64_t first, second, got;
    uint64_t value = 0;

    start_and_shut(&w, &gate, 1);
    send(&w, &first);
    AWAIT(atomic_load(&gate.lost) > 0);
    send(&w, &second); /* it waits; no more can */
    const act_id other = evict(&w, 1);
    open_gate(&gate);
    cr_assert_eq(vsr_caller_receive(w.caller, &got, NULL, NULL, 20 * SECOND), -EAGAIN);
    cr_assert_eq(got, first);
    cr_assert_eq(vsr_caller_receive(w.caller, &got, NULL, NULL, 20 * SECOND), 0);
    cr_assert_eq(got, second);
    cr_assert_eq(call(w.caller, 0, &value), 0);
    cr_assert_eq(value, 2);
    stop(&w, other);
    world_stop(&w);
}

/* service.h: what waits for sessions that will never open is answered. */
Test(receivers, what_waits_is_answered_when_all_sessions_are_refused)
{
    struct world w;
    struct gate gate = {.everybody = 1};
    struct vsr_peers_options p;
    struct vsr_peers *peers;
    struct vsr_caller *caller;
    act_id ids[3];
    uint64_t ticket, value;

    world_init(&w);
    w.service_options.seed = 5;
    w.service_options.sessions = 2;
    world_start_caller(&w);
    cr_assert_eq(call(w.caller, 1, &value), 0);
    vsr_caller_close(w.caller);
    w.caller = NULL;
    for (uint32_t i = 0; i < 3; i++)
        ids[i] = vsr_peers_id(vsr_cluster_peers(w.cluster), i);
    vsr_peers_options_init(&p);
    p.runtime = w.runtime;
    p.replicas = ids;
    p.cluster = w.options.replica.cluster;
    p.send = send_through_gate;
    p.send_context = &gate;
    cr_assert_eq(vsr_peers_create(&p, &peers, NULL), 0);
    struct vsr_service_options o = w.service_options;
    act_id id;
    o.peers = peers;
    cr_assert_eq(vsr_service_spawn(&o, &id, NULL), 0);
    cr_assert_eq(vsr_caller_open(w.runtime, id, &caller), 0);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(vsr_caller_send(caller, &add, sizeof add, &ticket), 0);
    AWAIT(atomic_load(&gate.lost) > 0);
    atomic_store(&gate.everybody, 0);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(vsr_caller_receive(caller, &ticket, NULL, NULL, 20 * SECOND), -ECANCELED);
    vsr_caller_close(caller);
    stop(&w, id);
    vsr_peers_destroy(peers);
    world_stop(&w);
}

/** Sends a service a message that is none of vsr_service_send's. */
static void forge(act_id service, uint64_t cookie, uint32_t payload_bytes, uint32_t body_bytes)
{
    const struct vsr_node_submit submit = {.cookie = cookie, .payload_bytes = payload_bytes};
    struct act_message *m = act_message_create(NODE_SUBMIT, 256);

    cr_assert_not_null(m);
    memset(m->body, 0, 256);
    memcpy(m->body, &submit, sizeof submit);
    m->body_bytes = body_bytes;
    cr_assert_eq(act_send(service, m), 0);
}

/* What is no whole operation is no operation: nothing behind a message's end is looked at. */
Test(receivers, a_forged_operation_is_none)
{
    const uint32_t head = sizeof(struct vsr_node_submit);
    struct act_port *port;
    struct act_message *m;
    struct vsr_answer answer;
    struct world w;

    world_init(&w);
    world_start_service(&w);
    cr_assert_eq(act_port_open(w.runtime, &port), 0);
    forge(w.service, 1, 16, 8);
    forge(w.service, 2, 16, head - 1);
    forge(w.service, 3, 16, head + 15);
    forge(w.service, 4, 17, head + 16);
    forge(w.service, 5, UINT32_MAX, head + 16);
    cr_assert_eq(vsr_service_send(w.service, 77, &add, sizeof add), 0);
    m = act_port_receive(port, 20 * SECOND);
    cr_assert_not_null(m);
    memcpy(&answer, m->body, sizeof answer);
    cr_assert_eq(answer.cookie, 77);
    cr_assert_eq(answer.status, 0);
    act_message_unref(m);
    cr_assert_null(act_port_receive(port, SECOND / 50));
    act_port_close(port);
    world_stop(&w);
}

/* A client starts once: who says so again, from wherever, starts nothing over what is under way. */
Test(receivers, a_forged_start_is_none)
{
    uint64_t ticket, value;
    uint32_t bytes;
    struct world w;

    world_init(&w);
    world_start_caller(&w);
    cr_assert_eq(call(w.caller, 1, &value), 0);
    for (uint32_t i = 0; i < 100; i++)
        cr_assert_eq(vsr_caller_send(w.caller, &add, sizeof add, &ticket), 0);
    cr_assert_eq(act_send(w.service, act_message_create(NODE_START, 0)), 0);
    for (uint32_t i = 0; i < 100; i++) {
        bytes = sizeof value;
        cr_assert_eq(vsr_caller_receive(w.caller, &ticket, &value, &bytes, 5 * SECOND), 0);
    }
    cr_assert_eq(call(w.caller, 1, &value), 0);
    cr_assert_eq(value, 102);
    world_stop(&w);
}

/* caller.h: an answer to what its thread has sent past the caller is none of the caller's, whatever
 * cookie it has. */
Test(receivers, what_is_sent_past_a_caller_is_not_answered_by_it)
{
    uint64_t ticket, last, value;
    uint32_t bytes = sizeof value;
    struct world w;

    world_init(&w);
    world_start_caller(&w);
    for (uint64_t cookie = 0; cookie < 3; cookie++)
        cr_assert_eq(vsr_service_send(w.service, cookie, &add, sizeof add), 0);
    /* Sessions overtake each other: some calls later all of those have been answered. */
    for (uint32_t i = 0; i < 20; i++)
        cr_assert_eq(call(w.caller, 1, &last), 0);
    cr_assert_eq(vsr_caller_receive(w.caller, &ticket, &value, &bytes, 0), -ENOENT);
    for (uint64_t i = 1; i <= 3; i++, last = value) {
        uint64_t sent;
        bytes = sizeof value;
        cr_assert_eq(vsr_caller_send(w.caller, &add, sizeof add, &sent), 0);
        cr_assert_eq(vsr_caller_receive(w.caller, &ticket, &value, &bytes, 20 * SECOND), 0);
        cr_assert_eq(ticket, sent);
        cr_assert_gt(value, last, "another operation's result");
    }
    world_stop(&w);
}

/* caller.h: no more of a result is written than there is room, and its whole size is told. */
Test(receivers, a_result_is_cut_off_at_the_room_for_it)
{
    uint8_t result[8];
    struct world w;

    world_init(&w);
    world_start_caller(&w);
    for (uint32_t room = 0; room <= 8; room++) {
        uint32_t bytes = room;
        memset(result, 0x5A, sizeof result);
        cr_assert_eq(vsr_caller_call(w.caller, &add, sizeof add, result, &bytes, 10 * SECOND), 0);
        cr_assert_eq(bytes, 8);
        for (uint32_t i = room; i < 8; i++)
            cr_assert_eq(result[i], 0x5A, "room %u", room);
        if (room > 0) cr_assert_eq(result[0], room + 1);
    }
    uint32_t bytes = 8;
    cr_assert_eq(vsr_caller_call(w.caller, &add, sizeof add, NULL, &bytes, 10 * SECOND), 0);
    cr_assert_eq(vsr_caller_call(w.caller, &add, sizeof add, NULL, NULL, 10 * SECOND), 0);
    cr_assert_eq(bytes, 8);
    world_stop(&w);
}

static void end(void *state, struct act_message *m)
{
    (void)state;
    act_message_unref(m);
    act_exit(0);
}

/* caller.h: the thread may watch others too; their end is not the service's. */
Test(receivers, another_s_end_is_not_the_service_s)
{
    static const struct act_behaviour behaviour = {.receive = end};
    const struct act_spawn_options o = {.behaviour = &behaviour};
    struct world w;
    uint64_t value;
    act_id id;

    world_init(&w);
    world_start_caller(&w);
    cr_assert_eq(act_spawn(&o, &id), 0);
    cr_assert_eq(act_monitor(id), 0);
    cr_assert_eq(act_send(id, act_message_create(1, 0)), 0);
    for (uint64_t i = 1; i <= 200; i++) {
        cr_assert_eq(call(w.caller, 1, &value), 0);
        cr_assert_eq(value, i);
    }
    world_stop(&w);
}

enum { RECEIVERS = 3, SENDS = 20000, ROOM = 64 };

/** A thread that sends before it receives. Its cookies are its own. */
struct receiver {
    struct world *world;
    pthread_barrier_t *sent;
    pthread_t thread;
    uint32_t index;
    uint32_t answered;
    uint32_t wrong; /* answers of another's, or repeated ones */
};

static void receive_own(struct receiver *r, struct act_port *port)
{
    bool seen[SENDS] = {false};
    struct act_message *m;

    while (r->answered < SENDS && (m = act_port_receive(port, 5 * SECOND)) != NULL) {
        struct vsr_answer answer;
        memcpy(&answer, m->body, sizeof answer);
        const uint64_t nth = answer.cookie % SENDS;
        r->wrong += answer.cookie / SENDS != r->index || seen[nth];
        seen[nth] = true;
        r->answered++;
        act_message_unref(m);
    }
}

static void *send_then_receive(void *context)
{
    struct receiver *r = context;
    struct act_port *port;

    if (act_port_open(r->world->runtime, &port) != 0) return NULL;
    for (uint32_t i = 0; i < SENDS; i++)
        while (vsr_service_send(r->world->service, r->index * SENDS + i, &add, sizeof add) != 0)
            sched_yield();
    pthread_barrier_wait(r->sent);
    receive_own(r, port);
    act_port_close(port);
    return NULL;
}

static void start_receivers(struct world *w, struct receiver *receivers, uint32_t count,
                            pthread_barrier_t *sent)
{
    for (uint32_t i = 0; i < count; i++) {
        receivers[i] = (struct receiver){.world = w, .sent = sent, .index = i};
        cr_assert_eq(pthread_create(&receivers[i].thread, NULL, send_then_receive, &receivers[i]),
                     0);
    }
}

static void join_receivers(struct receiver *receivers, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        pthread_join(receivers[i].thread, NULL);
        cr_assert_eq(receivers[i].answered, SENDS, "%u of %u", receivers[i].answered, SENDS);
        cr_assert_eq(receivers[i].wrong, 0);
    }
}

static void start_with_small_mailboxes(struct world *w)
{
    world_init(w);
    w->runtime_options.mailbox_max = ROOM;
    w->service_options.waiting_max = RECEIVERS * SENDS;
    world_start_service(w);
}

/* answers.h: answers that several receivers have no room for are each one's own, in the end. */
Test(receivers, full_receivers_get_their_own_answers)
{
    struct receiver receivers[RECEIVERS];
    pthread_barrier_t sent;
    struct world w;

    start_with_small_mailboxes(&w);
    pthread_barrier_init(&sent, NULL, RECEIVERS + 1);
    start_receivers(&w, receivers, RECEIVERS, &sent);
    AWAIT(world_look(&w, 0).replica.counters.requests_executed >= RECEIVERS * SENDS);
    pthread_barrier_wait(&sent);
    join_receivers(receivers, RECEIVERS);
    pthread_barrier_destroy(&sent);
    world_stop(&w);
}

static void *stop_in_thread(void *context)
{
    struct world *w = context;

    stop(w, w->service);
    return NULL;
}

/* service.h: a service that stops waits for receivers without room, while there is time. */
Test(receivers, a_service_that_stops_has_given_all_its_answers)
{
    struct receiver receiver;
    pthread_barrier_t sent;
    pthread_t stopper;
    struct world w;

    start_with_small_mailboxes(&w);
    pthread_barrier_init(&sent, NULL, 2);
    start_receivers(&w, &receiver, 1, &sent);
    AWAIT(world_look(&w, 0).replica.counters.requests_executed >= SENDS);
    /* Its end takes the answers that are left with it. */
    cr_assert_eq(pthread_create(&stopper, NULL, stop_in_thread, &w), 0);
    world_sleep_ms(100);
    pthread_barrier_wait(&sent);
    join_receivers(&receiver, 1);
    pthread_join(stopper, NULL);
    pthread_barrier_destroy(&sent);
    world_stop(&w);
}
