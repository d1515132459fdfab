#include <act/actor.h>
#include <act/port.h>
#include <act/runtime.h>

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A thread with an event loop of its own, over a pipe here, takes part through a port. */
enum { LETTER = 1, SHOUT };

struct loop {
    struct act_runtime *runtime;
    act_id shouter;
    int pipe;
};

static void shouter_receive(void *state, struct act_message *m)
{
    char *letter = m->body;

    (void)state;
    if (*letter >= 'a' && *letter <= 'z') *letter = (char)(*letter - 'a' + 'A');
    m->type = SHOUT;
    if (act_send(m->from, m) != 0) act_message_unref(m);
}

static const struct act_behaviour shouting = {shouter_receive, NULL, NULL};

/* Everything that waits for the port; the NULL at the end arms its descriptor again. */
static uint32_t print_answers(struct act_port *port)
{
    struct act_message *m;
    uint32_t answers = 0;

    while ((m = act_port_receive(port, 0)) != NULL) {
        putchar(*(const char *)m->body);
        act_message_unref(m);
        answers++;
    }
    return answers;
}

static void *run(void *argument)
{
    const struct loop *loop = argument;
    struct act_port *port;
    uint32_t outstanding = 0;
    int is_open = 1;

    if (act_port_open(loop->runtime, &port) != 0) abort(); /* this thread's, until it closes it */
    struct pollfd fds[] = {{loop->pipe, POLLIN, 0}, {act_port_fd(port), POLLIN, 0}};
    while (is_open || outstanding > 0) {
        char letter;
        outstanding -= print_answers(port);
        if (!is_open && outstanding == 0) break;
        if (poll(fds, 2, -1) < 0) abort();
        if (fds[0].revents == 0) continue;
        if (read(loop->pipe, &letter, 1) != 1) {
            is_open = 0;
            fds[0].fd = -1;
            continue;
        }
        struct act_message *m = act_message_create(LETTER, 1);
        if (m == NULL) abort();
        memcpy(m->body, &letter, 1);
        if (act_send(loop->shouter, m) != 0) abort(); /* -EAGAIN: with 4096 letters on their way */
        outstanding++;
    }
    putchar('\n');
    act_port_close(port);
    return NULL;
}

int main(void)
{
    struct act_runtime_options options;
    const struct act_spawn_options spawn = {&shouting, NULL, ACT_PLACE_HERE, 0, "shouter"};
    struct loop loop = {NULL, ACT_ID_NONE, -1};
    struct act_port *port;
    struct act_error why;
    pthread_t thread;
    int fds[2];

    act_runtime_options_init(&options);
    if (act_runtime_start(&options, &loop.runtime, &why) != 0) return puts(why.text), 1;
    if (act_port_open(loop.runtime, &port) != 0 || act_spawn(&spawn, &loop.shouter) != 0) return 1;
    act_port_close(port); /* main has done its part */

    if (pipe(fds) != 0) return 1;
    loop.pipe = fds[0];
    if (pthread_create(&thread, NULL, run, &loop) != 0) return 1;
    if (write(fds[1], "hello, actors", 13) != 13) return 1;
    close(fds[1]);
    pthread_join(thread, NULL);
    close(fds[0]);
    return act_runtime_stop(loop.runtime) == 0 ? 0 : 1;
}
