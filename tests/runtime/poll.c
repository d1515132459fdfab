/**
 * Descriptors of actors: readiness as messages.
 */
#include <act/poll.h>

#include "endpoint.h"
#include "fixture.h"
#include "leak_check.h"
#include "memory.h"
#include "poller.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

LEAK_CHECKED_SUITE(poll);

enum { TYPE_READY = 7, MANY = 300 };

static struct world w;

/** What the watchers were told, in order. Written by their worker, read after a world_sync. */
static struct act_readiness seen[4 * MANY];
static uint32_t seen_count;

static void watcher_receive(void *state, struct act_message *m)
{
    if (m->type == TYPE_READY) {
        if (m->body_bytes != sizeof seen[0] || m->from != act_self()) abort();
        memcpy(&seen[seen_count++ % (4 * MANY)], m->body, sizeof seen[0]);
    }
    probe_behaviour.receive(state, m);
}

static struct act_behaviour watcher_behaviour = {.receive = watcher_receive};

static struct probe watchers[8];
static uint32_t watcher_count;

static void start(uint32_t spin_us)
{
    struct act_runtime_options o = world_options(1);

    o.spin_us = spin_us;
    seen_count = 0;
    watcher_count = 0;
    watcher_behaviour.stopped = probe_behaviour.stopped;
    world_start(&w, &o);
}

static struct probe *watcher(void)
{
    struct probe *p = &watchers[watcher_count++];
    const struct act_spawn_options o = {
        .behaviour = &watcher_behaviour, .state = p, .place = ACT_PLACE_ON(0)};

    *p = (struct probe){0};
    cr_assert_eq(act_spawn(&o, &p->self), 0);
    return p;
}

/** A call, and what came of it. */
struct call {
    struct act_poll_options options;
    uint32_t events; /* of `again` */
    act_poll poll;
    int result;
};

static void call_start(struct probe *p, void *argument)
{
    struct call *c = argument;
    (void)p;
    c->result = act_poll_start(&c->options, &c->poll);
}

static void call_again(struct probe *p, void *argument)
{
    struct call *c = argument;
    (void)p;
    c->result = act_poll_again(c->poll, c->events);
}

static void call_stop(struct probe *p, void *argument)
{
    struct call *c = argument;
    (void)p;
    c->result = act_poll_stop(c->poll);
}

static void call_count(struct probe *p, void *argument)
{
    (void)argument;
    p->result = (int)act_poller_count(act_endpoint_current());
}

static uint32_t registrations(const struct probe *p)
{
    run_in(&w, p->self, call_count, NULL);
    return (uint32_t)p->result;
}

static void pair_of(int fds[2])
{
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
}

static void fill(int fd)
{
    char bytes[4096] = {0};
    while (write(fd, bytes, sizeof bytes) > 0) {
    }
}

static void drain(int fd)
{
    char bytes[4096];
    while (read(fd, bytes, sizeof bytes) > 0) {
    }
}

static struct call watch(const struct probe *p, int fd, uint32_t events, uint64_t cookie)
{
    struct call c = {.options = {.fd = fd, .events = events, .type = TYPE_READY, .cookie = cookie}};

    run_in(&w, p->self, call_start, &c);
    cr_assert_eq(c.result, 0);
    cr_assert_neq(c.poll, 0);
    return c;
}

static int again(const struct probe *p, struct call *c, uint32_t events)
{
    c->events = events;
    run_in(&w, p->self, call_again, c);
    return c->result;
}

static bool stop(const struct probe *p, struct call *c)
{
    run_in(&w, p->self, call_stop, c);
    return c->result;
}

/** Waits until the watchers were told so often, and no more. */
static void await_seen(struct probe *p, uint32_t count)
{
    const uint64_t end = act_now_ns() + PATIENCE;

    do
        world_sync(&w, p);
    while (seen_count < count && act_now_ns() < end);
    for (int i = 0; i < 20; i++)
        world_sync(&w, p);
    cr_assert_eq(seen_count, count);
}

