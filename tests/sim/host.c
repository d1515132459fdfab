/**
 * A replica's host: performs effects, keeps its disk and snapshots, crashes and restarts it.
 */
#include "world.h"

#include "assert.h"

#include <vsr/counter.h>

#include <stdlib.h>
#include <string.h>

static void host_step(struct world *w, struct host *h, const struct vsr_event *event);

_Noreturn void host_fail(struct world *w, const struct host *h, const char *what)
{
    journal_fail(&w->journal, OUTCOME_INVARIANT, "replica %u breaks the host's contract: %s",
                 h->index, what);
}

void host_schedule(struct world *w, struct host *h, enum event_kind kind, uint64_t delay)
{
    queue_push(&w->queue, (struct event){.time = w->now + delay,
                                         .kind = (uint16_t)kind,
                                         .target = (uint16_t)h->index,
                                         .life = h->incarnation});
}

void host_init(struct world *w, uint32_t index)
{
    struct host *h = &w->hosts[index];
    struct random *r = &w->disk_random;
    const uint32_t skew = w->scenario.skew_percent;

    h->world = w;
    h->source = (struct pool_source){
        .pool = &w->pool,
        .random = random_stream(w->scenario.seed, STREAM_POOL + index),
    };
    h->tick_units = TICK * random_between(r, 100 - skew, 100 + skew) / 100;
    h->clock_offset_ns = random_below(r, 100000);
    if (scenario_has(&w->scenario, CONDITION_HIGH_NUMBERS)) {
        h->clock_offset_ns += UINT64_MAX / 2;
        h->incarnation = UINT32_MAX - 20000 - (uint32_t)random_below(&w->cost_random, 2000);
    }
    h->first_incarnation = h->incarnation + 1;
}

void host_start_machine(struct world *w, struct host *h)
{
    if (h->machine.destroy != NULL) h->machine.destroy(h->machine.state);
    int error = vsr_counter_create(w->scenario.load.keys, &h->machine);
    VSR_ASSERT(error == 0);

    h->machine_op = 0;
}

static void start_core(struct world *w, struct host *h)
{
    struct vsr_replica_options o = w->scenario.replica;
    struct vsr_error why;

    o.replica = h->index;
    o.incarnation = ++h->incarnation;
    o.seed = random_next(&w->disk_random);
    o.buffers = pool_buffers(&h->source);
    if (vsr_replica_options_check(&o, &why) != 0)
        journal_fail(&w->journal, OUTCOME_INVARIANT,
                     "options refused: %s is %llu; accepted is %llu to %llu %s", why.option,
                     (unsigned long long)why.value, (unsigned long long)why.min,
                     (unsigned long long)why.max, why.rule);
    const int error = vsr_driver_create(&h->driver, &o, &host_behaviour, h);
    VSR_ASSERT(error == 0);
}

void host_start(struct world *w, struct host *h)
{
    host_start_machine(w, h);
    start_core(w, h);
    h->is_paused = h->has_turn = h->is_writing = h->is_applying = h->has_seen = false;
    h->is_saving = false;
    h->loads_refused = 0;
    h->busy_until = 0;
    h->kept.snapshot = h->staged.snapshot = (struct vsr_snapshot){0};
    h->kept.count = h->staged.count = 0;
    memset(h->first_sent, 0, sizeof h->first_sent);
    memset(h->away_at, 0, sizeof h->away_at);
    host_schedule(w, h, EVENT_TICK, random_below(&w->disk_random, h->tick_units) + 1);
    if (h->has_durable) {
        w->stats.counts[COUNT_RESTARTS]++;
        journal_text(&w->journal, "%u restarts with view %llu, log view %llu on its disk", h->index,
                     (unsigned long long)h->durable.view, (unsigned long long)h->durable.log_view);
        host_step(w, h, &(struct vsr_event){.kind = VSR_EVENT_RECOVER, .superblock = h->durable});
    } else {
        if (h->incarnation != h->first_incarnation) w->stats.counts[COUNT_RESTARTS_NEW]++;
        journal_text(&w->journal, "%u starts", h->index);
        host_step(w, h, &(struct vsr_event){.kind = VSR_EVENT_START});
    }
}

/** Adds what the core has counted, before it is gone. */
static void count_report(struct stats *stats, const struct vsr_replica_report *report)
{
    vsr_counters_add(&stats->replicas, &report->counters);
    for (uint32_t i = 0; i < VSR_DROP_COUNT; i++)
        stats->drops[i] += report->drops[i];
}

