/**
 * The linearizability checker on histories written by hand.
 */
#include "leak_check.h"
#include "linearizable.h"

#include <criterion/criterion.h>
#include <string.h>

LEAK_CHECKED_SUITE(linearizable);

enum { STEPS_MAX = 1000000 };

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define CHECK(model, history) lin_check(model, history, COUNT(history), STEPS_MAX, NULL)

/* Operations on key 0: of a counter, a register. */
#define ADD(call_, ret_, amount_, output_)                                                         \
    {                                                                                              \
        .call = (call_), .ret = (ret_), .input = {(amount_)}, .output = (output_)                  \
    }
#define WRITE(call_, ret_, value_)                                                                 \
    {                                                                                              \
        .call = (call_), .ret = (ret_), .input = { LIN_WRITE, (value_) }                           \
    }
#define READ(call_, ret_, output_)                                                                 \
    {                                                                                              \
        .call = (call_), .ret = (ret_), .input = {LIN_READ}, .output = (output_)                   \
    }
#define LOST_ADD(call_, amount_) ADD(call_, LIN_NEVER, amount_, 0)
#define LOST_WRITE(call_, value_) WRITE(call_, LIN_NEVER, value_)

Test(linearizable, nothing_is_right)
{
    struct lin_report why;

    cr_assert_eq(lin_check(&lin_counter, NULL, 0, 0, &why), LIN_OK);
    cr_assert_eq(why.steps, 0);
}

Test(linearizable, one_after_the_other_is_right)
{
    const struct lin_operation h[] = {ADD(1, 2, 5, 5), ADD(3, 4, 0, 5), ADD(5, 6, 2, 7)};

    cr_assert_eq(CHECK(&lin_counter, h), LIN_OK);
}

/* The order of the array is nobody's business. */
Test(linearizable, array_may_be_in_any_order)
{
    const struct lin_operation h[] = {ADD(5, 6, 2, 7), ADD(1, 2, 5, 5), ADD(3, 4, 0, 5)};

    cr_assert_eq(CHECK(&lin_counter, h), LIN_OK);
}

/* Concurrent operations take any order, also one against that of their calls or returns. */
Test(linearizable, concurrent_take_the_order_of_their_results)
{
    const struct lin_operation h[] = {ADD(1, 10, 1, 7), ADD(2, 8, 2, 6), ADD(3, 9, 4, 4)};

    cr_assert_eq(CHECK(&lin_counter, h), LIN_OK);
}

Test(linearizable, results_of_no_order_are_wrong)
{
    const struct lin_operation h[] = {ADD(1, 10, 1, 7), ADD(2, 8, 2, 6), ADD(3, 9, 4, 6)};

    cr_assert_eq(CHECK(&lin_counter, h), LIN_WRONG);
}

/* The add returned before the read was called. */
Test(linearizable, stale_read_is_wrong)
{
    const struct lin_operation counter[] = {ADD(1, 2, 5, 5), ADD(3, 4, 0, 0)};
    const struct lin_operation reg[] = {WRITE(1, 2, 7), WRITE(3, 4, 8), READ(5, 6, 7)};

    cr_assert_eq(CHECK(&lin_counter, counter), LIN_WRONG);
    cr_assert_eq(CHECK(&lin_register, reg), LIN_WRONG);
}

/* A read next to a write sees it or not, but later reads do not unsee it. */
Test(linearizable, read_next_to_a_write_sees_either)
{
    const struct lin_operation old[] = {WRITE(1, 9, 7), READ(2, 3, 0), READ(4, 5, 7)};
    const struct lin_operation back[] = {WRITE(1, 9, 7), READ(2, 3, 7), READ(4, 5, 0)};

    cr_assert_eq(CHECK(&lin_register, old), LIN_OK);
    cr_assert_eq(CHECK(&lin_register, back), LIN_WRONG);
}

