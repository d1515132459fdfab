/**
 * Messages: handles, bodies, views, pools of several threads.
 */
#include <act/message.h>

#include "fixture.h"
#include "leak_check.h"

#include <signal.h>
#include <string.h>

LEAK_CHECKED_SUITE(message);

static struct world w;

static void start(uint32_t workers, uint64_t pool_bytes_max)
{
    struct act_runtime_options o = world_options(workers);

    if (pool_bytes_max != 0) o.pool_bytes_max = pool_bytes_max;
    world_start(&w, &o);
}

/* message.h: body_bytes 0..ACT_MESSAGE_BODY_MAX; NULL when it is too large. */
Test(message, create_at_the_limits_of_the_body)
{
    const uint32_t sizes[] = {0, 1, 16, 17, ACT_MESSAGE_BODY_MAX - 1, ACT_MESSAGE_BODY_MAX};

    start(1, 0);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct act_message *m = act_message_create(42, sizes[i]);
        cr_assert_not_null(m);
        cr_assert_eq(m->type, 42);
        cr_assert_eq(m->body_bytes, sizes[i]);
        cr_assert_not_null(m->body);
        cr_assert_geq(act_message_capacity(m), sizes[i]);
        memset(m->body, 0xA5, act_message_capacity(m));
        act_message_unref(m);
    }
    cr_assert_null(act_message_create(42, ACT_MESSAGE_BODY_MAX + 1));
    cr_assert_null(act_message_create(42, UINT32_MAX));
    cr_assert_eq(world_stats(&w).messages_live, 0);
    world_stop(&w);
}

/* message.h: 16-byte aligned, of every size. */
Test(message, bodies_are_aligned)
{
    struct act_message *kept[200];

    start(1, 0);
    for (uint32_t i = 0; i < 200; i++) {
        kept[i] = act_message_create(1, i * 7);
        cr_assert_not_null(kept[i]);
        cr_assert_eq((uintptr_t)kept[i]->body % 16, 0);
    }
    for (uint32_t i = 0; i < 200; i++)
        act_message_unref(kept[i]);
    world_stop(&w);
}

/* message.h: the owner may change body_bytes, up to the capacity, and the type. */
Test(message, owner_changes_size_and_type)
{
    start(1, 0);
    struct probe *p = world_probe(&w, 0, 0);
    struct act_message *m = act_message_create(1, 0);
    const uint64_t value = 0x1122334455667788;

    cr_assert_geq(act_message_capacity(m), 16);
    m->body_bytes = sizeof value;
    m->type = 2;
    memcpy(m->body, &value, sizeof value);
    cr_assert_eq(act_send(p->self, m), 0);
    world_sync(&w, p);
    cr_assert_eq(p->count, 1);
    cr_assert_eq(p->log[0].type, 2);
    cr_assert_eq(p->log[0].value, value);
    world_stop(&w);
}

/* message.h: a second handle to the same body, with the same type and size. */
Test(message, ref_shares_the_body)
{
    start(1, 0);
    struct act_message *m = act_message_create(7, 1000);

    memset(m->body, 0x5A, 1000);
    cr_assert_not(act_message_is_shared(m));
    struct act_message *view = act_message_ref(m);
    cr_assert_neq(view, m);
    cr_assert_eq(view->body, m->body);
    cr_assert_eq(view->body_bytes, 1000);
    cr_assert_eq(view->type, 7);
    cr_assert_eq(act_message_capacity(view), act_message_capacity(m));
    cr_assert(act_message_is_shared(m));
    cr_assert(act_message_is_shared(view));
    cr_assert_eq(world_stats(&w).messages_live, 2);

    /* The handle's own fields are its own. */
    view->type = 8;
    view->body_bytes = 10;
    cr_assert_eq(m->type, 7);
    cr_assert_eq(m->body_bytes, 1000);
    act_message_unref(view);
    cr_assert_not(act_message_is_shared(m));
    act_message_unref(m);
    cr_assert_eq(world_stats(&w).messages_live, 0);
    world_stop(&w);
}

