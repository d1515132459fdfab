/**
 * What a host does with the effects of a step: the network, the disk, the machine, snapshots.
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
        h->machine.apply(h->machine.state, h->apply_op, h->apply_timestamp, &operation, 1);
    }
    h->deviates_next = false;
    h->is_deviant = true;
    h->deviant_op = h->apply_op;
    journal_text(&w->journal, "the machine of %u deviates at op %llu", h->index,
                 (unsigned long long)h->apply_op);
}

void host_apply_now(struct world *w, struct host *h, struct vsr_event *then)
{
    if (h->operation_count > 0)
        h->machine.apply(h->machine.state, h->apply_op, h->apply_timestamp, h->operations,
                         h->operation_count);
    if (h->deviates_next && h->operation_count > 0) deviate(w, h);
    h->machine_op = h->apply_op;
    h->is_applying = false;
    ghost_on_applied(w, h, h->operations, h->operation_count);
    *then = (struct vsr_event){.kind = VSR_EVENT_APPLIED, .op = h->apply_op};
}

static void perform_apply(struct world *w, struct host *h, const struct vsr_effect *e,
                          struct vsr_event *then)
{
    if (h->is_applying) host_fail(w, h, "APPLY while one is out");
    if (e->op != h->machine_op + 1) host_fail(w, h, "APPLY of an op that is not the next");
    h->is_applying = true;
    h->operations = e->operations;
    h->operation_count = e->count;
    h->apply_op = e->op;
    h->apply_timestamp = e->timestamp;
    if ((w->scenario.apply_delay == 0 || w->has_ended) && !h->is_saving)
        host_apply_now(w, h, then);
    else if (h->is_saving)
        host_schedule(w, h, EVENT_APPLIED, 1);
    else
        host_schedule(w, h, EVENT_APPLIED,
                      random_below(&w->disk_random, w->scenario.apply_delay) + 1);
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

static void perform_persist(struct world *w, struct host *h, const struct vsr_superblock *s,
                            struct vsr_event *then)
{
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
        return;
    }
    if (delay == 0 && h->is_saving) delay = 1;
    if (delay == 0) {
        host_note_written(w, h);
        h->is_writing = false;
        *then = (struct vsr_event){.kind = VSR_EVENT_PERSISTED, .superblock = *s};
        return;
    }
    host_schedule(w, h, EVENT_WRITTEN, delay - random_below(&w->disk_random, delay / 2 + 1));
    host_schedule(w, h, EVENT_PERSISTED, delay);
}

static void perform_notice(struct world *w, struct host *h, const struct vsr_effect *e)
{
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

static void perform_send(struct world *w, struct host *h, const struct vsr_effect *e,
                         enum vsr_status before)
{
    const struct vsr_header *m = e->buffer.header;
    const bool is_first = m->type < VSR_MESSAGE_COUNT && h->first_sent[m->type] != m->view + 1;

    pool_seal(e->buffer);
    ghost_on_send(w, h, m, before);
    waits_on_sent(w, h, m->type, e->to);
    h->first_sent[m->type] = m->view + 1;
    w->stats.sent[m->type]++;
    journal_message(&w->journal, NOTE_SENT, m, (int16_t)h->index, e->to);
    if (world_may_crash(w, h) && !h->is_doomed &&
        faults_spring(w, &w->send_trap, m->type, is_first)) {
        w->stats.faults[FAULT_CRASH_SENDER]++;
        h->is_doomed = true;
        h->drops_rest = random_percent(&w->fault_random, 50);
    }
    const uint8_t type = m->type;
    network_send(w, h->index, e->to, e->buffer);
    standing_on_sent(w, h->index, type);
}

void host_perform(struct world *w, struct host *h, const struct vsr_effect *e,
                  enum vsr_status before, struct vsr_event *then)
{
    switch (e->kind) {
    case VSR_EFFECT_SEND_CHUNK:
        snapshot_fill_chunk(w, h, e);
        perform_send(w, h, e, before);
        break;
    case VSR_EFFECT_SEND:
        perform_send(w, h, e, before);
        break;
    case VSR_EFFECT_SEND_CLIENT:
        pool_seal(e->buffer);
        ghost_on_reply(w, h, e->buffer.header);
        w->stats.sent[e->buffer.header->type]++;
        journal_message(&w->journal, NOTE_SENT, e->buffer.header, (int16_t)h->index, 0);
        network_send_client(w, h->index, e->address, e->buffer);
        break;
    case VSR_EFFECT_APPLY:
        perform_apply(w, h, e, &then[2]);
        break;
    case VSR_EFFECT_PERSIST:
        perform_persist(w, h, &e->superblock, &then[1]);
        break;
    case VSR_EFFECT_SAVE:
        snapshot_save(w, h, e->snapshot.op, &then[0]);
        break;
    case VSR_EFFECT_STORE_CHUNK:
        snapshot_store_chunk(w, h, e);
        break;
    case VSR_EFFECT_LOAD:
        snapshot_load(w, h, &e->snapshot, &then[0]);
        break;
    case VSR_EFFECT_NOTICE:
        perform_notice(w, h, e);
        break;
    }
}
