/**
 * Calls of actors: the answer, its correlation, and what comes instead of one.
 */
#include "clerk.h"
#include "leak_check.h"

#include <errno.h>

LEAK_CHECKED_SUITE(call);

static struct world w;
static struct clerk clerk;
static struct clerk second;

static void start(uint32_t workers)
{
    struct act_runtime_options o = world_options(workers);
    world_start(&w, &o);
}

static void check_down(const struct received *r, act_id actor)
{
    cr_assert_eq(r->type, ACT_TYPE_DOWN);
    cr_assert_eq(r->value, actor, "the body begins with who was to answer");
}

/* call.h: one answer, of the callee's type, that tells its call; here and on another worker, with
 * bodies that have room for what a request carries and with others. */
Test(call, answer_comes_with_its_call)
{
    const uint32_t bytes[] = {8, 16, 17, 40, 48, 80, 81, 1000, ACT_MESSAGE_BODY_MAX};
    enum { SIZES = sizeof bytes / sizeof bytes[0] };
    uint32_t count = 0;

    start(2);
    struct probe *p = world_probe(&w, 0, 0);
    for (uint32_t worker = 0; worker < 2; worker++) {
        act_id callee = clerk_start(worker == 0 ? &clerk : &second, worker);
        for (uint32_t i = 0; i < SIZES * 2; i++) {
            struct asking a = asking_for(callee, REQUEST_ECHO, 100 + i);
            a.bytes = bytes[i % SIZES];
            if (i >= SIZES && a.bytes < ACT_MESSAGE_BODY_MAX) a.spare = ACT_CALL_BYTES;
            run_in(&w, p->self, ask, &a);
            cr_assert_eq(a.error, 0);
            cr_assert_neq(a.call, 0);
            world_await(&w, p, ++count);
            const struct received *r = &p->log[count - 1];
            cr_assert_eq(r->type, TYPE_ANSWER);
            cr_assert_eq(r->value, 101 + i);
            cr_assert_eq(r->call, a.call);
            cr_assert_eq(r->from, callee);
        }
    }
    cr_assert_eq(world_stats(&w).dead_letters, 0);
    world_stop(&w);
}

/* call.h: an answer of the callee's own, of any size, keeps its body. */
Test(call, fresh_answers_of_every_size)
{
    uint32_t count = 0;

    start(2);
    struct probe *p = world_probe(&w, 0, 0);
    act_id callee = clerk_start(&clerk, 1);
    for (uint32_t bytes = 0; bytes <= 90; bytes += count % 2 ? 3 : 5) {
        struct asking a = asking_for(callee, REQUEST_FRESH, bytes);
        run_in(&w, p->self, ask, &a);
        world_await(&w, p, ++count);
        cr_assert_eq(p->log[count - 1].type, TYPE_ANSWER);
        cr_assert_eq(p->log[count - 1].call, a.call);
        cr_assert_eq(p->log[count - 1].value, bytes >= 8 ? bytes + 1 : 0);
        cr_assert_eq(clerk.first, 0);
    }
    world_stop(&w);
}

/* call.h: the callee may keep requests and answer in another order; names differ. */
Test(call, correlation_survives_reordering)
{
    enum { CALLS = 40 };
    struct asking a[CALLS];

    start(2);
    struct probe *p = world_probe(&w, 0, 0);
    act_id callee = clerk_start(&clerk, 1);
    for (uint32_t i = 0; i < CALLS; i++) {
        a[i] = asking_for(callee, REQUEST_KEEP, i);
        a[i].spare = i % 3 == 0 ? ACT_CALL_BYTES : 0;
        a[i].timeout_ns = i % 2 == 0 ? 3600 * SECOND : UINT64_MAX;
        run_in(&w, p->self, ask, &a[i]);
        for (uint32_t k = 0; k < i; k++)
            cr_assert_neq(a[k].call, a[i].call);
    }
    run_in(
        &w, p->self, ask,
        &(struct asking){.to = callee, .type = TYPE_REVERSE, .bytes = 8, .timeout_ns = UINT64_MAX});
    world_await(&w, p, CALLS + 1);
    for (uint32_t i = 0; i < CALLS; i++) {
        cr_assert_eq(p->log[i].value, CALLS - i);
        cr_assert_eq(p->log[i].call, a[CALLS - 1 - i].call);
    }
    world_stop(&w);
}

