/**
 * The snapshots that hosts keep, send in chunks, put aside and load.
 */
#include "world.h"

#include "assert.h"

#include <stdlib.h>
#include <string.h>

static bool write_bytes(void *stream, const void *bytes, size_t count)
{
    struct stored *s = stream;

    if (s->count + count > s->capacity) {
        s->capacity = 2 * (s->count + count) + 4096;
        s->bytes = realloc(s->bytes, s->capacity);
        VSR_ASSERT(s->bytes != NULL);
    }
    if (count > 0) memcpy(s->bytes + s->count, bytes, count);
    s->count += count;
    return true;
}

struct reader {
    const struct stored *stored;
    size_t at;
};

static bool read_bytes(void *stream, void *bytes, size_t count)
{
    struct reader *reader = stream;

    if (count > reader->stored->count - reader->at) return false;
    memcpy(bytes, reader->stored->bytes + reader->at, count);
    reader->at += count;
    return true;
}

/** More bytes than the machine has, the same on every replica. */
static void write_ballast(const struct world *w, struct stored *s, vsr_op op)
{
    for (uint64_t i = 0; i < w->scenario.snapshots.ballast_words; i++) {
        const uint64_t word = (op + i) * 0x9E3779B97F4A7C15ull;
        write_bytes(s, &word, sizeof word);
    }
}

static bool read_ballast(const struct world *w, struct reader *reader, vsr_op op)
{
    for (uint64_t i = 0; i < w->scenario.snapshots.ballast_words; i++) {
        uint64_t word;
        if (!read_bytes(reader, &word, sizeof word) || word != (op + i) * 0x9E3779B97F4A7C15ull)
            return false;
    }
    return true;
}

/** Returns whether it ends at once; else the core is told when the time that it takes is over. */
static bool ends(struct world *w, struct host *h, uint64_t units, const struct vsr_event *then)
{
    if (units > 0)
        host_take_time(w, h, random_between(&w->cost_random, units / 2, units) + 1, then);
    return units == 0;
}

static bool save_fails(struct world *w, const struct host *h)
{
    return (w->scenario.snapshots.never_saves >> h->index & 1) != 0 ||
           random_ppm(&w->cost_random, w->scenario.snapshots.fail_ppm);
}

/**
 * Saves overlap in no quorum. Periodic ones take turns, and are all there are until somebody asks;
 * nobody begins one who knows of another that is at it.
 *
 * Two that begin while the word of the first is on its way are possible: on demand, or where one
 * lags behind the other. Rules 6.8 and 10.
 */
static void check_turn(struct world *w, const struct host *h, vsr_op op)
{
    const uint64_t known = 5ull * w->scenario.replica.suspect_ticks * TICK;
    const uint32_t every = w->scenario.replica.checkpoint_ops;

    if (w->scenario.garbled_ppm != 0) return;
    if (w->stats.delivered[VSR_GET_CHUNK] == 0 &&
        (every == 0 || op % every != 0 || op / every % world_replicas(w) != h->index))
        host_fail(w, h, "SAVE that nobody has asked for, out of its turn");
    for (uint32_t i = 0; i < world_replicas(w); i++) {
        const struct host *other = &w->hosts[i];
        if (other == h || other->driver.core == NULL || !other->is_saving) continue;
        if (other->completion.kind != VSR_EVENT_SAVED || h->away_at[i] == 0) continue;
        if (w->now - h->away_at[i] < known) host_fail(w, h, "SAVE while it knows of another's");
    }
}

bool snapshot_save(struct world *w, struct host *h, vsr_op op, struct vsr_snapshot *snapshot)
{
    struct stored *kept = &h->kept;

    if (h->machine_op != op) host_fail(w, h, "SAVE of an op that the machine is not at");
    check_turn(w, h, op);
    kept->count = 0;
    kept->snapshot = (struct vsr_snapshot){.op = op};
    if (save_fails(w, h)) {
        w->stats.counts[COUNT_SNAPSHOTS_FAILED]++;
        journal_text(&w->journal, "%u has no room for a snapshot at op %llu", h->index,
                     (unsigned long long)op);
    } else {
        if (!vsr_replica_save(h->driver.core, write_bytes, kept) ||
            !h->machine.save(h->machine.state, write_bytes, kept))
            host_fail(w, h, "saving fails");
        write_ballast(w, kept, op);
        kept->snapshot.bytes = kept->count;
        kept->snapshot.id = vsr_snapshot_id(w->scenario.replica.cluster, kept->bytes, kept->count);
        journal_text(&w->journal, "%u saves a snapshot at op %llu, %zu bytes", h->index,
                     (unsigned long long)op, kept->count);
        ghost_on_snapshot(w, h, &kept->snapshot, false);
    }
    *snapshot = kept->snapshot;
    return ends(w, h, w->scenario.snapshots.save_units,
                &(struct vsr_event){.kind = VSR_EVENT_SAVED, .snapshot = kept->snapshot});
}

