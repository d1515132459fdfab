/**
 * An actor that answers requests, each in the way that its type says, and one that asks.
 */
#ifndef TESTS_RUNTIME_CLERK_H
#define TESTS_RUNTIME_CLERK_H

#include "fixture.h"

#include <string.h>

enum {
    CLERK_KEPT_MAX = 64,
    REQUEST_ECHO = 0x200, /* the request, with one more, is the answer */
    REQUEST_FRESH,        /* answered by a message of so many bytes as it says */
    REQUEST_KEEP,
    REQUEST_DROP,
    REQUEST_PASS,    /* sent on to `other`, as one to be echoed */
    REQUEST_EXIT,    /* kept, and the clerk ends */
    TYPE_REVERSE,    /* no request: answers what is kept, the last one first */
    TYPE_ECHO_TWICE, /* no request: answers what is kept twice */
    TYPE_ANSWER,
};

struct clerk {
    struct act_message *kept[CLERK_KEPT_MAX];
    uint32_t kept_count;
    act_id other;
    int first;  /* what act_reply said */
    int second; /* of the second answer */
};

/** Answers by a message of its own, whose number is the request's and one more. */
static inline int clerk_answer(struct act_message *request, uint32_t bytes)
{
    struct act_message *answer = act_message_create(TYPE_ANSWER, bytes);
    uint64_t value;

    if (answer == NULL) return -1;
    memcpy(&value, request->body, sizeof value);
    value++;
    memset(answer->body, 0x5A, bytes);
    if (bytes >= sizeof value) memcpy(answer->body, &value, sizeof value);
    int error = act_reply(request, answer);
    if (error != 0) act_message_unref(answer);
    return error;
}

static inline void clerk_receive(void *state, struct act_message *m)
{
    struct clerk *c = state;

    switch (m->type) {
    case REQUEST_ECHO:
        ++*(uint64_t *)m->body;
        m->type = TYPE_ANSWER;
        c->first = act_reply(m, m);
        return;
    case REQUEST_FRESH:
        c->first = clerk_answer(m, (uint32_t) * (uint64_t *)m->body);
        break;
    case REQUEST_PASS:
        m->type = REQUEST_ECHO;
        if (act_send(c->other, m) == 0) return;
        break;
    case REQUEST_EXIT:
        act_exit(7);
        c->kept[c->kept_count++] = m;
        return;
    case REQUEST_KEEP:
        c->kept[c->kept_count++] = m;
        return;
    case TYPE_REVERSE:
    case TYPE_ECHO_TWICE:
        while (c->kept_count > 0) {
            struct act_message *request = c->kept[--c->kept_count];
            c->first = clerk_answer(request, 16);
            if (m->type == TYPE_ECHO_TWICE) c->second = clerk_answer(request, 16);
            act_message_unref(request);
        }
        break;
    default:
        break;
    }
    act_message_unref(m);
}

static inline void clerk_stopped(void *state, int reason)
{
    struct clerk *c = state;

    (void)reason;
    while (c->kept_count > 0)
        act_message_unref(c->kept[--c->kept_count]);
}

static const struct act_behaviour clerk_behaviour = {.receive = clerk_receive,
                                                     .stopped = clerk_stopped};

static inline act_id clerk_start(struct clerk *clerk, uint32_t worker)
{
    const struct act_spawn_options o = {
        .behaviour = &clerk_behaviour, .state = clerk, .place = ACT_PLACE_ON(worker)};
    act_id id;

    *clerk = (struct clerk){.first = 1, .second = 1};
    cr_assert_eq(act_spawn(&o, &id), 0);
    return id;
}

/** A call that a probe makes in its handler. */
struct asking {
    act_id to;
    uint32_t type;
    uint32_t bytes; /* of the body, 8 at least */
    uint32_t spare; /* capacity beyond it */
    uint64_t value;
    uint64_t timeout_ns;
    act_call_id call;
    int error;
};

static inline struct act_message *make_request(const struct asking *a)
{
    struct act_message *m = act_message_create(a->type, a->bytes + a->spare);

    if (m == NULL) return NULL;
    m->body_bytes = a->bytes;
    memset(m->body, 0xC3, a->bytes);
    memcpy(m->body, &a->value, sizeof a->value);
    return m;
}

static inline void ask(struct probe *p, void *argument)
{
    struct asking *a = argument;
    struct act_message *m = make_request(a);

    (void)p;
    if (m == NULL) {
        a->error = 1;
        return;
    }
    a->error = act_call(a->to, m, a->timeout_ns, &a->call);
    if (a->error != 0) act_message_unref(m);
}

static inline struct asking asking_for(act_id to, uint32_t type, uint64_t value)
{
    return (struct asking){
        .to = to, .type = type, .bytes = 8, .value = value, .timeout_ns = UINT64_MAX};
}

#endif