/* call.h: sent on, the request is whoever's that has it; the answer is from him. */
Test(call, request_is_sent_on)
{
    start(2);
    struct probe *p = world_probe(&w, 0, 0);
    act_id callee = clerk_start(&clerk, 1);
    clerk.other = clerk_start(&second, 0);
    for (uint32_t i = 0; i < 2; i++) {
        struct asking a = asking_for(callee, REQUEST_PASS, 5);
        a.spare = i * ACT_CALL_BYTES;
        run_in(&w, p->self, ask, &a);
        world_await(&w, p, i + 1);
        cr_assert_eq(p->log[i].type, TYPE_ANSWER);
        cr_assert_eq(p->log[i].value, 6);
        cr_assert_eq(p->log[i].call, a.call);
        cr_assert_eq(p->log[i].from, clerk.other);
    }

    /* To somebody who is gone: the caller is told of him. */
    struct probe *q = world_probe(&w, 1, 0);
    world_end(&w, q, 0);
    clerk.other = q->self;
    struct asking a = asking_for(callee, REQUEST_PASS, 5);
    run_in(&w, p->self, ask, &a);
    world_await(&w, p, 3);
    check_down(&p->log[2], q->self);
    cr_assert_eq(p->log[2].call, a.call);
    world_stop(&w);
}

/* call.h: TIMEOUT, body: the callee; an answer after it is a dead letter, and so is a second. */
Test(call, timeout_and_a_late_answer)
{
    start(2);
    struct probe *p = world_probe(&w, 0, 0);
    act_id callee = clerk_start(&clerk, 1);
    for (uint32_t i = 0; i < 2; i++) {
        struct asking a = asking_for(callee, REQUEST_KEEP, 1);
        a.timeout_ns = i * 1000000;
        run_in(&w, p->self, ask, &a);
        world_await(&w, p, i + 1);
        cr_assert_eq(p->log[i].type, ACT_TYPE_TIMEOUT);
        cr_assert_eq(p->log[i].value, callee);
        cr_assert_eq(p->log[i].call, a.call);
        cr_assert_eq(p->log[i].from, p->self);
    }
    cr_assert_eq(world_stats(&w).dead_letters, 0);
    struct asking a = asking_for(callee, TYPE_REVERSE, 0);
    run_in(&w, p->self, ask, &a);
    world_await(&w, p, 3); /* that nobody answers the last one */
    check_down(&p->log[2], callee);
    cr_assert_eq(clerk.first, 0);
    cr_assert_eq(p->count, 3);
    cr_assert_eq(world_stats(&w).dead_letters, 2);
    world_stop(&w);
}

/* call.h: a call whose answer has come has no timeout any more. */
Test(call, answer_ends_the_timeout)
{
    start(1);
    struct probe *p = world_probe(&w, 0, 0);
    act_id callee = clerk_start(&clerk, 0);
    struct asking a = asking_for(callee, REQUEST_ECHO, 1);
    struct asking b = asking_for(callee, REQUEST_KEEP, 1);
    a.timeout_ns = 2000000;
    b.timeout_ns = 4000000;
    run_in(&w, p->self, ask, &a);
    run_in(&w, p->self, ask, &b);
    world_await(&w, p, 2);
    cr_assert_eq(p->log[0].call, a.call);
    cr_assert_eq(p->log[1].type, ACT_TYPE_TIMEOUT);
    cr_assert_eq(p->log[1].call, b.call);
    cr_assert_eq(p->count, 2);
    world_stop(&w);
}

/* The answer waits in the mailbox before the TIMEOUT, both before the caller's next turn: it wins,
 * and the TIMEOUT is a dead letter. */
static void ask_and_let_it_time_out(struct probe *p, void *argument)
{
    const uint64_t end = act_now_ns() + 3000000;

    ask(p, argument);
    while (act_now_ns() < end)
        continue;
}

Test(call, answer_that_waits_beats_the_timeout)
{
    start(1);
    struct probe *p = world_probe(&w, 0, 0);
    act_id callee = clerk_start(&clerk, 0);
    struct asking a = asking_for(callee, REQUEST_ECHO, 1);
    a.timeout_ns = 1000000;
    run_in(&w, p->self, ask_and_let_it_time_out, &a);
    world_await(&w, p, 1);
    cr_assert_eq(p->log[0].call, a.call);
    for (uint32_t i = 0; i < 10; i++)
        world_sync(&w, p);
    cr_assert_eq(p->count, 1, "one answer");
    world_stop(&w);
}

