#include <act/actor.h>
#include <act/port.h>
#include <act/runtime.h>
#include <act/supervisor.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORK = 1 };

/* This child always fails, at its third message to itself. Its state is new with each life. */
static void child_receive(void *state, struct act_message *m)
{
    uint32_t *messages = state;

    if (++*messages == 3) {
        act_message_unref(m);
        act_exit(42);
    } else if (act_send(act_self(), m) != 0) {
        act_message_unref(m);
    }
}

static void child_stopped(void *state, int reason)
{
    (void)reason;
    free(state);
}

static const struct act_behaviour working = {child_receive, NULL, child_stopped};

static int create(void *context, void **state)
{
    uint32_t *lives = context;

    *state = calloc(1, sizeof(uint32_t));
    if (*state == NULL) return -1;
    ++*lives;
    return 0;
}

static void discard(void *context, void *state)
{
    (void)context;
    free(state); /* it was made, and no actor: nobody's `stopped` releases it */
}

int main(void)
{
    struct act_runtime_options options;
    struct act_supervisor_options supervision;
    uint32_t lives = 0;
    const struct act_child child = {.name = "child",
                                    .behaviour = &working,
                                    .context = &lives,
                                    .create = create,
                                    .discard = discard,
                                    .first_type = WORK};
    struct act_runtime *runtime;
    struct act_port *port;
    struct act_message *m;
    struct act_error why;
    struct act_down down;
    act_id id;

    act_runtime_options_init(&options);
    if (act_runtime_start(&options, &runtime, &why) != 0) return puts(why.text), 1;
    if (act_port_open(runtime, &port) != 0) return 1;

    act_supervisor_options_init(&supervision);
    supervision.children = &child;
    supervision.child_count = 1;
    supervision.restarts_max = 5; /* within a minute; then it fails itself */
    supervision.window_ns = 60000000000;
    supervision.backoff_ns = 1000000; /* 1 ms, 2, 4, ... */
    if (act_supervisor_spawn(&supervision, &id) != 0 || act_monitor(id) != 0) return 1;

    m = act_port_receive(port, UINT64_MAX); /* ACT_TYPE_DOWN: who monitors it decides what next */
    memcpy(&down, m->body, sizeof down);
    act_message_unref(m);
    printf("restarted %u times, then gave up%s\n", lives - 1,
           down.reason == ACT_REASON_RESTARTS ? ": too often" : "");
    act_port_close(port);
    return act_runtime_stop(runtime) == 0 ? 0 : 1;
}
