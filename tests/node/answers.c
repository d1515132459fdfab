/**
 * Every operation that was accepted gets an answer: service.h, caller.h.
 */
#include "leak_check.h"

#include "world.h"

#include <act/actor.h>
#include <act/message.h>
#include <act/port.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

LEAK_CHECKED_SUITE(answers);

/** The replicas 0 and 2, a quorum, run on worker 0. */
enum { SERVICE_WORKER = 1 };

struct shape {
    uint32_t sessions;
    uint32_t waiting_max;
    uint32_t result_bytes_max;
    uint32_t mailbox_max;    /* of ports; 0 = the default */
    uint64_t pool_bytes_max; /* 0 = the default */
};

static int create_machine(void *context, uint32_t replica, struct vsr_state_machine *machine)
{
    const uint32_t *result_bytes_max = context;
    int error = vsr_counter_create(WORLD_COUNTERS, machine);

    (void)replica;
    if (error == 0) machine->result_bytes_max = *result_bytes_max;
    return error;
}

static void start(struct world *w, struct shape shape)
{
    static uint32_t result_bytes_max;

    world_init(w);
    if (shape.mailbox_max != 0) w->runtime_options.mailbox_max = shape.mailbox_max;
    if (shape.pool_bytes_max != 0) w->runtime_options.pool_bytes_max = shape.pool_bytes_max;
    result_bytes_max = shape.result_bytes_max;
    w->options.create_machine = create_machine;
    w->options.machine_context = &result_bytes_max;
    w->options.replica.reply_bytes_max += shape.result_bytes_max;
    w->service_options.sessions = shape.sessions;
    w->service_options.waiting_max = shape.waiting_max;
    w->service_options.place = ACT_PLACE_ON(SERVICE_WORKER);
    world_start_service(w);
}

static const struct vsr_counter_add add = {.index = 1, .amount = 1};

static int call(struct vsr_caller *caller, uint64_t amount, uint64_t *value, uint64_t timeout_ns)
{
    return world_add(caller, (struct vsr_counter_add){1, amount}, value, timeout_ns);
}

static void send(struct vsr_caller *caller, uint32_t count)
{
    uint64_t ticket;

    for (uint32_t i = 0; i < count; i++)
        cr_assert_eq(vsr_caller_send(caller, &add, sizeof add, &ticket), 0);
}

/** A world with a caller, whose first operation was executed. */
static void start_and_call(struct world *w, struct shape shape)
{
    uint64_t value;

    start(w, shape);
    world_start_caller(w);
    cr_assert_eq(call(w->caller, 1, &value, 10 * SECOND), 0);
}

/** Receives so many answers with one of two statuses. Returns how many had the first. */
static uint32_t receive(struct vsr_caller *caller, uint32_t count, int status, int other)
{
    uint64_t ticket;
    uint32_t first = 0;

    for (uint32_t i = 0; i < count; i++) {
        const int got = vsr_caller_receive(caller, &ticket, NULL, NULL, 10 * SECOND);
        cr_assert(got == status || got == other, "status %d", got);
        cr_assert_neq(ticket, 0);
        first += got == status;
    }
    return first;
}

/** No quorum: nothing is executed, and all memory is kept. */
static void pause_two(struct world *w)
{
    cr_assert_eq(vsr_cluster_pause(w->cluster, 1), 0);
    cr_assert_eq(vsr_cluster_pause(w->cluster, 2), 0);
}

static void resume_two(struct world *w)
{
    cr_assert_eq(vsr_cluster_resume(w->cluster, 1), 0);
    cr_assert_eq(vsr_cluster_resume(w->cluster, 2), 0);
}

/** What a port was told of the operations it sent: each once. */
struct tally {
    uint32_t sent;
    uint32_t answered;
    uint32_t executed;
    uint32_t others;
    uint8_t *seen;
};

static void count_answer(struct tally *t, struct act_message *m)
{
    struct vsr_answer a;

    cr_assert_not_null(m);
    cr_assert_eq(m->type, VSR_TYPE_ANSWER);
    memcpy(&a, m->body, sizeof a);
    cr_assert_lt(a.cookie, t->sent);
    cr_assert_eq(t->seen[a.cookie]++, 0, "cookie %u is answered twice", (unsigned)a.cookie);
    t->answered++;
    t->executed += a.status == 0;
    t->others += a.status != 0;
    if (a.status != 0) cr_assert(!vsr_status_may_be_executed(a.status), "status %d", a.status);
    act_message_unref(m);
}

