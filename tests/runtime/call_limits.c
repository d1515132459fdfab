/**
 * Calls: what is refused, bodies and handles, names, and calls of ports.
 */
#include "clerk.h"
#include "endpoint.h"
#include "leak_check.h"
#include "memory.h"

#include <errno.h>
#include <pthread.h>

LEAK_CHECKED_SUITE(call_limits);

static struct world w;
static struct clerk clerk;

static void start(uint32_t workers)
{
    struct act_runtime_options o = world_options(workers);
    world_start(&w, &o);
}

/* What a handler is refused: the errors that it notes, in order. */
struct refusals {
    act_id to;
    int errors[8];
    bool is_intact;
};

static void provoke(struct probe *p, void *argument)
{
    struct refusals *r = argument;
    struct act_message *plain = act_message_create(1, 16);
    struct act_message *other = act_message_create(ACT_TYPE_SYSTEM, 16);

    (void)p;
    if (plain == NULL || other == NULL) return;
    r->errors[0] = act_call(r->to, NULL, 0, NULL);
    r->errors[1] = act_reply(NULL, plain);
    r->errors[2] = act_reply(plain, NULL);
    r->errors[3] = act_reply(plain, other);
    r->errors[4] = act_reply(plain, plain);
    r->errors[5] = act_call((act_id)1 << 48 ^ p->self, plain, 1, NULL);
    r->is_intact = act_call_of(plain) == 0 && act_message_capacity(plain) == 16 &&
                   !act_message_is_shared(plain);
    act_message_unref(plain);
    act_message_unref(other);
}

/* call.h: -EINVAL and -EPERM; nothing has happened then. */
Test(call_limits, what_is_refused)
{
    struct refusals r = {0};
    struct act_message *m;
    struct act_message *answer;

    start(1);
    struct probe *p = world_probe(&w, 0, 0);
    r.to = p->self;
    run_in(&w, p->self, provoke, &r);
    for (uint32_t i = 0; i < 5; i++)
        cr_assert_eq(r.errors[i], -EINVAL, "%u", i);
    cr_assert_eq(r.errors[5], -EHOSTUNREACH);
    cr_assert(r.is_intact);

    m = act_message_create(1, 8);
    cr_assert_eq(act_call(p->self, m, 0, NULL), -EPERM, "a port has act_port_call");
    cr_assert_eq(act_port_call(NULL, p->self, m, 0, &answer), -EINVAL);
    cr_assert_eq(act_port_call(w.port, p->self, m, 0, NULL), -EINVAL);
    cr_assert_eq(act_port_call(w.port, p->self, NULL, 0, &answer), -EINVAL);
    cr_assert_eq(act_port_call(w.port, w.port_id, m, UINT64_MAX, &answer), -EINVAL);
    act_message_unref(m);
    cr_assert_eq(world_stats(&w).dead_letters, 0);
    world_stop(&w);
}

static void *call_from_nowhere(void *argument)
{
    struct act_message **m = argument;
    struct act_message *answer;

    cr_assert_eq(act_call(1, m[0], 0, NULL), -EPERM);
    cr_assert_eq(act_reply(m[0], m[1]), -EPERM);
    cr_assert_eq(act_port_call(w.port, 1, m[0], 0, &answer), -EPERM);
    return NULL;
}

/* call.h: -EPERM for a thread that is none of the runtime's, or not the port's. */
Test(call_limits, wrong_threads)
{
    pthread_t thread;
    struct act_message *m[2];

    start(1);
    m[0] = act_message_create(1, 8);
    m[1] = act_message_create(1, 8);
    cr_assert_eq(pthread_create(&thread, NULL, call_from_nowhere, m), 0);
    pthread_join(thread, NULL);
    act_message_unref(m[0]);
    act_message_unref(m[1]);
    world_stop(&w);
}

/* What a callee sees of a request's body, and does with it. */
struct viewed {
    uint32_t capacities[2];
    bool is_shared[2];
    struct act_message *view;
    int error;
    act_call_id call;
};

