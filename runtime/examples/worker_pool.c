#include <act/actor.h>
#include <act/port.h>
#include <act/runtime.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JOB = 1, POOL = 8, JOBS = 10000, OUTSTANDING_MAX = 4 * POOL };

/* A job is a number, and its result how many numbers below it divide it: in the same message. */
static void receive(void *state, struct act_message *m)
{
    uint64_t number, divisors = 0;

    (void)state;
    memcpy(&number, m->body, sizeof number);
    for (uint64_t i = 1; i < number; i++)
        divisors += number % i == 0;
    memcpy(m->body, &divisors, sizeof divisors);
    if (act_send(m->from, m) != 0) abort(); /* so few are outstanding that there is room */
}

static const struct act_behaviour behaviour = {receive, NULL, NULL};

static uint64_t take_result(struct act_port *port)
{
    struct act_message *m = act_port_receive(port, UINT64_MAX);
    uint64_t divisors;

    memcpy(&divisors, m->body, sizeof divisors);
    act_message_unref(m);
    return divisors;
}

int main(void)
{
    struct act_runtime_options options;
    struct act_runtime *runtime;
    struct act_port *port;
    struct act_error why;
    act_id pool[POOL];
    uint64_t total = 0;
    uint32_t outstanding = 0;

    act_runtime_options_init(&options); /* a worker per core */
    if (act_runtime_start(&options, &runtime, &why) != 0) return puts(why.text), 1;
    if (act_port_open(runtime, &port) != 0) return 1;
    for (uint32_t i = 0; i < POOL; i++) { /* a port's actors are spread over the workers */
        const struct act_spawn_options spawn = {&behaviour, NULL, ACT_PLACE_HERE, 0, NULL};
        if (act_spawn(&spawn, &pool[i]) != 0) return 1;
    }

    for (uint64_t job = 0; job < JOBS; job++) {
        struct act_message *m = act_message_create(JOB, sizeof job);
        if (m == NULL) return 1;
        memcpy(m->body, &job, sizeof job);
        if (act_send(pool[job % POOL], m) != 0) return 1;
        for (outstanding++; outstanding == OUTSTANDING_MAX; outstanding--)
            total += take_result(port);
    }
    for (; outstanding > 0; outstanding--)
        total += take_result(port);
    printf("%llu divisors\n", (unsigned long long)total);
    act_port_close(port);
    return act_runtime_stop(runtime) == 0 ? 0 : 1;
}
