/**
 * stress_pool: messages are made on one worker, shared by act_message_ref, read, passed on and
 * ended on others. No body is used again while somebody still reads it, and everything comes home.
 */
#include "stress.h"

#include <act/actor.h>
#include <act/port.h>
#include <act/runtime.h>

enum { WORKERS = 3, ACTORS = 12, VIEWS_MAX = 5, HOPS_MAX = 4, MESSAGES_PER_TURN = 8 };

enum type { TYPE_TICK = 1, TYPE_BODY };

static act_id ids[ACTORS];
static uint64_t randoms[ACTORS];
static atomic_uint is_over; /* relaxed: a switch */
static atomic_ullong created;
static atomic_ullong shared;
static atomic_ullong rewritten;

/** A body repeats one number; hops is how often the type still allows a handle to go on. */
static void fill(struct act_message *m, uint64_t value)
{
    uint64_t *words = m->body;
    for (uint32_t i = 0; i < m->body_bytes / 8; i++)
        words[i] = value;
}

static void check_body(const struct act_message *m)
{
    const uint64_t *words = m->body;
    for (uint32_t i = 1; i < m->body_bytes / 8; i++)
        CHECK(words[i] == words[0]);
}

/** Mostly small, some large; all of whole words. */
static uint32_t choose_bytes(uint64_t *random)
{
    uint32_t log2 = random_one_in(random, 50) ? 16 : random_below(random, 9);
    return 8 + 8 * random_below(random, 1u << log2 >> 2 | 2);
}

static void pass_on(uint64_t *random, struct act_message *m)
{
    if (act_send(ids[random_below(random, ACTORS)], m) != 0) act_message_unref(m);
}

/** Gives up to VIEWS_MAX handles of m away. */
static void share(uint64_t *random, struct act_message *m)
{
    for (uint32_t views = random_below(random, VIEWS_MAX + 1); views > 0; views--) {
        struct act_message *view = act_message_ref(m);
        if (view == NULL) return;
        CHECK(view->body == m->body && view->body_bytes == m->body_bytes);
        CHECK(act_message_is_shared(view));
        count_up(&shared);
        pass_on(random, view);
        if (random_one_in(random, 4)) act_flush();
    }
}

static void create_one(uint64_t *random)
{
    struct act_message *m = act_message_create(TYPE_BODY + HOPS_MAX, choose_bytes(random));

    if (m == NULL) return; /* the pool is at its bound: the others end some */
    count_up(&created);
    CHECK(!act_message_is_shared(m));
    CHECK(act_message_capacity(m) >= m->body_bytes);
    fill(m, random_below(random, 1u << 30));
    share(random, m);
    check_body(m); /* read-only by now, others read it too */
    if (random_one_in(random, 2))
        pass_on(random, m);
    else
        act_message_unref(m);
}

static void receive(void *state, struct act_message *m)
{
    uint64_t *random = state;

    if (m->type < TYPE_BODY) {
        act_message_unref(m);
        return;
    }
    check_body(m);
    if (m->type > TYPE_BODY && random_one_in(random, 2)) {
        m->type--;
        if (random_one_in(random, 3)) share(random, m);
        check_body(m);
        pass_on(random, m);
        return;
    }
    if (!act_message_is_shared(m)) { /* then it is ours alone, and those before us are done */
        fill(m, random_below(random, 1u << 30));
        check_body(m);
        count_up(&rewritten);
    }
    act_message_unref(m);
}

static void turn_end(void *state)
{
    uint64_t *random = state;

    if (atomic_load_explicit(&is_over, memory_order_relaxed) != 0) return;
    for (uint32_t i = random_below(random, MESSAGES_PER_TURN); i > 0; i--)
        create_one(random);
    struct act_message *tick = act_message_create(TYPE_TICK, 0);
    /* Without room or memory: what waits in the mailbox brings the next turn. */
    if (tick != NULL && act_send(act_self(), tick) != 0) act_message_unref(tick);
}

static const struct act_behaviour behaviour = {.receive = receive, .turn_end = turn_end};

/** Ticks for all until the time is over: an actor may have gone idle when memory was short. */
static void drive(struct act_runtime *runtime)
{
    const uint64_t end_ns = act_now_ns() + stress_ns;
    struct act_port *port;

    CHECK(act_port_open(runtime, &port) == 0);
    for (uint32_t i = 0; i < ACTORS; i++) {
        struct act_spawn_options o = {.behaviour = &behaviour, .state = &randoms[i]};
        randoms[i] = random_from_seed(i);
        o.place = ACT_PLACE_ON(i % WORKERS);
        CHECK(act_spawn(&o, &ids[i]) == 0);
    }
    do {
        for (uint32_t i = 0; i < ACTORS; i++) {
            struct act_message *tick = act_message_create(TYPE_TICK, 0);
            if (tick != NULL && act_send(ids[i], tick) != 0) act_message_unref(tick);
        }
        CHECK(act_port_receive(port, 20000000) == NULL);
    } while (act_now_ns() < end_ns);
    act_port_close(port);
    atomic_store_explicit(&is_over, 1, memory_order_relaxed);
}

/** Everything comes to rest by itself, before the runtime ends what is left. */
static void settle(struct act_runtime *runtime)
{
    struct act_runtime_stats stats;

    do {
        stress_sleep_us(1000);
        act_runtime_stats(runtime, &stats);
    } while (stats.messages_live > 0);
}

int main(int argc, char **argv)
{
    struct act_runtime_options o;
    struct act_runtime *runtime;

    stress_begin("stress_pool", argc, argv);
    act_runtime_options_init(&o);
    o.workers = WORKERS;
    o.spin_us = 5;
    o.mailbox_max = 64;
    o.pool_bytes_max = 4 << 20; /* short of memory now and then */
    CHECK(act_runtime_start(&o, &runtime, NULL) == 0);
    drive(runtime);
    settle(runtime);
    CHECK(act_runtime_stop(runtime) == 0);
    CHECK(count_of(&created) > 0);
    CHECK(count_of(&shared) > 0);
    CHECK(count_of(&rewritten) > 0);
    return 0;
}
