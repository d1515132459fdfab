/**
 * Global rules: what is checked before any handler. DESIGN.md, "Rules", G1 to G9.
 */
#include "fixture.h"
#include "leak_check.h"
#include "messages.h"

#include <criterion/criterion.h>
#include <string.h>

LEAK_CHECKED_SUITE(rule_G);

/** A Commit to a backup, changed in one byte or field by the test. */
static struct vsr_buffer plain_commit(struct fixture *f)
{
    return make_commit(f, 0, 0);
}

#define DROPS(fixture, buffer, why) cr_assert_eq(fixture_message(fixture, buffer), VSR_DROP_##why)

/* G1: network input never asserts; what does not fit is counted and dropped. */
Test(rule_G, G1_bad_headers_are_counted_and_dropped)
{
    struct vsr_replica_options o = fixture_options(3, 1);
    struct fixture *f = fixture_start(&o);
    struct vsr_buffer b;

    b = plain_commit(f), b.header->magic ^= 1;
    DROPS(f, b, WRONG_VERSION);
    b = plain_commit(f), b.header->version++;
    DROPS(f, b, WRONG_VERSION);
    b = plain_commit(f), b.header->cluster++;
    DROPS(f, b, WRONG_CLUSTER);
    b = plain_commit(f), b.header->type = VSR_MESSAGE_COUNT;
    DROPS(f, b, MALFORMED);
    b = plain_commit(f), b.header->type = VSR_MESSAGE_NONE;
    DROPS(f, b, WRONG_SENDER);
    b = plain_commit(f), b.header->type = VSR_REPLY;
    DROPS(f, b, WRONG_SENDER);
    b = plain_commit(f), b.header->bytes -= 8;
    DROPS(f, b, MALFORMED);
    b = plain_commit(f), b.header->bytes = sizeof(struct vsr_header) - 8;
    DROPS(f, b, MALFORMED);
    b = plain_commit(f), b.header->to = 2;
    DROPS(f, b, MISDELIVERED);
    b = plain_commit(f), b.header->from = 3;
    DROPS(f, b, WRONG_SENDER);
    b = plain_commit(f), b.header->from = 1;
    DROPS(f, b, WRONG_SENDER);
    b = plain_commit(f), b.header->from = UINT64_MAX;
    DROPS(f, b, WRONG_SENDER);
    b = plain_commit(f);
    DROPS(f, b, NONE);

    struct vsr_replica_report report;
    vsr_replica_report(f->r, &report);
    cr_assert_eq(report.drops[VSR_DROP_WRONG_VERSION], 2);
    cr_assert_eq(report.drops[VSR_DROP_WRONG_SENDER], 5);
    fixture_end(f);
}

/* G1: a role sends only what is its own: backups no Prepare, the primary no PrepareOK. */
Test(rule_G, G1_roles_are_checked)
{
    struct vsr_replica_options o = fixture_options(3, 1);
    struct fixture *backup = fixture_start(&o);
    struct vsr_buffer b = make_prepare(backup, NULL, 0, 0, 1, 0, 1);

    b.header->from = 2;
    DROPS(backup, b, WRONG_SENDER);
    b = make_prepare_ok(backup, 2, 0);
    DROPS(backup, b, WRONG_SENDER);
    fixture_end(backup);
}

/* G1: requests inside a message are walked with their bounds. */
Test(rule_G, G1_malformed_requests_change_nothing)
{
    struct vsr_replica_options o = fixture_options(3, 0);
    struct fixture *f = fixture_start(&o);
    struct vsr_buffer b;

    b = make_request(f, 1, 0, 1, 0), b.header->count = 2;
    DROPS(f, b, MALFORMED);
    b = make_request(f, 1, 0, 1, 0), b.header->count = 0;
    DROPS(f, b, MALFORMED);
    b = make_request(f, 1, 0, 1, 0);
    ((struct vsr_request *)(void *)(b.header + 1))->payload_bytes = 17;
    DROPS(f, b, MALFORMED);
    b = make_request(f, 1, 0, 1, 0);
    ((struct vsr_request *)(void *)(b.header + 1))->kind = VSR_KIND_COUNT;
    DROPS(f, b, MALFORMED);
    b = make_register(f, 1);
    ((struct vsr_request *)(void *)(b.header + 1))->payload_bytes = 16;
    DROPS(f, b, MALFORMED);
    cr_assert_eq(seen(f).op, 0);
    fixture_end(f);
}

/* G3: another epoch is dropped. */
Test(rule_G, G3_another_epoch_is_dropped)
{
    struct vsr_replica_options o = fixture_options(3, 1);
    struct fixture *f = fixture_start(&o);
    struct vsr_buffer b = plain_commit(f);

    b.header->epoch = 1;
    DROPS(f, b, WRONG_EPOCH);
    fixture_end(f);
}

/* G5: an older view is dropped; a newer one is neither processed nor acknowledged. */
Test(rule_G, G5_messages_of_other_views_change_nothing)
{
    struct vsr_replica_options o = fixture_options(3, 1);
    struct fixture *f = fixture_start(&o);
    struct vsr_buffer b = make_prepare(f, NULL, 0, 0, 1, 0, 1);

    b.header->view = 3;
    DROPS(f, b, NEWER_VIEW);
    cr_assert_eq(seen(f).op, 0);
    cr_assert_eq(seen(f).log_view, 0);
    cr_assert_eq(seen(f).status,
                 VSR_STATUS_VIEW_CHANGE); /* It has heard that view 3 has started. */
    cr_assert_eq(fixture_sent_count(f, VSR_GET_STATE), 1);
    fixture_turn_end(f);
    cr_assert_eq(fixture_sent_count(f, VSR_PREPARE_OK), 0);

    /* Now what was sent in view 0 is old. */
    b = plain_commit(f);
    b.header->view = 0;
    DROPS(f, b, STALE_VIEW);
    fixture_end(f);
}

