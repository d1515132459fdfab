/**
 * bench_actor: the runtime's own figures. Each is measured on a runtime of two workers.
 */
#include "harness.h"
#include "program.h"

#include <act/actor.h>
#include <act/port.h>
#include <act/runtime.h>
#include <act/timer.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TYPE_START = 1, TYPE_WORK, TYPE_DONE, RING = 100, FAN_IN = 16, CROWD = 64 };
enum { MILLION = 1000000, BURST = 512, TIMEOUT_S = 60 };

/** What all benchmarks share; written before the actors start, read by them. */
static struct {
    struct act_runtime *runtime;
    struct act_port *port;
    act_id port_id;
    bool is_json;
} bench;

static struct act_message *create(uint32_t type, uint64_t value)
{
    struct act_message *m = act_message_create(type, sizeof value);
    if (m == NULL) {
        fprintf(stderr, "bench_actor: the pool is at its bound\n");
        exit(1);
    }
    memcpy(m->body, &value, sizeof value);
    return m;
}

static void send(act_id to, struct act_message *m)
{
    if (act_send(to, m) == 0) return;
    fprintf(stderr, "bench_actor: a send was refused that had room\n");
    exit(1);
}

/** The port looks when it is woken; until then its lane may be full. */
static void send_done(void)
{
    struct act_message *m = create(TYPE_DONE, 0);
    while (act_send(bench.port_id, m) != 0) {
    }
}

/* Ping-pong: two actors, one message. */

struct player {
    act_id other;
    uint64_t rounds_left;
    uint64_t started_ns; /* of a timed round; 0 = not timed */
    struct histogram *latency;
};

static void player_receive(void *state, struct act_message *m)
{
    struct player *p = state;

    if (m->type == TYPE_START) {
        m->type = TYPE_WORK;
        send(p->other, m);
        return;
    }
    if (p->rounds_left == 0) { /* the one that answers */
        act_id to = m->from;
        send(to, m);
        return;
    }
    if (--p->rounds_left == 0) {
        act_message_unref(m);
        send_done();
        return;
    }
    send(p->other, m);
}

/** The same, with the clock read at every round. */
static void timer_receive(void *state, struct act_message *m)
{
    struct player *p = state;
    uint64_t now_ns = act_now_ns();

    if (m->type != TYPE_START) histogram_add(p->latency, now_ns - p->started_ns);
    m->type = TYPE_WORK;
    p->started_ns = now_ns;
    player_receive(p, m);
}

static const struct act_behaviour player_behaviour = {.receive = player_receive};
static const struct act_behaviour timer_behaviour = {.receive = timer_receive};

/* Timers, one after another; the latency is how late they come. */

struct sleeper {
    uint64_t left;
    uint64_t due_ns;
    struct histogram *lateness;
};

static void sleeper_receive(void *state, struct act_message *m)
{
    struct sleeper *s = state;
    const uint64_t now_ns = act_now_ns();

    if (m->type != TYPE_START) histogram_add(s->lateness, now_ns - s->due_ns);
    act_message_unref(m);
    if (s->left-- == 0) {
        send_done();
        return;
    }
    s->due_ns = now_ns + 200000;
    if (act_timer_start(200000, TYPE_WORK, 0, NULL) != 0) exit(1);
}

/** Works for 10 us, then again. */
static void worker_receive(void *state, struct act_message *m)
{
    (void)state;
    for (const uint64_t end_ns = act_now_ns() + 10000; act_now_ns() < end_ns;)
        continue;
    send(act_self(), m);
}

static const struct act_behaviour sleeper_behaviour = {.receive = sleeper_receive};
static const struct act_behaviour worker_behaviour = {.receive = worker_receive};

/* Producers and a consumer. */

struct producer {
    const act_id *to;
    uint32_t to_count;
    uint64_t left;
    uint64_t random;
};

