/**
 * What a process does when there is nothing to do: it does not wake.
 */
#include "fixture.h"
#include "leak_check.h"

#include <dirent.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

LEAK_CHECKED_SUITE(idle);

enum { TYPE_TICK = 3, TYPE_WORK, MS = 1000000 };

static struct world w;

static void start_far_timer(struct probe *p, void *delay_ns)
{
    p->result = act_timer_start(*(const uint64_t *)delay_ns, TYPE_TICK, 7, NULL);
}

/** Times that the other threads of the process have gone to sleep. */
static unsigned long long sleeps(void)
{
    DIR *tasks = opendir("/proc/self/task");
    unsigned long long sum = 0;

    cr_assert_not_null(tasks);
    for (const struct dirent *task; (task = readdir(tasks)) != NULL;) {
        char path[300];
        char line[128];
        unsigned long long count;
        if (task->d_name[0] == '.' || atoi(task->d_name) == getpid()) continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
        FILE *status = fopen(path, "r");
        if (status == NULL) continue; /* it has ended */
        while (fgets(line, sizeof line, status) != NULL)
            if (sscanf(line, "voluntary_ctxt_switches: %llu", &count) == 1) sum += count;
        fclose(status);
    }
    closedir(tasks);
    return sum;
}

/** Lets time pass in which the calling thread does nothing. */
static void pass(uint64_t ns)
{
    const struct timespec time = {.tv_nsec = (long)ns};

    cr_assert_eq(nanosleep(&time, NULL), 0);
}

/** How often somebody wakes up in 0.4 s, once the process has come to rest. */
static uint64_t wakes_at_rest(void)
{
    uint64_t parks = world_stats(&w).parks;
    unsigned long long before;

    pass(50 * MS);
    for (uint32_t i = 0; i < 50 && world_stats(&w).parks != parks; i++) {
        parks = world_stats(&w).parks;
        pass(50 * MS);
    }
    before = sleeps();
    pass(400 * MS);
    cr_assert_eq(world_stats(&w).parks, parks);
    return sleeps() - before;
}

/* Idle means zero wakes: without timers, and with one that is due in an hour on each worker. */
Test(idle, an_idle_process_never_wakes)
{
    const struct act_runtime_options o = world_options(4);
    uint64_t hour_ns = 3600 * SECOND;

    world_start(&w, &o);
    cr_assert_eq(wakes_at_rest(), 0);
    for (uint32_t i = 0; i < 4; i++) {
        struct probe *p = world_probe(&w, i, 0);
        run_in(&w, p->self, start_far_timer, &hour_ns);
        cr_assert_eq(p->result, 0);
    }
    cr_assert_eq(wakes_at_rest(), 0);
    world_stop(&w);
}

/** Without it a worker looks again each millisecond (runtime/DESIGN.md). */
static void need_membarrier(void)
{
    const long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

    if (commands < 0 || (commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0)
        cr_skip_test("the kernel has no membarrier, or a filter forbids it");
}

enum { KEPT = 12000 };

static struct act_message *kept[KEPT];
static uint32_t kept_count;

static void on_kept_message(void *state, struct act_message *m)
{
    (void)state;
    if (m->type == TYPE_WORK && kept_count < KEPT)
        kept[kept_count++] = m;
    else
        act_message_unref(m);
}

/** What it does with what it gets. */
static act_id spawn_keeper(void)
{
    static const struct act_behaviour behaviour = {.receive = on_kept_message};
    const struct act_spawn_options o = {.behaviour = &behaviour};
    act_id id;

    cr_assert_eq(act_spawn(&o, &id), 0);
    return id;
}

static void end_kept(struct probe *p, void *argument)
{
    (void)p;
    (void)argument;
    while (kept_count > 0)
        act_message_unref(kept[--kept_count]);
}

/* More messages on their way home than a lane holds, to a port that sleeps: they wait without
 * waking anybody, and go home when the port looks. The same when it has closed. */
Test(idle, what_a_port_does_not_take_home_wakes_nobody)
{
    const struct act_runtime_options o = world_options(1);

    need_membarrier();
    for (uint32_t closes = 0; closes < 2; closes++) {
        world_start(&w, &o);
        struct probe *p = world_probe(&w, 0, 0);
        const act_id keeper = spawn_keeper();
        for (uint32_t i = 0; i < KEPT; i++)
            while (send_value(keeper, TYPE_WORK, 0) != 0)
                sched_yield();
        while (kept_count < KEPT)
            world_sync(&w, p);
        start_in(p->self, end_kept, NULL);
        if (closes) act_port_close(w.port);
        cr_assert_eq(wakes_at_rest(), 0, "%u", closes);
        if (closes) {
            cr_assert_eq(act_port_open(w.runtime, &w.port), 0);
            w.port_id = act_port_id(w.port);
        } else {
            expect(&w, TYPE_RAN);
        }
        world_stop(&w);
    }
}
