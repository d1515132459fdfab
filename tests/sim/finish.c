/**
 * The end of a run: faults are off, a core of the replicas has to come to rest with everything that
 * was acknowledged, in bounded time.
 */
#include "world.h"

#include "assert.h"
#include "linearizable.h"

#include <inttypes.h>
#include <stdlib.h>

enum { LOOK_EVERY = 5 * TICK, LINEARIZABLE_STEPS = 20000000 };

static bool is_core(const struct host *h)
{
    return !h->is_frozen;
}

/** The view of the replica that serves, else the highest. */
static const struct host *primary_now(const struct world *w)
{
    const struct host *best = NULL;

    for (uint32_t i = 0; i < world_replicas(w); i++) {
        const struct host *h = &w->hosts[i];
        if (h->core == NULL || h->seen.status != VSR_STATUS_NORMAL || !h->seen.is_primary) continue;
        if (best == NULL || h->seen.view > best->seen.view) best = h;
    }
    return best;
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
    const uint32_t quorum = s->quorum_replication > s->quorum_view_change ? s->quorum_replication
                                                                          : s->quorum_view_change;
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
        if (h->core != NULL) h->is_paused = true;
        journal_text(&w->journal, "%u stays %s for good", h->index,
                     h->core == NULL ? "down" : "paused");
        if (primary == h) w->stats.counts[COUNT_ENDS_WITHOUT_PRIMARY]++;
    }
}

static void revive(struct world *w)
{
    for (uint32_t i = 0; i < world_replicas(w); i++) {
        struct host *h = &w->hosts[i];
        if (h->is_frozen) continue;
        h->is_paused = false;
        if (h->core == NULL) host_start(w, h);
    }
}

/** Whether all of the core agree and rest. */
static bool has_converged(const struct world *w)
{
    const struct host *first = NULL;

    if (!clients_are_done(w)) return false;
    for (uint32_t i = 0; i < world_replicas(w); i++) {
        const struct host *h = &w->hosts[i];
        if (!is_core(h)) continue;
        if (!host_is_up(h) || h->seen.status != VSR_STATUS_NORMAL) return false;
        if (h->seen.is_behind_log || h->seen.applied != h->seen.op) return false;
        if (first == NULL) first = h;
        if (h->seen.view != first->seen.view || h->seen.op != first->seen.op ||
            h->seen.head_checksum != first->seen.head_checksum)
            return false;
    }
    /* One that is gone for good has not been missed yet. */
    return first == NULL || is_core(&w->hosts[first->seen.view % world_replicas(w)]);
}

/** Of the core. */
static vsr_view view_max(const struct world *w)
{
    vsr_view view = 0;
    for (uint32_t i = 0; i < world_replicas(w); i++)
        if (is_core(&w->hosts[i]) && w->hosts[i].seen.view > view) view = w->hosts[i].seen.view;
    return view;
}

static _Noreturn void fail_to_converge(struct world *w, uint64_t ticks)
{
    for (uint32_t i = 0; i < world_replicas(w); i++) {
        const struct host *h = &w->hosts[i];
        const struct vsr_replica_report *s = &h->seen;
        journal_text(&w->journal,
                     "%u: %s%s, %s, view %" PRIu64 ", log view %" PRIu64 ", log %" PRIu64
                     "..%" PRIu64 ", commit %" PRIu64 ", applied %" PRIu64 "%s",
                     i,
                     h->core == NULL ? "down"
                     : h->is_paused  ? "paused"
                                     : "up",
                     h->is_frozen ? " for good" : "", vsr_status_name(s->status), s->view,
                     s->log_view, s->log_start + 1, s->op, s->commit, s->applied,
                     s->is_behind_log ? ", behind the log" : "");
    }
    for (uint32_t i = 0; i < w->scenario.load.clients; i++) {
        struct vsr_client_report report;
        vsr_client_report(w->clients[i].core, &report);
        journal_text(&w->journal, "client %u: %u ready, %u waiting, %u registering, %u tries", i,
                     report.ready, report.waiting, report.registering,
                     (unsigned)report.oldest_attempts);
    }
    journal_fail(&w->journal, OUTCOME_NO_PROGRESS,
                 "lack of progress: no rest within %" PRIu64 " ticks after the last fault", ticks);
}

/** Long: a view change doubles its patience, a client its own. */
static uint64_t patience_ticks(const struct world *w)
{
    const struct scenario *s = &w->scenario;
    return 200 + 120 * (uint64_t)s->replica.suspect_ticks +
           6 * ((uint64_t)s->client.retry_ticks << s->client.retry_doublings) +
           s->tail_mean / TICK * 20;
}

static void converge(struct world *w)
{
    const uint64_t start = w->now;
    const uint64_t patience = patience_ticks(w);
    const vsr_view view = view_max(w);

    while (!has_converged(w)) {
        if (w->now - start > patience * TICK) fail_to_converge(w, patience);
        world_advance(w, w->now + LOOK_EVERY);
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

/** Nobody leaves a view in which nothing is wrong. */
static void stay(struct world *w)
{
    const vsr_view view = view_max(w);

    world_advance(w, w->now + 3 * (uint64_t)w->scenario.replica.suspect_ticks * TICK);
    for (uint32_t i = 0; i < world_replicas(w); i++) {
        const struct host *h = &w->hosts[i];
        if (is_core(h) && (h->seen.view != view || h->seen.status != VSR_STATUS_NORMAL))
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

    VSR_ASSERT(operations != NULL);
    for (size_t i = 0; i < w->call_count; i++) {
        const struct call *call = &w->calls[i];
        operations[i] = (struct lin_operation){
            .key = call->key,
            .call = call->invoked,
            .ret = call->is_known ? call->returned : LIN_NEVER,
            .input = {call->amount},
            .output = call->result,
        };
    }
    enum lin_verdict verdict =
        lin_check(&lin_counter, operations, w->call_count, LINEARIZABLE_STEPS, &why);
    if (verdict == LIN_WRONG) {
        lin_explain(stdout, operations, w->call_count, &why);
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

void finish_run(struct world *w)
{
    const uint32_t n = world_replicas(w);
    const uint32_t least = w->scenario.quorum_replication > w->scenario.quorum_view_change
                               ? w->scenario.quorum_replication
                               : w->scenario.quorum_view_change;

    const uint64_t stragglers_until = last_delivery(w);

    faults_stop(w);
    journal_text(&w->journal, "faults end");
    if (n > least && w->scenario.crash_limit > 0 && random_percent(&w->end_random, 50)) {
        freeze(w);
        w->stats.counts[COUNT_ENDS_WITH_CORE]++;
    } else {
        w->stats.counts[COUNT_ENDS_WITH_ALL]++;
    }
    revive(w);
    /* Most runs go on with some new requests, the others only end what is outstanding. */
    clients_forget_goal(w);
    w->load_goal += w->scenario.load.goal_end;
    converge(w);
    /* Votes of that time may still be on their way, and are as good as new ones. */
    if (w->now < stragglers_until) world_advance(w, stragglers_until);
    /* What went wrong at last may still be suspected; only then has nobody a reason to leave. */
    world_advance(w, w->now + 2 * (uint64_t)w->scenario.replica.suspect_ticks * TICK);
    converge(w);
    stay(w);
    converge(w); /* A request that was long on its way may have come. */
    for (uint32_t i = 0; i < n; i++)
        if (is_core(&w->hosts[i])) ghost_check_complete(w, &w->hosts[i]);
    check_history(w);
}
