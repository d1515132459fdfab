/**
 * Snapshots: taken and sent. DESIGN.md, "Rules", 10.
 */
#include "leak_check.h"
#include "messages.h"
#include "world.h"

#include <criterion/criterion.h>
#include <string.h>

LEAK_CHECKED_SUITE(rule_10_save);
LEAK_CHECKED_SUITE(rule_10_send);

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

/* 10: replica i of N at op C * (i + k * N) and no other, inside the execution, however many ops are
 * committed at once: so saves never overlap in a quorum. */
Test(rule_10_save, replicas_take_turns)
{
    for (uint32_t self = 1; self < 3; self++) {
        struct chain c = chain_make(3, 20);
        struct fixture *f = start(self, 3);
        for (vsr_op op = 1; op <= 20; op++) {
            const uint64_t saved = seen(f).counters.snapshots_saved;
            chain_feed(f, &c, op, op);
            const bool is_turn = op % 3 == 0 && op / 3 % 3 == self;
            cr_assert_eq(seen(f).counters.snapshots_saved - saved, is_turn, "%u at op %llu", self,
                         (unsigned long long)op);
        }
        chain_free(&c);
        fixture_end(f);
    }
}

/* 10: taken inside the execution, at exactly its op, however many ops are committed at once. */
Test(rule_10_save, snapshots_are_saved_at_exact_ops)
{
    struct chain c = chain_make(3, 11);
    struct fixture *f = start(2, 3);
    uint64_t counts[FIXTURE_COUNTERS];

    chain_feed(f, &c, 11, 0);
    fixture_message(f, make_commit(f, 11, chain_checksum(&c, 11)));
    cr_assert_eq(seen(f).applied, 11);
    cr_assert_eq(seen(f).counters.snapshots_saved, 1);
    cr_assert_eq(seen(f).snapshot_op, 6);
    memcpy(counts, f->kept.bytes + f->kept.count - sizeof counts, sizeof counts);
    cr_assert_eq(counts[0], 5, "ops 2 .. 6, and not 7 and on");
    chain_free(&c);
    fixture_end(f);
}

/* 10, 6.8: while another one is away it is not taken; the next turn is. */
Test(rule_10_save, turn_is_left_out_while_another_is_away)
{
    for (uint32_t is_back = 0; is_back < 2; is_back++) {
        struct chain c = chain_make(3, 15);
        struct fixture *f = start(2, 3);
        chain_feed(f, &c, 5, 5);
        fixture_message(f, make_header(f, VSR_AWAY, sizeof(struct vsr_away), 1));
        if (is_back) fixture_message(f, make_ping(f, 1, 0));
        chain_feed(f, &c, 6, 6);
        cr_assert_eq(seen(f).snapshot_op, is_back ? 6 : 0);
        fixture_message(f, make_ping(f, 1, 0));
        chain_feed(f, &c, 14, 14);
        cr_assert_eq(seen(f).snapshot_op, is_back ? 6 : 0);
        chain_feed(f, &c, 15, 15);
        cr_assert_eq(seen(f).snapshot_op, 15);
        chain_free(&c);
        fixture_end(f);
    }
}

/* 10, 6.8: nor when it was heard before one's own superblock was durable: its save may take longer
 * than that. */
Test(rule_10_save, turn_is_left_out_whenever_away_was_heard)
{
    struct chain c = chain_make(3, 6);
    struct vsr_replica_options o = fixture_options(3, 2);
    o.checkpoint_ops = 3;
    struct fixture *f = fixture_create(&o);

    f->holds_persist = true;
    fixture_step(f, (struct vsr_event){.kind = VSR_EVENT_START});
    cr_assert_eq(fixture_message(f, make_header(f, VSR_AWAY, sizeof(struct vsr_away), 1)),
                 VSR_DROP_NONE);
    f->holds_persist = false;
    fixture_persisted(f);
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    chain_feed(f, &c, 6, 6);
    cr_assert_eq(seen(f).applied, 6);
    cr_assert_eq(seen(f).snapshot_op, 0);
    chain_free(&c);
    fixture_end(f);
}

struct bytes {
    uint8_t data[32768];
    size_t count;
};

static bool append(void *stream, const void *data, size_t count)
{
    struct bytes *b = stream;

    cr_assert_leq(count, sizeof b->data - b->count);
    memcpy(b->data + b->count, data, count);
    b->count += count;
    return true;
}

/* 10: the primary's and the backups' are byte-identical, whatever their pending numbers, batches
 * and times of execution. */
