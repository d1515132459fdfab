/**
 * tests/simulate: runs seeds, in several processes, and reports what failed and how to repeat it.
 */
#include "assert.h" /* the core's: the panic is ours here */
#include "jobs.h"
#include "program.h"

#include <vsr/trace.h>

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    OPTION_SEED = 256,
    OPTION_SEEDS,
    OPTION_FIRST,
    OPTION_PROFILE,
    OPTION_REPLICAS,
    OPTION_JOBS,
    OPTION_FAILURES,
    OPTION_SECONDS,
    OPTION_TRACE,
    OPTION_HELP
};

static void print_help(FILE *file)
{
    fprintf(file, "Usage: tests/simulate [--seeds N] [OPTION]...   many runs\n"
                  "       tests/simulate --seed S [OPTION]...      one run, again (or SEED=S)\n\n"
                  "  --seeds N        how many seeds, 1 to 10^12 (1000)\n"
                  "  --first S        the first of them (1)\n"
                  "  --profile NAME   what may go wrong (mixed; \"all\" takes turns):\n");
    for (const struct profile *p = sim_profiles; p->name != NULL; p++)
        fprintf(file, "                     %-10s %s\n", p->name, p->text);
    fprintf(file,
            "  --replicas N     1 to %d (drawn)\n"
            "  --jobs N         processes, 1 to %d (one per core)\n"
            "  --failures N     stop after so many failing seeds, 1 to 1000 (1)\n"
            "  --seconds N      start no more seeds after so long, 1 to 10^6 (no limit)\n"
            "  --trace          print every event; VSR_LOG=info, debug or trace print less or all\n"
            "  --help           this text\n\n"
            "Exit status: 0 all well, 1 the output failed, 2 bad option, 3 broken invariant, 4 no "
            "progress, 5 crash,\n"
            "6 nothing failed, but nothing was checked: no request was answered.\n",
            VSR_REPLICAS_MAX, JOBS_MAX);
}

/** Ends the program when the text is no number in the range. */
static uint64_t number(const char *option, const char *text, uint64_t min, uint64_t max)
{
    uint64_t value;

    if (program_number(text, min, max, &value)) return value;
    fprintf(stderr,
            "tests/simulate: %s is \"%s\"; accepted is a number from %" PRIu64 " to %" PRIu64 "\n",
            option, text, min, max);
    exit(OUTCOME_USAGE);
}

static const struct profile *profile_named(const char *name)
{
    if (strcmp(name, "all") == 0) return NULL;
    const struct profile *profile = sim_profile_find(name);
    if (profile != NULL) return profile;
    fprintf(stderr, "tests/simulate: no profile \"%s\"; accepted are all", name);
    for (const struct profile *p = sim_profiles; p->name != NULL; p++)
        fprintf(stderr, ", %s", p->name);
    fprintf(stderr, "\n");
    exit(OUTCOME_USAGE);
}

static const struct option options[] = {
    {"seed", required_argument, NULL, OPTION_SEED},
    {"seeds", required_argument, NULL, OPTION_SEEDS},
    {"first", required_argument, NULL, OPTION_FIRST},
    {"profile", required_argument, NULL, OPTION_PROFILE},
    {"replicas", required_argument, NULL, OPTION_REPLICAS},
    {"jobs", required_argument, NULL, OPTION_JOBS},
    {"failures", required_argument, NULL, OPTION_FAILURES},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"trace", no_argument, NULL, OPTION_TRACE},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

/** Whether an option says how to run many seeds, and nothing about one. */
static bool is_of_many(int option)
{
    return option == OPTION_SEEDS || option == OPTION_FIRST || option == OPTION_JOBS ||
           option == OPTION_FAILURES || option == OPTION_SECONDS;
}

static void read_options(int count, char **arguments, struct job_options *o)
{
    const char *from_environment = getenv("SEED");
    const char *of_one = NULL, *of_many = NULL;
    int option, index = -1;

    if (from_environment != NULL) {
        o->first = number("SEED", from_environment, 0, UINT64_MAX);
        o->is_single = true;
        of_one = "SEED";
    }
    while ((option = getopt_long(count, arguments, "h", options, &index)) != -1) {
        if (option == OPTION_SEED) of_one = "--seed";
        if (is_of_many(option)) of_many = options[index].name;
        switch (option) {
        case OPTION_SEED:
            o->first = number("--seed", optarg, 0, UINT64_MAX);
            o->is_single = true;
            break;
        case OPTION_SEEDS:
            o->seeds = number("--seeds", optarg, 1, 1000000000000);
            break;
        case OPTION_FIRST:
            o->first = number("--first", optarg, 0, UINT64_MAX / 2);
            break;
        case OPTION_PROFILE:
            o->profile = profile_named(optarg);
            break;
        case OPTION_REPLICAS:
            o->replicas = (uint32_t)number("--replicas", optarg, 1, VSR_REPLICAS_MAX);
            break;
        case OPTION_JOBS:
            o->jobs = (uint32_t)number("--jobs", optarg, 1, JOBS_MAX);
            break;
        case OPTION_FAILURES:
            o->failures_max = (uint32_t)number("--failures", optarg, 1, 1000);
            break;
        case OPTION_SECONDS:
            o->seconds = number("--seconds", optarg, 1, 1000000);
            break;
        case OPTION_TRACE:
            o->level = VSR_TRACE_ALL;
            break;
        case 'h':
        case OPTION_HELP:
            print_help(stdout);
            exit(program_end("tests/simulate", 0));
        default: /* getopt has said which one */
            fprintf(stderr, "tests/simulate: see tests/simulate --help for what is accepted\n");
            exit(OUTCOME_USAGE);
        }
    }
    if (optind < count) {
        fprintf(stderr, "tests/simulate: \"%s\" is no option; see tests/simulate --help\n",
                arguments[optind]);
        exit(OUTCOME_USAGE);
    }
    if (of_one != NULL && of_many != NULL) {
        fprintf(stderr,
                "tests/simulate: %s runs one seed, --%s is for many; accepted is one of both\n",
                of_one, of_many);
        exit(OUTCOME_USAGE);
    }
}

/** The core's broken assertions end a run like any other broken invariant, with the last events. */
_Noreturn void vsr_panic(const char *claim, const char *file, int line)
{
    job_crashed("assertion", claim, file, line);
}

int main(int count, char **arguments)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct job_options o = {
        .profile = sim_profile_find("mixed"),
        .first = 1,
        .seeds = 1000,
        .jobs = cores < 1          ? 1
                : cores > JOBS_MAX ? JOBS_MAX
                                   : (uint32_t)cores,
        .failures_max = 1,
        .level = vsr_trace_wanted(),
    };

    program_begin("tests/simulate");
    read_options(count, arguments, &o);
    const enum outcome outcome = o.is_single ? jobs_run_one(&o) : jobs_run_many(&o);
    return program_end("tests/simulate", (int)outcome);
}