/** Sends without receiving anything, then receives. Returns how many were executed. */
static uint32_t send_then_receive(struct world *w, uint32_t count)
{
    struct act_port *port;
    struct tally t = {.seen = calloc(count, 1)};

    cr_assert_eq(act_port_open(w->runtime, &port), 0);
    for (uint32_t i = 0; i < count; i++) {
        int error;
        while ((error = vsr_service_send(w->service, t.sent, &add, sizeof add)) == -EAGAIN)
            sched_yield(); /* the lane to the service is full */
        if (error == -ENOMEM && t.answered < t.sent) {
            count_answer(&t, act_port_receive(port, 20 * SECOND));
            i--;
            continue;
        }
        cr_assert_eq(error, 0);
        t.sent++;
    }
    while (t.answered < t.sent)
        count_answer(&t, act_port_receive(port, 20 * SECOND));
    cr_assert_null(act_port_receive(port, 0));
    act_port_close(port);
    free(t.seen);
    return t.executed;
}

static void check_counter(struct world *w, uint64_t executed)
{
    uint64_t value = 0;

    world_start_caller(w);
    cr_assert_eq(call(w->caller, 0, &value, 10 * SECOND), 0);
    cr_assert_eq(value, executed);
}

/* service.h: a port that sends many and then receives: its mailbox holds 64. None is dropped. */
Test(answers, wait_for_a_port_that_does_not_receive)
{
    struct world w;

    start(&w, (struct shape){64, 1024, 8, 64, 0});
    check_counter(&w, send_then_receive(&w, 60000));
    world_stop(&w);
}

enum { HOG_TAKE = 1, HOG_GIVE };

/** Takes all the memory that its worker has for messages of this size, and gives it back. */
struct hog {
    struct act_message *held[4096];
    uint32_t count;
};

static void hog_receive(void *state, struct act_message *m)
{
    struct hog *hog = state;

    if (m->type == HOG_TAKE) {
        while (hog->count < 4096 && (hog->held[hog->count] = act_message_create(1, 33000)) != NULL)
            hog->count++;
    } else {
        while (hog->count > 0)
            act_message_unref(hog->held[--hog->count]);
        act_exit(0);
    }
    act_message_unref(m);
}

static void tell(act_id id, uint32_t type)
{
    struct act_message *m = act_message_create(type, 0);

    cr_assert_not_null(m);
    cr_assert_eq(act_send(id, m), 0);
}

/* service.h: a result that does not fit needs memory, which is asked for before the operation gets
 * a session; a pool at its bound is an answer. */
Test(answers, come_when_the_pool_is_exhausted)
{
    static const struct act_behaviour behaviour = {.receive = hog_receive};
    static struct hog hog;
    struct world w;
    uint64_t value = 0;
    act_id id;
    int status = 0;

    start_and_call(&w, (struct shape){1, 4, 32768, 0, 64 << 20});
    const struct act_spawn_options o = {
        .behaviour = &behaviour, .state = &hog, .place = ACT_PLACE_ON(SERVICE_WORKER)};
    cr_assert_eq(act_spawn(&o, &id), 0);
    do { /* The last answer's message comes home after the first time. */
        tell(id, HOG_TAKE);
        status = call(w.caller, 1, &value, UINT64_MAX);
    } while (status == 0);
    cr_assert_eq(status, -ENOMEM);
    tell(id, HOG_GIVE);
    while ((status = call(w.caller, 0, &value, 10 * SECOND)) == -ENOMEM)
        sched_yield();
    cr_assert_eq(status, 0);
    world_stop(&w);
}

/* caller.h: what a call holds is free when its time is over, and others are not refused for it. */
Test(answers, calls_that_time_out_free_their_places)
{
    struct world w;
    uint64_t value = 0;

    start_and_call(&w, (struct shape){1, 2, 8, 0, 0});
    pause_two(&w);
    for (uint32_t i = 0; i < 6; i++)
        cr_assert_eq(call(w.caller, 1, &value, SECOND / 200), -ETIMEDOUT, "call %u", i);
    resume_two(&w);
    cr_assert_eq(call(w.caller, 0, &value, 10 * SECOND), 0);
    cr_assert_eq(value, 2, "the outstanding one was executed, those that waited never");
    world_stop(&w);
}

/* service.h: a service that stops answers what it has: what waits was never executed, what is
 * outstanding is unknown. caller.h: after that a caller is told at once. */
