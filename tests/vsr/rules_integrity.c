/**
 * Rule G0: what enters a log is verified there, what the view has not confirmed is not executed,
 * and a replica whose log is not the view's leaves it.
 */
#include "leak_check.h"
#include "messages.h"
#include "world.h"

#include <criterion/criterion.h>
#include <string.h>

LEAK_CHECKED_SUITE(rule_g0);

/** A backup of view 0 with the chain's first `op` entries, committed up to `commit`. */
static struct fixture *backup(const struct chain *c, vsr_op op, vsr_op commit)
{
    struct vsr_replica_options o = fixture_options(3, 1);
    struct fixture *f = fixture_start(&o);

    chain_feed(f, c, op, commit);
    return f;
}

/** A copy whose bytes may be changed. */
static struct vsr_buffer changeable(const struct vsr_buffer *entry)
{
    struct vsr_buffer b;

    cr_assert(fixture_buffers.take(NULL, entry->header->bytes, &b));
    memcpy(b.header, entry->header, entry->header->bytes);
    return b;
}

/** The same entry but for its timestamp, under a name that is right: another entry. */
static struct vsr_buffer another(const struct vsr_buffer *entry)
{
    struct vsr_buffer b = changeable(entry);

    BODY(b, vsr_prepare)->entry.timestamp += 77;
    BODY(b, vsr_prepare)->entry.checksum = vsr_entry_checksum(BODY(b, vsr_prepare));
    return b;
}

/** A byte of the requests, one of the fields, the name: each a damage of its own. */
static struct vsr_buffer damaged(const struct vsr_buffer *entry, uint32_t how)
{
    struct vsr_buffer b = changeable(entry);
    struct vsr_prepare *p = BODY(b, vsr_prepare);

    if (how == 0)
        ((uint8_t *)(p + 1))[sizeof(struct vsr_request) + 3] ^= 0x20;
    else if (how == 1)
        p->entry.timestamp++;
    else
        p->entry.checksum++;
    return b;
}

/* G0: changed bytes under the old checksum, or another checksum: not taken, noticed, and the right
 * entry that comes later is. Next in the log, and beyond a gap. */
Test(rule_g0, damaged_prepare_is_not_taken)
{
    struct chain c = chain_make(3, 5);

    for (uint32_t how = 0; how < 3; how++) {
        for (vsr_op op = 4; op <= 5; op++) {
            struct fixture *f = backup(&c, 3, 3);
            cr_assert_eq(fixture_message(f, damaged(&c.entry[op], how)), VSR_DROP_DAMAGED);
            cr_assert(fixture_noticed(f, VSR_NOTICE_DAMAGED));
            fixture_turn_end(f);
            cr_assert_eq(fixture_sent_count(f, VSR_PREPARE_OK), 0);
            cr_assert(chain_is_log(&c, f, 3));
            for (vsr_op i = 5; i >= 4; i--)
                fixture_message(f, copy_of(c.entry[i]));
            cr_assert(chain_is_log(&c, f, 5));
            cr_assert_eq(fixture_message(f, make_commit(f, 5, chain_checksum(&c, 5))),
                         VSR_DROP_NONE);
            cr_assert_eq(seen(f).applied, 5);
            fixture_free(f);
        }
    }
    chain_free(&c);
}

/* G0: a repetition of what is held, damaged on its way, proves no fork: it is dropped like any.
 * With the op damaged it names one that we hold, or no longer hold. */
Test(rule_g0, damaged_repetition_proves_no_fork)
{
    struct chain c = chain_make(3, 4);

    for (uint32_t how = 2; how < 4; how++) {
        struct fixture *f = backup(&c, 4, 3);
        struct vsr_buffer b = damaged(&c.entry[4], how);
        if (how == 3) {
            BODY(b, vsr_prepare)->entry = log_prepare(&c.entry[4])->entry;
            BODY(b, vsr_prepare)->entry.op = 2;
            BODY(b, vsr_prepare)->commit = 0;
        }
        cr_assert_eq(fixture_message(f, b), VSR_DROP_DAMAGED, "%u", how);
        cr_assert(fixture_noticed(f, VSR_NOTICE_DAMAGED));
        cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
        cr_assert(chain_is_log(&c, f, 4));
        fixture_turn_end(f);
        cr_assert_eq(fixture_sent_count(f, VSR_PREPARE_OK), 0, "nothing was repeated");
        fixture_free(f);
    }
    chain_free(&c);
}

