/**
 * Answers on their way: none is ever dropped, and none needs memory that was not there before.
 *
 * The message that an answer travels in has room behind it for the links of a queue; so answers
 * that their receivers have no room for wait without an array that could be full.
 *
 * Threads: the actor that owns it.
 */
#ifndef VSR_NODE_ANSWERS_H
#define VSR_NODE_ANSWERS_H

#include <act/actor.h>
#include <act/message.h>

#include <stdbool.h>

enum { ANSWER_QUEUES = 64 };

/** Zeroed = empty. */
struct vsr_node_answers {
    struct act_message *queues[ANSWER_QUEUES]; /* by receiver: the first of each receiver's queue */
    uint32_t next;                             /* the queue to be tried first */
    uint64_t count;                            /* that wait */
};

/** What a message has to hold for an answer of this size, its struct vsr_answer included. */
uint32_t vsr_node_answer_capacity(uint32_t answer_bytes);

/**
 * Sends an answer, or lets it wait until its receiver has room. One to an actor that is gone ends.
 *
 * Ownership: takes m.
 * Shape:     m has vsr_node_answer_capacity(m->body_bytes).
 */
void vsr_node_answers_send(struct vsr_node_answers *answers, act_id to, struct act_message *m);

/** Tries again; a bounded number of receivers, others first the next time. */
void vsr_node_answers_retry(struct vsr_node_answers *answers);

/** Ends all that wait. */
void vsr_node_answers_clear(struct vsr_node_answers *answers);

#endif
