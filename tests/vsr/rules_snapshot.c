/**
 * Snapshots: received and loaded. DESIGN.md, "Rules", 10.
 */
#include "leak_check.h"
#include "messages.h"
#include "world.h"

#include <criterion/criterion.h>
#include <string.h>

LEAK_CHECKED_SUITE(rule_10_load);
LEAK_CHECKED_SUITE(rule_10_world);

static struct fixture *start(uint32_t replica, uint32_t checkpoint_ops)
{
    struct vsr_replica_options o = fixture_options(3, replica);

    o.checkpoint_ops = checkpoint_ops;
    o.chunk_bytes_max = 1024;
    return fixture_start(&o);
}

/** Who has executed the chain up to `op` and keeps a snapshot of that. */
static struct fixture *donor(const struct chain *c, vsr_op op)
{
    struct fixture *f = start(1, (uint32_t)op);

    chain_feed(f, c, op, op);
    cr_assert_eq(seen(f).snapshot_op, op);
    cr_assert_gt(f->kept.count, 2048, "three chunks at least");
    return f;
}

/** Replica 2: it is told that view 4 has started with `op` ops, and that they begin after `base`.
 */
static struct fixture *receiver(const struct chain *c, vsr_op own, vsr_op base, vsr_op op)
{
    struct fixture *f = start(2, 0);

    chain_feed(f, c, own, own);
    fixture_message(f, make_start_view(f, 4, c, op, op));
    struct vsr_buffer b = make_new_state(f, 1, c, base, base, op, op);
    BODY(b, vsr_new_state)->is_behind = 1;
    fixture_message(f, b);
    cr_assert_eq(fixture_sent_count(f, VSR_GET_CHUNK), 1);
    return f;
}

/** Gives it the donor's snapshot from where it is, in chunks; returns how the last one ended. */
static void give_chunks(struct fixture *f, uint32_t from, const struct fixture *donor_of)
{
    while (seen(f).is_behind_log && !f->r->transfer.has_snapshot) {
        const uint64_t at = f->r->transfer.snapshot_at;
        const uint64_t left = donor_of->kept.count - at;
        cr_assert_eq(fixture_message(
                         f, make_chunk(f, from, donor_of, at, left < 1024 ? (uint32_t)left : 1024)),
                     VSR_DROP_NONE);
        if (left <= 1024) return;
    }
}

/* 10: installed only when the log that follows it is there too: snapshot, log, op, view and
 * log_view in one step. Until then the old state is whole. */
Test(rule_10_load, snapshot_and_log_are_installed_together)
{
    struct chain c = chain_make(3, 9);
    struct fixture *from = donor(&c, 6);
    struct fixture *f = receiver(&c, 2, 5, 9);

    give_chunks(f, 1, from);
    const struct vsr_get_state *get = SENT(f, VSR_GET_STATE, vsr_get_state);
    cr_assert_not_null(get, "the log after it is asked for");
    cr_assert_eq(get->from_op, 6);
    cr_assert_eq(get->from_checksum, chain_checksum(&c, 6));
    cr_assert(chain_is_log(&c, f, 2));
    cr_assert_eq(seen(f).commit, 2);
    cr_assert_eq(seen(f).log_view, 0);
    cr_assert_eq(f->counts[0], 1);
    f->holds_persist = true;
    fixture_message(f, make_new_state(f, 1, &c, 6, 9, 9, 8));
    cr_assert(fixture_noticed(f, VSR_NOTICE_SNAPSHOT_LOADED));
    cr_assert(chain_is_log(&c, f, 9));
    cr_assert_eq(seen(f).log_start, 6);
    cr_assert_eq(f->superblock.log_view, 4);
    cr_assert_eq(seen(f).applied, 6);
    cr_assert_eq(f->counts[0], 5);
    fixture_persisted(f);
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    cr_assert_eq(seen(f).applied, 9);
    cr_assert_eq(f->counts[0], 8);
    cr_assert_eq(seen(f).counters.snapshots_loaded, 1);
    chain_free(&c);
    fixture_free(from);
    fixture_end(f);
}