/* poll.h: one message for each time that it asks; it carries name, cookie, descriptor, events. */
Test(poll, readiness_comes_once_until_it_is_asked_for_again)
{
    int fds[2];

    start(50);
    pair_of(fds);
    struct probe *p = watcher();
    struct call c = watch(p, fds[0], ACT_POLL_IN, 77);
    await_seen(p, 0);
    cr_assert_eq(write(fds[1], "a", 1), 1);
    await_seen(p, 1);
    cr_assert_eq(seen[0].poll, c.poll);
    cr_assert_eq(seen[0].cookie, 77);
    cr_assert_eq(seen[0].fd, fds[0]);
    cr_assert_eq(seen[0].events, ACT_POLL_IN);
    cr_assert_eq(write(fds[1], "b", 1), 1);
    await_seen(p, 1);
    cr_assert_eq(again(p, &c, ACT_POLL_IN), 0, "it is ready still");
    await_seen(p, 2);
    drain(fds[0]);
    cr_assert_eq(again(p, &c, ACT_POLL_IN), 0);
    await_seen(p, 2);
    cr_assert_eq(write(fds[1], "c", 1), 1);
    await_seen(p, 3);
    world_stop(&w);
    close(fds[0]);
    close(fds[1]);
}

/* poll.h: ACT_POLL_OUT, and both; again without a message in between replaces the events. */
Test(poll, room_to_write_is_told)
{
    int fds[2];

    start(50);
    pair_of(fds);
    fill(fds[0]);
    struct probe *p = watcher();
    struct call c = watch(p, fds[0], ACT_POLL_OUT, 1);
    await_seen(p, 0);
    drain(fds[1]);
    await_seen(p, 1);
    cr_assert_eq(seen[0].events, ACT_POLL_OUT);
    fill(fds[0]);
    cr_assert_eq(again(p, &c, ACT_POLL_OUT), 0);
    cr_assert_eq(again(p, &c, ACT_POLL_IN | ACT_POLL_OUT), 0);
    await_seen(p, 1);
    cr_assert_eq(write(fds[1], "a", 1), 1);
    await_seen(p, 2);
    cr_assert_eq(seen[1].events, ACT_POLL_IN);
    world_stop(&w);
    close(fds[0]);
    close(fds[1]);
}

/* poll.h: HANGUP and ERROR come without being asked for. */
Test(poll, the_other_side_closes)
{
    int fds[2];
    int ends[2];

    start(50);
    pair_of(fds);
    struct probe *p = watcher();
    watch(p, fds[0], ACT_POLL_IN, 1);
    close(fds[1]);
    await_seen(p, 1);
    cr_assert_eq(seen[0].events, ACT_POLL_IN | ACT_POLL_HANGUP);

    cr_assert_eq(pipe2(ends, O_NONBLOCK), 0);
    fill(ends[1]);
    watch(p, ends[1], ACT_POLL_OUT, 2);
    await_seen(p, 1);
    close(ends[0]);
    await_seen(p, 2);
    cr_assert_neq(seen[1].events & ACT_POLL_ERROR, 0);
    world_stop(&w);
    close(fds[0]);
    close(ends[1]);
}

static bool has_parked(void *parks)
{
    return world_stats(&w).parks > *(uint64_t *)parks;
}

/* A descriptor ends the sleep of a worker that has nothing else to do. */
Test(poll, a_sleeping_worker_is_woken)
{
    int fds[2];

    start(0);
    pair_of(fds);
    struct probe *p = watcher();
    struct call c = watch(p, fds[0], ACT_POLL_IN, 1);
    for (uint32_t i = 1; i <= 10; i++) {
        const uint64_t end = act_now_ns() + PATIENCE;
        const uint64_t delivered = world_stats(&w).messages_delivered;
        uint64_t parks = i == 1 ? 0 : world_stats(&w).parks;
        cr_assert(i > 1 || wait_until(has_parked, &parks));
        cr_assert_eq(write(fds[1], "a", 1), 1);
        /* Nobody but the descriptor wakes it: the port is silent. */
        while (world_stats(&w).messages_delivered == delivered && act_now_ns() < end)
            usleep(100);
        await_seen(p, i);
        drain(fds[0]);
        cr_assert_eq(again(p, &c, ACT_POLL_IN), 0);
    }
    world_stop(&w);
    close(fds[0]);
    close(fds[1]);
}

static void send_again(struct probe *p)
{
    if (p->result == 0 && send_value(p->self, 1, 0) != 0) abort();
}

static void set_result(struct probe *p, void *argument)
{
    p->result = *(int *)argument;
    p->at_turn_end = p->result == 0 ? send_again : NULL;
}

