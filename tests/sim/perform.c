/**
 * What a replica's driver calls: the effects of a step (the network, the disk, the machine,
 * snapshots), what looks on, and where a process dies.
 */
#include "world.h"

#include <vsr/counter.h>

#include <string.h>

/* Execution and the disk. */

/**
 * Something that depends on where it runs: an address, a clock, the order of a hash table. Whatever
 * is asked from now on gets another result.
 */
static void deviate(struct world *w, struct host *h)
{
    for (uint32_t key = 0; key < w->scenario.load.keys; key++) {
        uint64_t room[2] = {0};
        const struct vsr_counter_add add = {.index = key, .amount = 1000003};
        const struct vsr_operation operation = {
            .payload = &add,
            .result = (struct vsr_result *)(void *)room,
            .payload_bytes = sizeof add,
        };
        h->machine.apply(h->machine.state, h->apply.op, h->apply.timestamp, &operation, 1);
    }
    h->deviates_next = false;
    h->is_deviant = true;
    h->deviant_op = h->apply.op;
    journal_text(&w->journal, "the machine of %u deviates at op %llu", h->index,
                 (unsigned long long)h->apply.op);
}

void host_apply_now(struct world *w, struct host *h)
{
    const struct vsr_effect *e = &h->apply;

    vsr_driver_apply(&h->machine, e);
    if (h->deviates_next && e->count > 0) deviate(w, h);
    h->machine_op = e->op;
    ghost_on_applied(w, h, e->operations, e->count);
}

static bool perform_apply(void *context, const struct vsr_effect *e)
{
    struct host *h = context;
    struct world *w = h->world;

    if (h->is_applying) host_fail(w, h, "APPLY while one is out");
    if (e->op != h->machine_op + 1) host_fail(w, h, "APPLY of an op that is not the next");
    h->is_applying = true;
    h->apply = *e;
    if (h->is_saving) {
        host_schedule(w, h, EVENT_APPLIED, 1);
    } else if (w->scenario.apply_delay > 0 && !w->has_ended) {
        host_schedule(w, h, EVENT_APPLIED,
                      random_below(&w->disk_random, w->scenario.apply_delay) + 1);
    } else {
        host_apply_now(w, h);
        return true;
    }
    return false;
}

void host_note_written(struct world *w, struct host *h)
{
    if (h->has_durable && h->writing.view < h->durable.view)
        journal_fail(&w->journal, OUTCOME_INVARIANT,
                     "I9: replica %u makes view %llu durable after view %llu", h->index,
                     (unsigned long long)h->writing.view, (unsigned long long)h->durable.view);
    h->durable = h->writing;
    h->has_durable = true;
    w->stats.counts[COUNT_PERSISTS]++;
}

static bool perform_persist(void *context, const struct vsr_effect *e)
{
    const struct vsr_superblock *s = &e->superblock;
    struct host *h = context;
    struct world *w = h->world;
    const struct scenario *c = &w->scenario;
    const bool is_slow = w->now < w->slow_disk_until;
    uint64_t delay = c->persist_min + random_below(&w->disk_random, c->persist_jitter + 1);

    if (h->is_writing) host_fail(w, h, "PERSIST while one is out");
    if (s->incarnation != h->incarnation) host_fail(w, h, "PERSIST of another incarnation");
    if (w->has_ended && delay > TICK / 4) delay = TICK / 4;
    if (is_slow) delay = random_exponential(&w->disk_random, 10 * TICK);
    h->is_writing = true;
    h->writing = *s;
    journal_text(&w->journal, "%u writes view %llu, log view %llu", h->index,
                 (unsigned long long)s->view, (unsigned long long)s->log_view);
    if (w->crashes_at_persist && world_may_crash(w, h)) {
        w->crashes_at_persist = false;
        w->stats.faults[FAULT_CRASH_PERSIST]++;
        h->is_doomed = true;
        if (random_percent(&w->disk_random, 50)) host_note_written(w, h);
        return false;
    }
    if (delay == 0 && h->is_saving) delay = 1;
    if (delay == 0) {
        host_note_written(w, h);
        h->is_writing = false;
        return true;
    }
    host_schedule(w, h, EVENT_WRITTEN, delay - random_below(&w->disk_random, delay / 2 + 1));
    queue_push(&w->queue, (struct event){.time = w->now + delay,
                                         .kind = EVENT_DURABLE,
                                         .target = (uint16_t)h->index,
                                         .life = h->incarnation,
                                         .sequence = e->sequence});
    return false;
}

static void perform_notice(void *context, const struct vsr_effect *e)
{
    const struct host *h = context;
    struct world *w = h->world;

    w->stats.notices[e->notice]++;
    if (e->notice == VSR_NOTICE_DIVERGED && h->is_deviant) w->stats.counts[COUNT_DEVIATIONS_SEEN]++;
    journal_text(&w->journal, "%u notices (replica %u, op %llu): %s", h->index, e->replica,
                 (unsigned long long)e->at_op, vsr_notice_text(e->notice));
    if (w->has_lied) return;
    /* Who loads a deviant's snapshot is one more: with two of three, the right one halts. */
    if (e->notice == VSR_NOTICE_DIVERGED && !h->is_deviant && !w->is_beyond)
        journal_fail(&w->journal, OUTCOME_INVARIANT, "I2: replica %u says that it has diverged",
                     h->index);
    if (e->notice == VSR_NOTICE_FORKED_LOG && scenario_has(&w->scenario, CONDITION_NO_FALSE_FORK))
        journal_fail(&w->journal, OUTCOME_INVARIANT,
                     "replica %u says that its log is forked at op %llu; nobody has forked it",
                     h->index, (unsigned long long)e->at_op);
    if (e->notice == VSR_NOTICE_DATA_LOST && !w->is_beyond)
        journal_fail(&w->journal, OUTCOME_INVARIANT, "I6: replica %u says that data is lost",
                     h->index);
}

