/**
 * A run's clients: actors that keep operations outstanding, check the results and note when they
 * came. See run.h.
 */
#include "run.h"

#include <act/timer.h>
#include <vsr/client_actor.h>

#include <stdlib.h>
#include <string.h>

/** One latency in so many is recorded in a run with many operations outstanding. */
enum { LATENCY_SAMPLE = 16 };
/** Points noted at a time, of all clients. */
enum { POINTS_MAX = 1 << 20 };
/** RUN_BURSTS: long enough for workers to park. */
enum { REST_MS = 3 };

/** How many operations may be outstanding in this turn. */
static uint32_t limit_of(const struct bench_client *c, enum run_load load)
{
    const uint32_t all = c->run->options->outstanding;

    switch (load) {
    case RUN_FULL:
        break;
    case RUN_ONE:
        return c->index == 0;
    case RUN_BURSTS:
        return c->out_count == 0 && c->now_ns - c->rested_ns >= REST_MS * 1000000ull ? all : 0;
    }
    return all;
}

/** The clock, once per turn: submits and results of a turn share it. */
static void look_at_clock(struct bench_client *c)
{
    const struct run *run = c->run;

    if (c->now_ns != 0) return;
    c->now_ns = act_now_ns();
    c->phase = (enum phase)atomic_load_explicit(&run->phase, memory_order_relaxed);
    c->limit = run->options->outstanding;
    if (c->points_max == 0) return;
    c->limit = limit_of(c, (enum run_load)atomic_load_explicit(&run->load, memory_order_relaxed));
    uint32_t recording = atomic_load_explicit(&run->recording, memory_order_relaxed);
    if (recording == atomic_load_explicit(&c->recording, memory_order_relaxed)) return;
    if (recording % 2 == 1) atomic_store_explicit(&c->recorded, 0, memory_order_relaxed);
    atomic_store_explicit(&c->recording, recording, memory_order_relaxed);
}

/** Notes that this turn brought answers. */
static void record(struct bench_client *c)
{
    uint32_t at = atomic_load_explicit(&c->recorded, memory_order_relaxed);

    if (at == c->points_max) return;
    c->points[at] = (struct run_point){.ns = c->now_ns, .waited_ns = c->waited_ns};
    atomic_store_explicit(&c->recorded, at + 1, memory_order_release); /* R1 */
}

static void submit_more(struct bench_client *c, struct vsr_client_actor *actor)
{
    const struct workload *w = c->run->workload;

    while (c->idle_count > 0 && c->out_count < c->limit && !c->is_at_end) {
        if (c->phase == PHASE_STOP) return;
        const uint32_t session = c->idle[c->idle_count - 1];
        const void *payload;
        uint32_t bytes =
            workload_next(w, &c->cursor, c->first_session + session, c->buffer, &payload);
        if (bytes == 0) {
            c->is_at_end = true;
            return;
        }
        if (vsr_client_actor_submit(actor, session, payload, bytes) != 0) return;
        c->idle_count--;
        c->out_count++;
        c->sessions[session].is_sampled = (c->submitted++ & c->sample_mask) == 0;
        c->sessions[session].sent_ns = c->now_ns;
        c->sessions[session].is_out = true;
    }
}

static void on_opened(void *context, struct vsr_client_actor *actor, uint32_t session)
{
    struct bench_client *c = context;

    look_at_clock(c);
    c->idle[c->idle_count++] = session;
    if (++c->opened == c->run->options->sessions)
        atomic_store_explicit(&c->is_open, 1, memory_order_relaxed);
    if (c->phase != PHASE_OPENING) submit_more(c, actor);
}

