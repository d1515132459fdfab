/**
 * stress_registry: actors come and go at a high rate on all workers while others send to ids old
 * and new and look names up. No message reaches the next inhabitant of a slot, and every accepted
 * message was delivered or counted as a dead letter.
 */
#include "stress.h"

#include <act/actor.h>
#include <act/port.h>
#include <act/runtime.h>

/* Few slots, so that each has many inhabitants, and endpoints take them from one another. */
enum { WORKERS = 3, SLOTS = 512, KNOWN = 64, NAMES = 64, STEPS_PER_TURN = 24 };

/** Added to an id: the slot's next inhabitant, whose id only its spawner knows yet. */
#define NEXT_GENERATION ((act_id)1 << 24)

enum type { TYPE_TICK = 1, TYPE_HELLO, TYPE_IDS };

/** Says whom the sender means. */
struct hello {
    act_id to;
    uint64_t serial; /* of the actor that is meant; 0: found without */
    char name[16];   /* under which it was found; empty: by id */
};

/** Lives from the spawn to the actor's stop. */
struct child {
    uint64_t serial;
    act_id id; /* learnt from the first message: the spawner gets it after the publication */
    uint32_t left;
    char name[16];
};

/** An actor that is or was alive. */
struct acquaintance {
    act_id id;
    uint64_t serial;
};

/** One on each worker: spawns, stops, sends, looks up. Touched by its actor alone. */
struct breeder {
    uint32_t index;
    uint64_t random;
    struct acquaintance known[KNOWN]; /* of all breeders */
    act_id orphans[SLOTS];            /* that nobody may know: to be stopped, or they hold a slot */
    uint32_t orphan_count;
};

static struct breeder breeders[WORKERS];
static act_id breeder_ids[WORKERS];
static atomic_uint is_over; /* relaxed: a switch */
static atomic_ullong serials;
static atomic_ullong accepted;
static atomic_ullong received;
static atomic_ullong born;
static atomic_ullong died;
static atomic_ullong found_by_name;

static bool over(void)
{
    return atomic_load_explicit(&is_over, memory_order_relaxed) != 0;
}

/** Sends m if there is room, and else ends it. */
static void send_or_end(act_id to, struct act_message *m)
{
    CHECK(m != NULL);
    if (act_send(to, m) == 0)
        count_up(&accepted);
    else
        act_message_unref(m);
}

static void greet(act_id to, uint64_t serial, const char *name)
{
    struct act_message *m = act_message_create(TYPE_HELLO, sizeof(struct hello));
    struct hello hello = {.to = to, .serial = serial};

    CHECK(m != NULL);
    memcpy(hello.name, name, strlen(name) + 1);
    memcpy(m->body, &hello, sizeof hello);
    send_or_end(to, m);
}

static void child_receive(void *state, struct act_message *m)
{
    struct child *c = state;
    struct hello hello;

    count_up(&received);
    CHECK(m->type == TYPE_HELLO && m->body_bytes == sizeof hello);
    memcpy(&hello, m->body, sizeof hello);
    CHECK(hello.to == act_self()); /* not meant for who lived here before */
    CHECK(hello.serial == 0 || hello.serial == c->serial);
    CHECK(c->id == ACT_ID_NONE || c->id == act_self());
    CHECK(hello.name[0] == '\0' || strcmp(hello.name, c->name) == 0);
    c->id = act_self();
    act_message_unref(m);
    if (--c->left == 0) act_exit(1);
}

static void child_stopped(void *state, int reason)
{
    struct child *c = state;

    (void)reason;
    CHECK(c->id == ACT_ID_NONE || c->id == act_self());
    memset(c, 0xA5, sizeof *c); /* a late message would see it */
    free(c);
    count_up(&died);
}

static const struct act_behaviour child_behaviour = {.receive = child_receive,
                                                     .stopped = child_stopped};

/** Puts an acquaintance where another was, whose actor has to go; so not all slots are taken for
 * ever. */
static void learn(struct breeder *b, struct acquaintance who)
{
    struct acquaintance *known = &b->known[random_below(&b->random, KNOWN)];

    if (known->id == ACT_ID_NONE || act_stop(known->id, 0) == 0)
        *known = who;
    else if (b->orphan_count < SLOTS) /* a lane is full */
        b->orphans[b->orphan_count++] = who.id;
}

static void stop_orphans(struct breeder *b)
{
    while (b->orphan_count > 0 && act_stop(b->orphans[b->orphan_count - 1], 0) == 0)
        b->orphan_count--;
}

static void breed(struct breeder *b)
{
    struct act_spawn_options o = {.behaviour = &child_behaviour};
    struct child *c = calloc(1, sizeof *c);
    act_id id;

    CHECK(c != NULL);
    c->left = 1 + random_below(&b->random, 6);
    o.state = c;
    o.place = random_below(&b->random, WORKERS + 1);
    c->serial = atomic_fetch_add_explicit(&serials, 1, memory_order_relaxed) + 1;
    if (random_one_in(&b->random, 2)) {
        snprintf(c->name, sizeof c->name, "n%u", random_below(&b->random, NAMES));
        o.name = c->name;
    }
    struct acquaintance who = {.serial = c->serial}; /* after the spawn c is the child's */
    int error = act_spawn(&o, &id);
    CHECK(error == 0 || error == -EAGAIN || (error == -EEXIST && o.name != NULL));
    if (error != 0) {
        free(c);
        return;
    }
    count_up(&born);
    greet(id, who.serial, "");
    who.id = id;
    learn(b, who);
}