/** Sends until the receiver has no room or the burst is over, then lets others have a turn. */
static void producer_receive(void *state, struct act_message *m)
{
    struct producer *p = state;

    for (uint32_t i = 0; i < BURST && p->left > 0; i++) {
        act_id to = p->to[0];
        if (p->to_count > 1) {
            p->random = p->random * 6364136223846793005ull + 1442695040888963407ull;
            to = p->to[(p->random >> 33) % p->to_count];
        }
        struct act_message *work = create(TYPE_WORK, p->left);
        if (act_send(to, work) != 0) {
            act_message_unref(work);
            act_message_unref(m);
            if (act_await_room(to) != 0) exit(1);
            return;
        }
        p->left--;
    }
    m->type = TYPE_START; /* ROOM is the runtime's to send */
    if (p->left == 0 || act_send(act_self(), m) != 0) act_message_unref(m);
}

struct consumer {
    uint64_t left;
    uint64_t sum;
};

static void consumer_receive(void *state, struct act_message *m)
{
    struct consumer *c = state;
    uint64_t value;

    memcpy(&value, m->body, sizeof value);
    c->sum += value;
    act_message_unref(m);
    if (--c->left == 0) send_done();
}

static const struct act_behaviour producer_behaviour = {.receive = producer_receive};
static const struct act_behaviour consumer_behaviour = {.receive = consumer_receive};

/* A ring: one message goes round. */

struct link {
    act_id next;
};

static void link_receive(void *state, struct act_message *m)
{
    struct link *l = state;
    uint64_t left;

    memcpy(&left, m->body, sizeof left);
    if (m->type == TYPE_START) {
        memcpy(&l->next, m->body, sizeof l->next);
        act_message_unref(m);
        return;
    }
    if (--left == 0) {
        act_message_unref(m);
        send_done();
        return;
    }
    memcpy(m->body, &left, sizeof left);
    send(l->next, m);
}

static const struct act_behaviour link_behaviour = {.receive = link_receive};

/* A crowd: each message goes from one to another at random, so many times. */

struct member {
    const act_id *all;
    uint64_t random;
};

static void member_receive(void *state, struct act_message *m)
{
    struct member *c = state;
    uint64_t left;

    memcpy(&left, m->body, sizeof left);
    if (--left == 0) {
        act_message_unref(m);
        send_done();
        return;
    }
    memcpy(m->body, &left, sizeof left);
    c->random = c->random * 6364136223846793005ull + 1442695040888963407ull;
    send(c->all[(c->random >> 33) % CROWD], m);
}

static const struct act_behaviour member_behaviour = {.receive = member_receive};

/* Spawn: an actor gets a message, answers and is gone; the answer brings the next one. */

struct parent {
    uint64_t left;
    uint64_t answers_left;
};

static void child_receive(void *state, struct act_message *m)
{
    act_id parent = m->from;

    (void)state;
    act_exit(0);
    send(parent, m);
}

static const struct act_behaviour child_behaviour = {.receive = child_receive};

static void spawn_child(struct parent *p, struct act_message *m)
{
    act_id id;

    if (act_spawn(&(struct act_spawn_options){.behaviour = &child_behaviour}, &id) != 0) {
        fprintf(stderr, "bench_actor: no actor slot is free\n");
        exit(1);
    }
    p->left--;
    send(id, m);
}

static void parent_receive(void *state, struct act_message *m)
{
    struct parent *p = state;

    if (m->type == TYPE_START) {
        act_message_unref(m);
        for (uint32_t i = 0; i < 64; i++)
            spawn_child(p, create(TYPE_WORK, 0));
        return;
    }
    p->answers_left--;
    if (p->left > 0)
        spawn_child(p, m);
    else
        act_message_unref(m);
    if (p->answers_left == 0) send_done();
}

static const struct act_behaviour parent_behaviour = {.receive = parent_receive};

/* The frame. */

static act_id spawn(const struct act_behaviour *behaviour, void *state, uint32_t worker)
{
    act_id id;
    int error = act_spawn(&(struct act_spawn_options){.behaviour = behaviour,
                                                      .state = state,
                                                      .place = ACT_PLACE_ON(worker)},
                          &id);
    if (error == 0) return id;
    fprintf(stderr, "bench_actor: spawn: %s\n", strerror(-error));
    exit(1);
}

static void stop(act_id id)
{
    while (act_stop(id, 0) != 0) {
    }
}

