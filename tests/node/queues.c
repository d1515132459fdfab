/**
 * Queues of answers whose receivers have no room: more receivers than there are queues.
 */
#include "leak_check.h"

#include "answers.h"
#include "world.h"

#include <act/port.h>

#include <string.h>

LEAK_CHECKED_SUITE(queues);

enum { GO = 1, NUMBER, GIVE_UP, SINKS = 3 * ANSWER_QUEUES, MESSAGES = 5 };

/** Takes its own numbers only, in order. */
struct sink {
    uint32_t index;
    uint32_t taken;
};

struct source {
    struct vsr_node_answers answers;
    struct sink sinks[SINKS];
    act_id ids[SINKS];
    atomic_uint waited; /* answers that found no room */
    atomic_uint taken;
    atomic_uint wrong;
};

static struct source source;

static void take(void *state, struct act_message *m)
{
    struct sink *sink = state;
    uint32_t number;

    memcpy(&number, m->body, sizeof number);
    if (number != sink->index * MESSAGES + sink->taken++) atomic_fetch_add(&source.wrong, 1);
    atomic_fetch_add(&source.taken, 1);
    act_message_unref(m);
}

static const struct act_behaviour sink_behaviour = {.receive = take};

/** Sends to sinks of its own worker, whose mailboxes hold one message. */
static void send_all(void *state, struct act_message *m)
{
    const uint32_t type = m->type;

    (void)state;
    act_message_unref(m);
    if (type != GO && type != GIVE_UP) return;
    for (uint32_t i = 0; i < SINKS; i++) {
        source.sinks[i] = (struct sink){.index = i};
        const struct act_spawn_options o = {
            .behaviour = &sink_behaviour, .state = &source.sinks[i], .mailbox_max = 1};
        if (act_spawn(&o, &source.ids[i]) != 0) atomic_fetch_add(&source.wrong, 1);
    }
    for (uint32_t i = 0; i < SINKS * MESSAGES; i++) {
        const uint32_t number = i % SINKS * MESSAGES + i / SINKS;
        struct act_message *answer =
            act_message_create(NUMBER, vsr_node_answer_capacity(sizeof number));
        memcpy(answer->body, &number, sizeof number);
        answer->body_bytes = sizeof number;
        vsr_node_answers_send(&source.answers, source.ids[i % SINKS], answer);
    }
    atomic_store(&source.waited, (unsigned)source.answers.count);
    if (type == GIVE_UP) vsr_node_answers_clear(&source.answers);
}

static void retry(void *state)
{
    (void)state;
    vsr_node_answers_retry(&source.answers);
}

/* answers.h: none is dropped, and each goes to its own receiver, in order. */
Test(queues, answers_that_wait_are_each_their_receiver_s)
{
    static const struct act_behaviour behaviour = {.receive = send_all, .turn_end = retry};
    const struct act_spawn_options o = {.behaviour = &behaviour};
    struct act_port *port;
    struct world w;
    act_id id;

    world_init(&w);
    world_start_runtime(&w);
    cr_assert_eq(act_port_open(w.runtime, &port), 0);
    cr_assert_eq(act_spawn(&o, &id), 0);
    cr_assert_eq(act_send(id, act_message_create(GO, 0)), 0);
    for (uint32_t ms = 0; atomic_load(&source.taken) < SINKS * MESSAGES; ms++) {
        cr_assert_lt(ms, 20000);
        world_sleep_ms(1);
        struct act_message *tick = act_message_create(NUMBER, 0); /* a turn's end */
        if (act_send(id, tick) != 0) act_message_unref(tick);
    }
    cr_assert_gt(atomic_load(&source.waited), SINKS);
    cr_assert_eq(atomic_load(&source.wrong), 0);

    /* Cleared, those that wait are ended, and nothing is missing when the runtime stops. */
    atomic_store(&source.taken, 0);
    cr_assert_eq(act_send(id, act_message_create(GIVE_UP, 0)), 0);
    AWAIT(atomic_load(&source.taken) == SINKS);
    cr_assert_gt(atomic_load(&source.waited), SINKS);
    act_port_close(port);
    world_stop(&w);
    cr_assert_eq(atomic_load(&source.taken), SINKS);
    cr_assert_eq(source.answers.count, 0);
}