/* Messages. */

static void perform_send(void *context, uint32_t to_mask, struct vsr_buffer buffer)
{
    struct host *h = context;
    struct world *w = h->world;
    const struct vsr_header *m = buffer.header;
    const uint8_t type = m->type;
    const bool is_first = type < VSR_MESSAGE_COUNT && h->first_sent[type] != m->view + 1;

    pool_seal(buffer);
    ghost_on_send(w, h, m, h->status_before);
    waits_on_sent(w, h, type, to_mask);
    h->first_sent[type] = m->view + 1;
    w->stats.sent[type]++;
    journal_message(&w->journal, NOTE_SENT, m, (int16_t)h->index, to_mask);
    if (world_may_crash(w, h) && !h->is_doomed && faults_spring(w, &w->send_trap, type, is_first)) {
        w->stats.faults[FAULT_CRASH_SENDER]++;
        h->is_doomed = true;
        h->drops_rest = random_percent(&w->fault_random, 50);
    }
    network_send(w, h->index, to_mask, buffer);
    standing_on_sent(w, h->index, type);
}

static void perform_send_client(void *context, vsr_address address, struct vsr_buffer buffer)
{
    struct host *h = context;
    struct world *w = h->world;

    pool_seal(buffer);
    ghost_on_reply(w, h, buffer.header);
    w->stats.sent[buffer.header->type]++;
    journal_message(&w->journal, NOTE_SENT, buffer.header, (int16_t)h->index, 0);
    network_send_client(w, h->index, address, buffer);
}

/* Snapshots: snapshots.c. */

static bool perform_save(void *context, vsr_op op, struct vsr_snapshot *snapshot)
{
    struct host *h = context;
    return snapshot_save(h->world, h, op, snapshot);
}

static void perform_fill_chunk(void *context, const struct vsr_effect *e)
{
    struct host *h = context;
    snapshot_fill_chunk(h->world, h, e);
}

static void perform_store_chunk(void *context, const struct vsr_effect *e)
{
    struct host *h = context;
    snapshot_store_chunk(h->world, h, e);
}

static bool perform_load(void *context, const struct vsr_snapshot *snapshot, bool *is_loaded)
{
    struct host *h = context;
    return snapshot_load(h->world, h, snapshot, is_loaded);
}

/* A step. */

/** How near a step comes to the bound that a host lays its array out by. */
static void note_effects(struct world *w, const struct host *h)
{
    const struct vsr_effects *effects = &h->driver.effects;

    stats_max(&w->stats, COUNT_EFFECTS_MAX, effects->count);
    stats_max(&w->stats, COUNT_EFFECTS_PERCENT_MAX, 100 * effects->count / effects->capacity);
}

static void look_at_step(void *context, const struct vsr_event *event, enum vsr_drop why)
{
    struct host *h = context;
    struct world *w = h->world;
    const bool is_message = event->kind == VSR_EVENT_MESSAGE;

    h->status_before = h->has_seen ? h->seen.status : VSR_STATUS_STARTING;
    h->durable_before = h->durable;
    if (event->kind == VSR_EVENT_APPLIED) h->is_applying = false;
    w->stats.counts[COUNT_STEPS]++;
    if (is_message) journal_reason(&w->journal, why);
    ghost_after_step(w, h);
    note_effects(w, h);
    waits_on_step(w, h);
    if (is_message) waits_on_heard(w, h, h->heard.type, h->heard.from, why);
    if (h->status_before != h->seen.status && h->seen.status != VSR_STATUS_NORMAL)
        network_replay_to(w, h->index);
    if (h->seen.status != VSR_STATUS_STARTING && h->seen.status != VSR_STATUS_RECOVERING)
        h->is_amnesic = false;
}

static bool is_dead(void *context)
{
    const struct host *h = context;
    return h->is_doomed && h->drops_rest;
}

/** Crashes it when its time has come. Returns whether it lives. */
static bool end_step(void *context)
{
    struct host *h = context;

    if (!h->is_doomed) return true;
    h->is_doomed = h->drops_rest = false;
    host_crash(h->world, h, faults_restart_after(h->world));
    return false;
}

const struct vsr_host host_behaviour = {
    .send = perform_send,
    .send_client = perform_send_client,
    .apply = perform_apply,
    .persist = perform_persist,
    .save = perform_save,
    .fill_chunk = perform_fill_chunk,
    .store_chunk = perform_store_chunk,
    .load = perform_load,
    .notice = perform_notice,
    .stepped = look_at_step,
    .is_dead = is_dead,
    .performed = end_step,
};