/* 10: a view change in between finds the old log. */
Test(rule_10_load, unfinished_snapshot_leaves_the_old_state_valid)
{
    struct chain c = chain_make(3, 9);
    struct fixture *from = donor(&c, 6);
    struct fixture *f = receiver(&c, 2, 5, 9);

    give_chunks(f, 1, from);
    fixture_message(f, make_do_view_change(f, 0, 6, 0, &c, 2, 2));
    const struct vsr_do_view_change *do_view_change =
        SENT(f, VSR_DO_VIEW_CHANGE, vsr_do_view_change);
    cr_assert_eq(do_view_change->op, 2);
    cr_assert_eq(do_view_change->log_view, 0);
    cr_assert_eq(do_view_change->commit, 2);
    chain_free(&c);
    fixture_free(from);
    fixture_end(f);
}

/* 10: the part that has come is not asked for again in the next view, or a snapshot that takes
 * longer than a view lasts would never be whole. */
Test(rule_10_load, part_of_a_snapshot_outlives_the_view)
{
    struct chain c = chain_make(3, 9);
    struct fixture *from = donor(&c, 6);
    struct fixture *f = receiver(&c, 2, 5, 9);

    fixture_message(f, make_chunk(f, 1, from, 0, 1024));
    fixture_message(f, make_start_view(f, 7, &c, 9, 9));
    struct vsr_buffer b = make_new_state(f, 1, &c, 5, 5, 9, 9);
    BODY(b, vsr_new_state)->is_behind = 1;
    fixture_message(f, b);
    const struct vsr_get_chunk *get = SENT(f, VSR_GET_CHUNK, vsr_get_chunk);
    cr_assert_not_null(get);
    cr_assert_eq(get->offset, 1024);
    cr_assert_eq(get->checkpoint_op, 6);
    cr_assert_eq(get->checkpoint_id, seen(from).snapshot_id);
    give_chunks(f, 1, from);
    fixture_message(f, make_new_state(f, 1, &c, 6, 9, 9, 9));
    cr_assert(chain_is_log(&c, f, 9));
    cr_assert_eq(f->counts[0], 8);
    chain_free(&c);
    fixture_free(from);
    fixture_end(f);
}

/* 10: and whoever has given that part is asked for the rest, whoever is the primary: another one's
 * begins anew. It is asked once in vain, and in no later view: then whoever answers is. */
Test(rule_10_load, rest_of_a_snapshot_is_asked_of_whom_the_part_came_from)
{
    struct chain c = chain_make(3, 9);
    struct fixture *from = donor(&c, 6);

    for (int is_gone = 0; is_gone < 2; is_gone++) {
        struct fixture *f = receiver(&c, 2, 5, 9);
        fixture_message(f, make_chunk(f, 1, from, 0, 1024));
        for (vsr_view view = 6; view <= 9; view += 3) {
            fixture_message(f, make_start_view(f, view, &c, 9, 9));
            struct vsr_buffer b = make_new_state(f, 0, &c, 5, 5, 9, 9);
            BODY(b, vsr_new_state)->is_behind = 1;
            fixture_message(f, b);
            cr_assert_eq(receivers(f, VSR_GET_CHUNK), view == 6 || !is_gone ? 1u << 1 : 1u << 0);
            cr_assert_eq(SENT(f, VSR_GET_CHUNK, vsr_get_chunk)->offset, 1024);
            if (!is_gone) continue;
            tick_until_sent(f, VSR_GET_CHUNK, 4 * f->options.suspect_ticks);
            cr_assert_eq(receivers(f, VSR_GET_CHUNK), 1u << 0);
        }
        give_chunks(f, is_gone ? 0 : 1, from);
        cr_assert(f->r->transfer.has_snapshot);
        fixture_free(f);
    }
    chain_free(&c);
    fixture_end(from);
}