static void look_at_request(void *state, struct act_message *m)
{
    struct viewed *v = state;
    const uint32_t i = m->type;

    v->capacities[i] = act_message_capacity(m);
    v->is_shared[i] = act_message_is_shared(m);
    v->call = act_call_of(m);
    /* All of the capacity is the body's. */
    memset((uint8_t *)m->body + 8, 0xFF, v->capacities[i] - 8);
    v->error = act_call(act_self(), m, 0, NULL);
    if (i == 1) {
        v->view = act_message_ref(m);
        m->type = TYPE_ANSWER;
        if (act_reply(v->view, v->view) != -EINVAL) v->error = 1;
        act_message_unref(m);
        if (*(uint64_t *)v->view->body != 77) v->error = 2;
        act_message_unref(v->view);
        return;
    }
    m->type = TYPE_ANSWER;
    if (act_reply(m, m) != 0) v->error = 3;
}

/* call.h: a request keeps its body's room but for ACT_CALL_BYTES, and is not shared; it cannot be
 * called with; a second handle is no request, and its body outlives the answer DOWN. */
Test(call_limits, body_of_a_request)
{
    static const struct act_behaviour behaviour = {.receive = look_at_request};
    struct viewed v = {0};
    const struct act_spawn_options o = {
        .behaviour = &behaviour, .state = &v, .place = ACT_PLACE_ON(1)};
    act_id id;

    start(2);
    struct probe *p = world_probe(&w, 0, 0);
    cr_assert_eq(act_spawn(&o, &id), 0);
    for (uint32_t round = 0; round < 2; round++) {
        struct asking a = asking_for(id, 0, 77);
        struct asking b = asking_for(id, 1, 77);
        a.spare = b.spare = round * ACT_CALL_BYTES;
        run_in(&w, p->self, ask, &a);
        run_in(&w, p->self, ask, &b);
        world_await(&w, p, round * 2 + 2);
        cr_assert_eq(v.error, -EINVAL);
        cr_assert_eq(v.call, 0, "a request is no answer");
        for (uint32_t i = 0; i < 2; i++) {
            cr_assert_eq(v.capacities[i], round == 0 ? 16 : 80 - ACT_CALL_BYTES);
            cr_assert_not(v.is_shared[i]);
        }
        cr_assert_eq(p->log[round * 2].type, TYPE_ANSWER);
        cr_assert_eq(p->log[round * 2].value, 77);
        cr_assert_eq(p->log[round * 2].call, a.call);
        cr_assert_eq(p->log[round * 2 + 1].type, ACT_TYPE_DOWN);
        cr_assert_eq(p->log[round * 2 + 1].value, id);
    }
    world_stop(&w);
}

/* A callee whose mailbox is full: -EAGAIN, and the message is the caller's as it was. */
static void ask_until_full(struct probe *p, void *argument)
{
    struct asking *a = argument;

    do {
        ask(p, a);
        p->result++;
    } while (a->error == 0);
}

Test(call_limits, full_mailbox)
{
    start(1);
    struct probe *p = world_probe(&w, 0, 0);
    struct probe *q = world_probe(&w, 0, 2);
    struct asking a = asking_for(q->self, 1, 5);
    run_in(&w, p->self, ask_until_full, &a);
    cr_assert_eq(a.error, -EAGAIN);
    cr_assert_eq(p->result, 3);
    world_await(&w, p, 2); /* the probe ends what it is sent */
    cr_assert_eq(p->log[1].type, ACT_TYPE_DOWN);
    world_stop(&w);
}

