/**
 * See scenario.h.
 *
 * Ordering: the times in `seen` and the counters are relaxed: they carry numbers, no memory.
 */
#include "scenario.h"

#include "run_cluster.h"

#include <act/timer.h>

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROUNDS_MAX = 256,
    ONE_MS = 50,      /* one operation after the other */
    BURSTS_MS = 150,  /* the whole load after rest: some 30 times */
    RAMP_MS = 100,    /* back to the full load */
    WINDOW_MS = 1000, /* before a fault and after it: what the dip compares */
    ROUND_MS = 3000,  /* about what a round takes */
    CALM_MS = 100,    /* looked at for gaps: around a backup's death there should be none */
    WAIT_MS_MAX = 20000,
    CHURN_STEP_MS_MAX = 120,
};

/** One fault and what came of it. Times in ns. */
struct round {
    double one;        /* a commit's round trip: one operation after the other, before the fault */
    double round_trip; /* of the whole load, begun after rest: of all replicas, before the fault */
    double round_trip_left; /* likewise, of the replicas that are left */
    double detection;       /* death to the first replica that leaves its view; failover only */
    double without;         /* time without commits */
    double without_before;  /* the longest one in CALM_MS before the fault; restart only */
    double recovery;        /* restart to recovered */
    double before_per_s;    /* commits */
    double after_per_s;     /* in the second after the fault */
    uint32_t victim;
};

struct scenario {
    const struct bench_options *options;
    uint64_t random;
    atomic_ullong seen[VSR_REPLICAS_MAX][VSR_NOTICE_COUNT]; /* since forget(); 0 = not */
    atomic_ullong view_changes;
    struct round rounds[ROUNDS_MAX];
    uint32_t round_count;
    uint32_t disturbed; /* rounds in which something else happened too: a thread lost its core */
    uint32_t kills;     /* churn */
    uint32_t restarts;
    uint32_t pauses;
    double longest; /* ns without commits, in churn */
};

/* What the replicas tell. */

static void on_notice(void *context, uint32_t replica, enum vsr_notice notice, uint32_t about,
                      vsr_op op)
{
    struct scenario *s = context;
    atomic_ullong *seen = &s->seen[replica][notice];

    (void)about;
    (void)op;
    if (atomic_load_explicit(seen, memory_order_relaxed) == 0)
        atomic_store_explicit(seen, act_now_ns(), memory_order_relaxed);
    if (notice == VSR_NOTICE_VIEW_CHANGE)
        atomic_fetch_add_explicit(&s->view_changes, 1, memory_order_relaxed);
}

static void forget(struct scenario *s)
{
    for (uint32_t i = 0; i < VSR_REPLICAS_MAX; i++)
        for (uint32_t k = 0; k < VSR_NOTICE_COUNT; k++)
            atomic_store_explicit(&s->seen[i][k], 0, memory_order_relaxed);
}

/** When the first replica said so; 0 = none has. */
static uint64_t first_seen(struct scenario *s, enum vsr_notice notice)
{
    uint64_t first = 0;

    for (uint32_t i = 0; i < VSR_REPLICAS_MAX; i++) {
        uint64_t ns = atomic_load_explicit(&s->seen[i][notice], memory_order_relaxed);
        if (ns != 0 && (first == 0 || ns < first)) first = ns;
    }
    return first;
}

static bool look(struct run *run, uint32_t replica, struct vsr_cluster_report *report)
{
    return vsr_cluster_look(run_replicas(run), replica, report) == 0 ||
           run_fail(run, "replica %u could not be looked at", replica);
}

/** The replica that serves; UINT32_MAX when none does. */
static uint32_t find_primary(struct run *run)
{
    uint32_t primary = UINT32_MAX;
    vsr_view view = 0;

    for (uint32_t i = 0; i < vsr_cluster_replica_count(run_replicas(run)); i++) {
        struct vsr_cluster_report report;
        if (!look(run, i, &report) || report.run_state != VSR_RUNNING ||
            !report.replica.is_primary || report.replica.view < view)
            continue;
        primary = i;
        view = report.replica.view;
    }
    return primary;
}