/** Replica 2 has all of a snapshot at op 6 and asks in view 7 for ops 7 to 80. */
static struct fixture *whole_in_the_next_view(const struct chain *c)
{
    struct fixture *from = donor(c, 6);
    struct fixture *f = receiver(c, 2, 5, 9);

    give_chunks(f, 1, from);
    fixture_message(f, make_start_view(f, 7, c, 80, 9));
    const struct vsr_get_state *get = SENT(f, VSR_GET_STATE, vsr_get_state);
    cr_assert_not_null(get);
    cr_assert_eq(get->from_op, 6);
    fixture_free(from);
    return f;
}

/* 10: neither is one that has come as a whole, nor what has come of the log that follows it. */
Test(rule_10_load, whole_snapshot_outlives_the_view)
{
    struct chain c = chain_make(3, 80);

    for (vsr_op end = 6; end <= 22; end += 8) {
        struct fixture *f = whole_in_the_next_view(&c);
        fixture_message(f, make_new_state(f, 1, &c, 6, 22, 80, 9));
        fixture_message(f, make_start_view(f, 10, &c, end, 6));
        fixture_tick(f);
        cr_assert(chain_is_log(&c, f, end), "end %u", (unsigned)end);
        cr_assert_eq(seen(f).counters.snapshots_loaded, 1);
        cr_assert_eq(f->counts[0], end < 9 ? 5 : 8);
        cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
        fixture_free(f);
    }
    chain_free(&c);
    cr_assert_eq(fixture_buffers_live, 0);
}

/* 10: when the log begins later by now, or what follows the snapshot is more than a ring holds, a
 * newer one is asked for, and nothing of the old one is left. */
Test(rule_10_load, whole_snapshot_is_too_old_in_the_next_view)
{
    struct chain c = chain_make(3, 80);

    for (int is_behind = 0; is_behind < 2; is_behind++) {
        struct fixture *f = whole_in_the_next_view(&c);
        if (is_behind) {
            struct vsr_buffer b = make_new_state(f, 1, &c, 7, 7, 80, 9);
            BODY(b, vsr_new_state)->is_behind = 1;
            fixture_message(f, b);
        } else {
            for (vsr_op op = 6; op < 78; op += 8)
                fixture_message(f, make_new_state(f, 1, &c, op, op + 8, 80, 9));
            tick_until_sent(f, VSR_GET_CHUNK, f->options.resend_ticks);
        }
        cr_assert_eq(SENT(f, VSR_GET_CHUNK, vsr_get_chunk)->checkpoint_op, 0);
        fixture_message(f, make_start_view(f, 10, &c, 80, 9));
        cr_assert_eq(SENT(f, VSR_GET_STATE, vsr_get_state)->from_op, 2, "from its own log");
        fixture_free(f);
    }
    chain_free(&c);
    cr_assert_eq(fixture_buffers_live, 0);
}

/* 10: chunks are resumable: what is lost is asked for again from where it stopped. */
Test(rule_10_load, lost_chunk_is_asked_for_again)
{
    struct chain c = chain_make(3, 9);
    struct fixture *from = donor(&c, 6);
    struct fixture *f = receiver(&c, 2, 5, 9);

    fixture_message(f, make_chunk(f, 1, from, 0, 1024));
    struct vsr_buffer late = make_chunk(f, 1, from, 1024, 512);
    const uint64_t nonce = f->r->nonce;
    cr_assert_leq(tick_until_sent(f, VSR_GET_CHUNK, 10), f->options.resend_ticks);
    const struct vsr_get_chunk *get = SENT(f, VSR_GET_CHUNK, vsr_get_chunk);
    cr_assert_eq(get->offset, 1024);
    cr_assert_eq(get->checkpoint_op, 6);
    cr_assert_eq(get->checkpoint_id, seen(from).snapshot_id);
    cr_assert_eq(get->nonce, nonce, "the same question");
    cr_assert_eq(fixture_message(f, late), VSR_DROP_NONE);
    cr_assert_eq(f->r->transfer.snapshot_at, 1536);
    give_chunks(f, 1, from);
    cr_assert(f->r->transfer.has_snapshot);
    chain_free(&c);
    fixture_free(from);
    fixture_end(f);
}