/* call.h: an answer passes the bound of the caller's mailbox. */
Test(call_limits, answers_pass_the_bound)
{
    struct gate gate;

    start(2);
    struct probe *p = world_probe(&w, 0, 1);
    act_id callee = clerk_start(&clerk, 1);
    for (uint32_t i = 0; i < 10; i++) {
        struct asking a = asking_for(callee, REQUEST_KEEP, i);
        run_in(&w, p->self, ask, &a);
    }
    struct asking behind = asking_for(callee, REQUEST_ECHO, 0); /* by now all are kept */
    run_in(&w, p->self, ask, &behind);
    world_await(&w, p, 1);
    gate_shut(&gate, p);
    cr_assert_eq(send_value(callee, TYPE_REVERSE, 0), 0);
    struct asking last = asking_for(callee, REQUEST_ECHO, 0);
    struct act_message *answer = NULL;
    cr_assert_eq(act_port_call(w.port, callee, make_request(&last), PATIENCE, &answer), 0);
    act_message_unref(answer);
    cr_assert_eq(clerk.first, 0);
    gate_open(&w, &gate);
    world_await(&w, p, 11);
    cr_assert_eq(p->count, 11);
    world_stop(&w);
}

/* The same when both live on one worker, where the bound is seen at once. */
Test(call_limits, answers_pass_the_bound_of_a_neighbour)
{
    start(1);
    struct probe *p = world_probe(&w, 0, 1);
    act_id callee = clerk_start(&clerk, 0);
    for (uint32_t i = 0; i < 10; i++) {
        struct asking a = asking_for(callee, REQUEST_KEEP, i);
        run_in(&w, p->self, ask, &a);
    }
    cr_assert_eq(send_value(callee, TYPE_REVERSE, 0), 0);
    world_await(&w, p, 10);
    cr_assert_eq(p->count, 10);
    cr_assert_eq(clerk.first, 0);
    world_stop(&w);
}

static void ask_with_a_shared_body(struct probe *p, void *argument)
{
    struct asking *a = argument;
    struct act_message *m = make_request(a);
    struct act_message *view = m != NULL ? act_message_ref(m) : NULL;

    p->result = -1;
    if (view == NULL) return;
    m->body_bytes = 8; /* of this handle; the other one still reads all */
    a->error = act_call(a->to, m, UINT64_MAX, &a->call);
    p->result = 0;
    for (uint32_t i = 8; i < a->bytes; i++)
        p->result += ((const uint8_t *)view->body)[i] != 0xC3;
    act_message_unref(view);
}

/* message.h: a shared body is read-only: what a request adds does not lie in it. */
Test(call_limits, shared_body_is_left_alone)
{
    start(1);
    struct probe *p = world_probe(&w, 0, 0);
    act_id callee = clerk_start(&clerk, 0);
    struct asking a = asking_for(callee, REQUEST_FRESH, 8);
    a.bytes = 80;
    run_in(&w, p->self, ask_with_a_shared_body, &a);
    cr_assert_eq(a.error, 0);
    cr_assert_eq(p->result, 0, "bytes of the other handle's body have changed");
    world_await(&w, p, 1);
    cr_assert_eq(p->log[0].call, a.call);
    world_stop(&w);
}

/* A request that nobody answers gives back the memory of its body, under which handle ever it
 * travels: the pools do not grow. */
Test(call_limits, unanswered_requests_leave_nothing)
{
    enum { CALLS = 6000 };

    start(1);
    struct probe *p = world_probe(&w, 0, 0);
    act_id callee = clerk_start(&clerk, 0);
    for (uint32_t i = 0; i < CALLS; i++) {
        struct asking a = asking_for(callee, REQUEST_DROP, i);
        struct act_message *answer;
        if (i % 2 == 0) {
            run_in(&w, p->self, ask, &a);
            continue;
        }
        cr_assert_eq(act_port_call(w.port, callee, make_request(&a), PATIENCE, &answer),
                     -EHOSTDOWN);
    }
    world_await(&w, p, CALLS / 2);
    cr_assert_eq(world_stats(&w).pool_growths, 0);
    world_stop(&w);
}