Test(rule_10_save, bytes_are_the_same_everywhere)
{
    static struct world w;
    static struct bytes saved[3];
    struct vsr_replica_options o = fixture_options(3, 0);

    world_start(&w, &o);
    struct world_answer a = world_open(&w, 0, 1);
    struct world_answer b = world_open(&w, 0, 2);
    w.replicas[2]->holds_apply = true; /* executes late */
    for (uint64_t number = 1; number <= 7; number++) {
        world_request(&w, 0, a.session, a.slot, number, 3);
        world_request(&w, 0, b.session, b.slot, number, 4);
        if (number < 7) world_settle(&w);
    }
    /* The primary has requests in its log that nobody has executed. */
    world_drop(&w, VSR_PREPARE_OK, ANY, ANY);
    w.replicas[2]->holds_apply = false;
    fixture_step(w.replicas[2],
                 (struct vsr_event){.kind = VSR_EVENT_APPLIED, .op = w.replicas[2]->held_op});
    world_run(&w, 30);
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_eq(seen(w.replicas[i]).applied, seen(w.replicas[0]).applied);
        cr_assert(vsr_replica_save(w.replicas[i]->r, append, &saved[i]));
        cr_assert_eq(saved[i].count, saved[0].count);
        cr_assert_eq(memcmp(saved[i].data, saved[0].data, saved[0].count), 0, "%u", i);
    }
    world_end(&w);
}

/* A host without room for a snapshot: execution goes on, and who waits asks again. */
Test(rule_10_save, host_without_room)
{
    struct chain c = chain_make(3, 9);
    struct fixture *f = start(2, 3);

    f->keeps_nothing = true;
    chain_feed(f, &c, 9, 9);
    cr_assert_eq(seen(f).snapshot_op, 0);
    cr_assert_eq(seen(f).counters.snapshots_saved, 0);
    fixture_message(f, make_get_chunk(f, 1, NULL, 0));
    cr_assert_eq(fixture_sent_count(f, VSR_CHUNK), 0);
    f->keeps_nothing = false;
    fixture_message(f, make_get_chunk(f, 1, NULL, 0));
    cr_assert_eq(fixture_sent_count(f, VSR_CHUNK), 1);
    chain_free(&c);
    fixture_end(f);
}

/* 10: what is kept is sent by id and offset, in chunks of at most chunk_bytes_max. */
Test(rule_10_send, chunks_cover_the_snapshot)
{
    struct chain c = chain_make(3, 6);
    struct fixture *f = donor(&c, 6);
    const struct vsr_snapshot kept = f->r->checkpoint.snapshot;
    uint64_t at = 0;

    while (at < kept.bytes) {
        fixture_message(f, make_get_chunk(f, 2, at == 0 ? NULL : &kept, at));
        const struct vsr_chunk *chunk = SENT(f, VSR_CHUNK, vsr_chunk);
        cr_assert_not_null(chunk);
        cr_assert_eq(receivers(f, VSR_CHUNK), 1u << 2);
        cr_assert_eq(chunk->nonce, 4712);
        cr_assert_eq(chunk->checkpoint_op, 6);
        cr_assert_eq(chunk->checkpoint_id, kept.id);
        cr_assert_eq(chunk->checkpoint_checksum, chain_checksum(&c, 6));
        cr_assert_eq(chunk->snapshot_bytes, kept.bytes);
        cr_assert_eq(chunk->offset, at);
        cr_assert_eq(chunk->header.count, kept.bytes - at < 1024 ? kept.bytes - at : 1024);
        cr_assert_eq(memcmp(chunk + 1, f->kept.bytes + at, chunk->header.count), 0);
        at += chunk->header.count;
    }
    cr_assert_eq(fixture_message(f, make_get_chunk(f, 2, &kept, kept.bytes)), VSR_DROP_MALFORMED);
    cr_assert_eq(fixture_message(f, make_get_chunk(f, 2, &kept, kept.bytes - 1)), VSR_DROP_NONE);
    cr_assert_eq(SENT(f, VSR_CHUNK, vsr_chunk)->header.count, 1);
    chain_free(&c);
    fixture_end(f);
}

/* 10: a snapshot that is superseded: the new one, from its beginning. */
Test(rule_10_send, superseded_snapshot_begins_anew)
{
    struct chain c = chain_make(3, 24);
    struct fixture *f = donor(&c, 6);
    const struct vsr_snapshot old = f->r->checkpoint.snapshot;

    for (vsr_op op = 7; op <= 24; op++)
        fixture_message(f, copy_of(c.entry[op]));
    fixture_message(f, make_commit(f, 24, chain_checksum(&c, 24)));
    fixture_message(f, make_get_chunk(f, 2, &old, 1024));
    const struct vsr_chunk *chunk = SENT(f, VSR_CHUNK, vsr_chunk);
    cr_assert_eq(chunk->checkpoint_op, 24);
    cr_assert_eq(chunk->offset, 0);
    chain_free(&c);
    fixture_end(f);
}