/** Breaks one field of a chunk that is expected at offset 1024. */
static enum vsr_drop spoil(struct vsr_buffer b, uint32_t how)
{
    struct vsr_chunk *chunk = BODY(b, vsr_chunk);

    switch (how) {
    case 0:
        return chunk->nonce++, VSR_DROP_WRONG_NONCE;
    case 1:
        return chunk->nonce--, VSR_DROP_WRONG_NONCE;
    case 2:
        return chunk->header.count = 0, VSR_DROP_MALFORMED;
    case 3:
        return chunk->header.count -= 8, VSR_DROP_MALFORMED;
    case 4:
        return chunk->header.count = UINT32_MAX, VSR_DROP_MALFORMED;
    case 5:
        return chunk->snapshot_bytes = chunk->offset, VSR_DROP_MALFORMED;
    case 6:
        return chunk->snapshot_bytes = chunk->offset - 1, VSR_DROP_MALFORMED;
    case 7:
        return chunk->offset = UINT64_MAX, VSR_DROP_MALFORMED;
    case 8:
        return chunk->offset -= 8, VSR_DROP_STALE;
    case 9:
        return chunk->offset += 8, VSR_DROP_STALE;
    case 10:
        return chunk->checkpoint_id++, VSR_DROP_STALE;
    case 11:
        return chunk->checkpoint_op++, VSR_DROP_STALE;
    case 12:
        return chunk->checkpoint_op = 2, VSR_DROP_STALE; /* we have executed that */
    case 13:
        return chunk->snapshot_bytes += 8, VSR_DROP_STALE;
    case 14:
        return chunk->header.view = 3, VSR_DROP_STALE_VIEW;
    case 15:
        return chunk->header.view = 7, VSR_DROP_NEWER_VIEW;
    }
    return VSR_DROP_NONE;
}

/* G1, 10: a chunk that is not the one expected changes nothing; the right one is still taken. */
Test(rule_10_load, other_chunks_are_not_taken)
{
    struct chain c = chain_make(3, 9);
    struct fixture *from = donor(&c, 6);

    for (uint32_t how = 0; how <= 16; how++) {
        struct fixture *f = receiver(&c, 2, 5, 9);
        fixture_message(f, make_chunk(f, 1, from, 0, 1024));
        struct vsr_buffer b = make_chunk(f, 1, from, 1024, 512);
        enum vsr_drop expected = spoil(b, how);
        cr_assert_eq(fixture_message(f, b), expected, "damage %u", how);
        cr_assert_eq(f->r->transfer.snapshot_at, how == 16 ? 1536 : 1024, "damage %u", how);
        give_chunks(f, 1, from);
        cr_assert(f->r->transfer.has_snapshot, "damage %u", how);
        fixture_free(f);
    }
    chain_free(&c);
    fixture_end(from);
}

/* 10: a chunk that nobody asked for. */
Test(rule_10_load, unasked_chunk_is_dropped)
{
    struct chain c = chain_make(3, 9);
    struct fixture *from = donor(&c, 6);
    struct fixture *f = start(2, 0);

    cr_assert_eq(fixture_message(f, make_chunk(f, 1, from, 0, 1024)), VSR_DROP_WRONG_NONCE);
    chain_free(&c);
    fixture_free(from);
    fixture_end(f);
}