/* act_port_call: the answer, past what waits; then -EHOSTDOWN; and what came meanwhile is there. */
Test(call_limits, port_calls)
{
    struct act_message *answer = NULL;

    start(2);
    act_id callee = clerk_start(&clerk, 0);
    for (uint32_t i = 0; i < 100; i++) {
        struct asking a = asking_for(callee, i % 2 ? REQUEST_ECHO : REQUEST_FRESH, 16 + i);
        if (i % 10 == 0) cr_assert_eq(send_value(w.port_id, 9, i), 0);
        cr_assert_eq(act_port_call(w.port, callee, make_request(&a), PATIENCE, &answer), 0);
        cr_assert_eq(answer->type, TYPE_ANSWER);
        cr_assert_eq(*(uint64_t *)answer->body, 17 + i);
        act_message_unref(answer);
    }
    for (uint32_t i = 0; i < 100; i += 10)
        cr_assert_eq(expect(&w, 9), i);
    struct asking a = asking_for(callee, REQUEST_DROP, 1);
    cr_assert_eq(act_port_call(w.port, callee, make_request(&a), PATIENCE, &answer), -EHOSTDOWN);
    a.type = REQUEST_EXIT;
    cr_assert_eq(act_port_call(w.port, callee, make_request(&a), UINT64_MAX, &answer), -EHOSTDOWN);
    cr_assert_eq(act_port_call(w.port, callee, make_request(&a), 0, &answer), -EHOSTDOWN);
    expect_nothing(&w);
    world_stop(&w);
}

/* act_port_call: -ETIMEDOUT; the late answer is a dead letter, not the next call's. */
Test(call_limits, port_calls_time_out)
{
    struct act_message *answer = NULL;

    start(1);
    act_id callee = clerk_start(&clerk, 0);
    struct asking a = asking_for(callee, REQUEST_KEEP, 1);
    cr_assert_eq(act_port_call(w.port, callee, make_request(&a), 0, &answer), -ETIMEDOUT);
    cr_assert_eq(act_port_call(w.port, callee, make_request(&a), 1000000, &answer), -ETIMEDOUT);
    cr_assert_eq(send_value(callee, TYPE_REVERSE, 0), 0);
    struct asking b = asking_for(callee, REQUEST_ECHO, 40);
    cr_assert_eq(act_port_call(w.port, callee, make_request(&b), PATIENCE, &answer), 0);
    cr_assert_eq(*(uint64_t *)answer->body, 41);
    act_message_unref(answer);
    cr_assert_eq(send_value(w.port_id, 9, 3), 0);
    cr_assert_eq(expect(&w, 9), 3);
    expect_nothing(&w);
    cr_assert_eq(world_stats(&w).dead_letters, 2);
    world_stop(&w);
}

/* A port is asked, too: it answers what it receives, and at its end tells who still waits. */
Test(call_limits, ports_are_asked)
{
    start(1);
    struct probe *p = world_probe(&w, 0, 0);
    struct asking a = asking_for(w.port_id, 1, 8);
    struct asking b = asking_for(w.port_id, 2, 9);
    start_in(p->self, ask, &a);
    struct act_message *request = act_port_receive(w.port, PATIENCE);
    cr_assert_eq(request->type, 1);
    cr_assert_eq(act_reply(request, request), 0);
    expect(&w, TYPE_RAN);
    world_await(&w, p, 1);
    cr_assert_eq(p->log[0].call, a.call);
    cr_assert_eq(p->log[0].value, 8);

    start_in(p->self, ask, &b);
    request = act_port_receive(w.port, PATIENCE);
    cr_assert_eq(request->type, 2);
    act_message_unref(request);
    expect(&w, TYPE_RAN);
    world_await(&w, p, 2);
    cr_assert_eq(p->log[1].type, ACT_TYPE_DOWN);
    cr_assert_eq(p->log[1].value, w.port_id);
    start_in(p->self, ask, &b);
    world_stop(&w);
}

static void give_a_generation(struct probe *p, void *generation)
{
    struct act_belongings *b = &act_endpoint_current()->belongings;

    (void)p;
    belonging_at(b, b->free - 1)->generation = *(uint32_t *)generation;
}

