/**
 * Calls between workers: every one has exactly one answer, whatever becomes of it.
 *
 * Askers keep some calls open to servers on all workers. A server answers at once, or keeps
 * requests and answers them in reverse order, sends them on to another one, ends them unanswered,
 * or ends itself and has a successor. Timeouts race the answers. Askers end too, with calls open. A
 * port calls meanwhile. At the end no call is open, and what was sent was handled or is a dead
 * letter.
 */
#include "stress.h"

#include <act/actor.h>
#include <act/call.h>
#include <act/runtime.h>

enum {
    WORKERS = 3,
    ASKERS = 12,
    SERVERS = 9,
    OPEN_MAX = 16,
    KEPT_MAX = 8,
    TYPE_REQUEST = 1,
    TYPE_ANSWER,
    TYPE_AGAIN, /* a timer's */
    TYPE_SERVE,
    TYPE_BEGIN,
};

/** What an asker sends: its answer carries the square. */
struct question {
    uint64_t value;
    uint64_t hops;
};

struct asker {
    act_call_id open[OPEN_MAX];
    uint64_t values[OPEN_MAX];
    uint32_t open_count;
    uint32_t index;
    uint64_t random;
    bool is_waiting; /* for its timer */
    bool is_done;
};

struct server {
    struct act_message *kept[KEPT_MAX];
    uint32_t kept_count;
    uint32_t index;
    uint64_t random;
    bool is_waiting;
};

static _Atomic act_id servers[SERVERS];
static atomic_bool is_over;
static atomic_uint done;
static atomic_ullong answered, timed_out, unanswered, gone, asker_ends, server_ends;

static act_id a_server(uint64_t *random)
{
    return atomic_load_explicit(&servers[random_below(random, SERVERS)], memory_order_relaxed);
}

static bool over(void)
{
    return atomic_load_explicit(&is_over, memory_order_relaxed);
}

static struct act_message *make_question(uint64_t value, uint64_t *random)
{
    /* With room for what a request carries, and without. */
    struct act_message *m = act_message_create(
        TYPE_REQUEST, sizeof(struct question) + (uint32_t)random_below(random, 2) * ACT_CALL_BYTES);
    const struct question q = {.value = value};

    CHECK(m != NULL);
    m->body_bytes = sizeof q;
    memcpy(m->body, &q, sizeof q);
    return m;
}

/* Servers. */

static void answer(struct server *s, struct act_message *request)
{
    struct question q;

    CHECK(request->body_bytes == sizeof q);
    memcpy(&q, request->body, sizeof q);
    if (random_below(&s->random, 2) == 0) {
        request->type = TYPE_ANSWER;
        q.value *= q.value;
        memcpy(request->body, &q, sizeof q);
        if (act_reply(request, request) != 0) act_message_unref(request); /* a full lane */
        return;
    }
    struct act_message *m = act_message_create(TYPE_ANSWER, sizeof q);
    CHECK(m != NULL);
    q.value *= q.value;
    memcpy(m->body, &q, sizeof q);
    if (act_reply(request, m) != 0) act_message_unref(m);
    act_message_unref(request);
}

static void answer_kept(struct server *s)
{
    while (s->kept_count > 0)
        answer(s, s->kept[--s->kept_count]);
}

static void keep(struct server *s, struct act_message *request)
{
    if (s->kept_count == KEPT_MAX) answer_kept(s);
    s->kept[s->kept_count++] = request;
    if (s->is_waiting) return;
    CHECK(act_timer_start(200000, TYPE_SERVE, 0, NULL) == 0);
    s->is_waiting = true;
}

static void pass_on(struct server *s, struct act_message *request)
{
    struct question *q = request->body;

    if (++q->hops > 3 || act_send(a_server(&s->random), request) != 0) answer(s, request);
}

static void start_server(uint32_t index, uint64_t random);

static void on_request(struct server *s, struct act_message *m)
{
    const uint32_t what = (uint32_t)random_below(&s->random, 200);

    CHECK(act_call_of(m) == 0);
    if (what < 80)
        answer(s, m);
    else if (what < 130)
        keep(s, m);
    else if (what < 180)
        pass_on(s, m);
    else if (what < 195 || over())
        act_message_unref(m);
    else {
        start_server(s->index, s->random);
        count_up(&server_ends);
        keep(s, m);
        act_exit(9);
    }
}

static void server_receive(void *state, struct act_message *m)
{
    struct server *s = state;

    if (m->type == TYPE_REQUEST) {
        on_request(s, m);
        return;
    }
    CHECK(m->type == TYPE_SERVE);
    s->is_waiting = false;
    answer_kept(s);
    act_message_unref(m);
}

static void server_stopped(void *state, int reason)
{
    struct server *s = state;

    (void)reason;
    while (s->kept_count > 0)
        act_message_unref(s->kept[--s->kept_count]);
    free(s);
}

static const struct act_behaviour server_behaviour = {.receive = server_receive,
                                                      .stopped = server_stopped};

static void start_server(uint32_t index, uint64_t random)
{
    struct server *s = calloc(1, sizeof *s);
    struct act_spawn_options o = {.behaviour = &server_behaviour, .state = s};
    act_id id;

    CHECK(s != NULL);
    s->index = index;
    s->random = random + 1;
    o.place = ACT_PLACE_ON(random_below(&s->random, WORKERS));
    o.mailbox_max = 32;
    if (act_spawn(&o, &id) == 0)
        atomic_store_explicit(&servers[index], id, memory_order_relaxed);
    else
        free(s); /* the runtime stops */
}

/* Askers. */