Test(answers, come_from_a_service_that_stops)
{
    struct world w;
    uint64_t ticket;
    uint64_t value = 0;

    start_and_call(&w, (struct shape){4, 64, 8, 0, 0});
    pause_two(&w);
    send(w.caller, 20);
    cr_assert_eq(vsr_service_stop(w.runtime, w.service, SECOND / 20), -ETIMEDOUT);
    cr_assert_eq(receive(w.caller, 20, -ECONNRESET, -ECANCELED), 4);
    cr_assert_eq(vsr_caller_receive(w.caller, &ticket, NULL, NULL, UINT64_MAX), -ENOENT);
    cr_assert_eq(ticket, 0);
    cr_assert_eq(call(w.caller, 1, &value, UINT64_MAX), -ECONNRESET,
                 "sent before the end is known");
    cr_assert_eq(call(w.caller, 1, &value, UINT64_MAX), -ECANCELED);
    cr_assert_eq(vsr_caller_send(w.caller, &add, sizeof add, &ticket), -ECANCELED);
    resume_two(&w);
    world_stop(&w); /* one that has ended: fine */
}

/* service.h: with time, what is outstanding is answered first. */
Test(answers, of_what_is_outstanding_come_before_the_end)
{
    struct world w;

    start(&w, (struct shape){8, 64, 8, 0, 0});
    world_start_caller(&w);
    send(w.caller, 60);
    cr_assert_eq(vsr_service_stop(w.runtime, w.service, 10 * SECOND), 0);
    const uint32_t executed = receive(w.caller, 60, 0, -ECANCELED);
    cr_assert_eq(vsr_cluster_settle(w.cluster, 10 * SECOND), 0);
    cr_assert_eq(world_look(&w, 0).replica.counters.requests_executed, executed);
    world_stop(&w);
}

/* caller.h: a caller of a service that has ended is told, however long it would wait. */
Test(answers, come_when_the_service_is_gone)
{
    struct world w;
    struct vsr_caller *caller;
    struct act_port *port;
    uint64_t ticket;
    uint64_t value;

    start(&w, (struct shape){1, 64, 8, 0, 0});
    pause_two(&w);
    cr_assert_eq(vsr_caller_open(w.runtime, w.service, &caller), 0);
    for (uint32_t i = 0; i < VSR_CALLER_SENDS_MAX; i++) {
        int error;
        while ((error = vsr_caller_send(caller, &add, sizeof add, &ticket)) == -EAGAIN)
            sched_yield();
        cr_assert_eq(error, 0);
    }
    cr_assert_eq(vsr_caller_send(caller, &add, sizeof add, &ticket), -EAGAIN);
    while (act_stop(w.service, 0) != 0)
        sched_yield(); /* the lane is full */
    for (uint32_t i = 0; i < VSR_CALLER_SENDS_MAX; i++) {
        int status = vsr_caller_receive(caller, &ticket, NULL, NULL, UINT64_MAX);
        cr_assert(status == -EAGAIN || status == -ECONNRESET || status == -ECANCELED);
    }
    cr_assert_eq(vsr_caller_receive(caller, &ticket, NULL, NULL, UINT64_MAX), -ENOENT);
    vsr_caller_close(caller);
    cr_assert_eq(vsr_caller_open(w.runtime, w.service, &caller), 0);
    cr_assert_eq(call(caller, 1, &value, UINT64_MAX), -ECANCELED); /* nobody has taken it */
    cr_assert_eq(call(caller, 1, &value, UINT64_MAX), -ECANCELED);
    vsr_caller_close(caller);
    cr_assert_eq(act_port_open(w.runtime, &port), 0);
    act_port_close(port);
    resume_two(&w);
    world_stop(&w);
}

/* service.h: when the cluster is gone for good callers are told at once, however long they would
 * wait: what is outstanding is unknown, what comes later is never executed. */
Test(answers, come_when_the_cluster_is_gone)
{
    struct world w;
    uint64_t value = 0;

    start_and_call(&w, (struct shape){2, 64, 8, 0, 0});
    world_kill(&w, 1);
    cr_assert_eq(call(w.caller, 1, &value, 10 * SECOND), 0, "one of three is survived");
    cr_assert_eq(vsr_cluster_pause(w.cluster, 2), 0);
    send(w.caller, 10);
    cr_assert_eq(vsr_cluster_kill(w.cluster, 2, VSR_KILL_FORCED), 0);
    cr_assert_eq(receive(w.caller, 10, -EOWNERDEAD, -ENOTRECOVERABLE), 2);
    cr_assert_eq(call(w.caller, 1, &value, UINT64_MAX), -ENOTRECOVERABLE);
    world_restart(&w, 1);
    cr_assert_eq(call(w.caller, 1, &value, UINT64_MAX), -ENOTRECOVERABLE);
    world_stop(&w);
}

