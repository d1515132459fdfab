/**
 * Snapshots on their way: sent in chunks to a replica that asks for more of the log than is left,
 * put aside there, loaded when the log that follows is there too.
 *
 * Source: VRR §5.1, §5.2; rule 10 of DESIGN.md.
 */
#include "checkpoint.h"

#include "execute.h"
#include "log_room.h"
#include "make.h"
#include "message.h"
#include "say.h"
#include "snapshot.h"
#include "state.h"
#include "transfer.h"
#include "view.h"

#include <string.h>

/** T_suspects between two saves for one that is left behind. */
enum { SAVE_SUSPICIONS = 8 };

/* Sending. */

static void send_chunk(struct vsr_replica *r, uint32_t to, uint64_t nonce, uint64_t offset,
                       struct vsr_effects *out)
{
    const struct vsr_checkpoint *c = &r->checkpoint;
    const uint64_t left = c->snapshot.bytes - offset;
    const uint32_t bytes =
        left < r->options.chunk_bytes_max ? (uint32_t)left : r->options.chunk_bytes_max;
    const uint32_t size = (uint32_t)sizeof(struct vsr_chunk) + VSR_PADDED(bytes);
    struct vsr_buffer buffer;

    VSR_ASSERT(r->status == VSR_STATUS_NORMAL);
    VSR_ASSERT(c->snapshot.op != 0);
    VSR_ASSERT(c->snapshot.op <= r->applied);
    VSR_ASSERT(offset < c->snapshot.bytes);
    VSR_ASSERT(c->snapshot.op >= r->log.start); /* the log follows it */
    struct vsr_chunk *chunk = vsr_make_chunk(r, size, size, &buffer);
    if (chunk == NULL) {
        drop(r, VSR_DROP_NO_BUFFER);
        return;
    }
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
    effect->to = vsr_mask_of(to);
    effect->chunk_bytes = bytes;
    effect->chunk_offset = offset;
    /* The log that follows the snapshot has to stay for a while too. */
    vsr_hold_log(r, to, c->snapshot.op, offset);
}

/** The host has saved a snapshot: those who wait get its beginning. */
enum vsr_drop vsr_on_saved(struct vsr_replica *r, const struct vsr_snapshot *snapshot,
                           struct vsr_effects *out)
{
    struct vsr_checkpoint *c = &r->checkpoint;
    uint64_t timestamp;

