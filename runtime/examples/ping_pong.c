#include <act/actor.h>
#include <act/port.h>
#include <act/runtime.h>

#include <stdio.h>
#include <stdlib.h>

enum { START = 1, BALL, DONE, ROUNDS = 10000 };

struct ping {
    act_id pong, main;
    uint32_t rounds;
};

/* One ball is always taken by a mailbox for 4096. */
static void send(act_id to, struct act_message *m)
{
    if (m == NULL || act_send(to, m) != 0) abort();
}

static void pong_receive(void *state, struct act_message *m)
{
    (void)state;
    send(m->from, m); /* The message that came is the one that goes. */
}

static void ping_receive(void *state, struct act_message *m)
{
    struct ping *ping = (struct ping *)state;

    if (m->type == START) ping->main = m->from;
    if (m->type == BALL && ++ping->rounds == ROUNDS) {
        m->type = DONE;
        send(ping->main, m);
        act_exit(0); /* when this handler returns */
        return;
    }
    m->type = BALL;
    send(ping->pong, m);
}

static const struct act_behaviour pinging = {ping_receive, NULL, NULL};
static const struct act_behaviour ponging = {pong_receive, NULL, NULL};

int main(void)
{
    struct act_runtime_options options;
    struct act_spawn_options spawn = {&ponging, NULL, ACT_PLACE_ON(1), 0, "pong"};
    struct act_runtime *runtime;
    struct act_port *port;
    struct act_message *m;
    struct act_error why;
    struct ping ping = {ACT_ID_NONE, ACT_ID_NONE, 0};
    act_id id;

    act_runtime_options_init(&options);
    options.workers = 2;
    if (act_runtime_start(&options, &runtime, &why) != 0) return puts(why.text), 1;
    if (act_port_open(runtime, &port) != 0) return 1; /* main may send and receive now */

    if (act_spawn(&spawn, &ping.pong) != 0) return 1;
    spawn = (struct act_spawn_options){&pinging, &ping, ACT_PLACE_ON(0), 0, NULL};
    if (act_spawn(&spawn, &id) != 0) return 1;

    send(id, act_message_create(START, 0));
    m = act_port_receive(port, UINT64_MAX); /* DONE */
    printf("%u rounds\n", ping.rounds);
    act_message_unref(m);
    act_port_close(port);
    return act_runtime_stop(runtime) == 0 ? 0 : 1; /* stops pong too */
}