/** Waits until all replicas are NORMAL in one view, with a primary that is not about to be left. */
static bool await_health(struct run *run)
{
    for (uint32_t ms = 0; ms < WAIT_MS_MAX; ms += 5) {
        const uint32_t count = vsr_cluster_replica_count(run_replicas(run));
        struct vsr_cluster_report report;
        vsr_view view = 0;
        uint32_t good = 0;

        for (uint32_t i = 0; i < count; i++) {
            if (!look(run, i, &report)) return false;
            if (i == 0) view = report.replica.view;
            good += report.run_state == VSR_RUNNING && report.replica.status == VSR_STATUS_NORMAL &&
                    report.replica.view == view && !report.replica.primary_is_silent;
        }
        if (good == count) return true;
        run_pause_ms(5);
    }
    return run_fail(run, "the replicas were not healthy within %u s", WAIT_MS_MAX / 1000);
}

/* What the clients see. */

static int compare_numbers(const void *a, const void *b)
{
    const double p = *(const double *)a;
    const double q = *(const double *)b;
    return (p > q) - (p < q);
}

static double median(double *numbers, size_t count)
{
    if (count == 0) return 0;
    qsort(numbers, count, sizeof *numbers, compare_numbers);
    return count % 2 == 1 ? numbers[count / 2] : (numbers[count / 2 - 1] + numbers[count / 2]) / 2;
}

/**
 * The median time to the first answer, of one operation or of a burst. 0 = not measured.
 */
static double measure_round_trip(struct run *run, enum run_load load, uint32_t ms)
{
    struct run_point *points;
    double result = 0;

    run_set_load(run, load);
    run_pause_ms(10); /* what was outstanding before is answered */
    run_record(run);
    run_pause_ms(ms);
    size_t count = run_recorded(run, &points);
    run_set_load(run, RUN_FULL);
    double *waited = malloc((count + 1) * sizeof *waited);
    size_t firsts = 0;
    if (waited != NULL && points != NULL) {
        for (size_t i = 0; i < count; i++) {
            /* The rest of a burst's answers come close behind the first. */
            if (load == RUN_BURSTS && i > 0 && points[i].ns - points[i - 1].ns < 1000000) continue;
            waited[firsts++] = (double)points[i].waited_ns;
        }
        result = median(waited, firsts);
    }
    free(waited);
    free(points);
    return result;
}

/** The time between the last answer until `at` and the next one. 0 = there is no next one. */
static double gap_around(const struct run_point *points, size_t count, uint64_t at)
{
    for (size_t i = 1; i < count; i++)
        if (points[i].ns > at && points[i - 1].ns <= at)
            return (double)(points[i].ns - points[i - 1].ns);
    return 0;
}

/** The longest time without an answer between two times. */
static double longest_gap(const struct run_point *points, size_t count, uint64_t from, uint64_t to)
{
    uint64_t longest = 0;
    uint64_t last = from;

    for (size_t i = 0; i < count && points[i].ns < to; i++) {
        if (points[i].ns < from) continue;
        if (points[i].ns - last > longest) longest = points[i].ns - last;
        last = points[i].ns;
    }
    if (to - last > longest) longest = to - last;
    return (double)longest;
}

/* Failover and restart: round after round. */

static bool is_failover(const struct scenario *s)
{
    return s->options->scenario == SCENARIO_FAILOVER;
}

/** Kills, records until commits have gone on for a while. Returns false when the run is no good. */
static bool strike(struct scenario *s, struct run *run, struct round *round, uint64_t *killed_ns,
                   struct run_point **points, size_t *count)
{
    struct vsr_cluster_report report;

    run_record(run);
    run_pause_ms(is_failover(s) ? 5 : CALM_MS);
    forget(s);
    int error = vsr_cluster_kill(run_replicas(run), round->victim, VSR_KILL_SAFELY);
    if (error != 0) return run_fail(run, "killing replica %u: %s", round->victim, strerror(-error));
    if (!look(run, round->victim, &report)) return false;
    *killed_ns = report.changed_ns;
    /* A primary's death is over when commits go on, a backup's when the others know of it. */
    uint32_t ms = 0;
    uint64_t answers = run_answered(run);
    while (ms < WAIT_MS_MAX &&
           (is_failover(s) ? first_seen(s, VSR_NOTICE_PRIMARY) == 0 || run_answered(run) <= answers
                           : ms < CALM_MS)) {
        if (first_seen(s, VSR_NOTICE_PRIMARY) == 0) answers = run_answered(run);
        run_pause_ms(1);
        ms++;
    }
    run_pause_ms(10);
    *count = run_recorded(run, points);
    if (ms < WAIT_MS_MAX && *points != NULL) return true;
    return run_fail(run, "no commits within %u s of the death of replica %u", WAIT_MS_MAX / 1000,
                    round->victim);
}

