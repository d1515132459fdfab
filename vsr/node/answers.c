/**
 * Answers on their way. See answers.h.
 */
#include "answers.h"

#include "../core/assert.h"

#include <errno.h>
#include <stddef.h>

/** Receivers without room that one retry offers something to. */
enum { REFUSALS_MAX = 16 };

/** Lies behind the answer. */
struct links {
    act_id to;
    struct act_message *next;  /* to the same receiver */
    struct act_message *last;  /* of the first: the queue's end */
    struct act_message *queue; /* of the first: the next receiver's first */
};

static uint32_t links_offset(uint32_t answer_bytes)
{
    return (answer_bytes + 7) & ~7u;
}

uint32_t vsr_node_answer_capacity(uint32_t answer_bytes)
{
    return links_offset(answer_bytes) + (uint32_t)sizeof(struct links);
}

static struct links *links_of(const struct act_message *m)
{
    return (struct links *)(void *)((uint8_t *)m->body + links_offset(m->body_bytes));
}

static struct act_message **queue_of(struct vsr_node_answers *answers, act_id to)
{
    /* Slots follow each other, their generations lie above. */
    struct act_message **at = &answers->queues[(to ^ to >> 24) % ANSWER_QUEUES];

    while (*at != NULL && links_of(*at)->to != to)
        at = &links_of(*at)->queue;
    return at;
}

void vsr_node_answers_send(struct vsr_node_answers *answers, act_id to, struct act_message *m)
{
    VSR_ASSERT(act_message_capacity(m) >= vsr_node_answer_capacity(m->body_bytes));
    struct act_message **queue = answers->count > 0 ? queue_of(answers, to) : NULL;

    if (queue == NULL || *queue == NULL) {
        const int error = act_send(to, m);
        if (error == 0) return;
        if (error != -EAGAIN) {
            act_message_unref(m);
            return;
        }
        if (act_await_room(to) != 0) {
            /* Without the notice the next tick tries again. */
        }
        queue = queue_of(answers, to);
        VSR_ASSERT(*queue == NULL); /* Else the message would have waited behind it. */
        *links_of(m) = (struct links){.to = to, .last = m};
        *queue = m;
    } else {
        struct links *first = links_of(*queue);
        VSR_ASSERT(first->last != NULL);
        *links_of(m) = (struct links){.to = to};
        links_of(first->last)->next = m;
        first->last = m;
    }
    answers->count++;
}

/** Sends the first of a queue. Returns false when its receiver has no room. */
static bool send_first(struct vsr_node_answers *answers, struct act_message **queue)
{
    struct act_message *m = *queue;
    const struct links links = *links_of(m);
    const int error = act_send(links.to, m);

    VSR_ASSERT(answers->count > 0);
    if (error == -EAGAIN) return false;
    if (error != 0) act_message_unref(m);
    answers->count--;
    if (links.next == NULL) {
        *queue = links.queue;
    } else {
        struct links *next = links_of(links.next);
        VSR_ASSERT(next->to == links.to);
        next->last = links.last;
        next->queue = links.queue;
        *queue = links.next;
    }
    return true;
}

/** Sends what each receiver of one list has room for. Returns how many had none. */
static uint32_t retry_list(struct vsr_node_answers *answers, struct act_message **queue)
{
    uint32_t refusals = 0;

    while (*queue != NULL) {
        const act_id to = links_of(*queue)->to;
        bool has_sent = false;
        while (*queue != NULL && links_of(*queue)->to == to && send_first(answers, queue))
            has_sent = true;
        if (*queue == NULL || links_of(*queue)->to != to) continue;
        /* The notice that was asked for has been; without another one the next tick tries. */
        if (has_sent && act_await_room(to) != 0) has_sent = false;
        refusals++;
        queue = &links_of(*queue)->queue;
    }
    return refusals;
}

void vsr_node_answers_retry(struct vsr_node_answers *answers)
{
    uint32_t refusals = 0;

    VSR_ASSERT(answers->next < ANSWER_QUEUES);
    for (uint32_t i = 0; i < ANSWER_QUEUES && answers->count > 0 && refusals < REFUSALS_MAX; i++) {
        refusals += retry_list(answers, &answers->queues[answers->next]);
        answers->next = (answers->next + 1) % ANSWER_QUEUES;
    }
}

void vsr_node_answers_clear(struct vsr_node_answers *answers)
{
    for (uint32_t i = 0; i < ANSWER_QUEUES; i++) {
        while (answers->queues[i] != NULL) {
            struct act_message *first = answers->queues[i];
            answers->queues[i] = links_of(first)->queue;
            while (first != NULL) {
                struct act_message *next = links_of(first)->next;
                VSR_ASSERT(answers->count > 0);
                answers->count--;
                act_message_unref(first);
                first = next;
            }
        }
    }
    VSR_ASSERT(answers->count == 0);
}
