/**
 * act_send: order, bounds, room, turns, dead letters.
 */
#include "fixture.h"
#include "leak_check.h"

#include <errno.h>
#include <string.h>

LEAK_CHECKED_SUITE(send);

static struct world w;

static void start(uint32_t workers)
{
    struct act_runtime_options o = world_options(workers);
    world_start(&w, &o);
}

/** What a handler is to send. */
struct burst {
    act_id to;
    uint32_t count;
    uint32_t accepted;
    int error; /* of the first that was refused */
};

static void send_burst(struct probe *p, void *argument)
{
    struct burst *b = argument;

    (void)p;
    for (uint32_t i = 0; i < b->count && b->error == 0; i++) {
        b->error = send_value(b->to, 1, i);
        if (b->error == 0) b->accepted++;
    }
}

/** Tries until it is taken. */
static void send_stubbornly(struct probe *p, void *argument)
{
    struct burst *b = argument;
    const uint64_t end = act_now_ns() + PATIENCE;

    (void)p;
    while (b->accepted < b->count && act_now_ns() < end)
        if (send_value(b->to, 1, b->accepted) == 0) b->accepted++;
}

static atomic_uint taken;

static void count_taken(void *state, struct act_message *m)
{
    (void)state;
    atomic_fetch_add(&taken, 1);
    act_message_unref(m);
}

/* actor.h: it gets through to another worker, also to one that sleeps: full batches wake it. */
Test(send, handler_that_tries_again_reaches_a_sleeping_worker)
{
    static const struct act_behaviour counting = {.receive = count_taken};
    struct act_runtime_options o = world_options(2);
    struct act_spawn_options s = {
        .behaviour = &counting, .place = ACT_PLACE_ON(1), .mailbox_max = 1 << 20};
    struct burst b = {.count = 20000};

    o.spin_us = 0;
    world_start(&w, &o);
    cr_assert_eq(act_spawn(&s, &b.to), 0);
    struct probe *sender = world_probe(&w, 0, 0);
    run_in(&w, sender->self, send_stubbornly, &b);
    cr_assert_eq(b.accepted, b.count, "more than a lane holds");
    const uint64_t end = act_now_ns() + PATIENCE;
    while (atomic_load(&taken) < b.count && act_now_ns() < end)
        world_sync(&w, sender);
    cr_assert_eq(atomic_load(&taken), b.count);
    world_stop(&w);
}

/* actor.h: from one sender to one receiver in the order sent: worker, other worker, port. */
Test(send, order_is_kept)
{
    enum { COUNT = 1000 };

    for (uint32_t home = 0; home < 2; home++) {
        start(2);
        struct probe *sender = world_probe(&w, 0, 0);
        struct probe *receiver = world_probe(&w, home, 0);
        struct burst b = {.to = receiver->self, .count = COUNT};

        run_in(&w, sender->self, send_burst, &b);
        cr_assert_eq(b.accepted, COUNT);
        for (uint32_t i = 0; i < COUNT; i++)
            cr_assert_eq(send_value(receiver->self, 2, i), 0);
        world_await(&w, receiver, 2 * COUNT);
        uint64_t next[3] = {0};
        cr_assert_eq(receiver->count, 2 * COUNT);
        for (uint32_t i = 0; i < 2 * COUNT; i++) {
            const struct received *r = &receiver->log[i];
            cr_assert_eq(r->value, next[r->type]++);
            cr_assert_eq(r->from, r->type == 1 ? sender->self : w.port_id);
        }
        world_stop(&w);
    }
}

static void send_to_self(struct probe *p, void *argument)
{
    (void)argument;
    p->result = send_value(act_self(), 5, 55);
}

/* An actor may send to itself; the message waits until the handler has returned. */
Test(send, to_itself)
{
    start(1);
    struct probe *p = world_probe(&w, 0, 0);
    run_in(&w, p->self, send_to_self, NULL);
    world_sync(&w, p);
    cr_assert_eq(p->result, 0);
    cr_assert_eq(p->count, 1);
    cr_assert_eq(p->log[0].from, p->self);
    cr_assert_eq(send_value(w.port_id, 6, 66), 0);
    cr_assert_eq(expect(&w, 6), 66);
    world_stop(&w);
}