/* call.h: DOWN when the callee has gone before, when it ends with the request in its mailbox, when
 * it ends and had kept it, and when it lives and ends the request. */
Test(call, down_instead_of_an_answer)
{
    start(2);
    struct probe *p = world_probe(&w, 0, 0);
    for (uint32_t i = 0; i < 4; i++) {
        struct gate gate;
        struct probe *q = world_probe(&w, 1, 0);
        act_id callee = clerk_start(&clerk, 1);
        if (i == 0) {
            cr_assert_eq(act_monitor(callee), 0);
            cr_assert_eq(act_stop(callee, 0), 0);
            cr_assert_eq(expect_down(&w).actor, callee);
        }
        struct asking a = asking_for(callee, i == 2 ? REQUEST_EXIT : REQUEST_DROP, 1);
        a.spare = i % 2 ? ACT_CALL_BYTES : 0;
        gate_shut(&gate, q);
        if (i == 1) cr_assert_eq(send_value(callee, REQUEST_EXIT, 0), 0);
        run_in(&w, p->self, ask, &a);
        gate_open(&w, &gate);
        world_await(&w, p, i + 1);
        cr_assert_eq(a.error, 0);
        check_down(&p->log[i], callee);
        cr_assert_eq(p->log[i].call, a.call);
        cr_assert_eq(p->log[i].from, p->self);
    }
    world_stop(&w);
}

static void ask_and_exit(struct probe *p, void *argument)
{
    ask(p, argument);
    act_exit(0);
}

/* call.h: a call ends with its actor: nothing of it is left, and the answer is a dead letter. */
Test(call, of_a_caller_that_ends)
{
    start(2);
    struct probe *p = world_probe(&w, 0, 0);
    struct probe *q = world_probe(&w, 0, 0);
    act_id callee = clerk_start(&clerk, 1);
    struct asking a = asking_for(callee, REQUEST_KEEP, 1);
    a.timeout_ns = 1000000;
    run_in(&w, p->self, ask_and_exit, &a);
    struct asking b = asking_for(callee, REQUEST_KEEP, 1);
    b.timeout_ns = 3000000;
    run_in(&w, q->self, ask, &b);
    world_await(&w, q, 1);
    cr_assert_eq(world_stats(&w).dead_letters, 0, "no timeout of the dead");
    struct asking c = asking_for(callee, TYPE_REVERSE, 0);
    run_in(&w, q->self, ask, &c);
    world_await(&w, q, 2);
    cr_assert_eq(world_stats(&w).dead_letters, 2, "the answers to both");
    cr_assert_eq(p->count, 0);
    world_stop(&w);
}

/* call.h: answered already, it is no request any more; the second answer stays the callee's. */
Test(call, second_answer_is_refused)
{
    start(2);
    struct probe *p = world_probe(&w, 0, 0);
    act_id callee = clerk_start(&clerk, 1);
    struct asking a = asking_for(callee, REQUEST_KEEP, 1);
    run_in(&w, p->self, ask, &a);
    struct asking twice = asking_for(callee, TYPE_ECHO_TWICE, 0);
    run_in(&w, p->self, ask, &twice);
    world_await(&w, p, 2); /* that nobody answers this one comes last */
    cr_assert_eq(clerk.first, 0);
    cr_assert_eq(clerk.second, -EINVAL);
    cr_assert_eq(p->count, 2);
    cr_assert_eq(p->log[0].call, a.call);
    cr_assert_eq(world_stats(&w).dead_letters, 0);
    world_stop(&w);
}

/* The runtime stops while requests are kept, wait, and are on their way: nothing is left over. */
Test(call, runtime_stops_with_open_calls)
{
    start(2);
    struct probe *p = world_probe(&w, 0, 0);
    act_id callee = clerk_start(&clerk, 1);
    for (uint32_t i = 0; i < CLERK_KEPT_MAX; i++) {
        struct asking a = asking_for(callee, REQUEST_KEEP, i);
        a.spare = i % 2 ? ACT_CALL_BYTES : 0;
        a.timeout_ns = i % 4 < 2 ? SECOND : UINT64_MAX;
        run_in(&w, p->self, ask, &a);
        cr_assert_eq(a.error, 0);
    }
    world_stop(&w);
    cr_assert_eq(clerk.kept_count, 0);
}
