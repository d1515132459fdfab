/**
 * What threads ask of a replica's actor, and how they wait for it.
 *
 * A control lies in the replica's inbox; the message to the actor only says that there may be one.
 * No pointer travels in a message, so what a remote sender says can at most make an actor look.
 */
#ifndef VSR_NODE_CONTROL_H
#define VSR_NODE_CONTROL_H

#include "life.h"
#include "wait.h"

enum vsr_node_command { NODE_BEGIN, NODE_KILL, NODE_PAUSE, NODE_RESUME, NODE_INSPECT };

/** What one thread asks of a replica's actor, and waits for. */
struct vsr_node_control {
    enum vsr_node_command command;
    int error;                 /* the answer */
    struct vsr_node_life life; /* BEGIN: the new one. The answer, of KILL too: the old one */
    const act_id *peers;       /* BEGIN */
    struct vsr_cluster_report *report; /* INSPECT */
    bool wants_digest;                 /* INSPECT: a large state machine takes its time for it */
    struct vsr_node_event done;
    struct vsr_node_control *next; /* in the inbox */
};

/** Controls that wait for one replica's actor. Any thread puts, the actor takes. */
struct vsr_node_inbox {
    pthread_mutex_t mutex;
    struct vsr_node_control *first;
};

/** Lays an empty inbox into the caller's memory. */
void vsr_node_inbox_init(struct vsr_node_inbox *inbox);
/** The memory is the caller's again. Whoever asked has waited: it is empty. */
void vsr_node_inbox_deinit(struct vsr_node_inbox *inbox);
/** The oldest control, or NULL. Only from the actor, which then sets control->done. */
struct vsr_node_control *vsr_node_inbox_take(struct vsr_node_inbox *inbox);

/**
 * Asks; the thread needs a port. Ownership: borrows control until vsr_node_control_await has
 * returned.
 *
 * Returns: 0; -ENOMEM; -ETIMEDOUT when the actor had no room for the message, which stderr says.
 */
int vsr_node_control_ask(struct vsr_node_inbox *inbox, act_id to, uint32_t replica,
                         struct vsr_node_control *control) ACT_MUST_CHECK;

/**
 * Waits for the answer to a control that was asked.
 *
 * Returns: the answer; -ETIMEDOUT when the actor has not looked after NODE_WAIT_NS: the control is
 *          withdrawn. One that the actor has begun is waited for. stderr names the replica.
 */
int vsr_node_control_await(struct vsr_node_inbox *inbox, uint32_t replica,
                           struct vsr_node_control *control) ACT_MUST_CHECK;

#endif