/* G0: what another core of this process sends from its log it has verified: not again. */
Test(rule_g0, entry_from_a_log_of_this_process_is_taken_as_it_is)
{
    struct chain c = chain_make(3, 4);
    struct fixture *f = backup(&c, 3, 3);

    cr_assert_eq(fixture_step(f, (struct vsr_event){.kind = VSR_EVENT_MESSAGE,
                                                    .is_local = true,
                                                    .message = damaged(&c.entry[4], 0)}),
                 VSR_DROP_NONE);
    cr_assert_eq(seen(f).op, 4);
    chain_free(&c);
    fixture_end(f);
}

/* G0: an entry's requests are of its kind, and its view is no higher than the message's: both came
 * from a peer and were read past their end, or asserted upon. */
Test(rule_g0, entry_that_contradicts_itself_is_malformed)
{
    struct chain c = chain_make(3, 4);
    struct fixture *f = backup(&c, 3, 3);

    for (uint32_t how = 0; how < 5; how++) {
        struct vsr_buffer b = changeable(&c.entry[4]);
        struct vsr_prepare *p = BODY(b, vsr_prepare);
        if (how == 0) p->entry.kind = VSR_KIND_REGISTER;
        if (how == 1) p->entry.view = p->header.view + 1;
        if (how == 2) p->entry.op = 0;
        if (how == 3) p->entry.kind = VSR_KIND_COUNT;
        if (how == 4) p->commit = p->entry.op;
        p->entry.checksum = vsr_entry_checksum(p);
        cr_assert_eq(fixture_message(f, b), VSR_DROP_MALFORMED, "%u", how);
    }
    cr_assert(chain_is_log(&c, f, 3));
    chain_free(&c);
    fixture_end(f);
}

/* G0, C9: one op opens no more sessions than the table holds. */
Test(rule_g0, register_op_of_more_sessions_than_the_table_holds_is_malformed)
{
    struct vsr_replica_options o = fixture_options(3, 1);
    o.sessions_max = 1;
    struct fixture *f = fixture_start(&o);
    struct vsr_buffer one = make_prepare_register(f, NULL, 9);
    const uint32_t request = one.header->bytes - (uint32_t)sizeof(struct vsr_prepare);
    struct vsr_buffer two;

    cr_assert(fixture_buffers.take(NULL, one.header->bytes + request, &two));
    memcpy(two.header, one.header, one.header->bytes);
    memcpy((uint8_t *)two.header + one.header->bytes, BODY(one, vsr_prepare) + 1, request);
    two.header->bytes += request;
    two.header->count = 2;
    BODY(two, vsr_prepare)->entry.checksum = vsr_entry_checksum(BODY(two, vsr_prepare));
    cr_assert_eq(fixture_message(f, two), VSR_DROP_MALFORMED);
    cr_assert_eq(fixture_message(f, one), VSR_DROP_NONE);
    fixture_end(f);
}

/* replica.h, op_bytes_max: no larger payload reaches the state machine, whoever prepared it. */
Test(rule_g0, entry_with_a_payload_above_the_limit_is_malformed)
{
    for (uint32_t limit = 7; limit <= 8; limit++) { /* a payload has 8 bytes */
        struct vsr_replica_options o = fixture_options(3, 1);
        o.op_bytes_max = limit;
        struct fixture *f = fixture_start(&o);
        struct vsr_buffer first = make_prepare_register(f, NULL, 9);
        struct vsr_buffer second = make_prepare(f, BODY(first, vsr_prepare), 0, 0, 1, 0, 1);

        cr_assert_eq(fixture_message(f, first), VSR_DROP_NONE);
        cr_assert_eq(fixture_message(f, second), limit < 8 ? VSR_DROP_MALFORMED : VSR_DROP_NONE);
        fixture_end(f);
    }
}

/* G0: a commit number beyond the log is acted upon up to what the view has confirmed: the next
 * entry's parent confirms an entry, a Commit's {op, checksum} does, the number itself does not. */
Test(rule_g0, commit_beyond_the_log_does_not_execute_an_unconfirmed_head)
{
    struct chain c = chain_make(3, 6);
    struct fixture *f = backup(&c, 3, 1);

    fixture_message(f, make_commit(f, 6, chain_checksum(&c, 6)));
    cr_assert_eq(seen(f).applied, 2, "entry 3 confirms entry 2, nothing confirms entry 3");
    struct vsr_buffer b = make_commit(f, 6, chain_checksum(&c, 6));
    BODY(b, vsr_commit)->op = 3;
    BODY(b, vsr_commit)->op_checksum = chain_checksum(&c, 3);
    fixture_message(f, b);
    cr_assert_eq(seen(f).applied, 3);
    chain_free(&c);
    fixture_end(f);
}