/* call.h: none has the same name again: an index that has had its last generation is left alone. */
Test(call_limits, names_never_repeat)
{
    uint32_t last = UINT32_MAX;

    start(1);
    struct probe *p = world_probe(&w, 0, 0);
    act_id callee = clerk_start(&clerk, 0);
    struct asking a = asking_for(callee, REQUEST_ECHO, 1);
    run_in(&w, p->self, ask, &a);
    world_await(&w, p, 1);
    const act_call_id first = a.call;
    run_in(&w, p->self, give_a_generation, &last);
    for (uint32_t i = 0; i < 3; i++) {
        run_in(&w, p->self, ask, &a);
        world_await(&w, p, i + 2);
        cr_assert_eq(p->log[i + 1].call, a.call);
        cr_assert_neq(a.call, first);
    }
    world_stop(&w);
}

static bool is_no_memory;

static void use_up(struct probe *p, void *argument)
{
    struct act_message *list = NULL;
    struct asking *a = argument;

    /* Every message of the pool, chained through the bodies. */
    for (struct act_message *m; (m = act_message_create(1, 16)) != NULL; list = m)
        memcpy(m->body, &list, sizeof list);
    struct act_message *m = list;
    memcpy(&list, m->body, sizeof list);
    for (struct act_message *big, *bigs = NULL;; bigs = big) {
        big = act_message_create(1, 80);
        if (big != NULL) {
            memcpy(big->body, &bigs, sizeof bigs);
            continue;
        }
        a->error = act_call(a->to, m, SECOND, NULL); /* no second handle */
        is_no_memory = a->error == -ENOMEM;
        while ((big = bigs) != NULL) {
            memcpy(&bigs, big->body, sizeof bigs);
            act_message_unref(big);
        }
        break;
    }
    act_message_unref(m);
    while ((m = list) != NULL) {
        memcpy(&list, m->body, sizeof list);
        act_message_unref(m);
    }
    p->result = 1;
}

/* call.h: -ENOMEM when there is no second handle: nothing has happened. */
Test(call_limits, no_memory_for_a_handle)
{
    struct act_runtime_options o = world_options(1);

    o.pool_bytes_max = 1 << 20;
    world_start(&w, &o);
    struct probe *p = world_probe(&w, 0, 0);
    act_id callee = clerk_start(&clerk, 0);
    struct asking a = asking_for(callee, REQUEST_ECHO, 1);
    run_in(&w, p->self, use_up, &a);
    cr_assert(is_no_memory);
    run_in(&w, p->self, ask, &a);
    world_await(&w, p, 1);
    cr_assert_eq(p->count, 1);
    cr_assert_eq(p->log[0].call, a.call);
    world_stop(&w);
}

static void ask_without_memory(struct probe *p, void *argument)
{
    struct asking *a = argument;

    p->result = 0;
    for (uint32_t i = 0; i < 20; i++) {
        act_memory_fail_at(i == 0 ? 1 : 2); /* what the last round was given is kept */
        ask(p, a);
        act_memory_fail_at(0);
        if (a->error != -ENOMEM) return;
        p->result++;
    }
}

/* call.h: -ENOMEM at each allocation in turn, and the call that succeeds is the only one. */
Test(call_limits, no_memory_for_a_call)
{
    start(1);
    struct probe *p = world_probe(&w, 0, 0);
    act_id callee = clerk_start(&clerk, 0);
    struct asking a = asking_for(callee, REQUEST_ECHO, 1);
    a.timeout_ns = 3600 * SECOND;
    run_in(&w, p->self, ask_without_memory, &a);
    cr_assert_eq(a.error, 0);
    cr_assert_eq(p->result, 3, "the chains, the table, the schedule");
    world_await(&w, p, 1);
    cr_assert_eq(p->log[0].call, a.call);
    cr_assert_eq(world_stats(&w).dead_letters, 0);
    world_stop(&w);
}
