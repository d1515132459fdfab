/**
 * See run_cluster.h.
 */
#include "run.h"

#include <act/timer.h>
#include <vsr/counter.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OPEN_TIMEOUT_S = 60, DRAIN_TIMEOUT_S = 60 };

bool run_fail(struct run *run, const char *format, ...)
{
    va_list arguments;

    if (run->result->difference[0] != '\0') return false; /* the first reason is the best */
    va_start(arguments, format);
    vsnprintf(run->result->difference, sizeof run->result->difference, format, arguments);
    va_end(arguments);
    return false;
}

void run_pause_ms(uint32_t ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&pause, NULL);
}

struct vsr_cluster *run_replicas(struct run *run)
{
    return run->groups[0];
}

void run_set_load(struct run *run, enum run_load load)
{
    atomic_store_explicit(&run->load, load, memory_order_relaxed);
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
    /* Replicas and clients, and as many again for what else lives: ports, monitors, dead. */
    o.actors_max =
        4096 + 2 * run->options->groups * (run->options->replicas + run->options->clients);
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

/**
 * Placement decides. For throughput the primary has the first worker to itself as far as possible.
 * For latency the replicas lie round robin, the library's default, and the client beside the
 * primary: with three replicas or more on two workers a quorum is then reached without a hop.
 * Groups lie each on one worker: what a commit touches never changes its core.
 */
static uint32_t replica_worker(const struct bench_options *b, uint32_t group, uint32_t replica)
{
    if (b->groups > 1) return run_group_worker(b, group);
    if (run_is_for_latency(b)) return replica % b->workers;
    return replica == 0 || b->workers == 1 ? 0 : 1 + (replica - 1) % (b->workers - 1);
}

static bool start_group(struct run *run, uint32_t group)
{
    const struct bench_options *b = run->options;
    const uint32_t sessions = b->clients * b->sessions;
    struct vsr_cluster_options o;
    struct vsr_error why = {.option = "memory", .rule = ""};

    vsr_cluster_options_init(&o);
    o.runtime = run->runtime;
    o.create_machine = workload_create_machine;
    o.machine_context = (void *)(uintptr_t)run->workload;
    o.replica.cluster = b->seed + group;
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
        run->places[i] = ACT_PLACE_ON(replica_worker(b, group, i));
    o.places = run->places;
    int error = vsr_cluster_start(&o, &run->groups[group], &why);
    return error == 0 ||
           run_fail(run, "starting the cluster: %s (%s %llu: %llu to %llu %s)", strerror(-error),
                    why.option, (unsigned long long)why.value, (unsigned long long)why.min,
                    (unsigned long long)why.max, why.rule);
}

static bool start_groups(struct run *run)
{
    for (uint32_t group = 0; group < run->options->groups; group++)
        if (!start_group(run, group)) return false;
    return true;
}

/** Counts commits for so long, or until a trace ends. Returns when it ended. */
static uint64_t count_commits(struct run *run)
{
    const double step = run->workload->kind == WORKLOAD_TRACE ? 1 : 100; /* ms: it may be short */
    const double wanted = run->options->seconds;
    const uint64_t before = run_answered(run);
    const uint64_t start = act_now_ns();

    for (;;) {
        double spent = (double)(act_now_ns() - start) * 1e-9;
        if (run_all_quiet(run)) return run_quiet_ns(run);
        if (spent >= wanted) return act_now_ns();
        double left = (wanted - spent) * 1000;
        run_pause_ms(left < step ? (uint32_t)left + 1 : (uint32_t)step);
        progress("measuring %.1f of %.1f s, %.2f M operations", spent, wanted,
                 (double)(run_answered(run) - before) * 1e-6);
    }
}

/** Measures: warm up, but for a trace, then count commits, or do what the plan says. */
static bool measure(struct run *run)
{
    struct run_result *result = run->result;
    bool is_good = true;
    uint64_t end;

    if (run->workload->kind != WORKLOAD_TRACE) {
        atomic_store_explicit(&run->phase, PHASE_WARM, memory_order_relaxed);
        run_pause_ms(200);
    }
    double cpu = process_cpu_seconds();
    uint64_t before = run_answered(run);
    uint64_t start = act_now_ns();
    atomic_store_explicit(&run->phase, PHASE_MEASURE, memory_order_relaxed);
    if (run->plan != NULL) {
        is_good = run->plan->measure(run->plan->context, run);
        end = act_now_ns();
    } else {
        end = count_commits(run);
    }
    result->commits = run_answered(run) - before;
    result->seconds = (double)(end - start) * 1e-9;
    result->cpu_seconds = process_cpu_seconds() - cpu;
    atomic_store_explicit(&run->phase, PHASE_STOP, memory_order_relaxed);
    return is_good;
}

static void stop(struct run *run)
{
    struct vsr_error why;

    for (uint32_t i = 0; i < run->spawned; i++) {
        while (act_stop(run->ids[i], 0) != 0)
            run_pause_ms(1);
        while (sem_wait(&run->stopped) != 0) {
        }
    }
    for (uint32_t group = 0; group < run->options->groups; group++)
        if (run->groups[group] != NULL && vsr_cluster_stop(run->groups[group], &why) != 0)
            run->result->is_verified = run_fail(run, "stopping a cluster: %s", why.text);
    if (run->port != NULL) act_port_close(run->port);
    if (run->runtime != NULL) {
        uint64_t leaked = act_runtime_stop(run->runtime);
        if (leaked != 0)
            run->result->is_verified =
                run_fail(run, "%llu messages did not come back", (unsigned long long)leaked);
    }
    for (uint32_t i = 0; i < run->client_count; i++) {
        struct bench_client *c = &run->clients[i];
        histogram_merge(&run->result->latency, &c->latency);
        free(c->points);
        free(c->sessions);
        free(c->idle);
        free(c->buffer);
    }
}

static bool allocate(struct run *run)
{
    const size_t bytes = run->client_count * sizeof *run->clients;

    run->clients = aligned_alloc(64, bytes);
    run->ids = calloc(run->client_count, sizeof *run->ids);
    run->groups = calloc(run->options->groups, sizeof *run->groups);
    if (run->clients == NULL || run->ids == NULL || run->groups == NULL)
        return run_fail(run, "no memory for %u clients", run->client_count);
    memset(run->clients, 0, bytes);
    return true;
}

bool run_cluster(const struct bench_options *options, struct workload *workload,
                 const struct run_plan *plan, struct run_result *result)
{
    uint32_t places[VSR_REPLICAS_MAX];
    struct run run = {
        .options = options,
        .workload = workload,
        .plan = plan,
        .result = result,
        .places = places,
        .client_count = options->groups * options->clients,
    };

    *result = (struct run_result){0};
    workload->sessions = options->clients * options->sessions;
    sem_init(&run.stopped, 0, 0);
    process_reset_peak();
    if (allocate(&run)) {
        if (start_runtime(&run) && start_groups(&run) && run_start_clients(&run) &&
            wait_for(&run, run_all_open, OPEN_TIMEOUT_S, "opening the sessions"))
            result->is_verified =
                measure(&run) &&
                wait_for(&run, run_all_quiet, DRAIN_TIMEOUT_S, "the last replies") &&
                run_verify(&run);
        result->peak_rss_bytes = process_peak_rss_bytes();
        stop(&run);
    }
    sem_destroy(&run.stopped);
    free(run.groups);
    free(run.clients);
    free(run.ids);
    return result->is_verified;
}