/** Asserts that it neither acknowledges nor executes nor counts for a view, and asks. */
static void check_left_the_fork(struct fixture *f, vsr_op applied)
{
    cr_assert(fixture_noticed(f, VSR_NOTICE_FORKED_LOG));
    cr_assert_eq(seen(f).status, VSR_STATUS_RECOVERING);
    cr_assert_eq(fixture_sent_count(f, VSR_RECOVERY), 1);
    cr_assert_eq(seen(f).applied, applied);
    fixture_turn_end(f);
    cr_assert_eq(fixture_sent_count(f, VSR_PREPARE_OK), 0);
}

/* G0: another entry under its own right name, as from a primary that lost its memory: taken, and
 * found out by the op after it, before it is executed. */
Test(rule_g0, fork_is_found_one_op_later_and_not_executed)
{
    struct chain c = chain_make(3, 6);
    struct fixture *f = backup(&c, 3, 3);

    cr_assert_eq(fixture_message(f, another(&c.entry[4])), VSR_DROP_NONE);
    struct vsr_buffer next = changeable(&c.entry[5]);
    BODY(next, vsr_prepare)->commit = 4;
    BODY(next, vsr_prepare)->commit_checksum = chain_checksum(&c, 4);
    cr_assert_eq(fixture_message(f, next), VSR_DROP_FORKED);
    check_left_the_fork(f, 3);
    chain_free(&c);
    fixture_end(f);
}

/** A heartbeat with this number, commit number and head. */
static enum vsr_drop say_commit(struct fixture *f, uint64_t sequence, vsr_op commit,
                                vsr_checksum commit_checksum, vsr_op op, vsr_checksum op_checksum)
{
    struct vsr_buffer b = make_commit(f, commit, commit_checksum);

    BODY(b, vsr_commit)->sequence = sequence;
    BODY(b, vsr_commit)->op = op;
    BODY(b, vsr_commit)->op_checksum = op_checksum;
    return fixture_message(f, b);
}

/* G0: {op, checksum} in a message has no checksum: one that is damaged proves no fork, nor when it
 * comes again, nor another one behind one that says the contrary. */
Test(rule_g0, damaged_claim_proves_no_fork)
{
    struct chain c = chain_make(3, 6);
    const vsr_checksum third = chain_checksum(&c, 3), fourth = chain_checksum(&c, 4);
    struct fixture *f = backup(&c, 4, 3);

    for (uint64_t sequence = 1; sequence < 20; sequence += 2) {
        for (uint32_t i = 0; i < 4; i++)
            cr_assert_eq(say_commit(f, sequence, 3, third + i % 2, 4, fourth + (i + 1) % 2),
                         VSR_DROP_FORKED);
        cr_assert_eq(say_commit(f, sequence + 1, 3, third, 4, fourth), VSR_DROP_NONE);
    }
    for (uint32_t i = 0; i < 3; i++) {
        struct vsr_buffer b = changeable(&c.entry[5]); /* the log's own buffer, sent again */
        BODY(b, vsr_prepare)->commit = 4;
        BODY(b, vsr_prepare)->commit_checksum = fourth + 1;
        cr_assert_eq(fixture_message(f, b), VSR_DROP_FORKED);
    }
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    cr_assert(!fixture_noticed(f, VSR_NOTICE_FORKED_LOG));
    cr_assert_eq(seen(f).applied, 3, "nor is it acted upon");
    cr_assert_eq(say_commit(f, 21, 4, fourth, 5, chain_checksum(&c, 5)), VSR_DROP_NONE);
    cr_assert_eq(seen(f).applied, 4);
    chain_free(&c);
    fixture_end(f);
}

/* G0: the same, when what comes next is the entry itself, or two heartbeats with its commit number
 * or head. */
Test(rule_g0, fork_is_found_by_whatever_the_view_says_of_the_op)
{
    struct chain c = chain_make(3, 6);

    for (uint32_t how = 0; how < 3; how++) {
        struct fixture *f = backup(&c, 3, 3);
        const vsr_op commit = how == 1 ? 4 : 3;
        cr_assert_eq(fixture_message(f, another(&c.entry[4])), VSR_DROP_NONE);
        if (how == 0) {
            cr_assert_eq(fixture_message(f, copy_of(c.entry[4])), VSR_DROP_FORKED);
        } else {
            for (uint64_t sequence = 1; sequence <= 2; sequence++) {
                cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
                cr_assert_eq(say_commit(f, sequence, commit, chain_checksum(&c, commit),
                                        how == 1 ? 3 : 4, chain_checksum(&c, how == 1 ? 3 : 4)),
                             VSR_DROP_FORKED);
            }
        }
        check_left_the_fork(f, 3);
        fixture_free(f);
    }
    chain_free(&c);
}

