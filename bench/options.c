/**
 * See options.h.
 */
#include "options.h"

#include "plot.h"
#include "program.h"

#include <act/types.h>
#include <vsr/types.h>

#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Options whose value is a whole number. */
static const struct number_option {
    const char *name;
    size_t offset;
    uint64_t min;
    uint64_t max;
    bool is_shaping; /* describes a run of its own */
    const char *text;
} number_options[] = {
    {"replicas", offsetof(struct bench_options, replicas), 1, VSR_REPLICAS_MAX, true,
     "replicas (3)"},
    {"workers", offsetof(struct bench_options, workers), 1, ACT_WORKERS_MAX, true,
     "worker threads (one per CPU)"},
    {"groups", offsetof(struct bench_options, groups), 1, 64, true,
     "clusters on one runtime, the replicas and clients of each on one worker (1)"},
    {"clients", offsetof(struct bench_options, clients), 1, 256, true,
     "client actors of a cluster (one per worker; one with --groups)"},
    {"sessions", offsetof(struct bench_options, sessions), 1, 1000000, true,
     "sessions of each client (1000)"},
    {"op-bytes", offsetof(struct bench_options, op_bytes), 16, 16384, true,
     "bytes of an operation of the counter workload (16)"},
    {"read-percent", offsetof(struct bench_options, read_percent), 0, 100, true,
     "reads of a ycsb workload (its own)"},
    {"outstanding", offsetof(struct bench_options, outstanding), 1, 1000000, true,
     "operations of each client at once, at most its sessions (all)"},
    {"requests-per-message", offsetof(struct bench_options, requests_per_message), 0, 65536, true,
     "1: every request and reply is a message of its own; 0: as many as there are (0)"},
    {"suspect-ticks", offsetof(struct bench_options, suspect_ticks), 5, 10000, false,
     "of 1 ms without a sign of its primary, until a backup suspects it, in a scenario (20)"},
    {"spin-us", offsetof(struct bench_options, spin_us), 0, 1000000, false,
     "how long an idle worker spins before it sleeps (50)"},
};

enum { NUMBERS = sizeof number_options / sizeof number_options[0] };
enum {
    OPTION_WORKLOAD = 256,
    OPTION_TRACE,
    OPTION_SECONDS,
    OPTION_SEED,
    OPTION_PIN,
    OPTION_JSON,
    OPTION_PLOT,
    OPTION_SCENARIO,
    OPTION_HELP
};

static const char *const scenario_names[] = {
    [SCENARIO_NONE] = "none",
    [SCENARIO_FAILOVER] = "failover",
    [SCENARIO_RESTART] = "restart",
    [SCENARIO_CHURN] = "churn",
};

const char *scenario_name(enum scenario_kind scenario)
{
    return scenario_names[scenario];
}

void bench_options_describe(const struct bench_options *o, struct row *row)
{
    row_add_text(row, "workload", workload_name(o->workload));
    row_add_number(row, "replicas", o->replicas);
    row_add_number(row, "workers", o->workers);
    row_add_number(row, "groups", o->groups);
    row_add_number(row, "clients", o->clients);
    row_add_number(row, "sessions", o->sessions);
    if (o->workload == WORKLOAD_COUNTER) row_add_number(row, "op_bytes", o->op_bytes);
    row_add_number(row, "outstanding", o->outstanding);
    row_add_number(row, "requests_per_message", o->requests_per_message);
    row_add_number(row, "seconds", o->seconds);
    row_add_whole(row, "seed", o->seed);
    row_add_number(row, "spin_us", o->spin_us);
    row_add_text(row, "pin", o->is_pinned ? "yes" : "no");
    if (o->scenario != SCENARIO_NONE) row_add_number(row, "suspect_ticks", o->suspect_ticks);
}