/* 10: superseded in the middle: the new one begins at its beginning. */
Test(rule_10_load, superseded_snapshot_restarts)
{
    struct chain c = chain_make(3, 9);
    struct fixture *old = donor(&c, 6);
    struct fixture *new = donor(&c, 8);
    struct fixture *f = receiver(&c, 2, 5, 9);

    fixture_message(f, make_chunk(f, 1, old, 0, 1024));
    fixture_message(f, make_chunk(f, 1, new, 0, 1024));
    cr_assert_eq(f->r->transfer.snapshot.op, 8);
    cr_assert_eq(f->r->transfer.snapshot_at, 1024);
    give_chunks(f, 1, new);
    fixture_message(f, make_new_state(f, 1, &c, 8, 9, 9, 9));
    cr_assert(chain_is_log(&c, f, 9));
    cr_assert_eq(seen(f).log_start, 8);
    chain_free(&c);
    fixture_free(old);
    fixture_free(new);
    fixture_end(f);
}

/* 10: bytes that are not those of the id are not loaded: the old state stays, and it begins anew.
 */
Test(rule_10_load, damaged_snapshot_is_not_loaded)
{
    struct chain c = chain_make(3, 6);
    struct fixture *from = donor(&c, 6);
    struct fixture *f = receiver(&c, 2, 5, 6);

    from->kept.bytes[1500] ^= 1;
    give_chunks(f, 1, from);
    cr_assert_eq(seen(f).counters.snapshots_loaded, 0);
    cr_assert_eq(f->counts[0], 1);
    cr_assert(chain_is_log(&c, f, 2));
    cr_assert_eq(seen(f).status, VSR_STATUS_VIEW_CHANGE);
    cr_assert_eq(f->r->transfer.kind, TRANSFER_CATCH_UP, "it asks again");
    cr_assert_eq(fixture_sent_count(f, VSR_GET_STATE), 1);
    from->kept.bytes[1500] ^= 1;
    struct vsr_buffer b = make_new_state(f, 1, &c, 5, 5, 6, 6);
    BODY(b, vsr_new_state)->is_behind = 1;
    fixture_message(f, b);
    give_chunks(f, 1, from);
    cr_assert(chain_is_log(&c, f, 6));
    cr_assert_eq(f->counts[0], 5);
    chain_free(&c);
    fixture_free(from);
    fixture_end(f);
}

/* 10: a provider that does not answer: another one is asked, for its own snapshot. */
Test(rule_10_load, silent_provider_is_replaced)
{
    struct chain c = chain_make(3, 9);
    struct fixture *f = receiver(&c, 2, 5, 9);

    for (int i = 0; i < 3; i++) {
        cr_assert_eq(receivers(f, VSR_GET_CHUNK), 1u << 1);
        tick_until_sent(f, VSR_GET_CHUNK, f->options.resend_ticks << i);
    }
    cr_assert_eq(receivers(f, VSR_GET_CHUNK), 1u << 0);
    chain_free(&c);
    fixture_end(f);
}

/* 5.2 C5, 10: the client table is in it, replies included; pending numbers are the log's. */
Test(rule_10_load, client_table_is_inside)
{
    struct chain c = chain_make(3, 8);
    struct fixture *from = donor(&c, 6);
    struct vsr_replica_options o = fixture_options(3, 1);
    struct fixture *f = fixture_start(&o); /* primary of view 4 after it has caught up in 3 */

    fixture_message(f, make_start_view(f, 3, &c, 8, 6));
    struct vsr_buffer b = make_new_state(f, 0, &c, 5, 5, 8, 6);
    BODY(b, vsr_new_state)->is_behind = 1;
    fixture_message(f, b);
    give_chunks(f, 0, from);
    fixture_message(f, make_new_state(f, 0, &c, 6, 8, 8, 6));
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    cr_assert_eq(seen(f).sessions, 1);
    fixture_message(f, make_do_view_change(f, 2, 4, 3, &c, 8, 6));
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    cr_assert_eq(seen(f).view, 4);
    fixture_message(f, make_request(f, 1, 0, 5, 0)); /* op 6: executed in the snapshot */
    fixture_message(f, make_request(f, 1, 0, 6, 0)); /* op 7: in the suffix */
    fixture_message(f, make_request(f, 1, 0, 7, 0));
    fixture_turn_end(f);
    cr_assert_eq(seen(f).drops[VSR_DROP_ANSWERED], 1);
    cr_assert_eq(seen(f).drops[VSR_DROP_IN_LOG], 2);
    cr_assert_eq(fixture_reply(f, 0)->number, 5);
    uint64_t value;
    memcpy(&value, fixture_reply(f, 0) + 1, sizeof value);
    cr_assert_eq(value, 5, "the cached reply");
    chain_free(&c);
    fixture_free(from);
    fixture_end(f);
}