void snapshot_fill_chunk(struct world *w, struct host *h, const struct vsr_effect *e)
{
    struct vsr_chunk *chunk = (struct vsr_chunk *)(void *)e->buffer.header;
    const struct stored *kept = &h->kept;

    if (chunk->checkpoint_op != kept->snapshot.op || chunk->checkpoint_id != kept->snapshot.id ||
        chunk->snapshot_bytes != kept->snapshot.bytes)
        host_fail(w, h, "SEND_CHUNK of a snapshot that is not kept");
    if (e->chunk_bytes > kept->count || e->chunk_offset > kept->count - e->chunk_bytes)
        host_fail(w, h, "SEND_CHUNK of bytes that the snapshot does not have");
    memcpy(chunk + 1, kept->bytes + e->chunk_offset, e->chunk_bytes);
    memset((uint8_t *)(chunk + 1) + e->chunk_bytes, 0, VSR_PADDED(e->chunk_bytes) - e->chunk_bytes);
}

void snapshot_store_chunk(struct world *w, struct host *h, const struct vsr_effect *e)
{
    const struct vsr_chunk *chunk = (const struct vsr_chunk *)(const void *)e->buffer.header;

    if (chunk->offset == 0) h->staged.count = 0;
    if (chunk->offset != h->staged.count)
        host_fail(w, h, "STORE_CHUNK that does not follow the one before");
    write_bytes(&h->staged, chunk + 1, chunk->header.count);
    w->stats.counts[COUNT_CHUNKS]++;
    waits_on_chunk(w, h);
    if (w->damages_snapshot && h->staged.count > 0) {
        h->staged.bytes[random_below(&w->fault_random, h->staged.count)] ^= 0x10;
        w->damages_snapshot = false;
        journal_text(&w->journal, "a byte of the chunks of %u is damaged", h->index);
    }
}

/** Whether the machine does not take this one: its replica then has no state, and is one of the f.
 * After some in a row it halts, and that is for another test. */
static bool is_refused(struct world *w, const struct host *h)
{
    return world_may_crash(w, h) && h->loads_refused < 2 && !h->is_amnesic &&
           random_ppm(&w->cost_random, w->scenario.snapshots.fail_ppm);
}

static void lose_state(struct world *w, struct host *h, struct reader *reader)
{
    journal_text(&w->journal, "the machine of %u does not take it", h->index);
    w->stats.counts[COUNT_LOADS_REFUSED]++;
    ghost_on_crash(w, h);
    if (!vsr_replica_load(h->driver.core, read_bytes, reader))
        host_fail(w, h, "a snapshot with the right id does not load");
    host_start_machine(w, h);
    h->loads_refused++;
    h->is_amnesic = true;
    h->has_seen = false;
    h->kept.snapshot = h->staged.snapshot = (struct vsr_snapshot){0};
    h->kept.count = h->staged.count = 0;
}

/** Takes it over, or not: then the machine and what was kept are as they were, or nothing. */
static bool take_over(struct world *w, struct host *h, const struct vsr_snapshot *snapshot)
{
    struct reader reader = {.stored = &h->staged};
    const struct stored swap = h->kept;

    if (is_refused(w, h)) {
        lose_state(w, h, &reader);
        return false;
    }
    h->loads_refused = 0;
    const bool is_read = vsr_replica_load(h->driver.core, read_bytes, &reader) &&
                         h->machine.load(h->machine.state, read_bytes, &reader);
    if (w->has_lied && !is_read) return false;
    if (!is_read ||
        (!w->has_lied && (!read_ballast(w, &reader, snapshot->op) || reader.at != h->staged.count)))
        host_fail(w, h, "a snapshot with the right id does not load");
    h->machine_op = snapshot->op;
    h->kept = h->staged;
    h->kept.snapshot = *snapshot;
    h->staged = swap;
    ghost_on_snapshot(w, h, snapshot, true);
    return true;
}

bool snapshot_load(struct world *w, struct host *h, const struct vsr_snapshot *snapshot,
                   bool *is_loaded)
{
    if (h->is_applying) host_fail(w, h, "LOAD while an APPLY is out");
    const bool is_right = h->staged.count == snapshot->bytes &&
                          vsr_snapshot_id(w->scenario.replica.cluster, h->staged.bytes,
                                          h->staged.count) == snapshot->id &&
                          !random_ppm(&w->cost_random, w->scenario.snapshots.fail_ppm);
    journal_text(&w->journal, "%u loads a snapshot of op %llu, %zu bytes%s", h->index,
                 (unsigned long long)snapshot->op, h->staged.count,
                 is_right ? "" : ", which are bad");
    if (!is_right) w->stats.counts[COUNT_SNAPSHOTS_REFUSED]++;
    *is_loaded = is_right && take_over(w, h, snapshot);
    return ends(w, h, w->scenario.snapshots.load_units,
                &(struct vsr_event){.kind = VSR_EVENT_LOADED, .is_loaded = *is_loaded});
}