/* poll.h: a busy worker looks at its descriptors too. */
Test(poll, a_busy_worker_looks_as_well)
{
    int fds[2];
    int busy = 0;
    int idle = 1;

    start(50);
    pair_of(fds);
    struct probe *p = watcher();
    struct probe *runner = world_probe(&w, 0, 0);
    watch(p, fds[0], ACT_POLL_IN, 1);
    run_in(&w, runner->self, set_result, &busy);
    cr_assert_eq(write(fds[1], "a", 1), 1);
    await_seen(p, 1);
    run_in(&w, runner->self, set_result, &idle);
    world_stop(&w);
    close(fds[0]);
    close(fds[1]);
}

/* poll.h: act_poll_stop; what is on its way still comes; a name is never used again. */
Test(poll, a_stopped_registration_is_silent)
{
    int fds[2];

    start(50);
    pair_of(fds);
    struct probe *p = watcher();
    struct call c = watch(p, fds[0], ACT_POLL_IN, 1);
    cr_assert(stop(p, &c));
    cr_assert_not(stop(p, &c), "once");
    cr_assert_eq(again(p, &c, ACT_POLL_IN), -ENOENT);
    cr_assert_eq(write(fds[1], "a", 1), 1);
    await_seen(p, 0);
    struct call next = watch(p, fds[0], ACT_POLL_IN, 2);
    cr_assert_neq(next.poll, c.poll);
    await_seen(p, 1);
    cr_assert_eq(seen[0].cookie, 2);
    cr_assert_not(stop(p, &c), "the old name is not the new registration's");
    cr_assert_eq(registrations(p), 1);
    c.poll = 0;
    cr_assert_not(stop(p, &c));
    world_stop(&w);
    close(fds[0]);
    close(fds[1]);
}

/* poll.h: each registration from its own actor's handler. */
Test(poll, another_actors_registration_is_none)
{
    int fds[2];

    start(50);
    pair_of(fds);
    struct probe *owner = watcher();
    struct probe *other = watcher();
    struct call c = watch(owner, fds[0], ACT_POLL_IN, 1);
    cr_assert_not(stop(other, &c));
    cr_assert_eq(again(other, &c, ACT_POLL_IN), -ENOENT);
    struct call twice = c;
    run_in(&w, other->self, call_start, &twice);
    cr_assert_eq(twice.result, -EEXIST);
    cr_assert_eq(registrations(owner), 1);
    world_stop(&w);
    close(fds[0]);
    close(fds[1]);
}

static void watch_at_last(struct probe *p)
{
    struct act_poll_options o = {.fd = p->result, .events = ACT_POLL_IN, .type = TYPE_READY};
    p->result = act_poll_start(&o, NULL);
}

/* poll.h: a registration ends with its actor, also one of its last call, and no message is sent. */
Test(poll, registrations_end_with_their_actor)
{
    int fds[2][2];

    start(50);
    pair_of(fds[0]);
    pair_of(fds[1]);
    struct probe *a = watcher();
    for (int i = 0; i < 15; i++)
        world_probe(&w, 0, 0);
    struct probe *b = watcher(); /* 16 slots on: in the same chain of the poller */
    watch(a, fds[0][0], ACT_POLL_IN, 1);
    struct call kept = watch(b, fds[1][0], ACT_POLL_IN, 2);
    a->result = fds[0][0];
    a->at_stop = watch_at_last;
    cr_assert_eq(world_end(&w, a, 0), 0);
    cr_assert_eq(registrations(b), 1);
    cr_assert_eq(a->result, 0);
    const uint64_t dead = world_stats(&w).dead_letters;
    cr_assert_eq(write(fds[0][1], "a", 1), 1);
    cr_assert_eq(write(fds[1][1], "a", 1), 1);
    await_seen(b, 1);
    cr_assert_eq(seen[0].poll, kept.poll);
    cr_assert_eq(world_stats(&w).dead_letters, dead);
    watch(b, fds[0][0], ACT_POLL_IN, 3);
    await_seen(b, 2);
    world_stop(&w); /* with both registered */
    for (int i = 0; i < 4; i++)
        close(fds[i / 2][i % 2]);
}