/* Both adds were acknowledged, one is gone. */
Test(linearizable, lost_update_is_wrong)
{
    const struct lin_operation same[] = {ADD(1, 4, 3, 3), ADD(2, 5, 3, 3), ADD(6, 7, 0, 3)};
    const struct lin_operation later[] = {ADD(1, 2, 3, 3), ADD(3, 4, 2, 2)};

    cr_assert_eq(CHECK(&lin_counter, same), LIN_WRONG);
    cr_assert_eq(CHECK(&lin_counter, later), LIN_WRONG);
}

/* One add, but the value rises twice by its amount. */
Test(linearizable, duplicate_execution_is_wrong)
{
    const struct lin_operation at_once[] = {ADD(1, 2, 3, 6)};
    const struct lin_operation later[] = {ADD(1, 2, 3, 3), ADD(3, 4, 1, 4), ADD(5, 6, 0, 7)};

    cr_assert_eq(CHECK(&lin_counter, at_once), LIN_WRONG);
    cr_assert_eq(CHECK(&lin_counter, later), LIN_WRONG);
}

/* The read returned before the write was called. */
Test(linearizable, result_from_the_future_is_wrong)
{
    const struct lin_operation counter[] = {ADD(1, 2, 0, 5), ADD(3, 4, 5, 5)};
    const struct lin_operation reg[] = {READ(1, 2, 7), WRITE(3, 4, 7)};

    cr_assert_eq(CHECK(&lin_counter, counter), LIN_WRONG);
    cr_assert_eq(CHECK(&lin_register, reg), LIN_WRONG);
}

/* In some order of all operations the results are right, but not in real time. */
Test(linearizable, violated_real_time_order_is_wrong)
{
    const struct lin_operation h[] = {ADD(1, 2, 1, 3), ADD(3, 4, 2, 2)};

    cr_assert_eq(CHECK(&lin_counter, h), LIN_WRONG);
}

/* Events of one instant are concurrent; an instant later they are not. */
Test(linearizable, order_needs_a_return_before_the_call)
{
    const struct lin_operation touching[] = {ADD(1, 3, 1, 3), ADD(3, 4, 2, 2)};
    const struct lin_operation instant[] = {ADD(3, 3, 1, 3), ADD(3, 3, 2, 2)};
    const struct lin_operation apart[] = {ADD(1, 3, 1, 3), ADD(4, 4, 2, 2)};
    const struct lin_operation lost_touching[] = {ADD(1, 3, 1, 3), LOST_ADD(3, 2)};
    const struct lin_operation lost_apart[] = {ADD(1, 3, 1, 3), LOST_ADD(4, 2)};

    cr_assert_eq(CHECK(&lin_counter, touching), LIN_OK);
    cr_assert_eq(CHECK(&lin_counter, instant), LIN_OK);
    cr_assert_eq(CHECK(&lin_counter, apart), LIN_WRONG);
    cr_assert_eq(CHECK(&lin_counter, lost_touching), LIN_OK);
    cr_assert_eq(CHECK(&lin_counter, lost_apart), LIN_WRONG);
}

/* No result, and no trace of it later. */
Test(linearizable, unknown_may_never_take_effect)
{
    const struct lin_operation h[] = {LOST_ADD(1, 5), ADD(2, 3, 1, 1), ADD(4, 5, 0, 1)};
    const struct lin_operation alone[] = {LOST_ADD(1, 5), LOST_ADD(2, 5)};

    cr_assert_eq(CHECK(&lin_counter, h), LIN_OK);
    cr_assert_eq(CHECK(&lin_counter, alone), LIN_OK);
}

/* Executed long after other operations came and went. */
Test(linearizable, unknown_may_take_effect_late)
{
    const struct lin_operation h[] = {LOST_ADD(1, 5), ADD(2, 3, 1, 1), ADD(4, 5, 0, 1),
                                      ADD(6, 7, 1, 7)};

    cr_assert_eq(CHECK(&lin_counter, h), LIN_OK);
}