/** The primary of view 0 has committed `commit` and its log begins after `base`, says it. */
static void lag(struct fixture *f, const struct chain *c, vsr_op commit, vsr_op base, vsr_op op)
{
    struct vsr_buffer b = make_commit(f, commit, chain_checksum(c, commit));

    BODY(b, vsr_commit)->op = op;
    fixture_message(f, b);
    fixture_turn_end(f);
    b = make_new_state(f, 0, c, base, base, op, op);
    BODY(b, vsr_new_state)->is_behind = 1;
    fixture_message(f, b);
    cr_assert(fixture_noticed(f, VSR_NOTICE_BEHIND_LOG));
    cr_assert_eq(receivers(f, VSR_GET_CHUNK), 1u << 1, "rather a backup");
}

/** Replica 2 of 3, NORMAL with `own` entries, finds that its primary's log begins after `base`. */
static struct fixture *behind(const struct chain *c, vsr_op own, vsr_op base, vsr_op op)
{
    struct fixture *f = start(2, 0);

    chain_feed(f, c, own, own);
    lag(f, c, own, base, op);
    return f;
}

/* 10, 7.1: within the view a snapshot closes what the log cannot; it acknowledges what it has
 * without a gap, then asks for the rest. */
Test(rule_10_load, backup_behind_the_ring_loads_and_goes_on)
{
    struct chain c = chain_make(3, 9);
    struct fixture *from = donor(&c, 6);
    struct fixture *f = behind(&c, 2, 5, 9);

    fixture_message(f, copy_of(c.entry[9]));
    give_chunks(f, 0, from);
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    cr_assert_eq(seen(f).applied, 6);
    cr_assert_eq(seen(f).op, 6);
    fixture_turn_end(f);
    cr_assert_eq(SENT(f, VSR_PREPARE_OK, vsr_prepare_ok)->op, 6);
    tick_until_sent(f, VSR_GET_STATE, 10);
    fixture_message(f, make_new_state(f, 1, &c, 6, 9, 9, 9));
    cr_assert(chain_is_log(&c, f, 9));
    cr_assert_eq(f->counts[0], 8);
    chain_free(&c);
    fixture_free(from);
    fixture_end(f);
}

/* 7.1, 10: within the view nothing is ever cut off, by a snapshot neither: the log may have grown
 * past it while it travelled, and that was acknowledged. */
Test(rule_10_load, snapshot_cuts_nothing_off)
{
    struct chain c = chain_make(3, 9);
    struct fixture *from = donor(&c, 6);
    struct fixture *f = behind(&c, 2, 5, 9);

    for (vsr_op op = 3; op <= 9; op++)
        fixture_message(f, copy_of(c.entry[op]));
    fixture_turn_end(f);
    cr_assert_eq(SENT(f, VSR_PREPARE_OK, vsr_prepare_ok)->op, 9);
    give_chunks(f, 0, from);
    cr_assert(chain_is_log(&c, f, 9));
    cr_assert_geq(seen(f).commit, 2);
    cr_assert_eq(f->r->transfer.kind, TRANSFER_NONE);
    chain_free(&c);
    fixture_free(from);
    fixture_end(f);
}