/* poll.h: every other value that act_poll_start returns. */
Test(poll, what_cannot_be_waited_for_is_refused)
{
    char path[] = "/tmp/act_poll_XXXXXX";
    int fds[2];

    start(50);
    pair_of(fds);
    struct probe *p = watcher();
    const int file = mkstemp(path);
    cr_assert_geq(file, 0);
    unlink(path);
    const struct {
        struct act_poll_options options;
        int error;
    } cases[] = {
        {{.fd = fds[0], .events = 0, .type = TYPE_READY}, -EINVAL},
        {{.fd = fds[0], .events = ACT_POLL_HANGUP, .type = TYPE_READY}, -EINVAL},
        {{.fd = fds[0], .events = 16 | ACT_POLL_IN, .type = TYPE_READY}, -EINVAL},
        {{.fd = fds[0], .events = ACT_POLL_IN, .type = ACT_TYPE_SYSTEM}, -EINVAL},
        {{.fd = -1, .events = ACT_POLL_IN, .type = TYPE_READY}, -EBADF},
        {{.fd = file, .events = ACT_POLL_IN, .type = TYPE_READY}, -EPERM},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct call c = {.options = cases[i].options};
        run_in(&w, p->self, call_start, &c);
        cr_assert_eq(c.result, cases[i].error, "case %zu: %d", i, c.result);
        cr_assert_eq(c.poll, 0);
        cr_assert_eq(registrations(p), 0);
    }
    struct call c = watch(p, fds[0], ACT_POLL_IN, 1);
    cr_assert_eq(again(p, &c, 0), -EINVAL);
    close(fds[0]);
    cr_assert_lt(again(p, &c, ACT_POLL_IN), 0, "closed");
    cr_assert(stop(p, &c));
    world_stop(&w);
    close(fds[1]);
    close(file);
}

/* Many at once, through several growths of the table: each is told, ended ones are not. */
Test(poll, many_descriptors)
{
    static int fds[MANY][2];
    static struct call calls[MANY];

    start(50);
    struct probe *p[2] = {watcher(), watcher()};
    for (uint32_t i = 0; i < MANY; i++) {
        pair_of(fds[i]);
        calls[i] = watch(p[i % 2], fds[i][0], ACT_POLL_IN, i);
    }
    cr_assert_eq(registrations(p[0]), MANY);
    for (uint32_t i = 0; i < MANY; i += 3)
        cr_assert(stop(p[i % 2], &calls[i]));
    for (uint32_t i = 0; i < MANY; i++)
        cr_assert_eq(write(fds[i][1], "a", 1), 1);
    await_seen(p[0], MANY - MANY / 3);
    bool was_told[MANY] = {false};
    for (uint32_t i = 0; i < seen_count; i++) {
        const uint64_t k = seen[i].cookie;
        cr_assert(k < MANY && k % 3 != 0 && !was_told[k]);
        cr_assert_eq(seen[i].fd, fds[k][0]);
        was_told[k] = true;
    }
    cr_assert_eq(world_end(&w, p[1], 0), 0);
    cr_assert_eq(registrations(p[0]), (MANY - MANY / 3) / 2);
    world_stop(&w);
    for (uint32_t i = 0; i < MANY; i++) {
        close(fds[i][0]);
        close(fds[i][1]);
    }
}

static void start_without_memory(struct probe *p, void *argument)
{
    struct call *c = argument;
    /* The poller itself; then its two arrays, the first of them twice. */
    const unsigned long fails_at[] = {1, 2, 1, 2};

    for (uint32_t i = 0; i < 4; i++) {
        act_memory_fail_at(fails_at[i]);
        c->result = act_poll_start(&c->options, &c->poll);
        act_memory_fail_at(0);
        if (c->result != -ENOMEM || c->poll != 0) p->result = (int)i + 1;
    }
    c->result = act_poll_start(&c->options, &c->poll);
}

/* poll.h: -ENOMEM; then nothing is left behind, and the next try succeeds. */
Test(poll, without_memory_nothing_is_registered)
{
    int fds[2];

    start(50);
    pair_of(fds);
    struct probe *p = watcher();
    struct call c = {.options = {.fd = fds[0], .events = ACT_POLL_IN, .type = TYPE_READY}};
    run_in(&w, p->self, start_without_memory, &c);
    cr_assert_eq(p->result, 0);
    cr_assert_eq(c.result, 0);
    cr_assert_eq(registrations(p), 1);
    cr_assert_eq(write(fds[1], "a", 1), 1);
    await_seen(p, 1);
    world_stop(&w);
    cr_assert_eq(act_memory_held(), 0);
    close(fds[0]);
    close(fds[1]);
}
