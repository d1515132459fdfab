/**
 * The end of a run: faults are off, a core of the replicas has to come to rest with everything that
 * was acknowledged, in bounded time.
 */
#include "world.h"

#include "assert.h"
#include "linearizable.h"

#include <inttypes.h>
#include <stdlib.h>

enum { LINEARIZABLE_STEPS = 20000000 };

/** The view of the replica that serves, else the highest. */
static const struct host *primary_now(const struct world *w)
{
    const struct host *best = NULL;

    for (uint32_t i = 0; i < world_replicas(w); i++) {
        const struct host *h = &w->hosts[i];
        if (h->driver.core == NULL || h->seen.status != VSR_STATUS_NORMAL || !h->seen.is_primary)
            continue;
        if (best == NULL || h->seen.view > best->seen.view) best = h;
    }
    return best;
}

/**
 * Mask of the replicas that have to come to rest. With links cut for good these are the ones that
 * form a connected core with the primary; there need not be any, if it commits without one.
 */
static uint32_t judged(const struct world *w)
{
    uint32_t mask = 0;

    if (w->has_cuts) {
        const struct host *primary = primary_now(w);
        mask = primary != NULL ? standing_core_of(w, primary->index) : 0;
        /* An outsider that has lost its memory may not reach those that it has to ask. */
        for (uint32_t i = 0; i < world_replicas(w); i++)
            if (w->hosts[i].is_deviant ||
                (w->hosts[i].is_amnesic && (w->scenario.standing.outsiders >> i & 1) != 0))
                mask &= ~(1u << i);
        return mask;
    }
    for (uint32_t i = 0; i < world_replicas(w); i++)
        mask |= (uint32_t)(!w->hosts[i].is_frozen && !w->hosts[i].is_deviant) << i;
    return mask;
}

/**
 * Freezes some replicas for good: as many as the others can do without, what has failed first.
 *
 * Those that have lost their memory and are to come back need the rest to recover them, so both
 * together stay within the limit.
 */
static void freeze(struct world *w)
{
    const struct scenario *s = &w->scenario;
    struct random *r = &w->end_random;
    const uint32_t n = world_replicas(w);
    const uint32_t quorum = scenario_core(s);
    const struct host *primary = primary_now(w);
    const bool without_primary = primary != NULL && random_percent(r, 40);
    uint32_t most = (uint32_t)random_between(r, 1, n - quorum);
    uint32_t frozen = 0;

    for (uint32_t i = 0; i < 4 * n && frozen < most; i++) {
        struct host *h = &w->hosts[random_below(r, n)];
        if (without_primary && i == 0) h = &w->hosts[primary->index];
        if (h->is_frozen || (i < 2 * n && i > 0 && host_is_up(h))) continue;
        /* Gone for the others, whether or not it could remember. */
        if (frozen + world_amnesic(w) + !h->is_amnesic > s->crash_limit) continue;
        frozen += !h->is_amnesic;
        most -= h->is_amnesic;
        h->is_frozen = true;
        if (h->driver.core != NULL) h->is_paused = true;
        h->is_stalled = false;
        journal_text(&w->journal, "%u stays %s for good", h->index,
                     h->driver.core == NULL ? "down" : "paused");
        if (primary == h) w->stats.counts[COUNT_ENDS_WITHOUT_PRIMARY]++;
    }
}

static void revive(struct world *w)
{
    for (uint32_t i = 0; i < world_replicas(w); i++) {
        struct host *h = &w->hosts[i];
        if (h->is_frozen) continue;
        h->is_paused = h->is_stalled = false;
        if (h->driver.core == NULL) host_start(w, h);
    }
}

/** Whether all that are judged agree and rest. */
static bool has_converged(const struct world *w)
{
    const struct host *primary = primary_now(w);
    const uint32_t mask = judged(w);

    if (!clients_are_done(w) || primary == NULL) return false;
    /* One that is cut off may have missed all view changes, and goes on as the primary of its view.
     */
    if (primary->seen.commit < w->ghost.commit) return false;
    if (!host_is_up(primary) || primary->seen.applied != primary->seen.op) return false;
    for (uint32_t i = 0; i < world_replicas(w); i++) {
        const struct host *h = &w->hosts[i];
        if ((mask >> i & 1) == 0) continue;
        if (!host_is_up(h) || h->seen.status != VSR_STATUS_NORMAL) return false;
        if (h->seen.is_behind_log || h->seen.applied != h->seen.op) return false;
        if (h->seen.view != primary->seen.view || h->seen.op != primary->seen.op ||
            h->seen.head_checksum != primary->seen.head_checksum)
            return false;
    }
    return true;
}

