#include <act/actor.h>
#include <act/poll.h>
#include <act/port.h>
#include <act/runtime.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* An echo server: one actor listens, one more serves each connection. */
enum { LISTEN = 1, READY };

struct connection {
    int fd;
    act_poll poll;
    size_t have, sent;
    char bytes[4096];
};

/* Reads when everything is sent, else sends; false when the connection has ended. */
static bool echo(struct connection *c, uint32_t *wanted)
{
    for (;;) {
        if (c->sent == c->have) {
            const ssize_t n = read(c->fd, c->bytes, sizeof c->bytes);
            *wanted = ACT_POLL_IN;
            if (n <= 0) return n < 0 && errno == EAGAIN;
            c->have = (size_t)n;
            c->sent = 0;
        }
        const ssize_t n = send(c->fd, c->bytes + c->sent, c->have - c->sent, MSG_NOSIGNAL);
        *wanted = ACT_POLL_OUT;
        if (n < 0) return errno == EAGAIN;
        c->sent += (size_t)n;
    }
}

static void connection_receive(void *state, struct act_message *m)
{
    struct connection *c = state;
    uint32_t wanted = ACT_POLL_IN;

    if (m->type == LISTEN) { /* the first message: from the listener */
        const struct act_poll_options options = {c->fd, ACT_POLL_IN, READY, 0};
        if (act_poll_start(&options, &c->poll) != 0) act_exit(1);
    } else if (!echo(c, &wanted) || act_poll_again(c->poll, wanted) != 0) {
        act_exit(0);
    }
    act_message_unref(m);
}

static void connection_stopped(void *state, int reason)
{
    struct connection *c = state;

    (void)reason;
    close(c->fd); /* the registration has ended with the actor */
    free(c);
}

static const struct act_behaviour serving = {connection_receive, NULL, connection_stopped};

static void serve(int fd)
{
    struct connection *c = calloc(1, sizeof *c);
    struct act_spawn_options spawn = {&serving, c, ACT_PLACE_HERE, 0, NULL};
    struct act_message *first = act_message_create(LISTEN, 0);
    act_id id;

    if (c == NULL || first == NULL) abort();
    c->fd = fd;
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0) abort();
    if (act_spawn(&spawn, &id) != 0 || act_send(id, first) != 0) abort();
}

struct listener {
    int fd;
    act_poll poll;
};

static void listener_receive(void *state, struct act_message *m)
{
    struct listener *listener = state;
    int fd;

    if (m->type == LISTEN) {
        const struct act_poll_options options = {listener->fd, ACT_POLL_IN, READY, 0};
        if (act_poll_start(&options, &listener->poll) != 0) abort();
    } else { /* one message for each time that it is asked for */
        while ((fd = accept(listener->fd, NULL, NULL)) >= 0)
            serve(fd);
        if (act_poll_again(listener->poll, ACT_POLL_IN) != 0) abort();
    }
    act_message_unref(m);
}

static const struct act_behaviour listening = {listener_receive, NULL, NULL};

int main(void)
{
    struct act_runtime_options options;
    struct listener listener = {socket(AF_INET, SOCK_STREAM, 0), 0};
    const struct act_spawn_options spawn = {&listening, &listener, ACT_PLACE_HERE, 0, NULL};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *name = (struct sockaddr *)&address;
    socklen_t bytes = sizeof address;
    struct act_runtime *runtime;
    struct act_port *port;
    struct act_message *m;
    struct act_error why;
    char answer[16] = "";
    act_id id;

    if (fcntl(listener.fd, F_SETFL, O_NONBLOCK) != 0) return 1;
    if (bind(listener.fd, name, bytes) != 0 || listen(listener.fd, 16) != 0) return 1;
    if (getsockname(listener.fd, name, &bytes) != 0) return 1;
    act_runtime_options_init(&options);
    if (act_runtime_start(&options, &runtime, &why) != 0) return puts(why.text), 1;
    if (act_port_open(runtime, &port) != 0) return 1;
    if (act_spawn(&spawn, &id) != 0) return 1;
    m = act_message_create(LISTEN, 0);
    if (m == NULL || act_send(id, m) != 0) return 1;

    /* A client of the ordinary kind. */
    const int client = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(client, name, bytes) != 0 || write(client, "hello", 5) != 5) return 1;
    if (recv(client, answer, 5, MSG_WAITALL) != 5) return 1;
    printf("echoed: %s\n", answer);
    close(client);
    act_port_close(port);
    if (act_runtime_stop(runtime) != 0) return 1;
    close(listener.fd);
    return 0;
}
