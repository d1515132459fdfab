/**
 * What was gathered of a log or a snapshot outlives the view. DESIGN.md, "Rules", 7.2.
 */
#include "leak_check.h"
#include "messages.h"
#include "world.h"

#include <criterion/criterion.h>

LEAK_CHECKED_SUITE(rule_7_2_gathered);

enum { OWN = 2, GATHERED = 5, WANTED = 9 };

/** Replica 2 in view 1, whose log is the chain's, has ops 1 and 2 and has gathered 3 to 5. */
static struct fixture *gather(const struct chain *c)
{
    struct fixture *f = fixture_of(3, 2);

    chain_feed(f, c, OWN, OWN);
    fixture_message(f, make_start_view(f, 1, c, WANTED, OWN));
    fixture_message(f, make_new_state(f, 1, c, OWN, GATHERED, WANTED, OWN));
    cr_assert_eq(SENT(f, VSR_GET_STATE, vsr_get_state)->from_op, GATHERED);
    return f;
}

/** Whether it asks for what follows this op of the chain; after op, or not at all. */
static bool asks_after(const struct fixture *f, const struct chain *c, vsr_op op)
{
    const struct vsr_get_state *get = SENT(f, VSR_GET_STATE, vsr_get_state);

    return get != NULL && get->from_op == op && get->from_checksum == chain_checksum(c, op);
}

/* 7.2: where views last for less than a log takes to come, it comes all the same. */
Test(rule_7_2_gathered, next_view_asks_for_the_rest)
{
    struct chain c = chain_make(3, WANTED);
    struct fixture *f = gather(&c);

    fixture_message(f, make_start_view(f, 4, &c, WANTED, OWN));
    cr_assert(asks_after(f, &c, GATHERED));
    cr_assert(chain_is_log(&c, f, OWN), "all or nothing");
    fixture_message(f, make_new_state(f, 1, &c, GATHERED, WANTED, WANTED, OWN));
    cr_assert(chain_is_log(&c, f, WANTED));
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    chain_free(&c);
    fixture_end(f);
}

/* 7.2: likewise when the view's log is not known yet: it has started, and nobody told us. */
Test(rule_7_2_gathered, log_of_which_only_the_view_is_known)
{
    struct chain c = chain_make(3, WANTED);

    for (vsr_op end = GATHERED - 1; end <= GATHERED + 1; end++) {
        struct fixture *f = gather(&c);
        const vsr_op base = end < GATHERED ? OWN : GATHERED;
        fixture_message(f, make_pong(f, 0, 4, &c, end, OWN));
        cr_assert(asks_after(f, &c, GATHERED));
        fixture_message(f, make_new_state(f, 1, &c, base, end, end, OWN));
        cr_assert(chain_is_log(&c, f, end), "end %u", (unsigned)end);
        fixture_free(f);
    }
    chain_free(&c);
    cr_assert_eq(fixture_buffers_live, 0);
}

/* 7.2: what is there beyond the end of the next view's log is let go of; the rest is all of it. */
Test(rule_7_2_gathered, shorter_log_is_there_already)
{
    struct chain c = chain_make(3, WANTED);

    for (vsr_op end = OWN + 1; end <= GATHERED; end++) {
        struct fixture *f = gather(&c);
        fixture_message(f, make_start_view(f, 4, &c, end, OWN));
        cr_assert_eq(fixture_sent_count(f, VSR_GET_STATE), 0);
        cr_assert(chain_is_log(&c, f, end), "end %u", (unsigned)end);
        cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
        fixture_free(f);
    }
    chain_free(&c);
    cr_assert_eq(fixture_buffers_live, 0);
}

/* 7.2: what was gathered of another log is let go of, whether that log's end tells so, or its
 * holder, who begins after our last committed op. */
Test(rule_7_2_gathered, another_log_is_gathered_from_what_is_committed)
{
    struct chain c = chain_make(3, WANTED);
    struct chain other = chain_fork(&c, OWN + 1);

    while (other.op < WANTED)
        chain_append(&other, 0, 7);
    for (vsr_op end = OWN + 2; end <= WANTED; end++) {
        struct fixture *f = gather(&c);
        fixture_message(f, make_start_view(f, 4, &other, end, OWN));
        cr_assert(!fixture_noticed(f, VSR_NOTICE_FORKED_LOG), "nobody has forked one");
        cr_assert(asks_after(f, &c, end <= GATHERED ? OWN : GATHERED), "end %u", (unsigned)end);
        fixture_message(f, make_new_state(f, 1, &other, OWN, end, end, OWN));
        cr_assert(chain_is_log(&other, f, end), "end %u", (unsigned)end);
        cr_assert(!fixture_noticed(f, VSR_NOTICE_FORKED_LOG));
        fixture_free(f);
    }
    chain_free(&other);
    chain_free(&c);
    cr_assert_eq(fixture_buffers_live, 0);
}