/** Of those that are not gone for good. */
static vsr_view view_max(const struct world *w)
{
    vsr_view view = 0;
    for (uint32_t i = 0; i < world_replicas(w); i++)
        if (!w->hosts[i].is_frozen && w->hosts[i].seen.view > view) view = w->hosts[i].seen.view;
    return view;
}

static _Noreturn void fail_to_converge(struct world *w, uint64_t ticks)
{
    waits_tell(w);
    journal_fail(&w->journal, OUTCOME_NO_PROGRESS,
                 "lack of progress: no rest within %" PRIu64 " ticks after the last fault", ticks);
}

static void converge(struct world *w)
{
    const uint64_t start = w->now;
    const uint64_t patience =
        scenario_patience_ticks(&w->scenario) + scenario_backlog_ticks(&w->scenario);
    const vsr_view view = view_max(w);

    while (!has_converged(w)) {
        if (w->is_beyond) return; /* A deviant's snapshot was loaded meanwhile. */
        if (w->now - start > patience * TICK) fail_to_converge(w, patience);
        world_advance(w, w->now + LOOK_EVERY);
        monitor_look(w);
    }
    const uint64_t ticks = (w->now - start) / TICK;
    w->stats.counts[COUNT_END_TICKS] += ticks;
    stats_max(&w->stats, COUNT_END_TICKS_MAX, ticks);
    stats_max(&w->stats, COUNT_END_VIEWS_MAX, view_max(w) - view);
    if (view_max(w) - view > 40 + 2 * world_replicas(w))
        journal_fail(&w->journal, OUTCOME_NO_PROGRESS,
                     "lack of progress: %" PRIu64 " views left before it came to rest",
                     view_max(w) - view);
}

/** Whether all that are judged have executed what was committed when the faults ended. */
static bool has_caught_up(const struct world *w, vsr_op commit)
{
    const uint32_t mask = judged(w);

    for (uint32_t i = 0; i < world_replicas(w); i++) {
        const struct host *h = &w->hosts[i];
        if ((mask >> i & 1) != 0 && (!host_is_up(h) || h->is_amnesic || h->seen.applied < commit))
            return false;
    }
    return true;
}

/** More new ops than a ring holds, with whatever stays as it is. */
static void load_on(struct world *w)
{
    const struct scenario *s = &w->scenario;
    const vsr_op commit = w->ghost.commit;
    const vsr_op goal = commit + s->load.goal_end;
    const bool is_strict = scenario_has(s, CONDITION_KEEPS_UP);
    const uint64_t start = w->now;
    const uint64_t patience = scenario_patience_ticks(s) +
                              s->load.goal_end * (20 + 6 * scenario_round_trip(s) +
                                                  s->load.think_ticks + s->replica.resend_ticks);

    while (w->ghost.commit < goal || (is_strict && !has_caught_up(w, commit))) {
        if (w->is_beyond) return;
        if (w->now - start > patience * TICK) {
            waits_tell(w);
            journal_fail(&w->journal, OUTCOME_NO_PROGRESS,
                         "lack of progress: %" PRIu64 " of %u ops within %" PRIu64
                         " ticks after the last fault%s",
                         w->ghost.commit - commit, s->load.goal_end, patience,
                         w->ghost.commit >= goal
                             ? ", and a healthy replica has not caught up under load"
                             : "");
        }
        world_advance(w, w->now + LOOK_EVERY);
        monitor_look(w);
    }
}

/** Every answer of these belongs to a question that a timer repeats. */
static uint64_t traffic(const struct world *w)
{
    uint64_t sent = 0;

    for (uint32_t i = 1; i < VSR_MESSAGE_COUNT; i++)
        if (i != VSR_REQUEST && i != VSR_REPLY && i != VSR_NOT_PRIMARY) sent += w->stats.sent[i];
    return sent;
}

/**
 * At rest there is a heartbeat and its answer, and what those who are cut off repeat: of each
 * replica so many messages in each heartbeat and in each resend interval, and no more.
 */
static bool is_rest(struct world *w, uint64_t sent, uint64_t ticks, uint64_t *most)
{
    const struct vsr_replica_options *o = &w->scenario.replica;
    const uint64_t n = world_replicas(w);
    /* A clock may run that much too fast. */
    const uint64_t true_ticks = ticks * 100 / (100 - w->scenario.skew_percent) + 1;

    *most = n * n * (true_ticks / o->heartbeat_ticks + 1) +
            2 * n * n * (true_ticks / o->resend_ticks + 1);
    return sent <= *most;
}

/** Whoever is cut off from the primary may be fetching the log from another yet, at worst an op in
 * each round trip: that ends. */
