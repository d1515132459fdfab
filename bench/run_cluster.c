/**
 * See run_cluster.h.
 *
 * Ordering: `phase` and the clients' counters are relaxed: they carry numbers, no memory. A
 * client's figures are read after its `stopped` hook has posted the semaphore.
 *   R1 store recorded (release) -> R2 load recorded (acquire)   the points before it
 */
#include "run_cluster.h"

#include <act/port.h>
#include <act/runtime.h>
#include <act/timer.h>
#include <vsr/client_actor.h>
#include <vsr/cluster.h>
#include <vsr/counter.h>

#include <semaphore.h>

#include <errno.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/** One latency in so many is recorded in a run with many sessions. */
enum { LATENCY_SAMPLE = 16, OPEN_TIMEOUT_S = 60, DRAIN_TIMEOUT_S = 60 };
/** Points noted at a time, of all clients. */
enum { POINTS_MAX = 1 << 20 };
/** RUN_BURSTS: long enough for workers to park. */
enum { REST_MS = 3 };

enum phase { PHASE_OPENING, PHASE_WARM, PHASE_MEASURE, PHASE_STOP };

/** What a session has outstanding, and how much it has done. */
struct bench_session {
    uint64_t sent_ns;
    uint64_t answered;
    bool is_out;
};

struct bench_client {
    alignas(64) struct run *run;
    uint32_t index;
    uint32_t first_session; /* global index of session 0 */
    uint32_t opened;
    uint32_t out_count;
    uint32_t sample_mask;
    uint64_t now_ns;    /* of this turn; 0 = not looked at yet */
    enum phase phase;   /* of this turn */
    uint32_t limit;     /* of this turn: operations outstanding at once */
    uint64_t rested_ns; /* when the last answer came */
    uint64_t waited_ns; /* by the first operation that this turn brought an answer for */
    struct run_point *points;
    uint32_t points_max; /* 0: this run notes none */
    struct workload_cursor cursor;
    struct bench_session *sessions;
    uint32_t *idle; /* sessions without an operation: a stack */
    uint32_t idle_count;
    uint64_t submitted;
    uint64_t answered_count; /* `answered` takes it over at the turn's end */
    uint64_t wrong_results;
    uint64_t unexpected; /* results that nobody waits for */
    uint64_t evictions;
    bool is_at_end; /* of the trace */
    struct histogram latency;
    uint8_t *buffer;
    alignas(64) atomic_ullong answered;
    atomic_uint is_open;
    atomic_uint is_quiet;  /* nothing outstanding and nothing more to submit */
    atomic_uint recording; /* the last one it knows of; 0 = none */
    atomic_uint recorded;  /* points of it */
};

struct run {
    const struct bench_options *options;
    const struct workload *workload;
    const struct run_plan *plan; /* NULL = none */
    struct run_result *result;
    struct act_runtime *runtime;
    struct act_port *port;
    struct vsr_cluster *cluster;
    struct bench_client *clients;
    act_id *ids;
    uint32_t spawned;
    uint32_t *places;
    sem_t stopped;
    atomic_uint phase;
    atomic_uint load;      /* enum run_load */
    atomic_uint recording; /* counts them; even = none now */
};

bool run_fail(struct run *run, const char *format, ...)
{
    va_list arguments;

    if (run->result->difference[0] != '\0') return false; /* the first reason is the best */
    va_start(arguments, format);
    vsnprintf(run->result->difference, sizeof run->result->difference, format, arguments);
    va_end(arguments);
    return false;
}

/* Clients. */

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
        c->submitted++;
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
    if (c->phase == PHASE_MEASURE && (session & c->sample_mask) == 0)
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
    if (is_over && c->out_count == 0) atomic_store_explicit(&c->is_quiet, 1, memory_order_relaxed);
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

/* The run. */

uint64_t run_answered(const struct run *run)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < run->options->clients; i++)
        sum += atomic_load_explicit(&run->clients[i].answered, memory_order_relaxed);
    return sum;
}

void run_pause_ms(uint32_t ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&pause, NULL);
}

static bool all_open(const struct run *run)
{
    for (uint32_t i = 0; i < run->options->clients; i++)
        if (atomic_load_explicit(&run->clients[i].is_open, memory_order_relaxed) == 0) return false;
    return true;
}

static bool all_quiet(const struct run *run)
{
    for (uint32_t i = 0; i < run->options->clients; i++)
        if (atomic_load_explicit(&run->clients[i].is_quiet, memory_order_relaxed) == 0)
            return false;
    return true;
}

