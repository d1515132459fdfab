/**
 * stress_poll: pairs of actors on two workers talk through sockets and know of each other's words
 * by readiness alone. Now and then one hands its end over to a new actor on either worker and ends,
 * with its registration stopped or not. No word is lost, repeated or overtaken, and no pair stands
 * still: a readiness that is lost at a hand-over would stop it for good.
 */
#include "stress.h"

#include <act/actor.h>
#include <act/message.h>
#include <act/poll.h>
#include <act/port.h>
#include <act/runtime.h>

#include <sys/socket.h>

enum { WORKERS = 2, PAIRS = 24, TYPE_BEGIN = 1, TYPE_READY = 2, WORDS_MIN = 200 };

/** One end of a pair: the running actor's, then its successor's. */
struct end {
    uint32_t index; /* of the end: pair * 2 + side */
    int fd;
    uint32_t worker;
    uint64_t words; /* read, the number of the last one too */
    uint64_t random;
    act_poll poll;
};

static struct end ends[PAIRS * 2];
static atomic_ullong words[PAIRS]; /* read at both sides */
static atomic_ullong handed_over;
static atomic_ullong left_registered;

static const struct act_behaviour talker;

static bool begin(struct end *end, uint32_t worker)
{
    const struct act_spawn_options o = {
        .behaviour = &talker, .state = end, .place = ACT_PLACE_ON(worker)};
    struct act_message *m = act_message_create(TYPE_BEGIN, 0);
    const uint32_t before = end->worker;
    act_id id;

    CHECK(m != NULL);
    end->worker = worker;
    if (act_spawn(&o, &id) != 0) { /* Places of actors that have just ended are not free yet. */
        act_message_unref(m);
        end->worker = before;
        return false;
    }
    while (act_send(id, m) != 0)
        act_flush();
    return true;
}

static void listen_to(struct end *end)
{
    const struct act_poll_options o = {
        .fd = end->fd, .events = ACT_POLL_IN, .type = TYPE_READY, .cookie = end->index};
    CHECK(act_poll_start(&o, &end->poll) == 0);
}

/** Returns whether the end is another actor's now: it must not be touched any more. */
static bool hand_over(struct end *end)
{
    const bool is_stopped = random_one_in(&end->random, 2);
    /* A worker has a descriptor registered once: without a stop the successor goes elsewhere. */
    const bool stays = is_stopped && random_one_in(&end->random, 2);

    if (!random_one_in(&end->random, 40)) return false;
    if (is_stopped) CHECK(act_poll_stop(end->poll));
    if (!begin(end, stays ? end->worker : 1 - end->worker)) {
        if (is_stopped) listen_to(end);
        return false;
    }
    count_up(&handed_over);
    if (!is_stopped) count_up(&left_registered);
    act_exit(0);
    return true;
}

static void say(struct end *end)
{
    const uint64_t word = end->words + (end->index % 2 == 0); /* That side has the first word. */
    CHECK(send(end->fd, &word, sizeof word, MSG_DONTWAIT) == (ssize_t)sizeof word);
}

static void on_ready(struct end *end)
{
    uint64_t word;

    while (recv(end->fd, &word, sizeof word, MSG_DONTWAIT) == (ssize_t)sizeof word) {
        CHECK(word == ++end->words);
        count_up(&words[end->index / 2]);
        say(end);
    }
    if (hand_over(end)) return;
    CHECK(act_poll_again(end->poll, ACT_POLL_IN) == 0);
}

static void receive(void *state, struct act_message *m)
{
    struct end *end = state;

    if (m->type == TYPE_BEGIN) {
        listen_to(end);
        if (end->index % 2 == 0 && end->words == 0) say(end);
    } else if (m->type == TYPE_READY) {
        const struct act_readiness *readiness = m->body;
        CHECK(m->from == act_self() && readiness->cookie == end->index);
        CHECK(readiness->fd == end->fd && (readiness->events & ACT_POLL_ERROR) == 0);
        on_ready(end);
    }
    act_message_unref(m);
}

static const struct act_behaviour talker = {.receive = receive};

static void start_pairs(struct act_runtime *runtime)
{
    struct act_port *port;

    CHECK(act_port_open(runtime, &port) == 0);
    for (uint32_t pair = 0; pair < PAIRS; pair++) {
        int fds[2];
        CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds) == 0);
        for (uint32_t side = 0; side < 2; side++) {
            const uint32_t i = pair * 2 + side;
            ends[i] = (struct end){.index = i, .fd = fds[side], .random = random_from_seed(i)};
        }
        for (uint32_t side = 0; side < 2; side++)
            CHECK(begin(&ends[pair * 2 + side], (pair + side) % WORKERS));
    }
    act_port_close(port);
}

/** Each pair goes on, whatever was handed over: so many words more, or the watchdog ends the run.
 */
static void check_progress(void)
{
    for (uint32_t pair = 0; pair < PAIRS; pair++) {
        const uint64_t before = count_of(&words[pair]);
        while (count_of(&words[pair]) < before + WORDS_MIN)
            stress_sleep_us(200);
    }
}

int main(int argc, char **argv)
{
    struct act_runtime_options o;
    struct act_runtime *runtime;

    stress_begin("stress_poll", argc, argv);
    act_runtime_options_init(&o);
    o.workers = WORKERS;
    o.spin_us = 5;
    CHECK(act_runtime_start(&o, &runtime, NULL) == 0);
    start_pairs(runtime);
    stress_sleep_us((uint32_t)(stress_ns / 1000));
    check_progress();
    CHECK(act_runtime_stop(runtime) == 0);
    for (uint32_t i = 0; i < PAIRS * 2; i++)
        CHECK(close(ends[i].fd) == 0);
    CHECK(count_of(&handed_over) > PAIRS);
    CHECK(count_of(&left_registered) > 0);
    return 0;
}