/* 7.2, G1: a log without what we have committed is refused when it has come, once for each answer.
 */
Test(rule_7_2_gathered, log_without_what_is_committed_is_asked_for_again)
{
    struct chain c = chain_make(3, WANTED);
    struct chain other = chain_fork(&c, OWN - 1);

    chain_append(&other, 0, 7);
    struct fixture *f = gather(&c);
    fixture_message(f, make_start_view(f, 4, &other, OWN, OWN - 1));
    cr_assert(asks_after(f, &c, OWN));
    fixture_message(f, make_new_state(f, 1, &other, OWN, OWN, OWN, OWN - 1));
    cr_assert(fixture_noticed(f, VSR_NOTICE_FORKED_LOG));
    cr_assert_eq(fixture_sent_count(f, VSR_GET_STATE), 1);
    cr_assert(chain_is_log(&c, f, OWN));
    chain_free(&other);
    chain_free(&c);
    fixture_end(f);
}

/* 7.2: one that is shorter than what was gathered does not know, and is no reason to let go. */
Test(rule_7_2_gathered, shorter_answer_lets_go_of_nothing)
{
    struct chain c = chain_make(3, WANTED);
    struct fixture *f = gather(&c);

    fixture_message(f, make_start_view(f, 4, &c, WANTED, OWN));
    cr_assert_eq(fixture_message(f, make_new_state(f, 0, &c, OWN, OWN + 1, OWN + 1, OWN)),
                 VSR_DROP_STALE);
    fixture_message(f, make_new_state(f, 1, &c, GATHERED, WANTED, WANTED, OWN));
    cr_assert(chain_is_log(&c, f, WANTED));
    chain_free(&c);
    fixture_end(f);
}

/* 7.2, I14: between the views its log is its own, and that is what it gives for the next one; the
 * log that it starts a view with itself is gathered from nothing. */
Test(rule_7_2_gathered, own_log_is_what_counts_between_views)
{
    struct chain c = chain_make(3, WANTED);
    struct fixture *f = gather(&c);

    leave(f, 2);
    const struct vsr_do_view_change *said = SENT(f, VSR_DO_VIEW_CHANGE, vsr_do_view_change);
    cr_assert_eq(said->op, OWN);
    cr_assert_eq(said->log_view, 0);
    fixture_message(f, make_do_view_change(f, 1, 2, 1, &c, WANTED, OWN));
    cr_assert(asks_after(f, &c, OWN));
    fixture_message(f, make_new_state(f, 1, &c, OWN, WANTED, WANTED, OWN));
    cr_assert(seen(f).is_primary);
    cr_assert(chain_is_log(&c, f, WANTED));
    chain_free(&c);
    fixture_end(f);
}

/** Replica 2, without a memory, has gathered ops 1 to 5 of view 3's log. */
static struct fixture *recover(const struct chain *c)
{
    struct vsr_replica_options o = fixture_options(3, 2);
    struct fixture *f = fixture_recover(&o, (struct vsr_superblock){.incarnation = 1});

    fixture_message(f, make_recovery_response(f, 1, 3, c, WANTED, OWN));
    fixture_message(f, make_recovery_response(f, 0, 3, c, WANTED, OWN));
    cr_assert_eq(receivers(f, VSR_GET_STATE), 1u << 0);
    fixture_message(f, make_new_state(f, 0, c, 0, GATHERED, WANTED, OWN));
    return f;
}

/* 7.2, 8.3: recovering, it goes on where it was, when the view has changed or nobody answers. */
Test(rule_7_2_gathered, recovery_goes_on_in_the_next_view)
{
    struct chain c = chain_make(3, WANTED);

    for (int is_heard = 0; is_heard < 2; is_heard++) {
        struct fixture *f = recover(&c);
        if (is_heard) fixture_message(f, make_ping(f, 1, 4));
        tick_until_sent(f, VSR_RECOVERY, 4000);
        fixture_message(f, make_recovery_response(f, 0, 4, &c, WANTED, OWN));
        fixture_message(f, make_recovery_response(f, 1, 4, &c, WANTED, OWN));
        cr_assert(asks_after(f, &c, GATHERED));
        fixture_message(f, make_new_state(f, 0, &c, GATHERED, WANTED, WANTED, OWN));
        cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
        cr_assert(chain_is_log(&c, f, WANTED));
        fixture_free(f);
    }
    chain_free(&c);
    cr_assert_eq(fixture_buffers_live, 0);
}