/** Waits for `times` benchmarks' ends; then prints the row. */
static void finish(const char *name, const char *unit, uint64_t start_ns, uint64_t count,
                   uint32_t times, const struct histogram *latency)
{
    struct row row = {.benchmark = "actor", .row = name, .per_second_name = unit};

    for (uint32_t i = 0; i < times; i++) {
        struct act_message *m = act_port_receive(bench.port, TIMEOUT_S * 1000000000ull);
        if (m == NULL) {
            fprintf(stderr, "bench_actor: %s did not end within %d s\n", name, TIMEOUT_S);
            exit(1);
        }
        act_message_unref(m);
    }
    uint64_t spent_ns = act_now_ns() - start_ns;
    if (!calibrate(&row.calibration)) exit(1);
    row.per_second = (double)count * 1e9 / (double)spent_ns;
    row.latency = latency;
    row.peak_rss_bytes = process_peak_rss_bytes();
    row_print(&row, bench.is_json);
}

static void measure_ping_pong(const char *name, uint32_t other_worker, uint64_t rounds)
{
    struct player players[2] = {{.rounds_left = rounds}, {0}};
    act_id ids[2] = {spawn(&player_behaviour, &players[0], 0),
                     spawn(&player_behaviour, &players[1], other_worker)};

    players[0].other = ids[1];
    uint64_t start = act_now_ns();
    send(ids[0], create(TYPE_START, 0));
    finish(name, "round_trips_per_second", start, rounds, 1, NULL);
    stop(ids[0]);
    stop(ids[1]);
}

static void measure_ping_pong_latency(uint64_t rounds)
{
    static struct histogram latency;
    struct player players[2] = {{.rounds_left = rounds, .latency = &latency}, {0}};
    act_id ids[2] = {spawn(&timer_behaviour, &players[0], 0),
                     spawn(&player_behaviour, &players[1], 1)};

    players[0].other = ids[1];
    uint64_t start = act_now_ns();
    send(ids[0], create(TYPE_START, 0));
    finish("ping-pong-across-latency", "round_trips_per_second", start, rounds, 1, &latency);
    stop(ids[0]);
    stop(ids[1]);
}

static void measure_lateness(const char *name, bool is_busy, uint64_t timers)
{
    static struct histogram lateness;
    struct sleeper sleeper = {.left = timers, .lateness = &lateness};
    const act_id id = spawn(&sleeper_behaviour, &sleeper, 0);
    const act_id worker = is_busy ? spawn(&worker_behaviour, NULL, 0) : ACT_ID_NONE;

    lateness = (struct histogram){0};
    if (is_busy) send(worker, create(TYPE_START, 0));
    const uint64_t start = act_now_ns();
    send(id, create(TYPE_START, 0));
    finish(name, "timers_per_second", start, timers, 1, &lateness);
    stop(id);
    if (is_busy) stop(worker);
}

static void measure_producers(const char *name, uint32_t producers, uint32_t place_step,
                              uint64_t messages)
{
    static struct producer states[FAN_IN];
    struct consumer consumer = {.left = messages / producers * producers};
    const uint64_t total = consumer.left;
    const act_id to = spawn(&consumer_behaviour, &consumer, 1);
    act_id ids[FAN_IN];

    uint64_t start = act_now_ns();
    for (uint32_t i = 0; i < producers; i++) {
        states[i] = (struct producer){.to = &to, .to_count = 1, .left = messages / producers};
        ids[i] = spawn(&producer_behaviour, &states[i], i * place_step % 2);
        send(ids[i], create(TYPE_START, 0));
    }
    finish(name, "messages_per_second", start, total, 1, NULL);
    for (uint32_t i = 0; i < producers; i++)
        stop(ids[i]);
    stop(to);
}

static void measure_ring(uint64_t hops)
{
    static struct link links[RING];
    act_id ids[RING];

    for (uint32_t i = 0; i < RING; i++)
        ids[i] = spawn(&link_behaviour, &links[i], 0);
    for (uint32_t i = 0; i < RING; i++)
        send(ids[i], create(TYPE_START, ids[(i + 1) % RING]));
    uint64_t start = act_now_ns();
    send(ids[0], create(TYPE_WORK, hops));
    finish("ring-of-100", "hops_per_second", start, hops, 1, NULL);
    for (uint32_t i = 0; i < RING; i++)
        stop(ids[i]);
}