static bool await_recovered(struct scenario *s, struct run *run, struct round *round)
{
    atomic_ullong *recovered = &s->seen[round->victim][VSR_NOTICE_RECOVERED];
    struct vsr_cluster_report report;

    for (uint32_t ms = 0; ms < WAIT_MS_MAX; ms++) {
        uint64_t ns = atomic_load_explicit(recovered, memory_order_relaxed);
        if (ns == 0) {
            run_pause_ms(1);
            continue;
        }
        if (!look(run, round->victim, &report)) return false;
        round->recovery = ns > report.changed_ns ? (double)(ns - report.changed_ns) : 0;
        return true;
    }
    return run_fail(run, "replica %u has not recovered within %u s", round->victim,
                    WAIT_MS_MAX / 1000);
}

/** Commits per second for so long. */
static double rate_over(struct run *run, uint32_t ms, uint64_t answers, uint64_t since_ns)
{
    const uint64_t until = since_ns + ms * 1000000ull;
    const uint64_t now = act_now_ns();

    if (now < until) run_pause_ms((uint32_t)((until - now) / 1000000) + 1);
    return (double)(run_answered(run) - answers) * 1e9 / (double)(act_now_ns() - since_ns);
}

/** What the fault was to the clients. Returns false when something else happened as well. */
static bool judge(struct scenario *s, struct round *round, uint64_t killed_ns,
                  const struct run_point *points, size_t count)
{
    const uint64_t detected_ns = first_seen(s, VSR_NOTICE_VIEW_CHANGE);

    if (!is_failover(s)) {
        round->without = longest_gap(points, count, killed_ns, killed_ns + CALM_MS * 1000000ull);
        round->without_before =
            longest_gap(points, count, killed_ns - CALM_MS * 1000000ull, killed_ns);
        return detected_ns == 0;
    }
    if (detected_ns <= killed_ns) return false;
    round->detection = (double)(detected_ns - killed_ns);
    round->without = gap_around(points, count, detected_ns);
    return round->without > 0;
}

static bool play_round(struct scenario *s, struct run *run)
{
    struct round *round = &s->rounds[s->round_count];
    struct run_point *points = NULL;
    size_t count = 0;
    uint64_t killed_ns;

    *round = (struct round){0};
    if (!await_health(run)) return false;
    round->one = measure_round_trip(run, RUN_ONE, ONE_MS);
    round->round_trip = measure_round_trip(run, RUN_BURSTS, BURSTS_MS);
    run_pause_ms(RAMP_MS);
    round->before_per_s = rate_over(run, WINDOW_MS, run_answered(run), act_now_ns());
    const uint32_t primary = find_primary(run);
    if (primary == UINT32_MAX) { /* a thread has lost its core for too long: it will have one */
        s->disturbed++;
        return true;
    }
    const uint32_t replicas = vsr_cluster_replica_count(run_replicas(run));
    round->victim = is_failover(s) ? primary : (primary + 1 + s->round_count) % replicas;
    if (round->victim == primary && !is_failover(s)) round->victim = (primary + 1) % replicas;

    const uint64_t answers = run_answered(run);
    bool is_good = strike(s, run, round, &killed_ns, &points, &count);
    bool is_plain = is_good && judge(s, round, killed_ns, points, count);
    free(points);
    if (!is_good) return false;
    round->after_per_s = rate_over(run, WINDOW_MS, answers, killed_ns);
    round->round_trip_left = measure_round_trip(run, RUN_BURSTS, BURSTS_MS);
    forget(s);
    int error = vsr_cluster_restart(run_replicas(run), round->victim, NULL);
    if (error != 0)
        return run_fail(run, "restarting replica %u: %s", round->victim, strerror(-error));
    if (!await_recovered(s, run, round)) return false;
    /* A full log waits for a dead replica until that is suspected: then there is none to measure.
     */
    if (!(round->round_trip_left > 0)) round->round_trip_left = round->round_trip;
    is_plain = is_plain && round->round_trip_left > 0;
    s->round_count += is_plain;
    s->disturbed += !is_plain;
    return true;
}

