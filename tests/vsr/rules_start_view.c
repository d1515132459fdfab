/**
 * How the new view's log is taken: StartView. DESIGN.md, "Rules", 6.5 and 6.6.
 */
#include "leak_check.h"
#include "messages.h"

#include <criterion/criterion.h>

LEAK_CHECKED_SUITE(rule_6_5);
LEAK_CHECKED_SUITE(rule_6_6);

/* 6.5: a log that is ours already: NORMAL once that is durable, then acknowledged. */
Test(rule_6_5, same_log_is_acknowledged_once_durable)
{
    struct chain c = chain_make(3, 4);
    struct fixture *f = fixture_of(3, 2);

    chain_feed(f, &c, 4, 2);
    leave(f, 1);
    f->holds_persist = true;
    cr_assert_eq(fixture_message(f, make_start_view(f, 1, &c, 4, 3)), VSR_DROP_NONE);
    cr_assert_eq(f->superblock.log_view, 1);
    cr_assert_eq(seen(f).status, VSR_STATUS_VIEW_CHANGE);
    for (int i = 0; i < 30; i++) {
        cr_assert_eq(fixture_sent_count(f, VSR_PREPARE_OK), 0);
        cr_assert_eq(fixture_sent_count(f, VSR_DO_VIEW_CHANGE), 0);
        cr_assert_eq(fixture_sent_count(f, VSR_GET_STATE), 0);
        fixture_tick(f);
    }
    fixture_persisted(f);
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    cr_assert_eq(seen(f).commit, 3);
    cr_assert_eq(SENT(f, VSR_PREPARE_OK, vsr_prepare_ok)->op, 4);
    cr_assert_eq(receivers(f, VSR_PREPARE_OK), 1u << 1);
    cr_assert(fixture_noticed(f, VSR_NOTICE_BACKUP));
    chain_free(&c);
    fixture_end(f);
}

/* 6.5: a longer tail is dropped, but nothing of it that the new log has. */
Test(rule_6_5, longer_tail_is_dropped)
{
    struct chain c = chain_make(3, 6);
    struct fixture *f = fixture_of(3, 2);

    chain_feed(f, &c, 6, 2);
    fixture_message(f, make_start_view(f, 1, &c, 4, 3));
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    cr_assert(chain_is_log(&c, f, 4));
    cr_assert_eq(seen(f).commit, 3);
    chain_free(&c);
    fixture_end(f);
}

/* 6.5: a longer log is fetched, a differing tail is replaced, the committed prefix stays. */
Test(rule_6_5, other_tail_is_replaced_when_all_of_it_is_there)
{
    struct chain ours = chain_make(3, 6);
    struct chain theirs = chain_fork(&ours, 3);
    struct fixture *f = fixture_of(3, 2);

    while (theirs.op < 8)
        chain_append(&theirs, 1, 1);
    chain_feed(f, &ours, 6, 2);
    fixture_message(f, make_start_view(f, 4, &theirs, 8, 5));
    const struct vsr_get_state *get = SENT(f, VSR_GET_STATE, vsr_get_state);
    cr_assert_eq(get->flags, VSR_GET_TRANSFER);
    cr_assert_eq(get->from_op, 6);
    cr_assert_eq(get->commit, 2);
    cr_assert_eq(receivers(f, VSR_GET_STATE), 1u << 1);
    cr_assert(chain_is_log(&ours, f, 6));
    cr_assert_eq(seen(f).log_view, 0);
    fixture_message(f, make_new_state(f, 1, &theirs, 2, 8, 8, 5));
    cr_assert(chain_is_log(&theirs, f, 8));
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    cr_assert_eq(seen(f).log_view, 4);
    cr_assert_eq(seen(f).applied, 5);
    cr_assert_eq(SENT(f, VSR_PREPARE_OK, vsr_prepare_ok)->op, 8);
    chain_free(&ours);
    chain_free(&theirs);
    fixture_end(f);
}

/** Brings a backup, replica 2 of 3, with 4 entries of which 2 are committed, into a situation. */
static struct fixture *situation(const struct chain *c, enum vsr_status status, vsr_view view)
{
    struct fixture *f;

    if (status == VSR_STATUS_RECOVERING) {
        struct vsr_replica_options o = fixture_options(3, 2);
        return fixture_recover(&o, (struct vsr_superblock){.view = view, .incarnation = 1});
    }
    f = fixture_of(3, 2);
    chain_feed(f, c, 4, 2);
    if (status == VSR_STATUS_VIEW_CHANGE) leave(f, view);
    if (status == VSR_STATUS_NORMAL) fixture_message(f, make_start_view(f, view, c, 4, 2));
    cr_assert_eq(seen(f).view, view);
    cr_assert_eq(seen(f).status, status);
    return f;
}