/* 10: a snapshot of what has been executed meanwhile is not loaded. */
Test(rule_10_load, snapshot_behind_the_commit_is_not_loaded)
{
    struct chain c = chain_make(3, 9);
    struct fixture *from = donor(&c, 6);
    struct fixture *f = behind(&c, 2, 5, 9);

    fixture_message(f, make_chunk(f, 0, from, 0, 1024));
    for (vsr_op op = 3; op <= 9; op++)
        fixture_message(f, copy_of(c.entry[op]));
    fixture_message(f, make_commit(f, 6, chain_checksum(&c, 6)));
    cr_assert_eq(fixture_message(f, make_chunk(f, 0, from, 1024, 512)), VSR_DROP_STALE);
    cr_assert_eq(seen(f).applied, 6);
    cr_assert_eq(f->counts[0], 5);
    cr_assert_eq(seen(f).counters.snapshots_loaded, 0);
    cr_assert(chain_is_log(&c, f, 9));
    chain_free(&c);
    fixture_free(from);
    fixture_end(f);
}

/* 10: a snapshot is loaded at rest: after the op that is being executed. */
Test(rule_10_load, snapshot_waits_for_the_op_under_way)
{
    struct chain c = chain_make(3, 9);
    struct fixture *from = donor(&c, 8);
    struct fixture *f = start(2, 0);

    chain_feed(f, &c, 3, 2);
    lag(f, &c, 2, 7, 9);
    f->holds_apply = true;
    fixture_message(f, make_commit(f, 3, chain_checksum(&c, 3)));
    cr_assert(f->r->is_applying);
    give_chunks(f, 0, from);
    cr_assert_eq(seen(f).counters.snapshots_loaded, 0);
    f->holds_apply = false;
    fixture_step(f, (struct vsr_event){.kind = VSR_EVENT_APPLIED, .op = 3});
    for (uint32_t i = 0; i < 2 * f->options.resend_ticks; i++)
        fixture_tick(f);
    cr_assert_eq(seen(f).counters.snapshots_loaded, 1);
    cr_assert_eq(seen(f).applied, 8);
    cr_assert_eq(f->counts[0], 7);
    chain_free(&c);
    fixture_free(from);
    fixture_end(f);
}

struct bytes {
    const uint8_t *at;
    size_t left;
};

static bool read_bytes(void *context, void *to, size_t count)
{
    struct bytes *bytes = context;

    if (count > bytes->left) return false;
    memcpy(to, bytes->at, count);
    bytes->at += count;
    bytes->left -= count;
    return true;
}

/* replica.h: bytes that are not of a replica with these options are refused, not believed. Their id
 * may be right all the same: whoever sends them can add up. */
Test(rule_10_load, foreign_bytes_are_refused)
{
    struct chain c = chain_make(3, 6);
    struct fixture *from = donor(&c, 6);
    struct vsr_replica_options o = fixture_options(3, 2);
    uint8_t copy[FIXTURE_SNAPSHOT_BYTES];
    const size_t size = from->kept.count - sizeof from->counts;
    static const struct {
        size_t offset; /* in the head of 80 bytes and the session behind it */
        uint64_t value;
    } damage[] = {
        {0, 1},
        {36, UINT32_MAX},
        {36, 17},
        {40, 2}, /* the first free slot is beyond the last */
        {80 + 64, UINT32_MAX},
        {80 + 64, 17},
        {80 + 68, 2},          /* likewise the next free one */
        {80 + 16, UINT64_MAX}, /* opened after its last op */
        {80 + 32, UINT64_MAX}, /* whose last op is not executed yet */
        {8, 1},                /* likewise: of an op before it */
        {32, 1},               /* another epoch */
    };
    static const uint32_t two = 2;

    o.sessions_max = 16;
    o.result_bytes_max = 16;
    struct fixture *f = fixture_start(&o);
    memcpy(copy, from->kept.bytes, size);
    struct bytes whole = {copy, size};
    cr_assert(vsr_replica_load(f->r, read_bytes, &whole));
    cr_assert_eq(whole.left, 0);
    for (size_t cut = 0; cut < size; cut++) {
        struct bytes part = {copy, cut};
        cr_assert(!vsr_replica_load(f->r, read_bytes, &part), "%zu bytes", cut);
    }
    for (size_t i = 0; i < sizeof damage / sizeof damage[0]; i++) {
        memcpy(copy, from->kept.bytes, size);
        memcpy(copy + damage[i].offset, &damage[i].value, damage[i].offset == 0 ? 8 : 4);
        struct bytes bad = {copy, size};
        cr_assert(!vsr_replica_load(f->r, read_bytes, &bad), "damage %zu", i);
    }
    /* A client's session, twice. */
    memcpy(copy, from->kept.bytes, size);
    memcpy(copy + 36, &two, sizeof two);
    memcpy(copy + size, copy + 80, size - 80);
    struct bytes twice = {copy, size + size - 80};
    cr_assert(!vsr_replica_load(f->r, read_bytes, &twice));
    chain_free(&c);
    fixture_free(from);
    fixture_end(f);
}

