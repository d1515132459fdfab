/**
 * Snapshots: {client table, state machine} at one op. Taken every checkpoint_ops ops, and whenever
 * a replica asks for more of the log than is left; sent in chunks; loaded when the log that follows
 * is there too.
 *
 * Source: VRR §5.1, §5.2; rule 10 of DESIGN.md.
 */
#include "checksum.h"
#include "state.h"

#include <string.h>

/** What a snapshot begins with. */
struct snapshot_head {
    uint64_t magic;
    uint64_t op;
    uint64_t checksum;
    uint64_t timestamp;
    uint32_t epoch;
    uint32_t sessions;
    uint64_t evictions;
    uint64_t requests_executed;
    uint64_t requests_repeated;
};

/** A session in a snapshot; result_bytes bytes of its cached reply follow. */
struct snapshot_session {
    uint64_t client_id[2];
    uint64_t session;
    uint64_t number;
    uint64_t last_op;
    uint64_t address;
    uint64_t result_bytes;
};

#define SNAPSHOT_MAGIC 0x31544F4853525356ull /* "VSRSHOT1" */

static void entry_at_applied(const struct vsr_replica *r, vsr_checksum *checksum,
                             uint64_t *timestamp)
{
    if (r->applied == r->log.start) {
        *checksum = r->log.start_checksum;
        *timestamp = r->log.start_timestamp;
    } else {
        *checksum = vsr_log_at(&r->log, r->applied)->entry.checksum;
        *timestamp = vsr_log_at(&r->log, r->applied)->entry.timestamp;
    }
}

vsr_checksum vsr_snapshot_id(const void *bytes, size_t count)
{
    return vsr_checksum_of(0, bytes, count);
}

bool vsr_replica_save(const struct vsr_replica *r, vsr_snapshot_write write, void *stream)
{
    struct snapshot_head head = {
        .magic = SNAPSHOT_MAGIC,
        .op = r->applied,
        .epoch = r->epoch,
        .sessions = r->clients.count,
        .evictions = r->clients.evictions,
        .requests_executed = r->requests_executed,
        .requests_repeated = r->requests_repeated,
    };

    entry_at_applied(r, &head.checksum, &head.timestamp);
    if (!write(stream, &head, sizeof head)) return false;
    for (uint32_t slot = 0; slot < r->clients.count; slot++) {
        struct vsr_client_entry *entry = vsr_client_table_at(&r->clients, slot);
        const struct snapshot_session session = {
            .client_id = {r->clients.ids[slot][0], r->clients.ids[slot][1]},
            .session = entry->session,
            .number = entry->number,
            .last_op = entry->last_op,
            .address = entry->address,
            .result_bytes = entry->result_bytes,
        };
        if (!write(stream, &session, sizeof session) ||
            !write(stream, vsr_client_entry_result(entry)->data, entry->result_bytes))
            return false;
    }
    return true;
}

static bool load_session(struct vsr_replica *r, vsr_snapshot_read read, void *stream)
{
    struct snapshot_session session;

    if (!read(stream, &session, sizeof session)) return false;
    if (session.result_bytes > r->options.result_bytes_max) return false;
    const struct vsr_register opening = {
        .client_id = {session.client_id[0], session.client_id[1]},
        .address = session.address,
    };
    uint32_t slot = vsr_client_table_register(&r->clients, &opening, session.session);
    struct vsr_client_entry *entry = vsr_client_table_at(&r->clients, slot);
    entry->number = entry->pending = session.number;
    entry->last_op = session.last_op;
    entry->result_bytes = (uint32_t)session.result_bytes;
    return read(stream, vsr_client_entry_result(entry)->data, session.result_bytes);
}

bool vsr_replica_load(struct vsr_replica *r, vsr_snapshot_read read, void *stream)
{
    struct snapshot_head head;

    if (!read(stream, &head, sizeof head)) return false;
    if (head.magic != SNAPSHOT_MAGIC || head.sessions > r->options.sessions_max) return false;
    vsr_client_table_clear(&r->clients);
    for (uint32_t i = 0; i < head.sessions; i++)
        if (!load_session(r, read, stream)) return false;
    r->clients.evictions = head.evictions;
    r->requests_executed = head.requests_executed;
    r->requests_repeated = head.requests_repeated;
    r->transfer.snapshot_timestamp = head.timestamp;
    return true;
}

/* Taking and sending. */