/* 6.5: the whole table of status and view. A StartView of our own view when NORMAL would cut off
 * what has been acknowledged since. */
Test(rule_6_5, start_view_by_status_and_view)
{
    static const struct {
        enum vsr_status status;
        vsr_view view;
        vsr_view of; /* of the StartView, whose log has 3 entries */
        enum vsr_drop why;
    } cases[] = {
        {VSR_STATUS_NORMAL, 4, 1, VSR_DROP_STALE_VIEW},
        {VSR_STATUS_NORMAL, 4, 4, VSR_DROP_STARTED_VIEW},
        {VSR_STATUS_NORMAL, 4, 6, VSR_DROP_NONE},
        {VSR_STATUS_VIEW_CHANGE, 4, 1, VSR_DROP_STALE_VIEW},
        {VSR_STATUS_VIEW_CHANGE, 4, 4, VSR_DROP_NONE},
        {VSR_STATUS_VIEW_CHANGE, 4, 6, VSR_DROP_NONE},
        {VSR_STATUS_RECOVERING, 4, 1, VSR_DROP_STATUS},
        {VSR_STATUS_RECOVERING, 4, 4, VSR_DROP_STATUS},
        {VSR_STATUS_RECOVERING, 4, 6, VSR_DROP_STATUS},
    };
    struct chain c = chain_make(3, 4);

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture *f = situation(&c, cases[i].status, cases[i].view);
        const bool is_taken = cases[i].why == VSR_DROP_NONE;
        const vsr_op op = seen(f).op;
        cr_assert_eq(fixture_message(f, make_start_view(f, cases[i].of, &c, 3, 2)), cases[i].why,
                     "case %zu", i);
        cr_assert_eq(seen(f).op, is_taken ? 3 : op, "case %zu", i);
        cr_assert_eq(seen(f).view, is_taken ? cases[i].of : cases[i].view, "case %zu", i);
        cr_assert_eq(seen(f).status, is_taken ? VSR_STATUS_NORMAL : cases[i].status, "case %zu", i);
        fixture_free(f);
    }
    chain_free(&c);
    cr_assert_eq(fixture_buffers_live, 0);
}

/* 6.5: once the log is installed and not durable yet, a StartView is as late as when NORMAL. */
Test(rule_6_5, start_view_while_the_log_is_persisted_is_late)
{
    struct chain c = chain_make(3, 4);
    struct fixture *f = situation(&c, VSR_STATUS_VIEW_CHANGE, 1);

    f->holds_persist = true;
    fixture_message(f, make_start_view(f, 1, &c, 4, 2));
    cr_assert_eq(seen(f).log_view, 1);
    cr_assert_eq(fixture_message(f, make_start_view(f, 1, &c, 3, 2)), VSR_DROP_STARTED_VIEW);
    cr_assert_eq(seen(f).op, 4);
    chain_free(&c);
    fixture_end(f);
}

/* 6.5: while its log is on the way, the same StartView starts nothing anew. */
Test(rule_6_5, repeated_start_view_does_not_begin_again)
{
    struct chain c = chain_make(3, 9);
    struct fixture *f = situation(&c, VSR_STATUS_VIEW_CHANGE, 1);

    fixture_message(f, make_start_view(f, 1, &c, 9, 2));
    fixture_message(f, make_new_state(f, 1, &c, 4, 6, 9, 2));
    cr_assert_eq(fixture_message(f, make_start_view(f, 1, &c, 9, 8)), VSR_DROP_STARTED_VIEW);
    cr_assert_eq(f->r->transfer.op, 6);
    fixture_message(f, make_new_state(f, 1, &c, 6, 9, 9, 2));
    cr_assert(chain_is_log(&c, f, 9));
    cr_assert_eq(seen(f).commit, 8, "its commit number was noted");
    chain_free(&c);
    fixture_end(f);
}

/* 6.5: a view without our committed prefix is data loss. */
Test(rule_6_5, start_view_without_what_is_committed_halts)
{
    struct chain c = chain_make(3, 4);
    struct fixture *f = situation(&c, VSR_STATUS_VIEW_CHANGE, 1);

    cr_assert_eq(fixture_message(f, make_start_view(f, 1, &c, 1, 1)), VSR_DROP_FORKED);
    cr_assert(fixture_noticed(f, VSR_NOTICE_DATA_LOST));
    cr_assert_eq(seen(f).status, VSR_STATUS_HALTED);
    cr_assert(chain_is_log(&c, f, 4));
    chain_free(&c);
    fixture_end(f);
}