static void on_result(void *context, struct vsr_client_actor *actor, uint32_t session,
                      const void *result, uint32_t result_bytes)
{
    struct bench_client *c = context;
    struct bench_session *s = &c->sessions[session];
    uint64_t value = 0;

    look_at_clock(c);
    if (!s->is_out) c->unexpected++;
    s->is_out = false;
    s->answered++;
    if (c->run->workload->kind == WORKLOAD_COUNTER) {
        /* The session's own counter: it counts what was executed of this session. */
        if (result_bytes == sizeof value) memcpy(&value, result, sizeof value);
        if (value != s->answered) c->wrong_results++;
    } else if (result_bytes < 4) {
        c->wrong_results++;
    }
    if (c->phase == PHASE_MEASURE && s->is_sampled)
        histogram_add(&c->latency, c->now_ns - s->sent_ns);
    c->out_count--;
    c->idle[c->idle_count++] = session;
    c->answered_count++;
    if (c->waited_ns == 0) c->waited_ns = c->now_ns - s->sent_ns;
    submit_more(c, actor);
}

static void on_evicted(void *context, struct vsr_client_actor *actor, uint32_t session)
{
    struct bench_client *c = context;

    (void)actor;
    (void)session;
    c->evictions++;
    c->out_count--;
}

static void on_turn_end(void *context, struct vsr_client_actor *actor)
{
    struct bench_client *c = context;

    look_at_clock(c);
    /* The end of the opening comes without a message: a tick brings us here. */
    if (c->phase != PHASE_OPENING) submit_more(c, actor);
    if (atomic_load_explicit(&c->recording, memory_order_relaxed) % 2 == 1 &&
        c->answered_count != atomic_load_explicit(&c->answered, memory_order_relaxed))
        record(c);
    atomic_store_explicit(&c->answered, c->answered_count, memory_order_relaxed);
    bool is_over = c->phase == PHASE_STOP || c->is_at_end;
    if (is_over && c->out_count == 0 &&
        atomic_load_explicit(&c->quiet_ns, memory_order_relaxed) == 0)
        atomic_store_explicit(&c->quiet_ns, c->now_ns, memory_order_relaxed);
    if (c->waited_ns != 0) c->rested_ns = c->now_ns;
    c->now_ns = c->waited_ns = 0;
}

static void on_stopped(void *context)
{
    struct bench_client *c = context;
    sem_post(&c->run->stopped);
}

static const struct vsr_client_callbacks callbacks = {
    .opened = on_opened,
    .result = on_result,
    .evicted = on_evicted,
    .turn_end = on_turn_end,
    .stopped = on_stopped,
};

/* The run's side of them. */

uint64_t run_group_answered(const struct run *run, uint32_t group)
{
    const uint32_t first = group * run->options->clients;
    uint64_t sum = 0;

    for (uint32_t i = 0; i < run->options->clients; i++)
        sum += atomic_load_explicit(&run->clients[first + i].answered, memory_order_relaxed);
    return sum;
}

uint64_t run_answered(const struct run *run)
{
    uint64_t sum = 0;

    for (uint32_t group = 0; group < run->options->groups; group++)
        sum += run_group_answered(run, group);
    return sum;
}

bool run_all_open(const struct run *run)
{
    for (uint32_t i = 0; i < run->client_count; i++)
        if (atomic_load_explicit(&run->clients[i].is_open, memory_order_relaxed) == 0) return false;
    return true;
}

bool run_all_quiet(const struct run *run)
{
    for (uint32_t i = 0; i < run->client_count; i++)
        if (atomic_load_explicit(&run->clients[i].quiet_ns, memory_order_relaxed) == 0)
            return false;
    return true;
}

uint64_t run_quiet_ns(const struct run *run)
{
    uint64_t last = 0;

    for (uint32_t i = 0; i < run->client_count; i++) {
        uint64_t ns = atomic_load_explicit(&run->clients[i].quiet_ns, memory_order_relaxed);
        if (ns > last) last = ns;
    }
    return last;
}