/* message.h: the last handle ends the body, in whatever order they end. */
Test(message, body_lives_as_long_as_one_of_its_handles)
{
    start(1, 0);
    for (uint32_t last = 0; last < 4; last++) {
        struct act_message *h[4] = {act_message_create(7, 500)};
        h[1] = act_message_ref(h[0]);
        h[2] = act_message_ref(h[1]); /* a view of a view is one of the body */
        h[3] = act_message_ref(h[0]);
        memset(h[0]->body, 0x77, 500);
        for (uint32_t i = 0; i < 4; i++)
            if (i != last) act_message_unref(h[i]);
        /* Were the body free, one of these would be given its memory. */
        struct act_message *others[8];
        for (uint32_t i = 0; i < 8; i++) {
            others[i] = act_message_create(1, 500);
            memset(others[i]->body, 0, 500);
        }
        cr_assert_not(act_message_is_shared(h[last]));
        for (uint32_t i = 0; i < 500; i++)
            cr_assert_eq(((uint8_t *)h[last]->body)[i], 0x77);
        for (uint32_t i = 0; i < 8; i++)
            act_message_unref(others[i]);
        act_message_unref(h[last]);
    }
    cr_assert_eq(world_stats(&w).messages_live, 0);
    world_stop(&w);
}

/* message.h: NULL when the pool is at its bound, for create and for ref; then all come back. */
Test(message, bound_of_the_pool)
{
    enum { MAX = 20000 };
    static struct act_message *kept[MAX];
    uint32_t count = 0;

    start(1, 1 << 20);
    while ((kept[count] = act_message_create(1, 16)) != NULL)
        count++;
    cr_assert_gt(count, 10000);
    cr_assert_null(act_message_ref(kept[0]));
    cr_assert_not(act_message_is_shared(kept[0]), "a failed ref leaves it as it was");
    cr_assert_eq(world_stats(&w).messages_live, count);
    cr_assert_leq(world_stats(&w).pool_bytes, 2ull << 20, "the worker's and the port's");
    act_message_unref(kept[--count]);
    struct act_message *view = act_message_ref(kept[0]);
    cr_assert_not_null(view);
    act_message_unref(view);
    for (uint32_t i = 0; i < count; i++)
        act_message_unref(kept[i]);
    uint32_t again = 0;
    while ((kept[again] = act_message_create(1, 16)) != NULL)
        again++;
    cr_assert_eq(again, count + 1);
    while (again > 0)
        act_message_unref(kept[--again]);
    world_stop(&w);
}

/* message.h: a message travels back to the pool it came from: no pool runs dry of its own. */
Test(message, ended_elsewhere_it_comes_home)
{
    start(1, 1 << 20);
    struct probe *p = world_probe(&w, 0, 0);

    /* Three times what the pool holds. */
    for (uint32_t i = 0; i < 45000; i++) {
        struct act_message *m;
        while ((m = act_message_create(1, 8)) == NULL)
            world_sync(&w, p);
        while (act_send(p->self, m) != 0)
            cr_assert_null(act_port_receive(w.port, 0));
    }
    /* The mailbox may be full. */
    struct act_runtime_stats stats;
    do {
        expect_nothing(&w);
        stats = world_stats(&w);
    } while (stats.messages_delivered < 45000);
    cr_assert_geq(p->count, 45000);
    world_stop(&w);
}

static void unref_argument(struct probe *p, void *message)
{
    (void)p;
    act_message_unref(message);
}

/* message.h: a shared body may end on another thread than its owner's. */
Test(message, shared_body_ends_on_another_thread)
{
    start(2, 0);
    struct probe *p[2] = {world_probe(&w, 0, 0), world_probe(&w, 1, 0)};

    for (uint32_t first = 0; first < 2; first++) {
        struct act_message *m = act_message_create(1, 3000);
        struct act_message *view = act_message_ref(m);
        run_in(&w, p[0]->self, unref_argument, first == 0 ? m : view);
        cr_assert_not(act_message_is_shared(first == 0 ? view : m));
        run_in(&w, p[1]->self, unref_argument, first == 0 ? view : m);
    }
    world_sync(&w, p[0]);
    cr_assert_eq(world_stats(&w).messages_live, 0);
    world_stop(&w);
}

/* message.h, Threads: not from a thread that is neither a worker nor has a port. */
Test(message, create_without_a_port_is_an_error_of_the_program, .signal = SIGABRT)
{
    struct act_message *m = act_message_create(1, 0);
    (void)m;
}

/* The same of a handle that outlived its thread's port. */
Test(message, ref_without_a_port_is_an_error_of_the_program, .signal = SIGABRT)
{
    start(1, 0);
    struct act_message *m = act_message_create(1, 0);
    act_port_close(w.port);
    m = act_message_ref(m);
    (void)m;
}

Test(message, unref_without_a_port_is_an_error_of_the_program, .signal = SIGABRT)
{
    start(1, 0);
    struct act_message *m = act_message_create(1, 0);
    act_port_close(w.port);
    act_message_unref(m);
}