static bool wait_for(struct run *run, bool (*is_so)(const struct run *), uint32_t seconds,
                     const char *what)
{
    for (uint32_t ms = 0; ms < seconds * 1000; ms += 2) {
        if (is_so(run)) return true;
        run_pause_ms(2);
    }
    return run_fail(run, "%s took more than %u s; %llu operations were answered", what, seconds,
                    (unsigned long long)run_answered(run));
}

static bool start_runtime(struct run *run)
{
    struct act_runtime_options o;
    struct act_error why;

    act_runtime_options_init(&o);
    o.workers = run->options->workers;
    o.pin = run->options->is_pinned;
    o.spin_us = run->options->spin_us;
    o.actors_max = 4096;
    int error = act_runtime_start(&o, &run->runtime, &why);
    if (error != 0) return run_fail(run, "%s", why.text);
    error = act_port_open(run->runtime, &run->port);
    return error == 0 || run_fail(run, "opening a port: %s", strerror(-error));
}

/** Batches and replies that hold at least the largest operation and result. */
static void size_batches(struct vsr_replica_options *o)
{
    const uint32_t request = o->op_bytes_max + 512;
    const uint32_t reply = o->result_bytes_max + 512;

    if (o->batch_bytes_max < 4 * request) o->batch_bytes_max = (4 * request + 7) & ~7u;
    if (o->reply_bytes_max < reply) o->reply_bytes_max = (reply + 7) & ~7u;
}

/** One operation at a time: what counts is how seldom it changes workers. */
static bool is_for_latency(const struct bench_options *b)
{
    return b->clients == 1 && b->outstanding == 1;
}

/**
 * Placement decides. For throughput the primary has the first worker to itself as far as possible.
 * For latency the replicas lie round robin, the library's default, and the client beside the
 * primary: with three replicas or more on two workers a quorum is then reached without a hop.
 */
static uint32_t replica_worker(const struct bench_options *b, uint32_t replica)
{
    if (is_for_latency(b)) return replica % b->workers;
    return replica == 0 || b->workers == 1 ? 0 : 1 + (replica - 1) % (b->workers - 1);
}

static bool start_cluster(struct run *run)
{
    const struct bench_options *b = run->options;
    const uint32_t sessions = b->clients * b->sessions;
    struct vsr_cluster_options o;
    struct vsr_error why = {.option = "memory", .rule = ""};

    vsr_cluster_options_init(&o);
    o.runtime = run->runtime;
    o.create_machine = workload_create_machine;
    o.machine_context = (void *)(uintptr_t)run->workload;
    o.replica.cluster = b->seed;
    o.replica.replica_count = b->replicas;
    o.replica.sessions_max = sessions;
    /* Taking the digest of a large machine keeps a replica busy: nobody is to be voted out for it.
     */
    o.replica.suspect_ticks = run->plan != NULL ? run->plan->suspect_ticks : 2000;
    o.replica.abdicate_ticks = o.replica.suspect_ticks * 3 / 2;
    if (run->plan != NULL) {
        o.on_notice = run->plan->on_notice;
        o.notice_context = run->plan->context;
        o.replica.heartbeat_ticks = o.replica.resend_ticks = 1 + o.replica.suspect_ticks / 8;
    }
    o.replica.op_bytes_max = run->workload->payload_max;
    o.replica.result_bytes_max = workload_result_bytes_max(run->workload);
    o.replica.replies_per_message = b->requests_per_message == 1 ? 1 : 0;
    size_batches(&o.replica);
    for (uint32_t i = 0; i < b->replicas; i++)
        run->places[i] = ACT_PLACE_ON(replica_worker(b, i));
    o.places = run->places;
    int error = vsr_cluster_start(&o, &run->cluster, &why);
    return error == 0 ||
           run_fail(run, "starting the cluster: %s (%s %llu: %llu to %llu %s)", strerror(-error),
                    why.option, (unsigned long long)why.value, (unsigned long long)why.min,
                    (unsigned long long)why.max, why.rule);
}

static bool init_client(struct run *run, uint32_t i)
{
    const struct bench_options *b = run->options;
    struct bench_client *c = &run->clients[i];

    c->run = run;
    c->index = i;
    c->first_session = i * b->sessions;
    c->sample_mask = (uint64_t)b->clients * b->sessions > 64 ? LATENCY_SAMPLE - 1 : 0;
    c->cursor = workload_cursor(run->workload, b->seed, i, b->clients);
    c->sessions = calloc(b->sessions, sizeof *c->sessions);
    c->idle = calloc(b->sessions, sizeof *c->idle);
    c->buffer = calloc(1, run->workload->payload_max + 8);
    if (run->plan != NULL) {
        c->points_max = POINTS_MAX / b->clients;
        c->points = malloc(c->points_max * sizeof *c->points);
        if (c->points == NULL) return false;
    }
    return c->sessions != NULL && c->idle != NULL && c->buffer != NULL;
}