/* actor.h: -EAGAIN when the receiver's mailbox is full; on its own worker exactly at the limit. */
Test(send, mailbox_bound_on_one_worker)
{
    for (uint32_t limit = 1; limit <= 9; limit += 4) {
        start(1);
        struct probe *sender = world_probe(&w, 0, 0);
        struct probe *receiver = world_probe(&w, 0, limit);
        struct burst b = {.to = receiver->self, .count = limit - 1};

        run_in(&w, sender->self, send_burst, &b);
        cr_assert_eq(b.error, 0);
        world_sync(&w, receiver);
        b = (struct burst){.to = receiver->self, .count = limit};
        run_in(&w, sender->self, send_burst, &b);
        cr_assert_eq(b.error, 0);
        world_sync(&w, receiver);
        b = (struct burst){.to = receiver->self, .count = limit + 1};
        run_in(&w, sender->self, send_burst, &b);
        cr_assert_eq(b.error, -EAGAIN);
        cr_assert_eq(b.accepted, limit);
        world_sync(&w, receiver);
        cr_assert_eq(receiver->count, 3 * limit - 1);
        cr_assert_geq(world_stats(&w).sends_refused, 1);
        world_stop(&w);
    }
}

/* runtime.h: mailbox_max, the default bound of a mailbox. */
Test(send, mailbox_bound_by_default)
{
    struct act_runtime_options o = world_options(1);

    o.mailbox_max = 3;
    world_start(&w, &o);
    struct probe *sender = world_probe(&w, 0, 0);
    struct burst b = {.to = world_probe(&w, 0, 0)->self, .count = 10};
    run_in(&w, sender->self, send_burst, &b);
    cr_assert_eq(b.error, -EAGAIN);
    cr_assert_eq(b.accepted, 3);
    b = (struct burst){.to = world_probe(&w, 0, 7)->self, .count = 10};
    run_in(&w, sender->self, send_burst, &b);
    cr_assert_eq(b.accepted, 7);
    world_stop(&w);
}

/* actor.h: takes m on 0; on an error it stays with the caller, as it was. */
Test(send, refused_message_stays_with_the_caller)
{
    struct gate gate;
    const uint64_t value = 4711;

    start(1);
    struct probe *p = world_probe(&w, 0, 0);
    gate_shut(&gate, p);
    struct act_message *m = act_message_create(3, sizeof value);
    memcpy(m->body, &value, sizeof value);
    /* The worker stands still, so mailbox or lane fill up. */
    uint32_t accepted = 0;
    while (send_value(p->self, 1, accepted) == 0)
        accepted++;
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(act_send(p->self, m), -EAGAIN);
    cr_assert_eq(m->type, 3);
    cr_assert_eq(m->body_bytes, sizeof value);
    cr_assert_eq(memcmp(m->body, &value, sizeof value), 0);
    gate_open(&w, &gate);
    world_sync(&w, p);
    cr_assert_eq(act_send(p->self, m), 0);
    world_sync(&w, p);
    cr_assert_eq(p->count, accepted + 1);
    cr_assert_eq(p->log[accepted].value, value);
    world_stop(&w);
}

/* port.h: a port's sends are published at once: what it may have sent arrives, also if it then
 * never calls again. */
Test(send, everything_accepted_from_a_port_is_on_its_way)
{
    struct gate gate;

    start(1);
    struct probe *p = world_probe(&w, 0, 4096);
    gate_shut(&gate, p);
    uint32_t accepted = 0;
    while (send_value(p->self, 1, accepted) == 0)
        accepted++;
    cr_assert_gt(accepted, 1000);
    atomic_store(&gate.is_open, 1);
    struct act_runtime_stats stats;
    const uint64_t end = act_now_ns() + SECOND;
    do {
        act_runtime_stats(w.runtime, &stats);
    } while (stats.messages_delivered < accepted + 1 && act_now_ns() < end);
    cr_assert_geq(stats.messages_delivered, accepted + 1);
    expect(&w, TYPE_RAN);
    world_stop(&w);
}

/* actor.h: up to ACT_MAILBOX_EXACT_MAX the bound is exact, whoever sends: two other workers, the
 * port, an actor beside the receiver. */