static bool init_client(struct run *run, uint32_t i)
{
    const struct bench_options *b = run->options;
    struct bench_client *c = &run->clients[i];

    c->run = run;
    c->index = i;
    c->group = i / b->clients;
    c->first_session = i % b->clients * b->sessions;
    c->sample_mask = (uint64_t)run->client_count * b->outstanding > 64 ? LATENCY_SAMPLE - 1 : 0;
    c->cursor = workload_cursor(run->workload, b->seed, i, run->client_count);
    c->sessions = calloc(b->sessions, sizeof *c->sessions);
    c->idle = calloc(b->sessions, sizeof *c->idle);
    c->buffer = calloc(1, run->workload->payload_max + 8);
    if (run->plan != NULL) {
        c->points_max = POINTS_MAX / run->client_count;
        c->points = malloc(c->points_max * sizeof *c->points);
        if (c->points == NULL) return false;
    }
    return c->sessions != NULL && c->idle != NULL && c->buffer != NULL;
}

static uint32_t client_worker(const struct bench_options *b, const struct bench_client *c)
{
    if (b->groups > 1) return run_group_worker(b, c->group);
    return run_is_for_latency(b) ? 0 : (c->index + 1) % b->workers;
}

bool run_start_clients(struct run *run)
{
    const struct bench_options *b = run->options;

    for (uint32_t i = 0; i < run->client_count; i++) {
        struct vsr_client_actor_options o;
        struct vsr_error why = {.option = "memory", .rule = ""};
        if (!init_client(run, i)) return run_fail(run, "no memory for client %u", i);
        vsr_client_actor_options_init(&o);
        o.peers = vsr_cluster_peers(run->groups[run->clients[i].group]);
        o.client.sessions = b->sessions;
        o.client.requests_per_message = b->requests_per_message;
        o.seed = b->seed + ((uint64_t)i + 1) * 0x9E3779B97F4A7C15ull;
        if (o.client.request_bytes_max < run->workload->payload_max + 256)
            o.client.request_bytes_max = (run->workload->payload_max + 256 + 7) & ~7u;
        o.callbacks = &callbacks;
        o.context = &run->clients[i];
        o.place = ACT_PLACE_ON(client_worker(b, &run->clients[i]));
        int error = vsr_client_actor_spawn(&o, &run->ids[i], &why);
        if (error != 0)
            return run_fail(run, "starting client %u: %s (%s)", i, strerror(-error), why.option);
        run->spawned++;
    }
    return true;
}

/* What they note, for a plan. */

/** Every client has a turn at each of its ticks at least. */
static void change_recording(struct run *run)
{
    uint32_t recording = atomic_load_explicit(&run->recording, memory_order_relaxed) + 1;

    atomic_store_explicit(&run->recording, recording, memory_order_relaxed);
    for (uint32_t i = 0; i < run->client_count; i++)
        while (atomic_load_explicit(&run->clients[i].recording, memory_order_relaxed) != recording)
            run_pause_ms(1);
}

void run_record(struct run *run)
{
    change_recording(run);
}

static int compare_points(const void *a, const void *b)
{
    const struct run_point *p = a;
    const struct run_point *q = b;
    return (p->ns > q->ns) - (p->ns < q->ns);
}

size_t run_recorded(struct run *run, struct run_point **points)
{
    size_t count = 0;
    size_t taken = 0;

    change_recording(run);
    for (uint32_t i = 0; i < run->client_count; i++)
        count += atomic_load_explicit(&run->clients[i].recorded, memory_order_acquire); /* R2 */
    *points = malloc((count + 1) * sizeof **points);
    if (*points == NULL) return 0;
    for (uint32_t i = 0; i < run->client_count; i++) {
        struct bench_client *c = &run->clients[i];
        uint32_t recorded = atomic_load_explicit(&c->recorded, memory_order_acquire); /* R2 */
        memcpy(*points + taken, c->points, recorded * sizeof **points);
        taken += recorded;
    }
    qsort(*points, count, sizeof **points, compare_points);
    return count;
}