struct on_worker {
    struct world *world;
    int open;
    int stop;
    atomic_int is_done;
};

static void try_to_block(void *state, struct act_message *m)
{
    struct on_worker *t = state;
    struct vsr_caller *caller;

    t->open = vsr_caller_open(t->world->runtime, t->world->service, &caller);
    t->stop = vsr_service_stop(t->world->runtime, t->world->service, SECOND);
    act_message_unref(m);
    act_exit(0);
    atomic_store(&t->is_done, 1);
}

/* caller.h, service.h: what blocks says -EDEADLK on a worker. */
Test(answers, are_not_waited_for_on_a_worker)
{
    static const struct act_behaviour behaviour = {.receive = try_to_block};
    struct world w;
    struct on_worker t = {.world = &w};
    struct act_port *port;
    act_id id;

    start(&w, (struct shape){1, 1, 8, 0, 0});
    cr_assert_eq(act_port_open(w.runtime, &port), 0);
    cr_assert_eq(act_spawn(&(struct act_spawn_options){.behaviour = &behaviour, .state = &t}, &id),
                 0);
    cr_assert_eq(act_send(id, act_message_create(1, 0)), 0);
    while (!atomic_load(&t.is_done))
        sched_yield();
    cr_assert_eq(t.open, -EDEADLK);
    cr_assert_eq(t.stop, -EDEADLK);
    act_port_close(port);
    world_stop(&w);
}

/* service.h, caller.h: misuse that can be seen. */
Test(answers, misuse_is_refused)
{
    struct world w;
    struct vsr_caller *second;
    uint8_t large[1025] = {0};
    uint64_t ticket;
    struct vsr_service_options o;
    struct vsr_error why;
    act_id id;

    start(&w, (struct shape){1, 1, 8, 0, 0});
    cr_assert_eq(vsr_service_send(w.service, 1, &add, sizeof add), -EINVAL, "no port");
    world_start_caller(&w);
    cr_assert_eq(vsr_caller_open(w.runtime, w.service, &second), -EBUSY);
    cr_assert_eq(vsr_caller_send(w.caller, NULL, 8, &ticket), -EINVAL);
    cr_assert_eq(vsr_caller_call(w.caller, large, VSR_OP_BYTES_MAX + 1, NULL, NULL, SECOND),
                 -EMSGSIZE);
    cr_assert_eq(vsr_caller_call(w.caller, large, sizeof large, NULL, NULL, 10 * SECOND), -EMSGSIZE,
                 "above the cluster's op_bytes_max");
    vsr_service_options_init(&o);
    cr_assert_eq(vsr_service_spawn(&o, &id, &why), -EINVAL);
    cr_assert_str_eq(why.option, "peers");
    o.peers = vsr_cluster_peers(w.cluster);
    o.waiting_max = 0;
    cr_assert_eq(vsr_service_spawn(&o, &id, &why), -EINVAL);
    cr_assert_str_eq(why.text, "waiting_max is 0; accepted is 1 to 4194304");
    world_stop(&w);
}

static void *call_elsewhere(void *caller)
{
    vsr_caller_close(caller);
    return NULL;
}

/* caller.h: a caller belongs to one thread; the message says so. */
Test(answers, caller_of_another_thread_is_an_error_of_the_program, .signal = SIGABRT)
{
    struct world w;
    pthread_t thread;

    world_expect_last_words("vsr_caller_close is called wrongly: a caller belongs");
    start(&w, (struct shape){1, 1, 8, 0, 0});
    world_start_caller(&w);
    cr_assert_eq(pthread_create(&thread, NULL, call_elsewhere, w.caller), 0);
    pthread_join(thread, NULL);
}

/* service.h: each status has a text and says whether the operation may have been executed. */
Test(answers, statuses_tell_never_executed_from_unknown)
{
    static const int never[] = {-EAGAIN, -ENOMEM, -EMSGSIZE, -EINVAL, -ECANCELED, -ENOTRECOVERABLE};
    static const int unknown[] = {0, -ECONNRESET, -ETIMEDOUT, -EOWNERDEAD, -4711};

    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
        cr_assert(!vsr_status_may_be_executed(never[i]));
        cr_assert_eq(strncmp(vsr_status_text(never[i]), "never", 5), 0);
    }
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        cr_assert(vsr_status_may_be_executed(unknown[i]));
    cr_assert_str_eq(vsr_status_text(-4711), "?");
}