Test(send, small_mailboxes_are_exact_for_every_sender)
{
    const uint32_t limits[] = {1, 2, 8, 1023, ACT_MAILBOX_EXACT_MAX};
    struct gate gate;

    start(3);
    struct probe *senders[] = {world_probe(&w, 0, 0), world_probe(&w, 2, 0)};
    struct probe *holder = world_probe(&w, 1, 0);
    for (uint32_t i = 0; i < 5; i++) {
        struct probe *receiver = world_probe(&w, 1, limits[i]);
        uint32_t total = 0;
        for (uint32_t round = 0; round < 4; round++) {
            uint32_t accepted = 0;
            gate_shut(&gate, holder); /* The receiver's worker stands still. */
            while (accepted < round && accepted < limits[i] &&
                   send_value(receiver->self, 1, 0) == 0)
                accepted++;
            for (uint32_t s = 0; s < 2; s++) {
                struct burst b = {.to = receiver->self, .count = s == 0 ? limits[i] / 2 : 100000};
                run_in(&w, senders[s]->self, send_burst, &b);
                accepted += b.accepted;
            }
            cr_assert_eq(accepted, limits[i]);
            cr_assert_eq(send_value(receiver->self, 1, 0), -EAGAIN);
            gate_open(&w, &gate);
            total += accepted;
            world_await(&w, receiver, total);
        }
        struct burst b = {.to = receiver->self, .count = 100000};
        run_in(&w, holder->self, send_burst, &b); /* beside it, in one turn */
        cr_assert_eq(b.accepted, limits[i]);
        world_await(&w, receiver, total + b.accepted);
        cr_assert_eq(receiver->count, total + b.accepted);
        cr_assert_eq(world_end(&w, receiver, 3), 3);
    }
    world_stop(&w);
}

/* What is under way to an actor that ends is not counted for whoever has its slot next. */
Test(send, small_mailboxes_are_empty_when_their_slot_is_used_again)
{
    struct act_runtime_options o = world_options(2);
    enum { LIMIT = 4 };

    o.actors_max = 3; /* with the port and the sender: one slot for all receivers */
    world_start(&w, &o);
    struct probe *sender = world_probe(&w, 0, 0);
    for (uint32_t i = 0; i < 20; i++) {
        struct probe *receiver = world_probe(&w, 1, LIMIT);
        struct burst b = {.to = receiver->self, .count = 100};
        run_in(&w, sender->self, send_burst, &b);
        cr_assert_geq(b.accepted, LIMIT);
        cr_assert_eq(world_end(&w, receiver, 3), 3); /* passes the bound */
        for (uint32_t late = 0; late < 10; late++)
            cr_assert_eq(send_value(receiver->self, 1, 0), 0, "a dead letter");
    }
    world_stop(&w);
}

/* actor.h: a larger one is counted at its home; a lane more may be under way from each worker. */
Test(send, large_mailboxes_let_a_lane_more_pass)
{
    enum { LIMIT = 4096 };
    struct gate gate;

    start(2);
    struct probe *sender = world_probe(&w, 0, 0);
    struct probe *receiver = world_probe(&w, 1, LIMIT);
    struct probe *holder = world_probe(&w, 1, 0);
    uint32_t accepted = 0;
    for (uint32_t round = 0; round < 3; round++) {
        gate_shut(&gate, holder);
        struct burst b = {.to = receiver->self, .count = 100000};
        run_in(&w, sender->self, send_burst, &b);
        cr_assert_eq(b.error, -EAGAIN);
        cr_assert_geq(b.accepted, LIMIT);
        cr_assert_leq(b.accepted, LIMIT + ACT_LANE_MESSAGES_MAX);
        accepted += b.accepted;
        gate_open(&w, &gate);
        world_await(&w, receiver, accepted);
    }
    cr_assert_eq(receiver->count, accepted);
    world_stop(&w);
}

static void send_own(struct probe *p, void *count)
{
    for (uint32_t i = 0; i < *(uint32_t *)count; i++)
        p->result |= send_value(p->self, 2, i);
}

/* actor.h: what an actor sends itself passes any bound. */
Test(send, own_messages_pass_the_bound)
{
    const uint32_t limits[] = {1, 4, ACT_MAILBOX_EXACT_MAX + 1};

    start(1);
    for (uint32_t i = 0; i < 3; i++) {
        struct probe *p = world_probe(&w, 0, limits[i]);
        uint32_t own = limits[i] + 10;
        run_in(&w, p->self, send_own, &own);
        cr_assert_eq(p->result, 0);
        world_await(&w, p, own);
    }
    world_stop(&w);
}

/* actor.h: -EHOSTUNREACH when the id is another runtime's; the message stays with the caller. */
Test(send, another_node)
{
    start(1);
    struct probe *p = world_probe(&w, 0, 0);
    const act_id there = p->self ^ 1ull << 60;
    struct act_message *m = act_message_create(1, 0);

    cr_assert_eq(act_send(there, m), -EHOSTUNREACH);
    act_message_unref(m);
    cr_assert_eq(act_stop(there, 0), -EHOSTUNREACH);
    cr_assert_eq(act_monitor(there), -EHOSTUNREACH);
    world_sync(&w, p);
    cr_assert_eq(p->count, 0);
    cr_assert_eq(p->stops, 0);
    cr_assert_eq(world_stats(&w).messages_live, 0);
    cr_assert_eq(world_stats(&w).sends_refused, 0, "runtime.h: those with -EAGAIN");
    world_stop(&w);
}

