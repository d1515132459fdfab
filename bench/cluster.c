/**
 * bench_cluster: throughput, latency and cost of growth of a cluster in one process.
 */
#include "harness.h"
#include "options.h"
#include "plot.h"
#include "program.h"
#include "run_cluster.h"
#include "scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bench {
    struct bench_options options;
    struct workload workload;
    struct plot plot;
    int failures;
};

/** Measures one row and prints it, if it is verified. */
static void measure(struct bench *bench, const char *name, const struct bench_options *options,
                    const char *growth, double x)
{
    static struct run_result result;
    struct row row = {.benchmark = "cluster", .row = name, .per_second_name = "commits_per_second"};

    progress("%s: starting", name);
    bool is_calibrated = calibrate(&row.calibration);
    bench->workload.op_bytes = options->op_bytes;
    if (bench->workload.kind == WORKLOAD_COUNTER) bench->workload.payload_max = options->op_bytes;
    if (!is_calibrated || !run_cluster(options, &bench->workload, NULL, &result)) {
        progress(NULL);
        fprintf(stderr, "bench: %s: not verified: %s\n", name,
                is_calibrated ? result.difference : "no second thread for the calibration");
        bench->failures++;
        return;
    }
    bench_options_describe(options, &row);
    row.per_second = (double)result.commits / result.seconds;
    row.latency = &result.latency;
    row.cpu_seconds_per_million =
        result.commits > 0 ? result.cpu_seconds * 1e6 / (double)result.commits : 0;
    row.peak_rss_bytes = result.peak_rss_bytes;
    row.has_verified = true;
    row.is_verified = result.is_verified;
    row_print(&row, bench->options.is_json);
    if (growth != NULL)
        plot_add_point(&bench->plot, growth, x, row.per_second, row.latency);
    else
        plot_add_latency(&bench->plot, name, row.latency);
}

static void measure_growth(struct bench *bench)
{
    static const uint32_t replicas[] = {1, 3, 5, 7};
    static const uint32_t sessions[] = {1, 10, 100, 1000, 10000, 100000};
    static const uint32_t op_bytes[] = {16, 64, 256, 1024, 4096};
    struct bench_options base = bench->options;
    char name[64];

    base.seconds = bench->options.seconds > 0 ? bench->options.seconds : 0.7;
    for (size_t i = 0; i < sizeof replicas / sizeof replicas[0]; i++) {
        struct bench_options o = base;
        o.replicas = replicas[i];
        snprintf(name, sizeof name, "growth-replicas-%u", replicas[i]);
        measure(bench, name, &o, "replicas", replicas[i]);
    }
    for (size_t i = 0; i < sizeof sessions / sizeof sessions[0]; i++) {
        struct bench_options o = base;
        o.clients = sessions[i] < o.clients ? 1 : o.clients;
        o.sessions = o.outstanding = sessions[i] / o.clients;
        snprintf(name, sizeof name, "growth-sessions-%u", sessions[i]);
        measure(bench, name, &o, "sessions", sessions[i]);
    }
    for (uint32_t workers = 1; workers <= base.workers; workers++) {
        struct bench_options o = base;
        o.workers = workers;
        snprintf(name, sizeof name, "growth-workers-%u", workers);
        measure(bench, name, &o, "workers", workers);
    }
    for (size_t i = 0; i < sizeof op_bytes / sizeof op_bytes[0]; i++) {
        struct bench_options o = base;
        o.op_bytes = op_bytes[i];
        snprintf(name, sizeof name, "growth-op-bytes-%u", op_bytes[i]);
        measure(bench, name, &o, "op bytes", op_bytes[i]);
    }
}

static void measure_all(struct bench *bench)
{
    struct bench_options o = bench->options;

    o.seconds = bench->options.seconds > 0 ? bench->options.seconds : 3;
    measure(bench, "throughput", &o, NULL, 0);
    o.requests_per_message = 1;
    measure(bench, "throughput-one-request-per-message", &o, NULL, 0);
    o.requests_per_message = 0;
    o.groups = o.workers;
    o.clients = 1;
    measure(bench, "throughput-groups", &o, NULL, 0);
    o.groups = 1;
    o.sessions = o.outstanding = 1;
    measure(bench, "latency", &o, NULL, 0);
    measure_growth(bench);
}

static void print_head(const struct bench_options *o)
{
    struct calibration c;

    if (o->is_json) return;
    calibrate(&c);
    printf("Calibration: lane round trip %.0f ns (%s), batched lane %.1f M messages/s.\n"
           "A row: commits per second, 1/x of the batched lane's messages taken just before;\n"
           "latency percentiles, p50 in lane round trips (rt); memory; verification.\n",
           c.lane_round_trip_ns, c.lane_round_trip_ns < 400 ? "near cores" : "far cores",
           c.lane_messages_per_second / 1e6);
    program_flush("bench");
}

int main(int argc, char **argv)
{
    static struct bench bench;
    char error[512];

    program_begin("bench");
    bench.options = bench_options_parse(argc, argv);
    struct bench_options *o = &bench.options;
    bench.workload.kind = o->workload;
    bench.workload.op_bytes = o->op_bytes;
    bench.workload.read_percent = o->read_percent;
    bool is_ready = o->workload == WORKLOAD_TRACE
                        ? workload_load_trace(&bench.workload, o->trace_file, error, sizeof error)
                        : workload_init(&bench.workload, o->seed, error, sizeof error);
    if (!is_ready) {
        fprintf(stderr, "bench: %s\n", error);
        workload_deinit(&bench.workload);
        return 2;
    }
    print_head(o);
    if (o->scenario != SCENARIO_NONE) {
        bench.failures += !scenario_run(o, &bench.workload);
    } else if (o->is_custom) {
        if (!(o->seconds > 0)) o->seconds = 3;
        measure(&bench, "throughput", o, NULL, 0);
    } else {
        measure_all(&bench);
    }
    if (o->plot_file != NULL && !plot_draw(&bench.plot, o->plot_file)) bench.failures++;
    workload_deinit(&bench.workload);
    return program_end("bench", bench.failures == 0 ? 0 : 1);
}