Test(linearizable, unknown_may_not_take_effect_twice)
{
    const struct lin_operation counter[] = {LOST_ADD(1, 5), ADD(2, 3, 0, 5), ADD(4, 5, 0, 10)};
    const struct lin_operation reg[] = {LOST_WRITE(1, 5), READ(2, 3, 5), WRITE(4, 5, 6),
                                        READ(6, 7, 5)};

    cr_assert_eq(CHECK(&lin_counter, counter), LIN_WRONG);
    cr_assert_eq(CHECK(&lin_register, reg), LIN_WRONG);
}

Test(linearizable, unknown_may_not_take_effect_before_its_call)
{
    const struct lin_operation h[] = {ADD(2, 3, 0, 5), LOST_ADD(4, 5)};

    cr_assert_eq(CHECK(&lin_counter, h), LIN_WRONG);
}

/* Once it was seen it does not vanish. */
Test(linearizable, unknown_may_not_be_undone)
{
    const struct lin_operation h[] = {LOST_ADD(1, 5), ADD(2, 3, 0, 5), ADD(4, 5, 0, 0)};

    cr_assert_eq(CHECK(&lin_counter, h), LIN_WRONG);
}

/* Both of one kind, one of them, the one called later not yet; three in a row. */
Test(linearizable, unknown_of_one_kind_count)
{
    const struct lin_operation both[] = {LOST_ADD(1, 5), LOST_ADD(2, 5), ADD(3, 4, 1, 11)};
    const struct lin_operation one[] = {LOST_ADD(1, 5), ADD(2, 3, 0, 5), LOST_ADD(4, 5),
                                        ADD(5, 6, 0, 10)};
    const struct lin_operation early[] = {LOST_ADD(1, 5), ADD(2, 3, 0, 10), LOST_ADD(4, 5)};
    const struct lin_operation three[] = {LOST_ADD(1, 5), LOST_ADD(1, 6), LOST_ADD(1, 7),
                                          ADD(3, 4, 1, 19)};
    const struct lin_operation four[] = {LOST_ADD(1, 5), LOST_ADD(1, 6), LOST_ADD(1, 7),
                                         ADD(3, 4, 1, 24)};

    cr_assert_eq(CHECK(&lin_counter, both), LIN_OK);
    cr_assert_eq(CHECK(&lin_counter, one), LIN_OK);
    cr_assert_eq(CHECK(&lin_counter, early), LIN_WRONG);
    cr_assert_eq(CHECK(&lin_counter, three), LIN_OK);
    cr_assert_eq(CHECK(&lin_counter, four), LIN_WRONG);
}

/* An unknown write hides a known one, and may itself be hidden. */
Test(linearizable, unknown_write_shows_between_known_ones)
{
    const struct lin_operation shows[] = {LOST_WRITE(1, 9), WRITE(2, 3, 7), READ(4, 5, 9)};
    const struct lin_operation hidden[] = {LOST_WRITE(1, 9), LOST_WRITE(1, 8), READ(2, 3, 9),
                                           READ(4, 5, 8),    WRITE(6, 7, 9),   READ(8, 9, 9)};
    const struct lin_operation again[] = {LOST_WRITE(1, 9), LOST_WRITE(1, 8), READ(2, 3, 9),
                                          READ(4, 5, 8), READ(8, 9, 9)};

    cr_assert_eq(CHECK(&lin_register, shows), LIN_OK);
    cr_assert_eq(CHECK(&lin_register, hidden), LIN_OK);
    cr_assert_eq(CHECK(&lin_register, again), LIN_WRONG);
}

/* Sums wrap as in vsr/machines/counter.c. */
Test(linearizable, counter_wraps)
{
    const struct lin_operation h[] = {ADD(1, 2, UINT64_MAX, UINT64_MAX), ADD(3, 4, 3, 2)};

    cr_assert_eq(CHECK(&lin_counter, h), LIN_OK);
}

