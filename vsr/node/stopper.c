/**
 * Stops a service: an actor waits for its end, so that no thread waits for ever. See stopper.h.
 */
#include "stopper.h"

#include "../core/assert.h"
#include "messages.h"
#include "wait.h"

#include <act/message.h>
#include <act/timer.h>

#include <errno.h>
#include <sched.h>

/** A service whose mailbox is full is asked again after so long. */
#define ASK_AGAIN_NS 1000000ull

struct stopper {
    act_id service;
    uint64_t timeout_ns;
    bool has_asked;
    int error;
    struct vsr_node_event done;
};

/** Asks the service to stop. Returns 0 or a negative errno. */
static int ask_to_stop(act_id service)
{
    struct act_message *m = act_message_create(NODE_STOP, 0);

    if (m == NULL) return -ENOMEM;
    const int error = act_send(service, m);
    if (error != 0) act_message_unref(m);
    return error;
}

/** Until the service's mailbox has room for it. */
static int stopper_ask(struct stopper *stopper)
{
    VSR_ASSERT(act_on_worker());
    if (stopper->has_asked) return 0;
    stopper->has_asked = ask_to_stop(stopper->service) == 0;
    return stopper->has_asked ? 0 : act_timer_start(ASK_AGAIN_NS, NODE_SUBMIT, 0, NULL);
}

static int stopper_begin(struct stopper *stopper)
{
    VSR_ASSERT(act_on_worker());
    int error = act_monitor(stopper->service);
    if (error != 0) return error;
    if (stopper->timeout_ns != UINT64_MAX) {
        error = act_timer_start(stopper->timeout_ns, NODE_TICK, 0, NULL);
        if (error != 0) return error;
    }
    return stopper_ask(stopper);
}

static void stopper_receive(void *state, struct act_message *m)
{
    struct stopper *stopper = state;

    switch (m->type) {
    case NODE_START:
        stopper->error = stopper_begin(stopper);
        if (stopper->error != 0) act_exit(0);
        break;
    case NODE_SUBMIT: /* of its own timer */
        if (stopper_ask(stopper) != 0) act_exit(stopper->error = -ENOMEM);
        break;
    case NODE_TICK:
        VSR_ASSERT(stopper->timeout_ns != UINT64_MAX); /* or it was not to end */
        stopper->error = -ETIMEDOUT;
        if (act_stop(stopper->service, 0) != 0 &&
            act_timer_start(ASK_AGAIN_NS, NODE_TICK, 0, NULL) != 0)
            act_exit(0); /* Neither: the runtime's stop ends the service. */
        break;
    case ACT_TYPE_DOWN:
        act_exit(0);
        break;
    }
    act_message_unref(m);
}

static void stopper_stopped(void *state, int reason)
{
    struct stopper *stopper = state;

    (void)reason;
    vsr_node_event_set(&stopper->done);
}

static const struct act_behaviour stopper_behaviour = {
    .receive = stopper_receive,
    .stopped = stopper_stopped,
};

static int run(struct stopper *stopper)
{
    const struct act_spawn_options o = {
        .behaviour = &stopper_behaviour, .state = stopper, .mailbox_max = 16};
    struct act_message *m = act_message_create(NODE_START, 0);
    act_id id;

    VSR_ASSERT(!stopper->has_asked);
    if (m == NULL) return -ENOMEM;
    /* From here first: what this thread has sent before is received before. */
    stopper->has_asked = ask_to_stop(stopper->service) == 0;
    int error = act_spawn(&o, &id);
    if (error != 0) {
        act_message_unref(m);
        return error;
    }
    while (act_send(id, m) != 0)
        sched_yield(); /* The lane to a worker empties by itself. */
    vsr_node_event_wait(&stopper->done);
    return stopper->error;
}

int vsr_node_stop_service(act_id service, uint64_t timeout_ns)
{
    struct stopper stopper = {.service = service, .timeout_ns = timeout_ns};

    VSR_ASSERT(!act_on_worker()); /* It waits for another actor's end. */
    VSR_ASSERT(act_self() != ACT_ID_NONE);
    VSR_ASSERT(service != act_self());
    vsr_node_event_init(&stopper.done);
    const int error = run(&stopper);
    vsr_node_event_deinit(&stopper.done);
    return error;
}