/** The file `help` holds the same, for bench/run; a test compares them. */
static void print_help(void)
{
    printf(
        "Usage: bench/run [OPTION]...\n\n"
        "Without options: calibration, throughput, latency and cost of growth of an in-process\n"
        "cluster, each figure verified. With an option that shapes the run: that run alone.\n\n");
    for (uint32_t i = 0; i < NUMBERS; i++)
        printf("  --%-22s %s; %llu to %llu\n", number_options[i].name, number_options[i].text,
               (unsigned long long)number_options[i].min,
               (unsigned long long)number_options[i].max);
    printf("  --%-22s counter, ycsb-a, ycsb-b, ycsb-c or ycsb-f (counter)\n"
           "  --%-22s operations from a file, one per line: get KEY, put KEY VALUE,\n"
           "  %-24s swap KEY VALUE, delete KEY\n"
           "  --%-22s seconds that a row is measured; 0.1 to 3600\n"
           "  --%-22s of everything random; any number, 0x... too (1)\n"
           "  --%-22s pin workers to CPUs\n"
           "  --%-22s one JSON object per row and line\n"
           "  --%-22s draw percentiles and growth into an SVG file\n"
           "  --%-22s failover: kills the primary under load, again and again;\n"
           "  %-24s restart: a backup; churn: kills, pauses and restarts any replica.\n"
           "  %-24s Each for --seconds (12), never more replicas than survive\n"
           "  --%-22s also the lane, actor and core benchmarks\n"
           "  --%-22s this text\n",
           "workload NAME", "trace-file FILE", "", "seconds S", "seed N", "pin", "json",
           "plot FILE.svg", "scenario NAME", "", "", "all", "help");
}

static _Noreturn void refuse(const char *option, const char *value, const char *accepted)
{
    fprintf(stderr, "bench: --%s %s: accepted is %s. See bench/run --help.\n", option, value,
            accepted);
    exit(2);
}

static void set_number(struct bench_options *options, const struct number_option *o,
                       const char *value)
{
    char accepted[64];
    uint64_t number;

    if (!program_number(value, o->min, o->max, &number)) {
        snprintf(accepted, sizeof accepted, "a whole number, %llu to %llu",
                 (unsigned long long)o->min, (unsigned long long)o->max);
        refuse(o->name, value, accepted);
    }
    uint32_t narrow = (uint32_t)number;
    memcpy((char *)options + o->offset, &narrow, sizeof narrow);
    if (o->is_shaping) options->is_custom = true;
}

static double parse_seconds(const char *value)
{
    char *end;
    double seconds = strtod(value, &end);

    if (end == value || *end != '\0' || !(seconds >= 0.1 && seconds <= 3600))
        refuse("seconds", value, "0.1 to 3600");
    return seconds;
}

static uint64_t parse_seed(const char *value)
{
    uint64_t seed;

    if (!program_number(value, 0, UINT64_MAX, &seed))
        refuse("seed", value, "a whole number, decimal or 0x and hexadecimal");
    return seed;
}

static enum scenario_kind parse_scenario(const char *value)
{
    for (int i = SCENARIO_FAILOVER; i <= SCENARIO_CHURN; i++)
        if (strcmp(value, scenario_names[i]) == 0) return (enum scenario_kind)i;
    refuse("scenario", value, "failover, restart or churn");
}

static void set_other(struct bench_options *options, int option, const char *value)
{
    switch (option) {
    case OPTION_WORKLOAD:
        if (!workload_named(value, &options->workload))
            refuse("workload", value, "counter, ycsb-a, ycsb-b, ycsb-c or ycsb-f");
        options->is_custom = true;
        break;
    case OPTION_TRACE:
        options->trace_file = value;
        options->workload = WORKLOAD_TRACE;
        options->is_custom = true;
        break;
    case OPTION_SECONDS:
        options->seconds = parse_seconds(value);
        break;
    case OPTION_SEED:
        options->seed = parse_seed(value);
        break;
    case OPTION_PIN:
        options->is_pinned = true;
        break;
    case OPTION_JSON:
        options->is_json = true;
        break;
    case OPTION_PLOT:
        options->plot_file = value;
        break;
    case OPTION_SCENARIO:
        options->scenario = parse_scenario(value);
        options->is_custom = true;
        break;
    case OPTION_HELP:
        print_help();
        exit(program_end("bench", 0));
    default: /* getopt has said what is wrong. */
        fprintf(stderr, "bench: see bench/run --help for the options that are accepted.\n");
        exit(2);
    }
}