/* G0: it fetches what follows its last committed op; what it had goes when that is there. */
Test(rule_g0, forked_log_is_fetched_anew_from_the_last_committed_op)
{
    struct chain c = chain_make(3, 6);
    struct fixture *f = backup(&c, 3, 2);

    fixture_message(f, another(&c.entry[4]));
    fixture_message(f, copy_of(c.entry[5]));
    check_left_the_fork(f, 2);
    fixture_message(f, make_recovery_response(f, 2, 0, &c, 6, 3));
    fixture_message(f, make_recovery_response(f, 0, 0, &c, 6, 3));
    cr_assert_eq(seen(f).op, 4, "nothing is cut off yet");
    cr_assert_eq(fixture_sent_count(f, VSR_GET_STATE), 1);
    fixture_message(f, make_new_state(f, 0, &c, 2, 6, 6, 3));
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    cr_assert(chain_is_log(&c, f, 6));
    cr_assert_eq(seen(f).applied, 3);
    cr_assert_eq(fixture_sent_count(f, VSR_PREPARE_OK), 1);
    chain_free(&c);
    fixture_end(f);
}

static struct world w;

/** Says another entry than the view's next one to a backup. */
static void fork_log_of(uint32_t replica, const struct world_answer *client, uint64_t number)
{
    struct fixture *f = w.replicas[replica];
    const struct vsr_prepare *head = vsr_replica_entry(f->r, seen(f).op);
    struct vsr_buffer b = make_prepare(f, head, seen(f).commit, f->r->commit_checksum,
                                       client->session, client->slot, number);
    struct vsr_buffer forked = another(&b);

    fixture_buffers.unref(NULL, b.handle);
    cr_assert_eq(world_say(&w, replica, forked), VSR_DROP_NONE);
}

/* G0, 16: the cluster goes on for many rings, and the replica with the fork comes back. */
Test(rule_g0, cluster_with_a_forked_backup_goes_on)
{
    struct vsr_replica_options o = fixture_options(3, 0);

    world_start(&w, &o);
    struct world_answer client = world_open(&w, 0, 1);
    world_run(&w, 6);
    fork_log_of(2, &client, 1);
    for (uint64_t number = 1; number <= 3 * (uint64_t)o.log_ops; number++) {
        world_request(&w, 0, client.session, client.slot, number, 5);
        world_settle(&w);
        if (number % 8 == 0) world_run(&w, 1);
        cr_assert_eq(seen(w.replicas[0]).status, VSR_STATUS_NORMAL);
    }
    cr_assert(world_noticed(&w, 2, VSR_NOTICE_FORKED_LOG));
    cr_assert(world_noticed(&w, 2, VSR_NOTICE_RECOVERED));
    world_converge(&w, 400);
    world_all_counted(&w, 5, 3 * (uint64_t)o.log_ops);
    cr_assert_eq(seen(w.replicas[0]).view, 0, "nobody else had to do with it");
    world_end(&w);
}

/* G0: a message that goes to all is one buffer. A heartbeat damaged in it leaves all backups where
 * they are: RECOVERING they would have nobody to recover from. */
Test(rule_g0, damaged_heartbeat_to_all_stops_nobody)
{
    struct vsr_replica_options o = fixture_options(3, 0);

    world_start(&w, &o);
    struct world_answer client = world_open(&w, 0, 1);
    world_run(&w, 6);
    for (uint32_t i = 1; i <= 2; i++) {
        struct vsr_buffer b = make_commit(w.replicas[i], 1, 12345);
        BODY(b, vsr_commit)->sequence = w.replicas[0]->r->heartbeat_sequence;
        cr_assert_eq(world_say(&w, i, b), VSR_DROP_FORKED);
    }
    world_request(&w, 0, client.session, client.slot, 1, 5);
    world_run(&w, 20);
    cr_assert_eq(world_answered(&w, client.session, 1), 1);
    world_all_counted(&w, 5, 1);
    cr_assert_eq(seen(w.replicas[0]).view, 0);
    world_end(&w);
}

/* G0: a fork that nothing follows is found by the heartbeat, committed or not. */
Test(rule_g0, idle_cluster_finds_a_forked_head)
{
    struct vsr_replica_options o = fixture_options(3, 0);

    world_start(&w, &o);
    struct world_answer client = world_open(&w, 0, 1);
    world_run(&w, 6);
    fork_log_of(2, &client, 1);
    world_hold(&w, VSR_PREPARE, 0, 2);
    world_request(&w, 0, client.session, client.slot, 1, 5);
    world_drop(&w, VSR_PREPARE, 0, 2);
    world_converge(&w, 400);
    cr_assert(world_noticed(&w, 2, VSR_NOTICE_FORKED_LOG));
    world_all_counted(&w, 5, 1);
    world_end(&w);
}
