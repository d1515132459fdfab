/**
 * stress_pool: messages are made on one worker, shared by act_message_ref, read, passed on and
 * ended on others. No body is used again while somebody still reads it, and everything comes home.
 */
#include "stress.h"

#include <act/actor.h>
#include <act/port.h>
#include <act/runtime.h>

enum { WORKERS = 3, ACTORS = 12, VIEWS_MAX = 5, HOPS_MAX = 4, MESSAGES_PER_TURN = 8 };

/* The type of a body says how often it may still go on: TYPE_BODY + hops. */
enum type { TYPE_TICK = 1, TYPE_COUNT, TYPE_BODY };

enum { CLASSES = 10, CLASS_BYTES_MIN = 64, FILL_BYTES = 128 << 10, LINGER_SPINS = 3000 };

static act_id ids[ACTORS];

/** Touched by its actor alone. */
struct sharer {
    uint32_t index;
    uint64_t random;
    struct act_message *kept; /* shared some turns ago: maybe the last handle by now */
};

static struct sharer sharers[ACTORS];
/** How many messages of each size the workers' pools can give; written by one actor of each. */
static uint32_t counts[WORKERS][CLASSES];
static atomic_uint counted;     /* release, acquire: workers that have filled their row in */
static atomic_uint is_over = 1; /* relaxed: a switch */
static atomic_ullong created;
static atomic_ullong shared;
static atomic_ullong rewritten;

static bool over(void)
{
    return atomic_load_explicit(&is_over, memory_order_relaxed) != 0;
}

/** A body repeats one number. */
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
    const uint32_t log2 = random_one_in(random, 50) ? 10 : random_below(random, 7);
    return 8 + 8 * random_below(random, 2u << log2);
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

static void create_one(struct sharer *s)
{
    uint64_t *random = &s->random;
    struct act_message *m = act_message_create(TYPE_BODY + HOPS_MAX, choose_bytes(random));

    if (m == NULL) return; /* the pool is at its bound: the others end some */
    count_up(&created);
    CHECK(!act_message_is_shared(m));
    CHECK(act_message_capacity(m) >= m->body_bytes);
    fill(m, random_below(random, 1u << 30));
    share(random, m);
    check_body(m); /* read-only by now, others read it too */
    if (s->kept == NULL)
        s->kept = m;
    else if (random_one_in(random, 2))
        pass_on(random, m);
    else
        act_message_unref(m);
}

/** Ends the kept handle; if it was the last one, the memory is used again at once. */
static void end_kept(struct sharer *s)
{
    struct act_message *m = s->kept;

    if (m == NULL) return;
    s->kept = NULL;
    const uint32_t bytes = m->body_bytes;
    act_message_unref(m);
    m = act_message_create(TYPE_TICK, bytes);
    if (m == NULL) return;
    fill(m, s->index);
    act_message_unref(m);
}

/**
 * Takes every message that the pool has and ends them all. Each size gets some memory the first
 * time and the smallest the rest, so the pool is at its bound and never grows again.
 */
static void count_pool(uint32_t worker)
{
    struct act_message *all = NULL;
    struct act_message *m;

    for (uint32_t class = CLASSES; class -- > 0;) {
        const uint32_t each = (uint32_t)CLASS_BYTES_MIN << class;
        uint32_t count = 0;
        while ((class == 0 || count < FILL_BYTES / each || counts[worker][class] > 0) &&
               (m = act_message_create(TYPE_TICK, each - 48)) != NULL) {
            memcpy(m->body, &all, sizeof all);
            all = m;
            count++;
        }
        counts[worker][class] = count;
    }
    while ((m = all) != NULL) {
        memcpy(&all, m->body, sizeof all);
        act_message_unref(m);
    }
    atomic_fetch_add_explicit(&counted, 1, memory_order_release);
}