/* types.h: a send to ACT_ID_NONE is a dead letter; actor.h: and so is one to who is gone. */
Test(send, dead_letters_are_counted)
{
    start(2);
    cr_assert_eq(send_value(ACT_ID_NONE, 1, 1), 0);
    cr_assert_eq(world_stats(&w).dead_letters, 1);
    cr_assert_eq(send_value(w.port_id | 0xFFFFFFFFFFFFull, 1, 1), 0);
    cr_assert_eq(world_stats(&w).dead_letters, 2);
    struct probe *p = world_probe(&w, 1, 0);
    world_end(&w, p, 0);
    for (uint32_t i = 0; i < 5; i++)
        cr_assert_eq(send_value(p->self, 1, 1), 0);
    cr_assert_eq(world_stats(&w).dead_letters, 7);
    cr_assert_eq(world_stats(&w).messages_live, 0);
    cr_assert_eq(p->count, 0);
    world_stop(&w);
}

struct fill {
    act_id to;
    int error;
};

/** Sends until it is refused, then asks for room. */
static void fill_and_wait(struct probe *p, void *argument)
{
    struct fill *f = argument;

    (void)p;
    while ((f->error = send_value(f->to, 1, 0)) == 0)
        continue;
    p->result = act_await_room(f->to);
}

/* actor.h: one ROOM message once act_send may succeed again; types.h: its body is the id. */
Test(send, room_is_told_once)
{
    for (uint32_t home = 0; home < 2; home++) {
        struct gate gate;
        start(2);
        struct probe *sender = world_probe(&w, 0, 0);
        struct probe *receiver = world_probe(&w, home, 8);
        struct probe *holder = world_probe(&w, 1, 0);
        struct fill f = {.to = receiver->self};

        gate_shut(&gate, holder);
        run_in(&w, sender->self, fill_and_wait, &f);
        cr_assert_eq(f.error, -EAGAIN);
        cr_assert_eq(sender->result, 0);
        if (home == 1) {
            for (uint32_t i = 0; i < 100; i++)
                world_sync(&w, sender);
            cr_assert_eq(sender->count, 0, "there is no room yet");
        }
        gate_open(&w, &gate);
        world_await(&w, sender, 1);
        for (uint32_t i = 0; i < 100; i++)
            world_sync(&w, sender);
        cr_assert_eq(sender->count, 1);
        cr_assert_eq(sender->log[0].type, ACT_TYPE_ROOM);
        cr_assert_eq(sender->log[0].value, receiver->self);
        world_stop(&w);
    }
}

static void await_room(struct probe *p, void *to)
{
    p->result = act_await_room(*(act_id *)to);
}

/* actor.h: or when `to` is gone; and at once where there is room already. */
Test(send, room_at_once_or_when_gone)
{
    start(2);
    struct probe *sender = world_probe(&w, 0, 0);
    struct probe *gone = world_probe(&w, 1, 0);
    act_id ids[4] = {gone->self, world_probe(&w, 0, 0)->self, world_probe(&w, 1, 0)->self,
                     ACT_ID_NONE};

    world_end(&w, gone, 0);
    for (uint32_t i = 0; i < 4; i++) {
        sender->count = 0;
        run_in(&w, sender->self, await_room, &ids[i]);
        cr_assert_eq(sender->result, 0);
        world_await(&w, sender, 1);
        cr_assert_eq(sender->log[0].type, ACT_TYPE_ROOM);
        cr_assert_eq(sender->log[0].value, ids[i]);
    }
    world_stop(&w);
}

/* The same when the receiver ends while somebody waits for it. */
Test(send, room_when_the_full_receiver_ends)
{
    struct gate gate;

    start(2);
    struct probe *sender = world_probe(&w, 0, 0);
    struct probe *receiver = world_probe(&w, 1, 8);
    struct fill f = {.to = receiver->self};

    gate_shut(&gate, receiver);
    run_in(&w, sender->self, fill_and_wait, &f);
    cr_assert_eq(act_stop(receiver->self, 0), 0);
    gate_open(&w, &gate);
    world_await(&w, sender, 1);
    cr_assert_eq(sender->log[0].type, ACT_TYPE_ROOM);
    cr_assert_eq(sender->log[0].value, receiver->self);
    world_stop(&w);
}