static uint64_t a_timeout(uint64_t *random)
{
    const uint64_t timeouts[] = {UINT64_MAX, UINT64_MAX, 1000000, 100000, 10000, 0};

    return timeouts[random_below(random, sizeof timeouts / sizeof timeouts[0])];
}

static void ask(struct asker *a)
{
    while (a->open_count < OPEN_MAX && !over()) {
        const uint64_t value = random_below(&a->random, 1 << 30);
        struct act_message *m = make_question(value, &a->random);
        act_call_id *call = &a->open[a->open_count];
        if (act_call(a_server(&a->random), m, a_timeout(&a->random), call) != 0) {
            act_message_unref(m);
            if (!a->is_waiting) CHECK(act_timer_start(50000, TYPE_AGAIN, 0, NULL) == 0);
            a->is_waiting = true;
            return;
        }
        a->values[a->open_count++] = value;
    }
}

static void start_asker(uint32_t index, uint64_t random);

static void on_answer(struct asker *a, const struct act_message *m)
{
    const act_call_id call = act_call_of(m);
    uint32_t at = 0;

    while (at < a->open_count && a->open[at] != call)
        at++;
    CHECK(call != 0 && at < a->open_count);
    if (m->type == TYPE_ANSWER) {
        CHECK(((const struct question *)m->body)->value == a->values[at] * a->values[at]);
        count_up(&answered);
    } else if (m->type == ACT_TYPE_TIMEOUT) {
        count_up(&timed_out);
    } else {
        const struct act_down *down = m->body;
        CHECK(m->type == ACT_TYPE_DOWN && m->body_bytes == sizeof *down);
        CHECK(down->reason == ACT_REASON_UNANSWERED || down->reason == ACT_REASON_GONE);
        count_up(down->reason == ACT_REASON_GONE ? &gone : &unanswered);
    }
    a->open_count--;
    a->open[at] = a->open[a->open_count];
    a->values[at] = a->values[a->open_count];
}

static void asker_receive(void *state, struct act_message *m)
{
    struct asker *a = state;

    if (m->type == TYPE_AGAIN)
        a->is_waiting = false;
    else if (m->type != TYPE_BEGIN)
        on_answer(a, m);
    act_message_unref(m);
    if (!over() && random_below(&a->random, 5000) == 0) {
        start_asker(a->index, a->random);
        count_up(&asker_ends);
        act_exit(0);
        return;
    }
    ask(a);
    if (over() && a->open_count == 0 && !a->is_done) {
        a->is_done = true;
        atomic_fetch_add_explicit(&done, 1, memory_order_release);
    }
}

static void asker_stopped(void *state, int reason)
{
    (void)reason;
    free(state);
}

static const struct act_behaviour asker_behaviour = {.receive = asker_receive,
                                                     .stopped = asker_stopped};

static void start_asker(uint32_t index, uint64_t random)
{
    struct asker *a = calloc(1, sizeof *a);
    struct act_spawn_options o = {.behaviour = &asker_behaviour, .state = a};
    struct act_message *m = act_message_create(TYPE_BEGIN, 0);
    act_id id;

    CHECK(a != NULL && m != NULL);
    a->index = index;
    a->random = random + 1;
    o.place = ACT_PLACE_ON(random_below(&a->random, WORKERS));
    CHECK(act_spawn(&o, &id) == 0);
    CHECK(act_send(id, m) == 0);
}

/** What a thread of the program's own does meanwhile. */
static void call_from_port(struct act_port *port, uint64_t *random)
{
    const uint64_t value = random_below(random, 1 << 30);
    struct act_message *m = make_question(value, random);
    struct act_message *reply;
    int error = act_port_call(port, a_server(random), m, a_timeout(random), &reply);

    CHECK(error == 0 || error == -ETIMEDOUT || error == -EHOSTDOWN || error == -EAGAIN);
    if (error == -EAGAIN) act_message_unref(m);
    if (error != 0) return;
    CHECK(((const struct question *)reply->body)->value == value * value);
    act_message_unref(reply);
}

static void run(struct act_runtime *runtime)
{
    const uint64_t end = act_now_ns() + stress_ns;
    uint64_t random = random_from_seed(77);
    struct act_port *port;

    CHECK(act_port_open(runtime, &port) == 0);
    for (uint32_t i = 0; i < SERVERS; i++)
        start_server(i, random_from_seed(i));
    for (uint32_t i = 0; i < ASKERS; i++)
        start_asker(i, random_from_seed(100 + i));
    while (act_now_ns() < end)
        call_from_port(port, &random);
    atomic_store_explicit(&is_over, true, memory_order_relaxed);
    while (atomic_load_explicit(&done, memory_order_acquire) < ASKERS) {
        struct act_message *m = act_port_receive(port, 1000000);
        CHECK(m == NULL);
    }
    act_port_close(port);
}

int main(int argc, char **argv)
{
    struct act_runtime_options o;
    struct act_runtime_stats stats;
    struct act_runtime *runtime;

    stress_begin("stress_calls", argc, argv);
    act_runtime_options_init(&o);
    o.workers = WORKERS;
    o.spin_us = 5;
    CHECK(act_runtime_start(&o, &runtime, NULL) == 0);
    run(runtime);
    act_runtime_stats(runtime, &stats);
    CHECK(stats.dead_letters > 0);
    CHECK(act_runtime_stop(runtime) == 0);
    CHECK(answered > 1000 && timed_out > 0 && unanswered > 0 && gone > 0);
    CHECK(asker_ends > 0 && server_ends > 0);
    return 0;
}