/** A scenario needs replicas that may die, and clients that do not run out of operations. */
static void check_scenario(struct bench_options *o)
{
    const char *name = scenario_name(o->scenario);
    char value[32];

    if (o->scenario == SCENARIO_NONE && o->suspect_ticks != 0) {
        snprintf(value, sizeof value, "%u", o->suspect_ticks);
        refuse("suspect-ticks", value, "only with --scenario");
    }
    if (o->scenario == SCENARIO_NONE) return;
    if (o->replicas < 3)
        refuse("scenario", name, "only with --replicas 3 or more: fewer survive no death");
    if (o->groups > 1) refuse("scenario", name, "only with one group");
    if (o->workload == WORKLOAD_TRACE) refuse("scenario", name, "only without a trace: it ends");
    if (o->plot_file != NULL) refuse("scenario", name, "only without --plot");
    if (o->suspect_ticks == 0) o->suspect_ticks = 20;
    if (!(o->seconds > 0)) o->seconds = 12;
}

/** What fits each option alone may not fit together. */
static void check(struct bench_options *o)
{
    char value[32];

    check_scenario(o);
    const char *why = o->plot_file != NULL ? plot_check(o->plot_file) : NULL;
    if (why != NULL) {
        fprintf(stderr, "bench: --plot %s: %s. See bench/run --help.\n", o->plot_file, why);
        exit(2);
    }
    if (o->clients == 0) o->clients = o->groups > 1 ? 1 : o->workers;
    if (o->outstanding == 0) o->outstanding = o->sessions;
    if (o->outstanding > o->sessions) {
        snprintf(value, sizeof value, "%u", o->outstanding);
        refuse("outstanding", value, "at most --sessions: a session has one operation at a time");
    }
    if ((uint64_t)o->clients * o->sessions > VSR_SESSIONS_MAX) {
        snprintf(value, sizeof value, "%u", o->sessions);
        refuse("sessions", value, "at most 4194304 over all clients of a cluster");
    }
    if (o->read_percent != UINT32_MAX &&
        (o->workload == WORKLOAD_COUNTER || o->workload == WORKLOAD_TRACE)) {
        snprintf(value, sizeof value, "%u", o->read_percent);
        refuse("read-percent", value, "only with a ycsb workload");
    }
}

struct bench_options bench_options_parse(int argc, char **argv)
{
    static struct option table[NUMBERS + 10];
    struct bench_options options = {
        .replicas = 3,
        .workers = process_cpus() < ACT_WORKERS_MAX ? process_cpus() : ACT_WORKERS_MAX,
        .groups = 1,
        .sessions = 1000,
        .op_bytes = 16,
        .read_percent = UINT32_MAX,
        .seed = 1,
        .spin_us = 50,
    };
    int option;

    for (int i = 0; i < NUMBERS; i++)
        table[i] = (struct option){number_options[i].name, required_argument, NULL, i};
    table[NUMBERS] = (struct option){"workload", required_argument, NULL, OPTION_WORKLOAD};
    table[NUMBERS + 1] = (struct option){"trace-file", required_argument, NULL, OPTION_TRACE};
    table[NUMBERS + 2] = (struct option){"seconds", required_argument, NULL, OPTION_SECONDS};
    table[NUMBERS + 3] = (struct option){"seed", required_argument, NULL, OPTION_SEED};
    table[NUMBERS + 4] = (struct option){"pin", no_argument, NULL, OPTION_PIN};
    table[NUMBERS + 5] = (struct option){"json", no_argument, NULL, OPTION_JSON};
    table[NUMBERS + 6] = (struct option){"plot", required_argument, NULL, OPTION_PLOT};
    table[NUMBERS + 7] = (struct option){"scenario", required_argument, NULL, OPTION_SCENARIO};
    table[NUMBERS + 8] = (struct option){"help", no_argument, NULL, OPTION_HELP};
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (option >= 0 && option < NUMBERS)
            set_number(&options, &number_options[option], optarg);
        else
            set_other(&options, option, optarg);
    }
    if (optind < argc) {
        fprintf(stderr, "bench: \"%s\" is no option. See bench/run --help.\n", argv[optind]);
        exit(2);
    }
    check(&options);
    return options;
}