static bool start_clients(struct run *run)
{
    const struct bench_options *b = run->options;

    for (uint32_t i = 0; i < b->clients; i++) {
        struct vsr_client_actor_options o;
        struct vsr_error why = {.option = "memory", .rule = ""};
        if (!init_client(run, i)) return run_fail(run, "no memory for client %u", i);
        vsr_client_actor_options_init(&o);
        o.cluster = run->cluster;
        o.client.sessions = b->sessions;
        o.client.requests_per_message = b->requests_per_message;
        o.seed = b->seed + ((uint64_t)i + 1) * 0x9E3779B97F4A7C15ull;
        if (o.client.request_bytes_max < run->workload->payload_max + 256)
            o.client.request_bytes_max = (run->workload->payload_max + 256 + 7) & ~7u;
        o.callbacks = &callbacks;
        o.context = &run->clients[i];
        o.place = ACT_PLACE_ON(is_for_latency(b) ? 0 : (i + 1) % b->workers);
        int error = vsr_client_actor_spawn(&o, &run->ids[i], &why);
        if (error != 0)
            return run_fail(run, "starting client %u: %s (%s)", i, strerror(-error), why.option);
        run->spawned++;
    }
    return true;
}

/** Counts commits for so long, or until a trace ends. */
static void count_commits(struct run *run)
{
    const double wanted = run->options->seconds;
    const uint64_t before = run_answered(run);
    const uint64_t start = act_now_ns();

    for (;;) {
        double spent = (double)(act_now_ns() - start) * 1e-9;
        if (spent >= wanted || all_quiet(run)) break;
        double left = (wanted - spent) * 1000;
        run_pause_ms(left < 100 ? (uint32_t)left + 1 : 100);
        progress("measuring %.1f of %.1f s, %.2f M operations", spent, wanted,
                 (double)(run_answered(run) - before) * 1e-6);
    }
}

/** Measures: warm up, then count commits, or do what the plan says. */
static bool measure(struct run *run)
{
    struct run_result *result = run->result;
    bool is_good = true;

    atomic_store_explicit(&run->phase, PHASE_WARM, memory_order_relaxed);
    if (run->workload->kind != WORKLOAD_TRACE) run_pause_ms(200);
    double cpu = process_cpu_seconds();
    uint64_t before = run_answered(run);
    uint64_t start = act_now_ns();
    atomic_store_explicit(&run->phase, PHASE_MEASURE, memory_order_relaxed);
    if (run->plan != NULL)
        is_good = run->plan->measure(run->plan->context, run);
    else
        count_commits(run);
    result->commits = run_answered(run) - before;
    result->seconds = (double)(act_now_ns() - start) * 1e-9;
    result->cpu_seconds = process_cpu_seconds() - cpu;
    atomic_store_explicit(&run->phase, PHASE_STOP, memory_order_relaxed);
    return is_good;
}

/* For a plan. */

struct vsr_cluster *run_replicas(struct run *run)
{
    return run->cluster;
}

void run_set_load(struct run *run, enum run_load load)
{
    atomic_store_explicit(&run->load, load, memory_order_relaxed);
}

/** Every client has a turn at each of its ticks at least. */
static void change_recording(struct run *run)
{
    uint32_t recording = atomic_load_explicit(&run->recording, memory_order_relaxed) + 1;

    atomic_store_explicit(&run->recording, recording, memory_order_relaxed);
    for (uint32_t i = 0; i < run->options->clients; i++)
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
    for (uint32_t i = 0; i < run->options->clients; i++)
        count += atomic_load_explicit(&run->clients[i].recorded, memory_order_acquire); /* R2 */
    *points = malloc((count + 1) * sizeof **points);
    if (*points == NULL) return 0;
    for (uint32_t i = 0; i < run->options->clients; i++) {
        struct bench_client *c = &run->clients[i];
        uint32_t recorded = atomic_load_explicit(&c->recorded, memory_order_acquire); /* R2 */
        memcpy(*points + taken, c->points, recorded * sizeof **points);
        taken += recorded;
    }
    qsort(*points, count, sizeof **points, compare_points);
    return count;
}

/* Verification. */