static void rest(struct world *w, uint64_t ticks)
{
    const uint64_t fetching = scenario_round_trip(&w->scenario) * w->scenario.replica.log_ops;
    const uint64_t until = w->now + (w->has_cuts ? fetching * TICK : 0);
    uint64_t most;

    for (;;) {
        uint64_t sent = traffic(w);
        world_advance(w, w->now + ticks * TICK);
        sent = traffic(w) - sent;
        if (is_rest(w, sent, ticks, &most)) {
            stats_max(&w->stats, COUNT_REST_PERCENT_MAX, 100 * sent / most);
            return;
        }
        if (w->now >= until)
            journal_fail(&w->journal, OUTCOME_INVARIANT,
                         "traffic at rest: %" PRIu64 " messages in %" PRIu64
                         " ticks; the bound is %" PRIu64,
                         sent, ticks, most);
    }
}

/** Nobody leaves a view in which nothing is wrong. */
static void stay(struct world *w)
{
    const struct host *primary = primary_now(w);
    const uint32_t mask = judged(w);

    if (mask == 0) return;
    const vsr_view view = primary->seen.view;

    rest(w, 3 * (uint64_t)w->scenario.replica.suspect_ticks);
    for (uint32_t i = 0; i < world_replicas(w); i++) {
        const struct host *h = &w->hosts[i];
        if ((mask >> i & 1) != 0 && (h->seen.view != view || h->seen.status != VSR_STATUS_NORMAL))
            journal_fail(&w->journal, OUTCOME_NO_PROGRESS,
                         "lack of progress: replica %u leaves view %" PRIu64
                         " though nothing is wrong",
                         i, view);
    }
}

static void check_history(struct world *w)
{
    struct lin_operation *operations = calloc(w->call_count + 1, sizeof *operations);
    struct lin_report why;
    size_t count = 0;

    VSR_ASSERT(operations != NULL);
    for (size_t i = 0; i < w->call_count; i++) {
        const struct call *call = &w->calls[i];
        if (call->is_void) continue; /* Whatever shows it as executed has no explanation then. */
        operations[count++] = (struct lin_operation){
            .key = call->key,
            .call = call->invoked,
            .ret = call->is_known ? call->returned : LIN_NEVER,
            .input = {call->amount},
            .output = call->result,
        };
    }
    enum lin_verdict verdict = lin_check(&lin_counter, operations, count, LINEARIZABLE_STEPS, &why);
    if (verdict == LIN_WRONG) {
        lin_explain(stdout, operations, count, &why);
        journal_fail(&w->journal, OUTCOME_INVARIANT,
                     "linearizability: no order explains what the clients saw of key %" PRIu64,
                     why.key);
    }
    w->stats.counts[COUNT_UNDECIDED] += verdict == LIN_UNDECIDED;
    free(operations);
}

/** When the last message arrives that is on its way now, however slow its way is. */
static uint64_t last_delivery(const struct world *w)
{
    uint64_t last = w->now;

    for (size_t i = 0; i < w->queue.count; i++) {
        const struct event *event = &w->queue.heap[i];
        if (event->kind == EVENT_DELIVER && event->time > last) last = event->time;
    }
    return last;
}

/** Who is there when liveness is judged: all, a core with the others frozen, or a cut core. */
static void choose_end(struct world *w)
{
    const bool may_freeze = world_replicas(w) > scenario_core(&w->scenario) &&
                            w->scenario.crash_limit > 0 && w->scenario.standing.outsiders == 0 &&
                            w->stats.faults[FAULT_DEVIATION] == 0;
    /* Who never saves is of no use to those that need a snapshot: one that is missing already. */
    const bool is_missing = w->scenario.snapshots.never_saves != 0;
    const bool freezes = may_freeze && !is_missing && random_percent(&w->end_random, 50);

    if (freezes) freeze(w);
    const enum sim_count count = w->has_cuts ? COUNT_ENDS_WITH_CUTS
                                 : freezes   ? COUNT_ENDS_WITH_CORE
                                             : COUNT_ENDS_WITH_ALL;
    w->stats.counts[count]++;
}

/** Most runs go on with some new requests, the others only end what is outstanding. */
static void end_load(struct world *w)
{
    if (w->scenario.load.is_steady) {
        load_on(w);
        clients_forget_goal(w);
    } else {
        clients_forget_goal(w);
        w->load_goal += w->scenario.load.goal_end;
    }
}

static void check_stayed(struct world *w)
{
    if (!scenario_has(&w->scenario, CONDITION_STAYS) || view_max(w) == 0) return;
    waits_tell(w);
    journal_fail(&w->journal, OUTCOME_NO_PROGRESS,
                 "lack of progress: %" PRIu64 " views were left, and nothing was ever wrong",
                 view_max(w));
}