/** A group whose small ring has gone round while replica 2 was not there. */
static struct world_answer ring_goes_round(struct world *w, uint32_t checkpoint_ops)
{
    struct vsr_replica_options o = fixture_options(3, 0);

    o.log_ops = 32;
    o.checkpoint_ops = checkpoint_ops;
    o.chunk_bytes_max = 1024;
    world_start(w, &o);
    struct world_answer client = world_open(w, 0, 1);
    world_run(w, 10);
    world_isolate(w, 2);
    for (uint64_t number = 1; number <= 70; number++) {
        world_request(w, 0, client.session, client.slot, number, number);
        world_run(w, 1);
    }
    cr_assert_eq(world_answered(w, client.session, 70), 1);
    cr_assert_gt(seen(w->replicas[0]).log_start, seen(w->replicas[2]).op);
    return client;
}

/* 10, the whole way: a replica that was cut off longer than the log reaches back catches up by a
 * snapshot, periodic or taken for it. */
Test(rule_10_world, replica_behind_the_ring_catches_up)
{
    static struct world w;

    for (uint32_t checkpoint_ops = 0; checkpoint_ops <= 16; checkpoint_ops += 16) {
        ring_goes_round(&w, checkpoint_ops);
        world_heal(&w);
        world_converge(&w, 2000);
        cr_assert_eq(seen(w.replicas[2]).counters.snapshots_loaded, 1);
        world_end(&w);
    }
}

/* 8, 10: a replica that has lost its memory, when the log does not reach back to the beginning. */
Test(rule_10_world, recovering_replica_loads_a_snapshot)
{
    static struct world w;

    ring_goes_round(&w, 0);
    world_crash(&w, 2);
    world_heal(&w);
    world_recover(&w, 2);
    world_converge(&w, 2000);
    cr_assert_eq(seen(w.replicas[2]).counters.snapshots_loaded, 1);
    cr_assert_eq(seen(w.replicas[2]).counters.recoveries, 1);
    world_end(&w);
}

/* 6.4.3, 10: when the primary dies, a replica behind the log forfeits its own view, and the view of
 * one that has the log starts. */
Test(rule_10_world, replica_behind_the_ring_does_not_become_primary)
{
    static struct world w;
    struct world_answer client = ring_goes_round(&w, 0);

    /* Replica 1 is the primary of view 1; let it be 2's turn: view 2. */
    world_heal(&w);
    world_cut(&w, 0, 1);
    world_cut(&w, 0, 2);
    world_say(&w, 1, make_vote(w.replicas[1], 0, 2));
    world_say(&w, 1, make_vote(w.replicas[1], 2, 2));
    world_settle(&w); /* its DoViewChange takes the others along */
    world_run(&w, 1500);
    cr_assert_geq(seen(w.replicas[2]).counters.forfeits, 1);
    cr_assert_eq(seen(w.replicas[2]).counters.views_started, 0);
    world_heal(&w);
    world_converge(&w, 2000);
    const uint32_t primary = (uint32_t)(seen(w.replicas[0]).view % 3);
    world_request(&w, primary, client.session, client.slot, 71, 3);
    world_settle(&w);
    cr_assert_eq(world_answered(&w, client.session, 71), 1);
    world_end(&w);
}
