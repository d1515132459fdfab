/**
 * stress_ports: foreign threads open a port, call actors, wait by receive or by poll, close the
 * port with answers still due, again and again. Each answer is the caller's own, and reaches no
 * later owner of the port; what came too late is a dead letter.
 */
#include "stress.h"

#include <act/actor.h>
#include <act/port.h>
#include <act/runtime.h>

#include <poll.h>
#include <sched.h>

/* More threads than ports: some find all of them open. */
enum { WORKERS = 2, THREADS = 4, PORTS = 3, CALLS_MAX = 40 };

struct call {
    uint32_t thread;
    uint32_t session; /* how often the thread has opened a port */
    uint64_t number;
    uint64_t answer;
};

static struct act_runtime *runtime;
static act_id servers[WORKERS];
static atomic_ullong asked;
static atomic_ullong answered;
static atomic_ullong came_back;
static atomic_ullong refused; /* answers: a lane or a mailbox is full */
static atomic_ullong all_open;

static void serve(void *state, struct act_message *m)
{
    const act_id from = m->from;
    struct call *call = m->body;

    (void)state;
    call->answer = ~call->number;
    if (act_send(from, m) == 0) {
        count_up(&answered);
        return;
    }
    act_message_unref(m);
    count_up(&refused);
}

static const struct act_behaviour server = {.receive = serve};

struct caller {
    uint32_t thread;
    uint32_t session;
    uint64_t random;
    uint64_t sent;     /* of this session */
    uint64_t received; /* likewise */
};

/** Returns whether the call was accepted. */
static bool call_one(struct caller *c)
{
    struct act_message *m = act_message_create(1, sizeof(struct call));

    CHECK(m != NULL);
    *(struct call *)m->body =
        (struct call){.thread = c->thread, .session = c->session, .number = c->sent};
    if (act_send(servers[c->sent % WORKERS], m) != 0) {
        act_message_unref(m);
        return false;
    }
    c->sent++;
    count_up(&asked);
    return true;
}

static void check_answer(struct caller *c, struct act_message *m)
{
    const struct call *call = m->body;

    CHECK(call->thread == c->thread && call->session == c->session);
    CHECK(call->number < c->sent);
    CHECK(call->answer == ~call->number);
    c->received++;
    count_up(&came_back);
    act_message_unref(m);
}

/** As an event loop does it: take all there is, then poll. */
static void receive_by_poll(struct caller *c, struct act_port *port, uint64_t count)
{
    struct pollfd wait = {.fd = act_port_fd(port), .events = POLLIN};

    while (c->received < count) {
        struct act_message *m = act_port_receive(port, 0);
        if (m != NULL)
            check_answer(c, m);
        else
            CHECK(poll(&wait, 1, -1) == 1);
    }
}

static void receive_by_waiting(struct caller *c, struct act_port *port, uint64_t count)
{
    while (c->received < count) {
        struct act_message *m = act_port_receive(port, UINT64_MAX);
        CHECK(m != NULL);
        check_answer(c, m);
    }
}

static void use_port(struct caller *c)
{
    struct act_port *port;
    int error = act_port_open(runtime, &port);

    if (error == -EAGAIN) {
        count_up(&all_open);
        sched_yield();
        return;
    }
    CHECK(error == 0);
    CHECK(act_self() == act_port_id(port));
    c->session++;
    c->sent = c->received = 0;
    for (uint32_t round = random_below(&c->random, 4); round > 0; round--) {
        for (uint32_t calls = random_below(&c->random, CALLS_MAX); calls > 0; calls--)
            if (!call_one(c)) break;
        /* Some of the answers, or all: the rest is still under way at the close. */
        uint64_t count = c->sent;
        if (random_one_in(&c->random, 2) && count > 0)
            count = random_below(&c->random, (uint32_t)count);
        if (random_one_in(&c->random, 2))
            receive_by_poll(c, port, count);
        else
            receive_by_waiting(c, port, count);
    }
    act_port_close(port);
}

static void *call_on(void *index)
{
    struct caller c = {.thread = (uint32_t)(uintptr_t)index};
    const uint64_t end_ns = act_now_ns() + stress_ns;

    c.random = random_from_seed(c.thread);
    while (act_now_ns() < end_ns)
        use_port(&c);
    return NULL;
}

static void spawn_servers(void)
{
    struct act_port *port;

    CHECK(act_port_open(runtime, &port) == 0);
    for (uint32_t i = 0; i < WORKERS; i++) {
        const struct act_spawn_options o = {.behaviour = &server, .place = ACT_PLACE_ON(i)};
        CHECK(act_spawn(&o, &servers[i]) == 0);
    }
    act_port_close(port);
}

static void run_threads(uint32_t count, void *(*call)(void *))
{
    pthread_t threads[THREADS];

    for (uintptr_t i = 0; i < count; i++)
        CHECK(pthread_create(&threads[i], NULL, call, (void *)i) == 0);
    for (uint32_t i = 0; i < count; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

/** Nothing lost: each call was served, each answer came back or is a dead letter. */
static void check_sums(void)
{
    struct act_runtime_stats stats;

    while (count_of(&answered) + count_of(&refused) < count_of(&asked))
        stress_sleep_us(1000);
    do { /* A worker publishes what it has sent at the end of its turn; closed ports are no reason.
          */
        stress_sleep_us(1000);
        act_runtime_stats(runtime, &stats);
    } while (count_of(&came_back) + stats.dead_letters < count_of(&answered));
    CHECK(count_of(&came_back) + stats.dead_letters == count_of(&answered));
    CHECK(stats.dead_letters > 0);
}

int main(int argc, char **argv)
{
    struct act_runtime_options o;

    stress_begin("stress_ports", argc, argv);
    act_runtime_options_init(&o);
    o.workers = WORKERS;
    o.ports_max = PORTS;
    o.spin_us = 5;
    CHECK(act_runtime_start(&o, &runtime, NULL) == 0);
    spawn_servers();
    run_threads(THREADS, call_on);
    check_sums();
    CHECK(act_runtime_stop(runtime) == 0);
    CHECK(count_of(&came_back) > 0);
    CHECK(count_of(&all_open) > 0);
    return 0;
}