bool vsr_checkpoint_take(struct vsr_replica *r, struct vsr_effects *out)
{
    struct vsr_checkpoint *c = &r->checkpoint;

    if (!c->is_wanted || c->is_saving || r->is_applying || r->transfer.is_loading) return false;
    if (r->status == VSR_STATUS_RECOVERING) return false;
    c->is_wanted = false;
    c->is_saving = true;
    effects_next(out, VSR_EFFECT_SAVE)->snapshot = (struct vsr_snapshot){.op = r->applied};
    return true;
}

static void send_chunk(struct vsr_replica *r, uint32_t to, uint64_t nonce, uint64_t offset,
                       struct vsr_effects *out)
{
    const struct vsr_checkpoint *c = &r->checkpoint;
    const uint64_t left = c->snapshot.bytes - offset;
    const uint32_t bytes =
        left < r->options.chunk_bytes_max ? (uint32_t)left : r->options.chunk_bytes_max;
    const uint32_t size = (uint32_t)sizeof(struct vsr_chunk) + VSR_PADDED(bytes);
    struct vsr_buffer buffer;

    if (!vsr_take_message(r, VSR_CHUNK, size, size, &buffer)) {
        drop(r, VSR_DROP_NO_BUFFER);
        return;
    }
    struct vsr_chunk *chunk = (struct vsr_chunk *)(void *)buffer.header;
    memset((uint8_t *)chunk + size - 8, 0, 8); /* the padding */
    chunk->header.count = bytes;
    chunk->nonce = nonce;
    chunk->checkpoint_op = c->snapshot.op;
    chunk->checkpoint_id = c->snapshot.id;
    chunk->checkpoint_checksum = c->checksum;
    chunk->snapshot_bytes = c->snapshot.bytes;
    chunk->offset = offset;
    struct vsr_effect *effect = effects_next(out, VSR_EFFECT_SEND_CHUNK);
    effect->buffer = buffer;
    effect->to = 1u << to;
    effect->chunk_bytes = bytes;
    effect->chunk_offset = offset;
    /* The log that follows the snapshot has to stay for a while too. */
    r->peers.pin[to] = c->snapshot.op;
    r->peers.pin_ticks[to] = r->options.suspect_ticks;
}

/** The host has taken a snapshot: those who wait get its beginning. */
enum vsr_drop vsr_on_saved(struct vsr_replica *r, const struct vsr_snapshot *snapshot,
                           struct vsr_effects *out)
{
    struct vsr_checkpoint *c = &r->checkpoint;
    uint64_t timestamp;

    VSR_ASSERT(c->is_saving && snapshot->op == r->applied);
    c->is_saving = false;
    c->snapshot = *snapshot;
    if (snapshot->bytes == 0) { /* The host had no room: those who wait will ask again. */
        c->snapshot.op = 0;
        memset(c->nonce_of, 0, sizeof c->nonce_of);
        vsr_execute(r, out);
        return VSR_DROP_NO_BUFFER;
    }
    entry_at_applied(r, &c->checksum, &timestamp);
    if (r->options.checkpoint_ops != 0 && snapshot->op % r->options.checkpoint_ops == 0)
        c->periodic = *snapshot;
    r->counts.snapshots_saved++;
    for (uint32_t i = 0; i < r->options.replica_count; i++) {
        if (c->nonce_of[i] == 0) continue;
        if (r->status == VSR_STATUS_NORMAL) send_chunk(r, i, c->nonce_of[i], 0, out);
        c->nonce_of[i] = 0;
    }
    vsr_execute(r, out);
    return VSR_DROP_NONE;
}

/**
 * Sends a part of a snapshot: of the one that is asked for, or else of the one that is kept, if the
 * log still follows it, or else of a new one.
 */
enum vsr_drop vsr_on_get_chunk(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out)
{
    const struct vsr_get_chunk *get = (const struct vsr_get_chunk *)(const void *)m->header;
    const uint32_t from = (uint32_t)m->header->from;
    struct vsr_checkpoint *c = &r->checkpoint;

    bool is_kept = c->snapshot.op != 0 && c->snapshot.op >= r->log.start;
    bool is_it = get->checkpoint_op == c->snapshot.op && get->checkpoint_id == c->snapshot.id;
    if (is_kept) {
        if (is_it && get->offset >= c->snapshot.bytes) return VSR_DROP_MALFORMED;
        send_chunk(r, from, get->nonce, is_it ? get->offset : 0, out);
        return VSR_DROP_NONE;
    }
    if (r->applied == 0) return VSR_DROP_NOT_HELD;
    c->nonce_of[from] = get->nonce;
    c->is_wanted = true;
    vsr_checkpoint_take(r, out);
    return VSR_DROP_NONE;
}

/* Receiving and loading. */