static bool play_rounds(struct scenario *s, struct run *run)
{
    uint32_t wanted = (uint32_t)(s->options->seconds * 1000 / ROUND_MS);

    if (wanted < 1) wanted = 1;
    if (wanted > ROUNDS_MAX) wanted = ROUNDS_MAX;
    while (s->round_count < wanted && s->disturbed <= 2 * wanted + 8) {
        progress("round %u of %u", s->round_count + 1, wanted);
        if (!play_round(s, run)) return false;
    }
    return s->round_count > 0 || run_fail(run, "every round was disturbed: a busy machine?");
}

/* Churn. */

static uint32_t draw(struct scenario *s, uint32_t below)
{
    s->random = s->random * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(s->random >> 33) % below;
}

/** Replicas that are down, paused or between: commits need the others. */
static bool count_absent(struct run *run, uint32_t *absent)
{
    *absent = 0;
    for (uint32_t i = 0; i < vsr_cluster_replica_count(run_replicas(run)); i++) {
        struct vsr_cluster_report report;
        if (!look(run, i, &report)) return false;
        *absent +=
            report.run_state != VSR_RUNNING || report.replica.status == VSR_STATUS_RECOVERING;
    }
    return true;
}

static bool disturb(struct scenario *s, struct run *run, uint32_t replica)
{
    struct vsr_cluster *cluster = run_replicas(run);
    struct vsr_cluster_report report;
    uint32_t absent;
    int error = 0;

    if (!look(run, replica, &report) || !count_absent(run, &absent)) return false;
    if (report.run_state == VSR_DOWN) {
        error = vsr_cluster_restart(cluster, replica, NULL);
        s->restarts += error == 0;
    } else if (report.run_state == VSR_PAUSED) {
        error = vsr_cluster_resume(cluster, replica);
    } else if (absent >= vsr_cluster_down_max(cluster)) {
        return true; /* One more and nothing would be committed. */
    } else if (draw(s, 3) == 0) {
        error = vsr_cluster_pause(cluster, replica);
        s->pauses += error == 0;
    } else {
        error = vsr_cluster_kill(cluster, replica, VSR_KILL_SAFELY);
        s->kills += error == 0;
        if (error == -EBUSY) error = 0; /* One has begun to recover since. */
    }
    return error == 0 || run_fail(run, "disturbing replica %u: %s", replica, strerror(-error));
}

/** Waits, and notes for how long no commit came. */
static void watch_commits(struct scenario *s, struct run *run, uint32_t ms, uint64_t *answers,
                          uint64_t *changed_ns)
{
    const uint64_t end = act_now_ns() + ms * 1000000ull;

    if (run_answered(run) != *answers) { /* while a replica was being made, and nobody looked */
        *answers = run_answered(run);
        *changed_ns = act_now_ns();
    }
    do {
        run_pause_ms(1);
        const uint64_t now = act_now_ns();
        const uint64_t answered = run_answered(run);
        if (answered == *answers) continue;
        if ((double)(now - *changed_ns) > s->longest) s->longest = (double)(now - *changed_ns);
        *answers = answered;
        *changed_ns = now;
    } while (act_now_ns() < end);
}

static bool play_churn(struct scenario *s, struct run *run)
{
    const uint32_t replicas = vsr_cluster_replica_count(run_replicas(run));
    const uint64_t start = act_now_ns();
    uint64_t answers = run_answered(run);
    uint64_t changed_ns = start;

    for (double spent = 0; spent < s->options->seconds;
         spent = (double)(act_now_ns() - start) * 1e-9) {
        progress("%.1f of %.1f s: %u killed, %u paused", spent, s->options->seconds, s->kills,
                 s->pauses);
        if (!disturb(s, run, draw(s, replicas))) return false;
        watch_commits(s, run, 1 + draw(s, CHURN_STEP_MS_MAX), &answers, &changed_ns);
        if (act_now_ns() - changed_ns > WAIT_MS_MAX * 1000000ull)
            return run_fail(run, "no commits for %u s", WAIT_MS_MAX / 1000);
    }
    for (uint32_t i = 0; i < replicas; i++) {
        struct vsr_cluster_report report;
        if (!look(run, i, &report)) return false;
        if (report.run_state != VSR_RUNNING && !disturb(s, run, i)) return false;
    }
    return await_health(run);
}