static void look_up(struct breeder *b)
{
    char name[16];

    snprintf(name, sizeof name, "n%u", random_below(&b->random, NAMES));
    act_id id = act_find(name);
    if (id == ACT_ID_NONE) return;
    count_up(&found_by_name);
    greet(id, 0, name);
}

/** Tells another breeder of an id. */
static void spread(struct breeder *b)
{
    struct act_message *m = act_message_create(TYPE_IDS, sizeof(struct acquaintance));

    CHECK(m != NULL);
    memcpy(m->body, &b->known[random_below(&b->random, KNOWN)], sizeof b->known[0]);
    send_or_end(breeder_ids[random_below(&b->random, WORKERS)], m);
}

static void breeder_receive(void *state, struct act_message *m)
{
    struct breeder *b = state;
    struct acquaintance who;

    count_up(&received);
    if (m->type == TYPE_IDS) {
        memcpy(&who, m->body, sizeof who);
        learn(b, who);
    }
    act_message_unref(m);
}

static void breeder_turn_end(void *state)
{
    struct breeder *b = state;

    if (over()) return;
    stop_orphans(b);
    for (uint32_t i = 0; i < STEPS_PER_TURN; i++) {
        const struct acquaintance who = b->known[random_below(&b->random, KNOWN)];
        switch (random_below(&b->random, 8)) {
        case 0:
        case 1:
        case 2:
            breed(b);
            break;
        case 3:
            look_up(b);
            break;
        case 4:
            spread(b);
            break;
        case 5:
            /* Maybe nobody's yet, maybe alive: only the registry's word tells. */
            if (who.id != ACT_ID_NONE) greet(who.id + NEXT_GENERATION, 0, "");
            break;
        default:
            greet(who.id, who.serial, "");
        }
    }
    struct act_message *tick = act_message_create(TYPE_TICK, 0);
    send_or_end(breeder_ids[b->index], tick);
}

static const struct act_behaviour breeder_behaviour = {.receive = breeder_receive,
                                                       .turn_end = breeder_turn_end};

/** A thread that is no worker sends and looks up, too. */
static void load_from_port(struct act_runtime *runtime)
{
    struct breeder b = {.index = WORKERS, .random = random_from_seed(WORKERS)};
    const uint64_t end_ns = act_now_ns() + stress_ns;
    struct act_port *port;

    CHECK(act_port_open(runtime, &port) == 0);
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct act_spawn_options o = {.behaviour = &breeder_behaviour, .state = &breeders[i]};
        breeders[i] = (struct breeder){.index = i, .random = random_from_seed(i)};
        o.place = ACT_PLACE_ON(i);
        o.mailbox_max = 1 << 20; /* a breeder's tick is never refused */
        CHECK(act_spawn(&o, &breeder_ids[i]) == 0);
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct act_message *m = act_message_create(TYPE_TICK, 0);
        send_or_end(breeder_ids[i], m);
    }
    /* At least until slots are used again. */
    while (act_now_ns() < end_ns || count_of(&born) < 16 * SLOTS) {
        /* Seldom: the mutexes of names order much. */
        if (random_one_in(&b.random, 64)) look_up(&b);
        if (random_one_in(&b.random, 4)) breed(&b);
        stop_orphans(&b);
        CHECK(act_port_receive(port, random_below(&b.random, 2) * 100000) == NULL);
    }
    act_port_close(port);
    atomic_store_explicit(&is_over, 1, memory_order_relaxed);
}

/** Until everything that was accepted has arrived somewhere. */
static void settle(struct act_runtime *runtime)
{
    struct act_runtime_stats stats;

    do {
        stress_sleep_us(1000);
        act_runtime_stats(runtime, &stats);
    } while (count_of(&received) + stats.dead_letters < count_of(&accepted));
    stress_sleep_us(10000);
    act_runtime_stats(runtime, &stats);
    CHECK(stats.messages_sent == count_of(&accepted));
    CHECK(count_of(&received) + stats.dead_letters == count_of(&accepted));
    CHECK(stats.dead_letters > 0);
}

int main(int argc, char **argv)
{
    struct act_runtime_options o;
    struct act_runtime *runtime;

    stress_begin("stress_registry", argc, argv);
    act_runtime_options_init(&o);
    o.workers = WORKERS;
    o.actors_max = SLOTS;
    o.spin_us = 5;
    CHECK(act_runtime_start(&o, &runtime, NULL) == 0);
    load_from_port(runtime);
    settle(runtime);
    CHECK(act_runtime_stop(runtime) == 0);
    CHECK(count_of(&died) == count_of(&born));
    CHECK(count_of(&found_by_name) > 0);
    return 0;
}
