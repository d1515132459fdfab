#include <act/actor.h>
#include <act/clock.h>
#include <act/port.h>
#include <act/runtime.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A supervisor starts its child again when it fails, but not too often: then it fails itself. */
enum { START = 1, WORK, RESTARTS_MAX = 5 };
static const uint64_t within_ns = 60000000000;

struct supervisor {
    act_id child;
    uint32_t restarts;            /* so far */
    uint64_t at_ns[RESTARTS_MAX]; /* the last ones, in a ring */
};

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

static void start_child(struct supervisor *supervisor)
{
    struct act_spawn_options spawn = {&working, NULL, ACT_PLACE_HERE, 0, "child"};
    struct act_message *work = act_message_create(WORK, 0);

    spawn.state = calloc(1, sizeof(uint32_t));
    if (spawn.state == NULL || work == NULL) abort();
    if (act_spawn(&spawn, &supervisor->child) != 0) abort();
    if (act_monitor(supervisor->child) != 0) abort(); /* sends ACT_TYPE_DOWN when it ends */
    if (act_send(supervisor->child, work) != 0) abort();
}

static void supervisor_receive(void *state, struct act_message *m)
{
    struct supervisor *supervisor = state;

    if (m->type == START) start_child(supervisor);
    if (m->type == ACT_TYPE_DOWN) {
        struct act_down down;
        const uint64_t now_ns = act_now_ns();
        uint64_t *oldest_ns = &supervisor->at_ns[supervisor->restarts % RESTARTS_MAX];

        memcpy(&down, m->body, sizeof down);
        if (supervisor->restarts >= RESTARTS_MAX && now_ns - *oldest_ns < within_ns) {
            act_exit(down.reason); /* whoever monitors the supervisor decides what comes next */
        } else {
            *oldest_ns = now_ns;
            supervisor->restarts++;
            start_child(supervisor);
        }
    }
    act_message_unref(m);
}

static const struct act_behaviour supervising = {supervisor_receive, NULL, NULL};

int main(void)
{
    struct act_runtime_options options;
    struct supervisor supervisor = {ACT_ID_NONE, 0, {0}};
    const struct act_spawn_options spawn = {&supervising, &supervisor, ACT_PLACE_HERE, 0, NULL};
    struct act_runtime *runtime;
    struct act_port *port;
    struct act_message *m;
    struct act_error why;
    struct act_down down;
    act_id id;

    act_runtime_options_init(&options);
    if (act_runtime_start(&options, &runtime, &why) != 0) return puts(why.text), 1;
    if (act_port_open(runtime, &port) != 0) return 1;
    if (act_spawn(&spawn, &id) != 0 || act_monitor(id) != 0) return 1;
    m = act_message_create(START, 0);
    if (m == NULL || act_send(id, m) != 0) return 1;

    m = act_port_receive(port, UINT64_MAX); /* ACT_TYPE_DOWN */
    memcpy(&down, m->body, sizeof down);
    act_message_unref(m);
    printf("restarted %u times, then gave up: reason %d\n", supervisor.restarts, down.reason);
    act_port_close(port);
    return act_runtime_stop(runtime) == 0 ? 0 : 1;
}