/* Each key is an object of its own, with its own search and its own report. */
Test(linearizable, report_names_the_key_and_the_operation)
{
    struct lin_operation h[] = {ADD(1, 2, 5, 5), ADD(1, 2, 4, 4), ADD(3, 4, 1, 6),
                                ADD(3, 9, 1, 6), ADD(5, 6, 1, 6), ADD(7, 8, 0, 6)};
    const uint64_t keys[] = {7, 9, 7, 9, 9, 9};
    struct lin_report why;

    for (size_t i = 0; i < COUNT(h); i++)
        h[i].key = keys[i];
    cr_assert_eq(lin_check(&lin_counter, h, 3, STEPS_MAX, &why), LIN_OK);
    cr_assert_eq(lin_check(&lin_counter, h, COUNT(h), STEPS_MAX, &why), LIN_WRONG);
    cr_assert_eq(why.key, 9);
    cr_assert_eq(why.operations, 4);
    /* After the add of 4 none of the others fits, and of them this one returns first. */
    cr_assert_eq(why.stuck, 4);
    cr_assert_eq(why.placed, 1);
    cr_assert_eq(why.state, 4);
    cr_assert_eq(why.recent_count, 1);
    cr_assert_eq(why.recent[0], 1);
    cr_assert_gt(why.steps, 0);
}

static void explain(char *text, size_t bytes, const struct lin_operation *h, size_t count,
                    const struct lin_report *why)
{
    FILE *file = tmpfile();

    cr_assert_not_null(file);
    lin_explain(file, h, count, why);
    rewind(file);
    text[fread(text, 1, bytes - 1, file)] = '\0';
    fclose(file);
}

Test(linearizable, explanation_is_for_people)
{
    const struct lin_operation h[] = {ADD(1, 2, 5, 5), LOST_ADD(3, 2), ADD(6, 9, 1, 7),
                                      ADD(4, 7, 3, 8)};
    struct lin_report why;
    char text[1024];

    cr_assert_eq(lin_check(&lin_counter, h, COUNT(h), STEPS_MAX, &why), LIN_WRONG);
    explain(text, sizeof text, h, COUNT(h), &why);
    cr_assert_str_eq(text, "key 0: no order found gets past the return of\n"
                           "  operation 2: called 6, returned 9, input 1 0, output 7\n"
                           "the furthest one places 2 of 4 operations, state 8, and ends with\n"
                           "  operation 0: called 1, returned 2, input 5 0, output 5\n"
                           "  operation 3: called 4, returned 7, input 3 0, output 8\n"
                           "running at the same time were\n"
                           "  operation 1: called 3, never returned, input 2 0\n"
                           "  operation 3: called 4, returned 7, input 3 0, output 8\n");
}

/* The bound is per key: a key that takes too long does not hide one that is wrong. */
Test(linearizable, too_few_steps_leave_it_undecided)
{
    struct lin_operation h[40];
    struct lin_report why;

    /* Any of 2^39 subsets may have been executed, and none explains the read. */
    for (size_t i = 0; i < COUNT(h) - 1; i++)
        h[i] = (struct lin_operation)LOST_ADD(1, UINT64_C(2) << i);
    h[COUNT(h) - 1] = (struct lin_operation)ADD(2, 3, 0, 1);
    cr_assert_eq(lin_check(&lin_counter, h, COUNT(h), 10000, &why), LIN_UNDECIDED);
    cr_assert_eq(why.key, 0);
    cr_assert_eq(why.stuck, COUNT(h) - 1);
    cr_assert_geq(why.steps, 10000);
    cr_assert_lt(why.steps, 10200);
    for (size_t i = 1; i < COUNT(h); i++)
        h[i].key = 5;
    for (uint64_t key = 4; key <= 6; key += 2) { /* before it and after it */
        h[0] = (struct lin_operation){.key = key, .call = 1, .ret = 2, .input = {1}, .output = 2};
        cr_assert_eq(lin_check(&lin_counter, h, COUNT(h), 10000, &why), LIN_WRONG);
        cr_assert_eq(why.key, key);
        cr_assert_eq(why.stuck, 0);
    }
}