static void stop_core(struct world *w, struct host *h)
{
    struct vsr_replica_report report;

    vsr_replica_report(h->driver.core, &report);
    count_report(&w->stats, &report);
    vsr_driver_destroy(&h->driver);
}

void host_deinit(struct world *w, struct host *h)
{
    if (h->driver.core != NULL) stop_core(w, h);
    if (h->machine.destroy != NULL) h->machine.destroy(h->machine.state);
    free(h->kept.bytes);
    free(h->staged.bytes);
    w->stats.counts[COUNT_REFUSED_BUFFERS] += h->source.refusals;
}

void host_take_time(struct world *w, struct host *h, uint64_t units, const struct vsr_event *then)
{
    h->is_saving = true;
    h->busy_until = w->now + units;
    h->completion = *then;
    host_schedule(w, h, EVENT_COMPLETED, units);
}

/** Outsiders of standing cuts and who never saves count too: asking them does not help. */
static bool is_gone(const struct world *w, const struct host *h)
{
    const uint32_t useless = w->scenario.standing.outsiders | w->scenario.snapshots.never_saves;

    return h->is_amnesic || h->is_deviant || h->deviates_next || (useless >> h->index & 1) != 0;
}

uint32_t world_amnesic(const struct world *w)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < world_replicas(w); i++)
        count += is_gone(w, &w->hosts[i]);
    return count;
}

bool world_may_crash(const struct world *w, const struct host *h)
{
    if (h->driver.core == NULL || h->is_frozen || w->has_ended) return false;
    return world_amnesic(w) + !is_gone(w, h) <= w->scenario.crash_limit;
}

void host_crash(struct world *w, struct host *h, uint64_t restart_after)
{
    VSR_ASSERT(world_may_crash(w, h));
    host_lose_memory(w, h, restart_after);
}

void host_lose_memory(struct world *w, struct host *h, uint64_t restart_after)
{
    journal_text(&w->journal, "%u crashes%s", h->index, h->is_writing ? " while it writes" : "");
    w->stats.counts[COUNT_CRASHES]++;
    if (h->is_writing) {
        bool is_written = memcmp(&h->durable, &h->writing, sizeof h->durable) == 0;
        w->stats.counts[is_written ? COUNT_PERSISTS_UNTOLD : COUNT_PERSISTS_LOST]++;
    }
    if (!h->is_amnesic) ghost_on_crash(w, h);
    h->is_amnesic = true;
    h->is_paused = h->is_stalled = h->is_deviant = h->deviates_next = false;
    stop_core(w, h);
    /* The events of this process are void from here on; the next start counts on. */
    host_schedule(w, h, EVENT_RESTART, restart_after);
}

/* Steps. */

static void schedule_turn(struct world *w, struct host *h)
{
    if (h->has_turn) return;
    h->has_turn = true;
    host_schedule(w, h, EVENT_TURN_END, w->scenario.turn_delay);
}

/** One event, its effects, and what follows from them at once. */
static void host_step(struct world *w, struct host *h, const struct vsr_event *event)
{
    const uint64_t applied = h->driver.applied;

    vsr_driver_step(&h->driver, event);
    if (h->driver.core != NULL && h->driver.applied != applied) schedule_turn(w, h);
}

static void on_deliver(struct world *w, struct host *h, const struct event *event)
{
    const struct vsr_header *m = event->buffer.header;

    if (h->is_stalled) {
        struct event later = *event;
        later.time = h->resume_at + 1;
        queue_push(&w->queue, later);
        return;
    }
    if (!host_is_up(h)) {
        w->stats.counts[COUNT_TO_NOBODY]++;
        pool_unref(&w->pool, event->buffer);
        return;
    }
    if (!pool_is_intact(event->buffer))
        journal_fail(&w->journal, OUTCOME_INVARIANT,
                     "a %s from %llu was changed after it had been sent", vsr_message_name(m->type),
                     (unsigned long long)m->from);
    const bool is_trapped =
        world_may_crash(w, h) && faults_spring(w, &w->receive_trap, m->type, true);
    if (m->type < VSR_MESSAGE_COUNT) w->stats.delivered[m->type]++;
    h->heard = *m;
    if (m->from < world_replicas(w)) h->away_at[m->from] = m->type == VSR_AWAY ? w->now : 0;
    journal_message(&w->journal, NOTE_DELIVERED, m, (int16_t)h->index, 0);
    if (is_trapped) {
        w->stats.faults[FAULT_CRASH_RECEIVER]++;
        h->is_doomed = true;
        h->drops_rest = random_percent(&w->fault_random, 30);
    }
    host_step(w, h,
              &(struct vsr_event){
                  .kind = VSR_EVENT_MESSAGE,
                  .message = event->buffer,
                  .is_local = w->scenario.is_local && m->type != VSR_REQUEST,
              });
    if (h->driver.core != NULL) schedule_turn(w, h);
}