    VSR_ASSERT(c->is_saving);
    VSR_ASSERT(!r->transfer.is_loading);
    VSR_ASSERT(!r->is_applying); /* the state stood still */
    VSR_ASSERT(snapshot->op == r->applied);
    VSR_ASSERT(snapshot->op >= c->snapshot.op); /* none takes the place of a newer one */
    c->is_saving = false;
    vsr_send_back(r, out);
    c->snapshot = *snapshot;
    if (snapshot->bytes == 0) { /* The host had no room: those who wait will ask again. */
        c->snapshot.op = 0;
        memset(c->nonce_of, 0, sizeof c->nonce_of);
        vsr_execute(r, out);
        return VSR_DROP_NO_BUFFER;
    }
    vsr_entry_at_applied(r, &c->checksum, &timestamp);
    r->counters.snapshots_saved++;
    for (uint32_t i = 0; i < r->members.count; i++) {
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
    const struct vsr_get_chunk *get = vsr_read_get_chunk(m->header);
    const uint32_t from = (uint32_t)m->header->from;
    struct vsr_checkpoint *c = &r->checkpoint;

    VSR_ASSERT(r->status == VSR_STATUS_NORMAL);
    VSR_ASSERT(m->header->view == r->view);
    VSR_ASSERT(!c->is_saving); /* nothing comes between a save and its end */
    vsr_time_question(r, from, get->nonce);
    bool is_kept = c->snapshot.op != 0 && c->snapshot.op >= r->log.start;
    bool is_it = get->checkpoint_op == c->snapshot.op && get->checkpoint_id == c->snapshot.id;
    if (is_kept) {
        if (is_it && get->offset >= c->snapshot.bytes) return VSR_DROP_MALFORMED;
        send_chunk(r, from, get->nonce, is_it ? get->offset : 0, out);
        return VSR_DROP_NONE;
    }
    if (r->applied == 0) return VSR_DROP_NOT_HELD;
    /* The log may overrun this one as the last: a save costs the others, so they are rare. */
    if (r->peers.is_left_behind[from]) {
        if (r->ticks < r->peers.no_save_until[from]) return VSR_DROP_NOT_HELD;
        r->peers.no_save_until[from] =
            r->ticks + (uint64_t)SAVE_SUSPICIONS * r->options.suspect_ticks;
    }
    c->nonce_of[from] = get->nonce;
    c->is_wanted = true;
    vsr_checkpoint_save(r, out);
    return VSR_DROP_NONE;
}

/* Receiving and loading. */

static void take_whole(struct vsr_replica *r, struct vsr_effects *out)
{
    struct vsr_transfer *t = &r->transfer;

    VSR_ASSERT(t->kind != TRANSFER_NONE);
    VSR_ASSERT(t->needs_snapshot);
    VSR_ASSERT(!t->has_snapshot);
    VSR_ASSERT(!t->is_loading);
    VSR_ASSERT(t->snapshot_at == t->snapshot.bytes);
    VSR_ASSERT(t->snapshot.op > r->commit);
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
    const struct vsr_chunk *chunk = vsr_read_chunk(m->header);
    struct vsr_transfer *t = &r->transfer;
    const uint32_t bytes = chunk->header.count;

    if (t->kind == TRANSFER_NONE || !t->needs_snapshot || t->has_snapshot ||
        chunk->nonce != t->nonce)
        return VSR_DROP_WRONG_NONCE;
    VSR_ASSERT(!t->is_loading);
    VSR_ASSERT(t->snapshot_at <= t->snapshot.bytes);
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
    t->provider = t->snapshot_from = (uint32_t)chunk->header.from; /* Another's would begin anew. */
    VSR_ASSERT(t->snapshot_at <= t->snapshot.bytes);
    vsr_note_progress(r);
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

    VSR_ASSERT(t->is_loading);
    VSR_ASSERT(t->kind != TRANSFER_NONE);
    VSR_ASSERT(t->has_snapshot);
    VSR_ASSERT(!r->is_applying);
    VSR_ASSERT(!r->checkpoint.is_saving);
    t->is_loading = false;
    vsr_send_back(r, out);
    if (!is_loaded && t->has_touched_state) {
        effects_notice(out, VSR_NOTICE_LOAD_FAILED, t->provider, t->snapshot.op);
        r->due |= DUE_LOST_STATE; /* The step's end leaves it. */
        return VSR_DROP_MALFORMED;
    }
    if (!is_loaded) {
        effects_notice(out, VSR_NOTICE_SNAPSHOT_DAMAGED, t->provider, t->snapshot.op);
        vsr_transfer_restart(r, out);
        return VSR_DROP_MALFORMED;
    }
    VSR_ASSERT(t->has_touched_state);
    VSR_ASSERT(t->snapshot.op > r->commit);
    VSR_ASSERT(t->snapshot.op > r->checkpoint.snapshot.op);
    r->counters.snapshots_loaded++;
    r->loads_failed = 0;
    effects_notice(out, VSR_NOTICE_SNAPSHOT_LOADED, t->provider, t->snapshot.op);
    /* Within the view the log may have grown past the snapshot meanwhile, and that is acknowledged.
     */
    if (vsr_log_has(&r->log, t->snapshot.op, t->snapshot_checksum))
        vsr_log_release(&r->log, t->snapshot.op, &r->options.buffers);
    else
        vsr_log_reset(&r->log, t->snapshot.op, t->snapshot_checksum, t->snapshot_timestamp,
                      &r->options.buffers);
    VSR_ASSERT(r->log.start == t->snapshot.op);
    r->commit = r->applied = t->snapshot.op;
    if (r->confirmed < r->commit) r->confirmed = r->commit;
    r->commit_checksum = t->snapshot_checksum;
    r->divergence.known_from = r->applied;
    r->divergence.digests[r->applied & r->log.mask] = r->divergence.digest;
    r->checkpoint.snapshot = t->snapshot;
    r->checkpoint.checksum = t->snapshot_checksum;
    if (t->kind == TRANSFER_BEHIND) {
        VSR_ASSERT(r->status == VSR_STATUS_NORMAL);
        vsr_transfer_reset(r);
        r->in_view.is_ack_due = true;
        return VSR_DROP_NONE;
    }
    t->needs_snapshot = false;
    vsr_transfer_finish(r, out);
    return VSR_DROP_NONE;
}