static bool play(void *context, struct run *run)
{
    struct scenario *s = context;
    return s->options->scenario == SCENARIO_CHURN ? play_churn(s, run) : play_rounds(s, run);
}

/* The report. */

/** Times in ns, as rounds have them. */
static double median_of(const struct scenario *s, size_t offset)
{
    double numbers[ROUNDS_MAX];

    for (uint32_t i = 0; i < s->round_count; i++)
        memcpy(&numbers[i], (const char *)&s->rounds[i] + offset, sizeof numbers[i]);
    return median(numbers, s->round_count);
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
    return median(numbers, s->round_count);
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
    row_add_number(row, "commit_round_trip_ns", r->round_trip_left);
    row_add_number(row, "commit_round_trip_before_ns", r->round_trip);
    row_add_number(row, "commit_round_trip_one_ns", r->one);
    if (is_failover(s)) {
        row_add_number(row, "detection_ns", r->detection);
        row_add_number(row, "commit_round_trips_after_detection", in_round_trips(r));
    }
    row_add_number(row, "without_commits_ns", r->without);
    if (!is_failover(s)) row_add_number(row, "without_commits_before_ns", r->without_before);
    row_add_number(row, "commits_per_second_before", r->before_per_s);
    row_add_number(row, "commits_per_second_after", r->after_per_s);
    row_add_number(row, "recovery_ns", r->recovery);
}

static void add_summary(struct row *row, const struct scenario *s)
{
    if (s->options->scenario == SCENARIO_CHURN) {
        row_add_number(row, "kills", s->kills);
        row_add_number(row, "restarts", s->restarts);
        row_add_number(row, "pauses", s->pauses);
        row_add_number(row, "views_left",
                       (double)atomic_load_explicit(&s->view_changes, memory_order_relaxed));
        row_add_number(row, "without_commits_ns_max", s->longest);
        return;
    }
    row_add_number(row, "rounds", s->round_count);
    row_add_number(row, "rounds_disturbed", s->disturbed);
    row_add_number(row, "commit_round_trip_ns", MEDIAN(s, round_trip_left));
    row_add_number(row, "commit_round_trip_before_ns", MEDIAN(s, round_trip));
    row_add_number(row, "commit_round_trip_one_ns", MEDIAN(s, one));
    if (is_failover(s)) {
        row_add_number(row, "detection_ns", MEDIAN(s, detection));
        row_add_number(row, "commit_round_trips_after_detection", median_round_trips(s));
    }
    row_add_number(row, "without_commits_ns", MEDIAN(s, without));
    if (!is_failover(s))
        row_add_number(row, "without_commits_before_ns", MEDIAN(s, without_before));
    row_add_number(row, "commits_per_second_before", MEDIAN(s, before_per_s));
    row_add_number(row, "commits_per_second_after", MEDIAN(s, after_per_s));
    row_add_number(row, "recovery_ns", MEDIAN(s, recovery));
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

bool scenario_run(const struct bench_options *options, struct workload *workload)
{
    static struct run_result result;
    static struct scenario s;
    struct calibration calibration;
    const struct run_plan plan = {
        .suspect_ticks = options->suspect_ticks,
        .on_notice = on_notice,
        .measure = play,
        .context = &s,
    };

    s.options = options;
    s.random = options->seed;
    bool is_calibrated = calibrate(&calibration);
    if (!is_calibrated || !run_cluster(options, workload, &plan, &result)) {
        progress(NULL);
        fprintf(stderr, "bench: %s: not verified: %s\n", scenario_name(options->scenario),
                is_calibrated ? result.difference : "no second thread for the calibration");
        return false;
    }
    progress(NULL);
    if (options->is_json)
        print_json(&s, &result, &calibration);
    else
        print_text(&s, &result);
    return true;
}
