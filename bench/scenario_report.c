/**
 * What a scenario has measured, as text or JSON. See scenario_state.h.
 */
#include "scenario_state.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_numbers(const void *a, const void *b)
{
    const double p = *(const double *)a;
    const double q = *(const double *)b;
    return (p > q) - (p < q);
}

double scenario_median(double *numbers, size_t count)
{
    if (count == 0) return 0;
    qsort(numbers, count, sizeof *numbers, compare_numbers);
    return count % 2 == 1 ? numbers[count / 2] : (numbers[count / 2 - 1] + numbers[count / 2]) / 2;
}

/** Times in ns, of the rounds that have them; 0 = none has. */
static double median_of(const struct scenario *s, size_t offset)
{
    double numbers[ROUNDS_MAX];
    size_t count = 0;

    for (uint32_t i = 0; i < s->round_count; i++) {
        memcpy(&numbers[count], (const char *)&s->rounds[i] + offset, sizeof numbers[count]);
        count += numbers[count] > 0;
    }
    return scenario_median(numbers, count);
}

#define MEDIAN(s, field) median_of(s, offsetof(struct round, field))

static double after_detection(const struct round *r)
{
    return r->without - r->detection;
}

/** What the fault cost beyond its detection, in commit round trips. */
static double in_round_trips(const struct round *r)
{
    return after_detection(r) / r->round_trip_left;
}

static double median_round_trips(const struct scenario *s)
{
    double numbers[ROUNDS_MAX];

    for (uint32_t i = 0; i < s->round_count; i++)
        numbers[i] = in_round_trips(&s->rounds[i]);
    return scenario_median(numbers, s->round_count);
}

static void print_rounds(const struct scenario *s)
{
    for (uint32_t i = 0; i < s->round_count; i++) {
        const struct round *r = &s->rounds[i];
        printf("  replica %u killed: ", r->victim);
        if (is_failover(s))
            printf("detected after %.3f ms, %.3f ms without commits: %.1f us more",
                   r->detection * 1e-6, r->without * 1e-6, after_detection(r) * 1e-3);
        else
            printf("%.3f ms without commits (before its death %.3f)", r->without * 1e-6,
                   r->without_before * 1e-6);
        printf(" = %.1f commit round trips of %.1f us (before %.1f, one alone %.2f); %.2f -> %.2f "
               "M/s; recovered in %.3f ms\n",
               in_round_trips(r), r->round_trip_left * 1e-3, r->round_trip * 1e-3, r->one * 1e-3,
               r->before_per_s * 1e-6, r->after_per_s * 1e-6, r->recovery * 1e-6);
    }
}

static void print_text(const struct scenario *s, const struct run_result *result)
{
    const struct bench_options *o = s->options;

    printf("%s: %u replicas, %u workers, %u clients with %u operations outstanding each; a backup "
           "suspects after %u ticks of 1 ms\n",
           scenario_name(o->scenario), o->replicas, o->workers, o->clients, o->outstanding,
           o->suspect_ticks);
    if (o->scenario == SCENARIO_CHURN) {
        printf("  %u killed, %u restarted, %u paused, %llu views left in %.1f s; at most %.1f ms "
               "without commits\n  %.3f M commits/s",
               s->kills, s->restarts, s->pauses,
               (unsigned long long)atomic_load_explicit(&s->view_changes, memory_order_relaxed),
               result->seconds, s->longest * 1e-6,
               (double)result->commits * 1e-6 / result->seconds);
    } else {
        printf(
            "  a commit round trip: to the first answer of the same load, begun after rest, by the "
            "replicas that are left\n  (before: by all; one alone: one operation after the "
            "other)\n");
        print_rounds(s);
        printf("  median of %u: ", s->round_count);
        if (is_failover(s)) printf("detected after %.3f ms, ", MEDIAN(s, detection) * 1e-6);
        printf("%.3f ms without commits", MEDIAN(s, without) * 1e-6);
        if (is_failover(s))
            printf(": detection and %.1f commit round trips", median_round_trips(s));
        else
            printf(" (before its death %.3f)", MEDIAN(s, without_before) * 1e-6);
        printf("; %.0f %% of the commits in the second after; recovered in %.3f ms",
               MEDIAN(s, after_per_s) * 100 / MEDIAN(s, before_per_s), MEDIAN(s, recovery) * 1e-6);
        if (s->disturbed > 0) printf("; %u more rounds were disturbed", s->disturbed);
    }
    printf(
        "\n  verified: digests equal at the same op, every reply once, applied = acknowledged\n");
}