static void receive(void *state, struct act_message *m)
{
    struct sharer *s = state;
    uint64_t *random = &s->random;

    if (m->type < TYPE_BODY) {
        const uint32_t type = m->type;
        act_message_unref(m);
        if (type == TYPE_COUNT) count_pool(s->index % WORKERS);
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
    struct sharer *s = state;

    /* After some turns, when the others may just have ended theirs. */
    if (over() || random_one_in(&s->random, 4)) end_kept(s);
    if (over()) return;
    for (uint32_t i = random_below(&s->random, MESSAGES_PER_TURN); i > 0; i--)
        create_one(s);
    /* Lingers after it has ended others' bodies and before its sends and returns are published:
     * the order must come from the reference count alone. */
    if (random_one_in(&s->random, 2))
        for (volatile uint32_t i = 0; i < LINGER_SPINS; i++)
            ;
    struct act_message *tick = act_message_create(TYPE_TICK, 0);
    /* Without room or memory: what waits in the mailbox brings the next turn. */
    if (tick != NULL && act_send(act_self(), tick) != 0) act_message_unref(tick);
}

static const struct act_behaviour behaviour = {.receive = receive, .turn_end = turn_end};

static void spawn_all(void)
{
    for (uint32_t i = 0; i < ACTORS; i++) {
        struct act_spawn_options o = {.behaviour = &behaviour, .state = &sharers[i]};
        sharers[i] = (struct sharer){.index = i, .random = random_from_seed(i)};
        o.place = ACT_PLACE_ON(i % WORKERS);
        CHECK(act_spawn(&o, &ids[i]) == 0);
    }
}

static void send_to(uint32_t actor, uint32_t type)
{
    struct act_message *m = act_message_create(type, 0);
    if (m != NULL && act_send(ids[actor], m) != 0) act_message_unref(m);
}

/** Each worker counts what its pool can give. Nothing else runs. */
static void count_pools(void)
{
    atomic_store_explicit(&counted, 0, memory_order_relaxed);
    for (uint32_t i = 0; i < WORKERS; i++)
        send_to(i, TYPE_COUNT);
    while (atomic_load_explicit(&counted, memory_order_acquire) < WORKERS)
        stress_sleep_us(1000);
}

/** Ticks for all until the time is over: an actor may have gone idle when memory was short. */
static void drive(struct act_port *port)
{
    const uint64_t end_ns = act_now_ns() + stress_ns;

    atomic_store_explicit(&is_over, 0, memory_order_relaxed);
    do {
        for (uint32_t i = 0; i < ACTORS; i++)
            send_to(i, TYPE_TICK);
        CHECK(act_port_receive(port, 20000000) == NULL);
    } while (act_now_ns() < end_ns);
    atomic_store_explicit(&is_over, 1, memory_order_relaxed);
    for (uint32_t i = 0; i < ACTORS; i++)
        send_to(i, TYPE_TICK); /* a last turn: nothing is kept */
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
    struct act_port *port;
    static uint32_t before[WORKERS][CLASSES];

    stress_begin("stress_pool", argc, argv);
    act_runtime_options_init(&o);
    o.workers = WORKERS;
    o.spin_us = 5;
    o.mailbox_max = 64;
    o.pool_bytes_max = 2 << 20; /* short of memory now and then */
    CHECK(act_runtime_start(&o, &runtime, NULL) == 0);
    CHECK(act_port_open(runtime, &port) == 0);
    spawn_all();
    count_pools();
    memcpy(before, counts, sizeof before);
    drive(port);
    settle(runtime);
    for (;;) { /* returns travel a while; a body lost for ever is the watchdog's */
        count_pools();
        if (memcmp(before, counts, sizeof before) == 0) break;
        for (uint32_t i = 0; i < WORKERS * CLASSES; i++)
            CHECK((&counts[0][0])[i] <= (&before[0][0])[i]);
    }
    act_port_close(port);
    CHECK(act_runtime_stop(runtime) == 0);
    CHECK(count_of(&created) > 0);
    CHECK(count_of(&shared) > 0);
    CHECK(count_of(&rewritten) > 0);
    return 0;
}