/* G1: fields that do not fit; a sender that is not the view's primary. */
Test(rule_6_5, malformed_start_view_is_dropped)
{
    struct chain c = chain_make(3, 4);
    struct fixture *f = situation(&c, VSR_STATUS_VIEW_CHANGE, 1);
    struct vsr_buffer b = make_start_view(f, 1, &c, 3, 4);

    cr_assert_eq(fixture_message(f, b), VSR_DROP_MALFORMED);
    b = make_start_view(f, 1, &c, 4, 2);
    BODY(b, vsr_start_view)->log_start = 5;
    cr_assert_eq(fixture_message(f, b), VSR_DROP_MALFORMED);
    b = make_start_view(f, 1, &c, 4, 2);
    b.header->from = 0;
    cr_assert_eq(fixture_message(f, b), VSR_DROP_WRONG_SENDER);
    cr_assert_eq(seen(f).status, VSR_STATUS_VIEW_CHANGE);
    chain_free(&c);
    fixture_end(f);
}

/* 6.6: old-view messages of every kind are dropped between views and after. */
Test(rule_6_6, old_messages_are_dropped)
{
    struct chain c = chain_make(3, 6);

    for (int is_normal = 0; is_normal < 2; is_normal++) {
        struct fixture *f = fixture_of(3, 1);
        chain_feed(f, &c, 4, 2);
        struct vsr_buffer commit = make_commit(f, 4, chain_checksum(&c, 4));
        struct vsr_buffer ok = make_prepare_ok(f, 2, 4);
        struct vsr_buffer state = make_new_state(f, 0, &c, 4, 6, 6, 4);
        leave(f, 1);
        if (is_normal) fixture_message(f, make_do_view_change(f, 2, 1, 0, &c, 4, 2));
        cr_assert_eq(seen(f).status, is_normal ? VSR_STATUS_NORMAL : VSR_STATUS_VIEW_CHANGE);
        cr_assert_eq(fixture_message(f, copy_of(c.entry[5])), VSR_DROP_STALE_VIEW);
        cr_assert_eq(fixture_message(f, commit), VSR_DROP_STALE_VIEW);
        cr_assert_eq(fixture_message(f, ok), is_normal ? VSR_DROP_STALE_VIEW : VSR_DROP_STATUS);
        cr_assert_eq(fixture_message(f, state), VSR_DROP_STALE_VIEW);
        cr_assert_eq(fixture_message(f, make_start_view(f, 0, &c, 2, 2)), VSR_DROP_STALE_VIEW);
        cr_assert(chain_is_log(&c, f, 4));
        cr_assert_eq(seen(f).commit, 2);
        fixture_free(f);
    }
    chain_free(&c);
    cr_assert_eq(fixture_buffers_live, 0);
}

/* 6.6: Prepare or Commit of our view while in VIEW_CHANGE: it has started, so its log is fetched.
 */
Test(rule_6_6, message_of_the_started_view_asks_for_its_log)
{
    struct chain c = chain_make(3, 6);

    for (int by_prepare = 0; by_prepare < 2; by_prepare++) {
        struct fixture *f = situation(&c, VSR_STATUS_VIEW_CHANGE, 1);
        struct vsr_buffer b;
        if (by_prepare) {
            b = make_prepare(f, log_prepare(&c.entry[4]), 0, 0, 1, 0, 4); /* op 5, which is next */
        } else {
            b = make_commit(f, 4, chain_checksum(&c, 4));
        }
        cr_assert_eq(fixture_message(f, b), VSR_DROP_STATUS);
        cr_assert_eq(f->r->transfer.kind, TRANSFER_CATCH_UP);
        cr_assert_eq(SENT(f, VSR_GET_STATE, vsr_get_state)->flags, VSR_GET_TRANSFER);
        cr_assert_eq(receivers(f, VSR_GET_STATE), 1u << 1);
        cr_assert(chain_is_log(&c, f, 4));
        cr_assert_eq(seen(f).log_view, 0);
        cr_assert_eq(seen(f).commit, 2);
        fixture_free(f);
    }
    chain_free(&c);
    cr_assert_eq(fixture_buffers_live, 0);
}