/* runtime.h: at most turn_max messages in one turn, fewer when they take long; actor.h: turn_end
 * runs after each turn. */
Test(send, turns_are_bounded_and_end)
{
    struct act_runtime_options o = world_options(1);
    enum { TURN = 4, COUNT = 10 };

    o.turn_max = TURN;
    world_start(&w, &o);
    struct probe *sender = world_probe(&w, 0, 0);
    struct probe *receiver = world_probe(&w, 0, 0);
    struct burst b = {.to = receiver->self, .count = COUNT};
    run_in(&w, sender->self, send_burst, &b);
    world_await(&w, receiver, COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        cr_assert_geq(receiver->log[i].turn, i / TURN, "message %u", i);
        if (i >= TURN) cr_assert_gt(receiver->log[i].turn, receiver->log[i - TURN].turn);
    }
    world_stop(&w);
}

/* Others get their turn before an actor's next one. */
Test(send, long_mailboxes_do_not_starve_others)
{
    struct act_runtime_options o = world_options(1);

    o.turn_max = 1;
    world_start(&w, &o);
    struct probe *a = world_probe(&w, 0, 0);
    struct probe *b = world_probe(&w, 0, 0);
    struct gate gate;
    gate_shut(&gate, a);
    for (uint32_t i = 0; i < 50; i++) {
        cr_assert_eq(send_value(a->self, 1, i), 0);
        cr_assert_eq(send_value(b->self, 1, i), 0);
    }
    gate_open(&w, &gate);
    world_sync(&w, b);
    world_sync(&w, a);
    cr_assert_eq(a->count, 50);
    cr_assert_eq(b->count, 50);
    for (uint32_t i = 0; i < 50; i++)
        cr_assert_eq(b->log[i].turn, i);
    world_stop(&w);
}

static void report_turn(struct probe *p)
{
    if (send_value(p->other, TYPE_TURN, p->turns) != 0) p->result = 1;
}

/* actor.h: the place to send what a turn's messages add up to; nothing else publishes it. */
Test(send, turn_end_may_send)
{
    start(1);
    struct probe *p = world_probe(&w, 0, 0);
    p->other = w.port_id;
    p->at_turn_end = report_turn;
    cr_assert_eq(send_value(p->self, 1, 1), 0);
    cr_assert_eq(expect(&w, TYPE_TURN), 1);
    cr_assert_eq(send_value(p->self, 1, 1), 0);
    cr_assert_eq(expect(&w, TYPE_TURN), 2);
    p->at_turn_end = NULL;
    world_stop(&w);
}

static atomic_int is_answered;

static void set_answered(struct probe *p, void *argument)
{
    (void)p;
    (void)argument;
    atomic_store(&is_answered, 1);
}

static void send_flush_and_spin(struct probe *p, void *argument)
{
    const uint64_t end = act_now_ns() + PATIENCE;

    (void)argument;
    start_in(p->other, set_answered, NULL);
    act_flush();
    while (atomic_load(&is_answered) == 0 && act_now_ns() < end)
        continue;
    p->result = atomic_load(&is_answered);
}

/* actor.h: publishes what the running actor has sent so far, before its turn ends. */
Test(send, flush_publishes_before_the_turn_ends)
{
    start(2);
    struct probe *a = world_probe(&w, 0, 0);
    struct probe *b = world_probe(&w, 1, 0);
    a->other = b->self;
    run_in(&w, a->self, send_flush_and_spin, NULL);
    cr_assert_eq(a->result, 1);
    world_await(&w, a, 1);
    cr_assert_eq(a->log[0].type, TYPE_RAN);
    world_stop(&w);
}

/* actor.h: -EINVAL for a type of the runtime's own; the message stays with the caller. */
Test(send, reserved_types_are_refused)
{
    const uint32_t types[] = {ACT_TYPE_SYSTEM, ACT_TYPE_ROOM, ACT_TYPE_DOWN, UINT32_MAX};

    start(2);
    struct probe *p = world_probe(&w, 1, 0);
    for (uint32_t i = 0; i < 4; i++) {
        cr_assert_eq(send_value(p->self, types[i], 1), -EINVAL);
        cr_assert_eq(send_value(ACT_ID_NONE, types[i], 1), -EINVAL);
    }
    cr_assert_eq(send_value(p->self, ACT_TYPE_SYSTEM - 1, 1), 0);
    world_sync(&w, p);
    cr_assert_eq(p->count, 1);
    cr_assert_eq(world_stats(&w).dead_letters, 0);
    world_stop(&w);
}
