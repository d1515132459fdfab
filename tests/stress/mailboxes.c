/**
 * stress_mailboxes: actors on several workers send to each other at random through small mailboxes.
 * From each sender everything arrives exactly once and in order, also after -EAGAIN.
 */
#include "stress.h"

#include <act/actor.h>
#include <act/port.h>
#include <act/runtime.h>

enum { WORKERS = 3, ACTORS = 24, PER_ACTOR = 4000, BURST_MAX = 40 };

enum type { TYPE_START = 1, TYPE_TICK, TYPE_DATA };

struct data {
    uint32_t from;
    uint32_t to;
    uint64_t sequence; /* of this sender to this receiver */
    uint64_t echo;     /* ~sequence: the payload */
};

/** Touched by its actor alone. */
struct peer {
    uint32_t index;
    uint32_t left;               /* to send */
    bool has_tick;               /* one is on its way to us */
    bool waits_for_room;         /* and a room message will come */
    uint32_t blocked_to;         /* receiver of the blocked message */
    struct act_message *blocked; /* refused once; nothing overtakes it */
    uint64_t random;
    uint64_t sent[ACTORS];
    uint64_t received[ACTORS];
};

static struct peer peers[ACTORS];
static act_id ids[ACTORS];
static atomic_ullong received_count;
static atomic_ullong refused_count;

/** Makes sure that another turn comes. */
static void ask_for_a_turn(struct peer *p)
{
    if (p->has_tick) return;
    struct act_message *m = act_message_create(TYPE_TICK, 0);
    CHECK(m != NULL);
    p->has_tick = true;
    if (act_send(ids[p->index], m) == 0) return;
    act_message_unref(m); /* our mailbox is full: what is in it brings the turn */
    p->has_tick = false;
}

static void on_refused(struct peer *p, struct act_message *m, uint32_t to)
{
    count_up(&refused_count);
    p->blocked = m;
    p->blocked_to = to;
    if (random_one_in(&p->random, 2)) {
        CHECK(act_await_room(ids[to]) == 0);
        p->waits_for_room = true;
    }
}

static void send_one(struct peer *p)
{
    const uint32_t to = random_below(&p->random, ACTORS);
    struct act_message *m = act_message_create(TYPE_DATA, sizeof(struct data));
    struct data *data;

    CHECK(m != NULL);
    data = m->body;
    *data = (struct data){.from = p->index, .to = to, .sequence = p->sent[to]};
    data->echo = ~data->sequence;
    p->sent[to]++;
    p->left--;
    int error = act_send(ids[to], m);
    CHECK(error == 0 || error == -EAGAIN);
    if (error != 0) on_refused(p, m, to);
}

static void turn_end(void *state)
{
    struct peer *p = state;
    const uint32_t burst = random_below(&p->random, BURST_MAX);

    if (p->blocked != NULL && !p->waits_for_room && act_send(ids[p->blocked_to], p->blocked) == 0)
        p->blocked = NULL;
    for (uint32_t i = 0; i < burst && p->left > 0 && p->blocked == NULL; i++) {
        send_one(p);
        if (random_one_in(&p->random, 32)) act_flush();
    }
    if ((p->left > 0 || p->blocked != NULL) && !p->waits_for_room) ask_for_a_turn(p);
}

static void receive(void *state, struct act_message *m)
{
    struct peer *p = state;
    const struct data *data = m->body;

    switch (m->type) {
    case TYPE_DATA:
        CHECK(m->body_bytes == sizeof *data);
        CHECK(data->to == p->index && data->from < ACTORS);
        CHECK(m->from == ids[data->from]);
        CHECK(data->sequence == p->received[data->from]);
        CHECK(data->echo == ~data->sequence);
        p->received[data->from]++;
        count_up(&received_count);
        break;
    case TYPE_TICK:
        p->has_tick = false;
        break;
    case ACT_TYPE_ROOM:
        p->waits_for_room = false;
        break;
    default:
        CHECK(m->type == TYPE_START);
    }
    act_message_unref(m);
}

static const struct act_behaviour behaviour = {.receive = receive, .turn_end = turn_end};

/** An actor that only sets the others going: the ids are complete before any of them runs. */
static void start_all(void *state, struct act_message *m)
{
    (void)state;
    act_message_unref(m);
    for (uint32_t i = 0; i < ACTORS; i++) {
        struct act_message *start = act_message_create(TYPE_START, 0);
        CHECK(start != NULL && act_send(ids[i], start) == 0);
    }
    act_exit(0);
}

static const struct act_behaviour starter = {.receive = start_all};

static void spawn_all(void)
{
    uint64_t random = random_from_seed(0);

    for (uint32_t i = 0; i < ACTORS; i++) {
        struct act_spawn_options o = {.behaviour = &behaviour, .state = &peers[i]};
        peers[i] = (struct peer){.index = i, .left = PER_ACTOR, .random = random_from_seed(i + 1)};
        o.place = ACT_PLACE_ON(i % WORKERS);
        o.mailbox_max = 4 + random_below(&random, 60);
        CHECK(act_spawn(&o, &ids[i]) == 0);
    }
}

int main(int argc, char **argv)
{
    struct act_runtime_options o;
    struct act_runtime *runtime;
    struct act_port *port;
    struct act_message *m;
    act_id id;

    stress_begin("stress_mailboxes", argc, argv);
    act_runtime_options_init(&o);
    o.workers = WORKERS;
    o.spin_us = 5;
    o.turn_max = 16;
    CHECK(act_runtime_start(&o, &runtime, NULL) == 0);
    CHECK(act_port_open(runtime, &port) == 0);
    spawn_all();
    CHECK(act_spawn(&(struct act_spawn_options){.behaviour = &starter}, &id) == 0);
    m = act_message_create(TYPE_START, 0);
    CHECK(m != NULL && act_send(id, m) == 0);
    act_port_close(port);
    while (count_of(&received_count) < (uint64_t)ACTORS * PER_ACTOR)
        stress_sleep_us(1000);
    CHECK(act_runtime_stop(runtime) == 0);

    CHECK(count_of(&received_count) == (uint64_t)ACTORS * PER_ACTOR);
    CHECK(count_of(&refused_count) > 0);
    for (uint32_t from = 0; from < ACTORS; from++)
        for (uint32_t to = 0; to < ACTORS; to++)
            CHECK(peers[from].sent[to] == peers[to].received[from]);
    return 0;
}