static bool verify_clients(struct run *run)
{
    for (uint32_t i = 0; i < run->options->clients; i++) {
        const struct bench_client *c = &run->clients[i];
        uint64_t got = atomic_load_explicit(&c->answered, memory_order_relaxed);
        if (c->submitted != got || c->unexpected != 0)
            return run_fail(run, "client %u: %llu operations submitted, %llu answered, %llu twice",
                            i, (unsigned long long)c->submitted, (unsigned long long)got,
                            (unsigned long long)c->unexpected);
        if (c->wrong_results != 0)
            return run_fail(run,
                            "client %u: %llu results are not what the state machine has to say", i,
                            (unsigned long long)c->wrong_results);
        if (c->evictions != 0)
            return run_fail(run, "client %u: %llu sessions were evicted", i,
                            (unsigned long long)c->evictions);
    }
    return true;
}

static bool verify_replicas(struct run *run)
{
    struct vsr_cluster_report first = {0};

    if (vsr_cluster_settle(run->cluster, 10000000000ull) != 0)
        return run_fail(run, "the replicas did not reach the same op within 10 s");
    for (uint32_t i = 0; i < run->options->replicas; i++) {
        struct vsr_cluster_report report;
        if (vsr_cluster_inspect(run->cluster, i, &report) != 0)
            return run_fail(run, "replica %u could not be inspected", i);
        if (report.run_state != VSR_RUNNING || report.replica.status != VSR_STATUS_NORMAL)
            return run_fail(run, "replica %u is %s", i,
                            report.run_state != VSR_RUNNING
                                ? "not running"
                                : vsr_status_name(report.replica.status));
        if (i == 0) first = report;
        if (report.replica.applied != first.replica.applied || report.digest != first.digest ||
            report.replica.head_checksum != first.replica.head_checksum)
            return run_fail(
                run, "replica %u differs: op %llu digest %llx, replica 0: op %llu digest %llx", i,
                (unsigned long long)report.replica.applied, (unsigned long long)report.digest,
                (unsigned long long)first.replica.applied, (unsigned long long)first.digest);
        if (report.replica.requests_executed != run_answered(run))
            return run_fail(run, "replica %u applied %llu operations, %llu were acknowledged", i,
                            (unsigned long long)report.replica.requests_executed,
                            (unsigned long long)run_answered(run));
    }
    return true;
}

static void stop(struct run *run)
{
    for (uint32_t i = 0; i < run->spawned; i++) {
        while (act_stop(run->ids[i], 0) != 0)
            run_pause_ms(1);
        while (sem_wait(&run->stopped) != 0) {
        }
    }
    if (run->cluster != NULL) vsr_cluster_stop(run->cluster);
    if (run->port != NULL) act_port_close(run->port);
    if (run->runtime != NULL) {
        uint64_t leaked = act_runtime_stop(run->runtime);
        if (leaked != 0)
            run->result->is_verified =
                run_fail(run, "%llu messages did not come back", (unsigned long long)leaked);
    }
    for (uint32_t i = 0; i < run->options->clients; i++) {
        struct bench_client *c = &run->clients[i];
        histogram_merge(&run->result->latency, &c->latency);
        free(c->points);
        free(c->sessions);
        free(c->idle);
        free(c->buffer);
    }
}

bool run_cluster(const struct bench_options *options, struct workload *workload,
                 const struct run_plan *plan, struct run_result *result)
{
    uint32_t places[VSR_REPLICAS_MAX];
    struct run run = {
        .options = options, .workload = workload, .plan = plan, .result = result, .places = places};
    const size_t bytes = options->clients * sizeof *run.clients;

    *result = (struct run_result){0};
    workload->sessions = options->clients * options->sessions;
    run.clients = aligned_alloc(64, bytes);
    run.ids = calloc(options->clients, sizeof *run.ids);
    if (run.clients == NULL || run.ids == NULL) {
        free(run.clients);
        free(run.ids);
        return run_fail(&run, "no memory for %u clients", options->clients);
    }
    memset(run.clients, 0, bytes);
    sem_init(&run.stopped, 0, 0);
    process_reset_peak();
    if (start_runtime(&run) && start_cluster(&run) && start_clients(&run) &&
        wait_for(&run, all_open, OPEN_TIMEOUT_S, "opening the sessions")) {
        result->is_verified = measure(&run) &&
                              wait_for(&run, all_quiet, DRAIN_TIMEOUT_S, "the last replies") &&
                              verify_clients(&run) && verify_replicas(&run);
    }
    result->peak_rss_bytes = process_peak_rss_bytes();
    stop(&run);
    sem_destroy(&run.stopped);
    free(run.clients);
    free(run.ids);
    return result->is_verified;
}