static void add_round(struct row *row, const struct scenario *s, const struct round *r)
{
    row_add_number(row, "replica", r->victim);
    row_add_measured(row, "commit_round_trip_ns", r->round_trip_left);
    row_add_measured(row, "commit_round_trip_before_ns", r->round_trip);
    row_add_measured(row, "commit_round_trip_one_ns", r->one);
    if (is_failover(s)) {
        row_add_measured(row, "detection_ns", r->detection);
        row_add_measured(row, "commit_round_trips_after_detection", in_round_trips(r));
    }
    row_add_measured(row, "without_commits_ns", r->without);
    if (!is_failover(s)) row_add_measured(row, "without_commits_before_ns", r->without_before);
    row_add_measured(row, "commits_per_second_before", r->before_per_s);
    row_add_measured(row, "commits_per_second_after", r->after_per_s);
    row_add_measured(row, "recovery_ns", r->recovery);
}

static void add_summary(struct row *row, const struct scenario *s)
{
    if (s->options->scenario == SCENARIO_CHURN) {
        row_add_number(row, "kills", s->kills);
        row_add_number(row, "restarts", s->restarts);
        row_add_number(row, "pauses", s->pauses);
        row_add_number(row, "views_left",
                       (double)atomic_load_explicit(&s->view_changes, memory_order_relaxed));
        row_add_measured(row, "without_commits_ns_max", s->longest);
        return;
    }
    row_add_number(row, "rounds", s->round_count);
    row_add_number(row, "rounds_disturbed", s->disturbed);
    row_add_measured(row, "commit_round_trip_ns", MEDIAN(s, round_trip_left));
    row_add_measured(row, "commit_round_trip_before_ns", MEDIAN(s, round_trip));
    row_add_measured(row, "commit_round_trip_one_ns", MEDIAN(s, one));
    if (is_failover(s)) {
        row_add_measured(row, "detection_ns", MEDIAN(s, detection));
        row_add_measured(row, "commit_round_trips_after_detection", median_round_trips(s));
    }
    row_add_measured(row, "without_commits_ns", MEDIAN(s, without));
    if (!is_failover(s))
        row_add_measured(row, "without_commits_before_ns", MEDIAN(s, without_before));
    row_add_measured(row, "commits_per_second_before", MEDIAN(s, before_per_s));
    row_add_measured(row, "commits_per_second_after", MEDIAN(s, after_per_s));
    row_add_measured(row, "recovery_ns", MEDIAN(s, recovery));
}

/** A row for each round, then one for all: medians. */
static void print_json(const struct scenario *s, const struct run_result *result,
                       const struct calibration *calibration)
{
    char name[32];
    const struct row base = {
        .benchmark = "cluster",
        .row = scenario_name(s->options->scenario),
        .per_second_name = "commits_per_second",
        .per_second = (double)result->commits / result->seconds,
        .calibration = *calibration,
        .cpu_seconds_per_million =
            result->commits > 0 ? result->cpu_seconds * 1e6 / (double)result->commits : 0,
        .peak_rss_bytes = result->peak_rss_bytes,
        .has_verified = true,
        .is_verified = result->is_verified,
    };

    snprintf(name, sizeof name, "%s-round", base.row);
    for (uint32_t i = 0; i < s->round_count; i++) {
        struct row row = base;
        row.row = name;
        bench_options_describe(s->options, &row);
        add_round(&row, s, &s->rounds[i]);
        row_print(&row, true);
    }
    struct row row = base;
    row.latency = &result->latency;
    bench_options_describe(s->options, &row);
    add_summary(&row, s);
    row_print(&row, true);
}

void scenario_report(const struct scenario *s, const struct run_result *result,
                     const struct calibration *calibration)
{
    if (s->options->is_json)
        print_json(s, result, calibration);
    else
        print_text(s, result);
}
