/**
 * See scenario.h.
 */
#include "scenario.h"

#include "scenario_state.h"

#include <act/timer.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ONE_MS = 50,      /* one operation after the other */
    BURSTS_MS = 150,  /* the whole load after rest: some 30 times */
    RAMP_MS = 100,    /* back to the full load */
    WINDOW_MS = 1000, /* before a fault and after it: what the dip compares */
    ROUND_MS = 3000,  /* about what a round takes */
    CALM_MS = 100,    /* looked at for gaps: around a backup's death there should be none */
    WAIT_MS_MAX = 20000,
    CHURN_STEP_MS_MAX = 120,
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
        result = scenario_median(waited, firsts);
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
    scenario_report(&s, &result, &calibration);
    return true;
}