static void measure_crowd(uint64_t hops)
{
    enum { MESSAGES = CROWD * 2 }; /* they fit into a lane even if its worker is not running */
    static struct member members[CROWD];
    static act_id ids[CROWD];

    for (uint32_t i = 0; i < CROWD; i++) {
        members[i] = (struct member){.all = ids, .random = i};
        ids[i] = spawn(&member_behaviour, &members[i], i % 2);
    }
    uint64_t start = act_now_ns();
    for (uint32_t i = 0; i < MESSAGES; i++) {
        struct act_message *m = create(TYPE_WORK, hops / MESSAGES);
        while (act_send(ids[i % CROWD], m) != 0) {
            /* The lane is full: the worker will take it soon. */
        }
    }
    finish("64-actors-random", "messages_per_second", start, hops, MESSAGES, NULL);
    for (uint32_t i = 0; i < CROWD; i++)
        stop(ids[i]);
}

static void measure_spawn(uint64_t actors)
{
    struct parent parent = {.left = actors, .answers_left = actors};
    act_id id = spawn(&parent_behaviour, &parent, 0);

    uint64_t start = act_now_ns();
    send(id, create(TYPE_START, 0));
    finish("spawn-message-stop", "actors_per_second", start, actors, 1, NULL);
    stop(id);
}

/** Resident memory that a hundred thousand idle actors add, and one message to each costs time. */
static void measure_idle(void)
{
    enum { IDLE = 400000 };
    static act_id ids[IDLE];
    struct row row = {
        .benchmark = "actor", .row = "idle-actors", .per_second_name = "spawns_per_second"};

    process_reset_peak();
    uint64_t before = process_peak_rss_bytes();
    uint64_t start = act_now_ns();
    for (uint32_t i = 0; i < IDLE; i++)
        ids[i] = spawn(&link_behaviour, NULL, i % 2);
    uint64_t spent = act_now_ns() - start;
    row.peak_rss_bytes = process_peak_rss_bytes();
    if (!calibrate(&row.calibration)) exit(1);
    row.per_second = IDLE * 1e9 / (double)spent;
    double bytes = ((double)row.peak_rss_bytes - (double)before) / IDLE;
    row_add_number(&row, "bytes_per_idle_actor", bytes);
    row_print(&row, bench.is_json);
    if (!bench.is_json) printf("%-36s %9.1f bytes\n", "memory of an idle actor", bytes);
    for (uint32_t i = 0; i < IDLE; i++)
        stop(ids[i]);
}

int main(int argc, char **argv)
{
    struct act_runtime_options o;
    struct act_error why;

    program_begin("bench_actor");
    bench.is_json = argc > 1 && strcmp(argv[1], "--json") == 0;
    if (argc > 2 || (argc == 2 && !bench.is_json)) {
        fprintf(stderr, "bench_actor: accepted is --json\n");
        return 2;
    }
    act_runtime_options_init(&o);
    o.workers = 2;
    if (act_runtime_start(&o, &bench.runtime, &why) != 0) {
        fprintf(stderr, "bench_actor: %s\n", why.text);
        return 1;
    }
    if (act_port_open(bench.runtime, &bench.port) != 0) return 1;
    bench.port_id = act_port_id(bench.port);
    measure_idle(); /* first: its memory has not been touched */
    measure_ping_pong("ping-pong", 0, 20 * MILLION);
    measure_ping_pong("ping-pong-across", 1, 2 * MILLION);
    measure_ping_pong_latency(2 * MILLION);
    measure_lateness("timer-lateness-idle", false, 5000);
    measure_lateness("timer-lateness-busy", true, 5000);
    measure_producers("one-to-one-across", 1, 1, 30 * MILLION);
    measure_producers("fan-in-16-to-1", FAN_IN, 1, 30 * MILLION);
    measure_ring(50 * MILLION);
    measure_crowd(30 * MILLION);
    measure_spawn(5 * MILLION);
    act_port_close(bench.port);
    uint64_t leaked = act_runtime_stop(bench.runtime);
    if (leaked == 0) return program_end("bench_actor", 0);
    fprintf(stderr, "bench_actor: %llu messages did not come back\n", (unsigned long long)leaked);
    return 1;
}
