/**
 * Controls. See control.h.
 */
#include "control.h"

#include "../core/assert.h"
#include "messages.h"
#include "wait.h"

#include <act/actor.h>
#include <act/message.h>
#include <act/timer.h>

#include <errno.h>

void vsr_node_inbox_init(struct vsr_node_inbox *inbox)
{
    *inbox = (struct vsr_node_inbox){0};
    pthread_mutex_init(&inbox->mutex, NULL);
}

void vsr_node_inbox_deinit(struct vsr_node_inbox *inbox)
{
    VSR_ASSERT(inbox->first == NULL); /* Whoever asked has waited. */
    pthread_mutex_destroy(&inbox->mutex);
}

static void put(struct vsr_node_inbox *inbox, struct vsr_node_control *control)
{
    struct vsr_node_control **end;

    VSR_ASSERT(control->next == NULL);
    pthread_mutex_lock(&inbox->mutex);
    for (end = &inbox->first; *end != NULL; end = &(*end)->next) {
        /* A handful at most: one per calling thread. */
    }
    control->next = NULL;
    *end = control;
    pthread_mutex_unlock(&inbox->mutex);
}

struct vsr_node_control *vsr_node_inbox_take(struct vsr_node_inbox *inbox)
{
    pthread_mutex_lock(&inbox->mutex);
    struct vsr_node_control *control = inbox->first;
    if (control != NULL) inbox->first = control->next;
    pthread_mutex_unlock(&inbox->mutex);
    return control;
}

/** Withdraws a control. Returns false when the actor has it already. */
static bool withdraw(struct vsr_node_inbox *inbox, const struct vsr_node_control *control)
{
    struct vsr_node_control **at;
    bool is_there = false;

    pthread_mutex_lock(&inbox->mutex);
    for (at = &inbox->first; *at != NULL && *at != control; at = &(*at)->next) {
        /* Looks for it. */
    }
    if (*at != NULL) {
        *at = control->next;
        is_there = true;
    }
    pthread_mutex_unlock(&inbox->mutex);
    return is_there;
}

int vsr_node_control_ask(struct vsr_node_inbox *inbox, act_id to, uint32_t replica,
                         struct vsr_node_control *control)
{
    VSR_ASSERT(!act_on_worker());
    VSR_ASSERT(act_self() != ACT_ID_NONE); /* It has a port. */
    VSR_ASSERT(to != ACT_ID_NONE);
    struct vsr_node_wait wait = vsr_node_wait_begin("a replica's mailbox", replica);
    struct act_message *m = act_message_create(NODE_CONTROL, 0);

    if (m == NULL) return -ENOMEM;
    vsr_node_event_init(&control->done);
    put(inbox, control);
    while (act_send(to, m) != 0) {
        if (vsr_node_wait_pause(&wait)) continue;
        act_message_unref(m);
        if (!withdraw(inbox, control)) return 0; /* Another's message made the actor look. */
        vsr_node_event_deinit(&control->done);
        return -ETIMEDOUT;
    }
    return 0;
}

int vsr_node_control_await(struct vsr_node_inbox *inbox, uint32_t replica,
                           struct vsr_node_control *control)
{
    struct vsr_node_wait wait = vsr_node_wait_begin("a replica's actor", replica);
    int error = 0;

    VSR_ASSERT(!act_on_worker());
    while (!vsr_node_event_wait_for(&control->done, NODE_WAIT_SAY_NS)) {
        if (vsr_node_wait_look(&wait) || !withdraw(inbox, control)) continue;
        error = -ETIMEDOUT;
        break;
    }
    vsr_node_event_deinit(&control->done);
    return error != 0 ? error : control->error;
}