static void on_tick(struct world *w, struct host *h)
{
    host_schedule(w, h, EVENT_TICK, h->tick_units);
    if (h->is_paused) return;
    /* The clock on the wall: a rate and an offset of its own. */
    const uint64_t now_ns = w->now * TICK / h->tick_units * 1000 + h->clock_offset_ns;
    host_step(w, h, &(struct vsr_event){.kind = VSR_EVENT_TICK, .now_ns = now_ns});
}

/** Completions of a paused process wait until it goes on. */
static bool is_held_back(struct world *w, struct host *h, const struct event *event)
{
    if (!h->is_paused || (event->kind != EVENT_DURABLE && event->kind != EVENT_APPLIED &&
                          event->kind != EVENT_COMPLETED))
        return false;
    if (!h->is_frozen) {
        struct event later = *event;
        later.time = w->now + TICK;
        queue_push(&w->queue, later);
    }
    return true;
}

/** A disk's answer to what was asked before this, or by an earlier life: nothing follows. */
static void tell_again(struct world *w, struct host *h, vsr_sequence sequence)
{
    const struct vsr_event event = {.kind = VSR_EVENT_DURABLE, .sequence = sequence};

    w->stats.counts[COUNT_DURABLE_AGAIN]++;
    if (vsr_driver_step(&h->driver, &event) != VSR_DROP_STALE)
        journal_fail(&w->journal, OUTCOME_INVARIANT,
                     "G2: replica %u takes the answer to an older sequence", h->index);
}

static void on_process_event(struct world *w, struct host *h, const struct event *event)
{
    if (is_held_back(w, h, event)) return;
    if (event->kind == EVENT_TICK) {
        on_tick(w, h);
    } else if (event->kind == EVENT_TURN_END) {
        h->has_turn = false;
        if (!h->is_paused) host_step(w, h, &(struct vsr_event){.kind = VSR_EVENT_TURN_END});
    } else if (event->kind == EVENT_WRITTEN) {
        host_note_written(w, h);
    } else if (event->kind == EVENT_DURABLE) {
        h->is_writing = false;
        host_step(w, h,
                  &(struct vsr_event){.kind = VSR_EVENT_DURABLE, .sequence = event->sequence});
        if (h->driver.core != NULL && h->is_writing) tell_again(w, h, event->sequence);
    } else if (event->kind == EVENT_COMPLETED) {
        h->is_saving = false;
        host_step(w, h, &h->completion);
        if (h->driver.core != NULL) schedule_turn(w, h);
    } else if (event->kind == EVENT_APPLIED) {
        host_apply_now(w, h);
        host_step(w, h, &(struct vsr_event){.kind = VSR_EVENT_APPLIED, .op = h->apply.op});
    }
}

/** What comes while a snapshot is saved or loaded waits until that is done. */
static bool waits_for_snapshot(struct world *w, struct host *h, const struct event *event)
{
    if (!h->is_saving || h->driver.core == NULL || h->is_paused) return false;
    if (event->kind == EVENT_COMPLETED || event->kind == EVENT_WRITTEN) return false;
    if (event->kind != EVENT_DELIVER && event->life != h->incarnation) return false;
    struct event later = *event;
    later.time = h->busy_until > w->now ? h->busy_until : w->now + TICK / 4;
    queue_push(&w->queue, later);
    return true;
}

void host_on_event(struct world *w, const struct event *event)
{
    struct host *h = &w->hosts[event->target];

    if (waits_for_snapshot(w, h, event)) return;
    if (event->kind == EVENT_DELIVER) {
        on_deliver(w, h, event);
        return;
    }
    if (event->life != h->incarnation) {
        if (event->kind == EVENT_DURABLE && host_is_up(h) && !h->is_saving)
            tell_again(w, h, event->sequence);
        return;
    }
    if (event->kind == EVENT_RESTART) {
        if (h->driver.core == NULL && !h->is_frozen) host_start(w, h);
    } else if (event->kind == EVENT_RESUME) {
        if (h->is_paused && !h->is_frozen) {
            journal_text(&w->journal, "%u goes on", h->index);
            h->is_paused = h->is_stalled = false;
        }
    } else if (h->driver.core != NULL) {
        on_process_event(w, h, event);
    }
}