/* 10: without one a snapshot is saved now, of what is executed; nothing executed, nothing sent. */
Test(rule_10_send, snapshot_is_taken_when_asked_for)
{
    struct chain c = chain_make(3, 5);
    struct fixture *f = start(1, 0);

    cr_assert_eq(fixture_message(f, make_get_chunk(f, 2, NULL, 0)), VSR_DROP_NOT_HELD);
    chain_feed(f, &c, 5, 0);
    f->holds_apply = true;
    fixture_message(f, make_commit(f, 4, chain_checksum(&c, 4)));
    f->holds_apply = false;
    cr_assert_eq(fixture_message(f, make_get_chunk(f, 2, NULL, 0)), VSR_DROP_NOT_HELD);
    f->holds_apply = true;
    fixture_step(f, (struct vsr_event){.kind = VSR_EVENT_APPLIED, .op = 1});
    f->holds_apply = false;
    cr_assert_eq(fixture_message(f, make_get_chunk(f, 2, NULL, 0)), VSR_DROP_NONE);
    cr_assert_eq(fixture_sent_count(f, VSR_CHUNK), 0, "op 2 is being executed");
    fixture_step(f, (struct vsr_event){.kind = VSR_EVENT_APPLIED, .op = 2});
    cr_assert_eq(SENT(f, VSR_CHUNK, vsr_chunk)->checkpoint_op, 2);
    cr_assert_eq(SENT(f, VSR_CHUNK, vsr_chunk)->nonce, 4712);
    cr_assert_eq(seen(f).applied, 4, "and it goes on");
    chain_free(&c);
    fixture_end(f);
}

/* 10: a snapshot that the log no longer follows is of no use: another one is saved. */
Test(rule_10_send, snapshot_that_the_log_left_behind_is_taken_anew)
{
    struct chain c = chain_make(3, 9);
    struct fixture *f = donor(&c, 6);

    for (vsr_op op = 7; op <= 9; op++)
        fixture_message(f, copy_of(c.entry[op]));
    for (vsr_op released = 6; released <= 8; released++) {
        struct vsr_buffer b = make_commit(f, 9, chain_checksum(&c, 9));
        BODY(b, vsr_commit)->released = released;
        fixture_message(f, b);
        if (released == 7) continue; /* 6 keeps, 8 does not */
        fixture_message(f, make_get_chunk(f, 2, NULL, 0));
        cr_assert_eq(SENT(f, VSR_CHUNK, vsr_chunk)->checkpoint_op, released == 6 ? 6 : 9);
        for (int i = 0; i < 20; i++) { /* until nothing holds the log any more */
            fixture_tick(f);
            fixture_message(f, make_commit(f, 9, chain_checksum(&c, 9)));
        }
    }
    chain_free(&c);
    fixture_end(f);
}

/* 10: while a snapshot is being sent, the log that follows it stays, for T_suspect. */
Test(rule_10_send, log_after_the_snapshot_is_kept)
{
    struct chain c = chain_make(3, 9);
    struct fixture *f = donor(&c, 6);

    for (vsr_op op = 7; op <= 9; op++)
        fixture_message(f, copy_of(c.entry[op]));
    fixture_message(f, make_get_chunk(f, 2, NULL, 0));
    for (uint32_t i = 0; i <= f->options.suspect_ticks; i++) {
        struct vsr_buffer b = make_commit(f, 9, chain_checksum(&c, 9));
        BODY(b, vsr_commit)->released = 9;
        fixture_message(f, b);
        cr_assert_eq(seen(f).log_start, i < f->options.suspect_ticks ? 6 : 9, "after %u ticks", i);
        fixture_tick(f);
    }
    chain_free(&c);
    fixture_end(f);
}

/* 10, G5: between views and to other views nothing is sent. */
Test(rule_10_send, nothing_is_sent_between_views)
{
    struct chain c = chain_make(3, 6);
    struct fixture *f = donor(&c, 6);
    struct vsr_buffer old = make_get_chunk(f, 2, NULL, 0);
    struct vsr_buffer newer = make_get_chunk(f, 2, NULL, 0);

    newer.header->view = 1;
    cr_assert_eq(fixture_message(f, newer), VSR_DROP_NEWER_VIEW);
    fixture_message(f, make_vote(f, 0, 1));
    fixture_message(f, make_vote(f, 2, 1));
    cr_assert_eq(seen(f).status, VSR_STATUS_VIEW_CHANGE);
    cr_assert_eq(fixture_message(f, make_get_chunk(f, 2, NULL, 0)), VSR_DROP_STATUS);
    fixture_message(f, make_do_view_change(f, 2, 1, 0, &c, 6, 6));
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    cr_assert_eq(fixture_message(f, old), VSR_DROP_STALE_VIEW);
    cr_assert_eq(fixture_message(f, make_get_chunk(f, 2, NULL, 0)), VSR_DROP_NONE);
    chain_free(&c);
    fixture_end(f);
}
