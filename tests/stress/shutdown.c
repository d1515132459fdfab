/**
 * stress_shutdown: act_runtime_stop while actors on all workers send, spawn, start timers, monitor
 * and stop each other; again and again. Every actor is stopped once, every message comes home, and
 * the actors see what was written before act_runtime_stop.
 */
#include "stress.h"

#include <act/actor.h>
#include <act/port.h>
#include <act/runtime.h>

enum { WORKERS = 3, KNOWN = 32, STEPS_PER_TURN = 6, ROOTS = 6, ACTORS_MAX = 4096 };

enum type { TYPE_TICK = 1, TYPE_TIMER, TYPE_WORD };

/** From the spawn to the actor's stop. Touched by its actor alone. */
struct state {
    uint64_t random;
    uint32_t turns_left;
    struct act_message *kept; /* an actor may hold messages when it is stopped */
    act_id known[KNOWN];
};

static atomic_ullong born;
static atomic_ullong died;
static atomic_ullong shut_down;
static uint64_t note; /* plain: written before act_runtime_stop, read by who is stopped by it */

static void receive(void *state, struct act_message *m);
static void turn_end(void *state);
static void stopped(void *state, int reason);

static const struct act_behaviour behaviour = {
    .receive = receive, .turn_end = turn_end, .stopped = stopped};

/** Spawns an actor that knows whom its maker knows. Returns its id, or ACT_ID_NONE. */
static act_id breed(uint64_t *random, const act_id *known, uint32_t turns)
{
    struct act_spawn_options o = {.behaviour = &behaviour, .mailbox_max = 32};
    struct state *s = calloc(1, sizeof *s);
    act_id id;

    CHECK(s != NULL);
    s->random = *random ^ (uint64_t)random_below(random, 1u << 30);
    s->turns_left = turns;
    if (known != NULL) memcpy(s->known, known, sizeof s->known);
    o.state = s;
    o.place = random_below(random, WORKERS + 1);
    count_up(&born);
    if (act_spawn(&o, &id) == 0) return id;
    atomic_fetch_sub_explicit(&born, 1, memory_order_relaxed);
    free(s);
    return ACT_ID_NONE;
}

static void send_word(act_id to, uint32_t type)
{
    struct act_message *m = act_message_create(type, 64);

    if (m == NULL) return;
    memset(m->body, 0x5A, 64);
    if (act_send(to, m) == 0) return;
    act_message_unref(m);
    if (to != ACT_ID_NONE && act_await_room(to) != 0) return;
}

static void receive(void *state, struct act_message *m)
{
    struct state *s = state;

    if (s->kept != NULL) act_message_unref(s->kept);
    s->kept = m;
}

static void step(struct state *s)
{
    act_id *known = &s->known[random_below(&s->random, KNOWN)];
    act_timer timer;

    switch (random_below(&s->random, 10)) {
    case 0:
    case 1: {
        act_id id = breed(&s->random, s->known, 1 + random_below(&s->random, 20));
        if (id == ACT_ID_NONE) break;
        *known = id;
        send_word(id, TYPE_TICK);
        break;
    }
    case 2:
        if (*known != ACT_ID_NONE) (void)!act_stop(*known, 1);
        break;
    case 3:
        if (*known != ACT_ID_NONE) (void)!act_monitor(*known);
        break;
    case 4:
        CHECK(act_timer_start(random_below(&s->random, 2000000), TYPE_TIMER, 0, &timer) == 0);
        if (random_one_in(&s->random, 4)) act_timer_cancel(timer);
        break;
    default:
        send_word(*known, TYPE_WORD);
    }
}

static void turn_end(void *state)
{
    struct state *s = state;

    for (uint32_t i = 0; i < STEPS_PER_TURN; i++)
        step(s);
    if (s->turns_left > 0 && --s->turns_left == 0)
        act_exit(2);
    else
        send_word(act_self(), TYPE_TICK);
}

static void stopped(void *state, int reason)
{
    struct state *s = state;

    if (reason == ACT_REASON_SHUTDOWN) {
        CHECK(note == stress_seed); /* S1, S2: what came before the order to shut down */
        count_up(&shut_down);
        CHECK(breed(&s->random, NULL, 1) == ACT_ID_NONE);
    }
    /* The last words of the dying, to the living and to the dead. */
    for (uint32_t i = 0; i < 4; i++)
        send_word(s->known[random_below(&s->random, KNOWN)], TYPE_WORD);
    if (s->kept != NULL) act_message_unref(s->kept);
    memset(s, 0xA5, sizeof *s);
    free(s);
    count_up(&died);
}

static void run(uint64_t *random)
{
    struct act_runtime_options o;
    struct act_runtime *runtime;
    struct act_port *port;

    note = 0;
    act_runtime_options_init(&o);
    o.workers = WORKERS;
    o.actors_max = ACTORS_MAX;
    o.spin_us = random_below(random, 20);
    o.pool_bytes_max = 8 << 20;
    CHECK(act_runtime_start(&o, &runtime, NULL) == 0);
    CHECK(act_port_open(runtime, &port) == 0);
    act_id roots[ROOTS]; /* They go on for ever, and leave no slot free once they breed. */
    for (uint32_t i = 0; i < ROOTS; i++)
        roots[i] = breed(random, NULL, 0);
    for (uint32_t i = 0; i < ROOTS; i++) {
        struct act_message *m = act_message_create(TYPE_TICK, 0);
        CHECK(roots[i] != ACT_ID_NONE && m != NULL && act_send(roots[i], m) == 0);
        CHECK(act_monitor(roots[i]) == 0);
    }
    struct act_message *m = act_port_receive(port, random_below(random, 4000000));
    if (m != NULL) act_message_unref(m); /* a root was stopped by one of its children */
    act_port_close(port);
    note = stress_seed;
    CHECK(act_runtime_stop(runtime) == 0);
    CHECK(count_of(&died) == count_of(&born));
}

int main(int argc, char **argv)
{
    stress_begin("stress_shutdown", argc, argv);
    uint64_t random = random_from_seed(0);
    const uint64_t end_ns = act_now_ns() + stress_ns;

    do
        run(&random);
    while (act_now_ns() < end_ns);
    CHECK(count_of(&shut_down) > 0);
    CHECK(count_of(&born) > count_of(&shut_down)); /* some had ended before */
    return 0;
}