/* G7, 9.2: nothing leaves before the superblock is durable. */
Test(rule_G, G7_silent_until_the_superblock_is_durable)
{
    struct vsr_replica_options o = fixture_options(3, 0);
    struct fixture *f = fixture_create(&o);

    f->holds_persist = true;
    fixture_step(f, (struct vsr_event){.kind = VSR_EVENT_START});
    cr_assert_eq(f->persists, 1);

    DROPS(f, make_register(f, 1), STATUS);
    fixture_turn_end(f);
    for (int i = 0; i < 100; i++) {
        fixture_tick(f);
        cr_assert_eq(f->sent_count, 0);
    }
    fixture_persisted(f);
    DROPS(f, make_register(f, 1), NONE);
    fixture_turn_end(f);
    cr_assert_eq(fixture_sent_count(f, VSR_PREPARE), 1);
    fixture_end(f);
}

static enum vsr_drop say_durable(struct fixture *f, vsr_sequence sequence)
{
    return fixture_step(f, (struct vsr_event){.kind = VSR_EVENT_DURABLE, .sequence = sequence});
}

/* G2, G7: only the answer to what was asked last is news. */
Test(rule_G, G7_an_older_sequence_makes_nothing_durable)
{
    struct vsr_replica_options o = fixture_options(3, 2);
    struct fixture *f = fixture_create(&o);

    f->holds_persist = true;
    fixture_step(f, (struct vsr_event){.kind = VSR_EVENT_START});
    const vsr_sequence first = f->sequence;
    cr_assert_eq(say_durable(f, first - 1), VSR_DROP_STALE);
    cr_assert_eq(seen(f).status, VSR_STATUS_STARTING);
    cr_assert_eq(say_durable(f, first), VSR_DROP_NONE);
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);

    /* A view whose superblock is out, and another one before it is there. */
    leave(f, 1);
    cr_assert_eq(f->sequence, first + 1);
    cr_assert_eq(say_durable(f, first), VSR_DROP_STALE);
    cr_assert_eq(fixture_sent_count(f, VSR_DO_VIEW_CHANGE), 0);
    leave(f, 2);
    cr_assert_eq(f->persists, 2, "one is out at a time");
    cr_assert_eq(say_durable(f, first + 1), VSR_DROP_NONE);
    cr_assert_eq(fixture_sent_count(f, VSR_DO_VIEW_CHANGE), 0, "of view 1 only");
    cr_assert_eq(f->sequence, first + 2);
    cr_assert_eq(f->superblock.view, 2);
    cr_assert_eq(say_durable(f, first + 1), VSR_DROP_STALE);
    cr_assert_eq(fixture_sent_count(f, VSR_DO_VIEW_CHANGE), 0);
    cr_assert_eq(say_durable(f, first + 2), VSR_DROP_NONE);
    cr_assert_eq(fixture_sent_count(f, VSR_DO_VIEW_CHANGE), 1);
    cr_assert_eq(seen(f).drops[VSR_DROP_STALE], 3);
    fixture_end(f);
}

/* G2, 9.2: the storage's answer to an earlier life is none to this one; the epoch is kept. */
Test(rule_G, G7_another_life_s_sequence_makes_nothing_durable)
{
    struct vsr_replica_options o = fixture_options(3, 2);
    struct fixture *f = fixture_start(&o);
    const vsr_sequence before = f->sequence;

    fixture_free(f);
    o.incarnation++;
    f = fixture_create(&o);
    f->holds_persist = true;
    fixture_step(f, (struct vsr_event){
                        .kind = VSR_EVENT_RECOVER,
                        .superblock = {.view = 1, .epoch = 3, .incarnation = o.incarnation - 1}});
    cr_assert_gt(f->sequence, before);
    cr_assert_eq(f->superblock.epoch, 3);
    cr_assert_eq(say_durable(f, before), VSR_DROP_STALE);
    for (int i = 0; i < 30; i++) {
        fixture_tick(f);
        cr_assert_eq(f->sent_count, 0);
    }
    cr_assert_eq(say_durable(f, f->sequence), VSR_DROP_NONE);
    cr_assert_eq(fixture_sent_count(f, VSR_RECOVERY), 1);
    fixture_end(f);
}

/* G8: distinct senders count, not messages. */
Test(rule_G, G8_one_backup_twice_is_no_quorum)
{
    struct vsr_replica_options o = fixture_options(5, 0);
    struct fixture *f = fixture_start(&o);

    fixture_message(f, make_register(f, 1));
    fixture_turn_end(f);
    fixture_message(f, make_prepare_ok(f, 3, 1));
    fixture_message(f, make_prepare_ok(f, 3, 1));
    cr_assert_eq(seen(f).commit, 0);
    fixture_message(f, make_prepare_ok(f, 4, 1));
    cr_assert_eq(seen(f).commit, 1);
    fixture_end(f);
}

/* G9: commit never decreases. */
Test(rule_G, G9_an_older_commit_number_changes_nothing)
{
    struct vsr_replica_options o = fixture_options(3, 1);
    struct fixture *f = fixture_start(&o);
    struct vsr_buffer first = make_prepare_register(f, NULL, 9);
    const vsr_checksum checksum = ((struct vsr_prepare *)(void *)first.header)->entry.checksum;

    fixture_message(f, first);
    fixture_message(f, make_commit(f, 1, checksum));
    cr_assert_eq(seen(f).commit, 1);
    fixture_message(f, make_commit(f, 0, 0));
    cr_assert_eq(seen(f).commit, 1);
    cr_assert_eq(seen(f).applied, 1);
    fixture_end(f);
}