static void take_whole(struct vsr_replica *r, struct vsr_effects *out)
{
    struct vsr_transfer *t = &r->transfer;

    vsr_transfer_drop_entries(r);
    t->has_snapshot = true;
    t->base = t->op = t->snapshot.op;
    t->op_checksum = t->snapshot_checksum;
    if (t->has_target && t->target <= t->snapshot.op) {
        /* It reaches beyond the end that we knew of: all of it is committed. */
        t->target = t->snapshot.op;
        t->target_checksum = t->snapshot_checksum;
    }
    if (t->kind == TRANSFER_BEHIND || (t->has_target && t->target == t->op))
        vsr_transfer_finish(r, out);
    else
        vsr_transfer_ask(r, out);
}

/** Puts a part of a snapshot aside. Ownership: takes m. */
enum vsr_drop vsr_on_chunk(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out)
{
    const struct vsr_chunk *chunk = (const struct vsr_chunk *)(const void *)m->header;
    struct vsr_transfer *t = &r->transfer;
    const uint32_t bytes = chunk->header.count;

    if (t->kind == TRANSFER_NONE || !t->needs_snapshot || t->has_snapshot ||
        chunk->nonce != r->nonce || chunk->header.from != t->provider)
        return VSR_DROP_WRONG_NONCE;
    if (bytes == 0 || VSR_PADDED(bytes) != chunk->header.bytes - sizeof *chunk ||
        chunk->offset > chunk->snapshot_bytes || bytes > chunk->snapshot_bytes - chunk->offset)
        return VSR_DROP_MALFORMED;
    if (chunk->checkpoint_op <= r->commit) return VSR_DROP_STALE;
    if (chunk->offset == 0) {
        t->snapshot = (struct vsr_snapshot){
            .op = chunk->checkpoint_op,
            .bytes = chunk->snapshot_bytes,
            .id = chunk->checkpoint_id,
        };
        t->snapshot_checksum = chunk->checkpoint_checksum;
        t->snapshot_at = 0;
    }
    if (chunk->checkpoint_op != t->snapshot.op || chunk->checkpoint_id != t->snapshot.id ||
        chunk->snapshot_bytes != t->snapshot.bytes || chunk->offset != t->snapshot_at)
        return VSR_DROP_STALE;

    struct vsr_effect *effect = effects_next(out, VSR_EFFECT_STORE_CHUNK);
    effect->buffer = *m;
    effect->chunk_bytes = bytes;
    effect->chunk_offset = chunk->offset;
    m->header = NULL;
    t->snapshot_at += bytes;
    t->tries = 0;
    if (t->snapshot_at == t->snapshot.bytes)
        take_whole(r, out);
    else
        vsr_transfer_ask(r, out);
    return VSR_DROP_NONE;
}

/** The state is the snapshot's: the log follows it, in the same step. */
enum vsr_drop vsr_on_loaded(struct vsr_replica *r, bool is_loaded, struct vsr_effects *out)
{
    struct vsr_transfer *t = &r->transfer;

    VSR_ASSERT(t->is_loading && !r->is_applying);
    t->is_loading = false;
    if (!is_loaded) {
        vsr_transfer_start(r, t->kind, t->provider, t->has_target ? t->target : UINT64_MAX,
                           t->target_checksum, out);
        return VSR_DROP_MALFORMED;
    }
    VSR_ASSERT(t->snapshot.op > r->commit);
    r->counts.snapshots_loaded++;
    effects_notice(out, VSR_NOTICE_SNAPSHOT_LOADED, t->provider, t->snapshot.op);
    /* Within the view the log may have grown past the snapshot meanwhile, and that is acknowledged.
     */
    if (vsr_log_has(&r->log, t->snapshot.op, t->snapshot_checksum))
        vsr_log_release(&r->log, t->snapshot.op, &r->options.buffers);
    else
        vsr_log_reset(&r->log, t->snapshot.op, t->snapshot_checksum, t->snapshot_timestamp,
                      &r->options.buffers);
    r->commit = r->applied = t->snapshot.op;
    r->commit_checksum = t->snapshot_checksum;
    r->checkpoint.snapshot = t->snapshot;
    r->checkpoint.checksum = t->snapshot_checksum;
    if (t->kind == TRANSFER_BEHIND) {
        VSR_ASSERT(r->status == VSR_STATUS_NORMAL);
        vsr_transfer_reset(r);
        r->is_ack_due = true;
        return VSR_DROP_NONE;
    }
    t->needs_snapshot = false;
    vsr_transfer_finish(r, out);
    return VSR_DROP_NONE;
}