static void check_complete(struct world *w)
{
    const uint32_t mask = judged(w) | 1u << primary_now(w)->index;

    for (uint32_t i = 0; i < world_replicas(w); i++)
        if ((mask >> i & 1) != 0 && !w->hosts[i].is_deviant) ghost_check_complete(w, &w->hosts[i]);
}

static bool is_cut_between(const struct standing *c, uint32_t one, uint32_t other)
{
    return (c->cut[one] >> other & 1) != 0 || (c->cut[other] >> one & 1) != 0;
}

/**
 * Whether a primary hears of too few right states to know which one a majority has; it says then
 * that they differ, and stops nobody. One that deviates itself has to hear what leaves it without a
 * majority.
 */
static bool is_majority_out_of_reach(const struct world *w, const struct host *primary)
{
    const uint32_t count = world_replicas(w);
    const uint32_t majority = count / 2 + 1;
    uint32_t right = 0;

    for (uint32_t i = 0; i < count; i++)
        right +=
            !w->hosts[i].is_deviant && !is_cut_between(&w->scenario.standing, primary->index, i);
    return right < (primary->is_deviant ? count - majority + 1 : majority);
}

/**
 * Whether a standing cut lies between it and the primary. What the one says may never come to the
 * primary, or what a majority has never to the other, which gets its log from a backup; nobody else
 * compares.
 */
static bool is_never_compared(const struct world *w, uint32_t i)
{
    const struct standing *c = &w->scenario.standing;
    const struct host *primary = primary_now(w);

    if (!w->has_cuts) return false;
    if ((c->outsiders >> i & 1) != 0) return true;
    if (primary == NULL) return false;
    return is_cut_between(c, primary->index, i) || is_majority_out_of_reach(w, primary);
}

/** A machine that deviates is found out while there is load, and its replica halts. */
static void check_deviants(struct world *w)
{
    for (uint32_t i = 0; i < world_replicas(w); i++) {
        const struct host *h = &w->hosts[i];
        if (!h->is_deviant || h->seen.status == VSR_STATUS_HALTED) continue;
        if (is_never_compared(w, i)) continue;
        /* The results of some more ops have to show it. */
        if (w->ghost.commit < h->deviant_op + 2 * w->scenario.replica.pipeline_max + 8) continue;
        waits_tell(w);
        journal_fail(&w->journal, OUTCOME_INVARIANT,
                     "the machine of replica %u has deviated, and nobody has noticed", i);
    }
}

/**
 * The end of a run in which nothing can be promised any more. More than f without memory: nothing
 * that contradicts what was acknowledged may happen, and nothing at all is fine. After lies: no
 * assertion of the core may fail.
 */
static void end_without_promise(struct world *w)
{
    w->stats.counts[w->has_lied ? COUNT_ENDS_WITH_LIES : COUNT_ENDS_BEYOND]++;
    revive(w);
    world_advance(w, w->now + 40 * (uint64_t)w->scenario.replica.suspect_ticks * TICK);
    if (!w->has_lied && w->stats.faults[FAULT_DEVIATION] == 0) check_history(w);
}

/**
 * What went wrong at last may still be suspected, and a view that starts meanwhile may end by votes
 * that were sent before: only after as long without another view has nobody a reason to leave.
 */
static void settle(struct world *w)
{
    enum { VIEWS_MAX = 8 };
    const uint64_t ticks =
        2 * (uint64_t)w->scenario.replica.suspect_ticks + 2 * scenario_round_trip(&w->scenario);

    for (uint32_t i = 0; i < VIEWS_MAX; i++) {
        const vsr_view view = view_max(w);
        world_advance(w, w->now + ticks * TICK);
        converge(w);
        if (view_max(w) == view) return;
    }
}

void finish_run(struct world *w)
{
    const uint64_t stragglers_until = last_delivery(w);

    check_stayed(w);
    faults_stop(w);
    if (w->is_beyond || w->has_lied) {
        end_without_promise(w);
        return;
    }
    journal_text(&w->journal, "faults end");
    choose_end(w);
    revive(w);
    end_load(w);
    converge(w);
    if (w->is_beyond) {
        end_without_promise(w);
        return;
    }
    /* Votes of that time may still be on their way, and are as good as new ones. */
    if (w->now < stragglers_until) world_advance(w, stragglers_until);
    settle(w);
    stay(w);
    converge(w); /* A request that was long on its way may have come. */
    check_complete(w);
    if (w->stats.counts[COUNT_ENDS_WITH_ALL] != 0) check_stayed(w);
    check_deviants(w);
    if (w->stats.faults[FAULT_DEVIATION] == 0) check_history(w);
}
