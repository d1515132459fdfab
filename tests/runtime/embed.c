/**
 * A runtime in a process that is not its own: other runtimes, threads that hold still, a fork,
 * an embedder's own liburcu, a system call that is forbidden after the start.
 */
#include "fixture.h"
#include "leak_check.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <urcu-qsbr.h>

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

LEAK_CHECKED_SUITE(embed);

enum { ACTORS_MAX = 1000, ALIVE = 64, SPAWNS = 20000, TYPE_GO = 1 };

/** Keeps ALIVE children alive: each that ends is followed by another one. */
struct breeder {
    act_id self;
    act_id report_to;
    uint32_t left;
    uint32_t alive;
    uint32_t refused;
};

static void child_receive(void *state, struct act_message *m)
{
    (void)state;
    act_message_unref(m);
    act_exit(0);
}

static const struct act_behaviour child_behaviour = {.receive = child_receive};

static void breed(struct breeder *b)
{
    const struct act_spawn_options o = {.behaviour = &child_behaviour};
    act_id id;

    b->left--;
    if (act_spawn(&o, &id) != 0) {
        b->refused++;
        return;
    }
    b->alive++;
    if (act_monitor(id) != 0 || send_value(id, TYPE_GO, 0) != 0) abort();
}

static void breeder_receive(void *state, struct act_message *m)
{
    struct breeder *b = state;

    if (m->type == TYPE_GO)
        b->report_to = m->from;
    else
        b->alive--;
    act_message_unref(m);
    while (b->left > 0 && b->alive < ALIVE)
        breed(b);
    if (b->left == 0 && b->alive == 0 && send_value(b->report_to, TYPE_GO, b->refused) != 0)
        abort();
}

static const struct act_behaviour breeder_behaviour = {.receive = breeder_receive};

/** How many spawns were refused on worker 0. */
static uint64_t refused_spawns(struct world *w)
{
    static struct breeder b;
    const struct act_spawn_options o = {
        .behaviour = &breeder_behaviour, .state = &b, .place = ACT_PLACE_ON(0)};

    b = (struct breeder){.left = SPAWNS};
    cr_assert_eq(act_spawn(&o, &b.self), 0);
    cr_assert_eq(send_value(b.self, TYPE_GO, 0), 0);
    return expect(w, TYPE_GO);
}

static struct act_runtime_options small(void)
{
    struct act_runtime_options o = world_options(2);

    o.actors_max = ACTORS_MAX;
    return o;
}

/* actor.h: -EAGAIN when actors_max live; that another worker is in a long handler is no reason. */
Test(embed, a_handler_that_takes_long_costs_no_spawn)
{
    struct act_runtime_options o = small();
    struct gate gate;
    struct world w;

    world_start(&w, &o);
    gate_shut(&gate, world_probe(&w, 1, 0));
    cr_assert_eq(refused_spawns(&w), 0);
    gate_open(&w, &gate);
    world_stop(&w);
}

/* Two runtimes know nothing of each other: one whose workers sleep or are busy holds up none. */
Test(embed, two_runtimes)
{
    struct act_runtime_options o = small();
    struct act_runtime *other;
    struct world w;

    cr_assert_eq(act_runtime_start(&o, &other, NULL), 0);
    world_start(&w, &o);
    cr_assert_eq(refused_spawns(&w), 0);
    world_stop(&w);
    world_start(&w, &o);
    cr_assert_eq(refused_spawns(&w), 0, "one of the two was another one");
    world_stop(&w);
    cr_assert_eq(act_runtime_stop(other), 0);
}

/* actor.h: -EHOSTUNREACH when the id is another runtime's, also when it has one like it. */
Test(embed, ids_of_two_runtimes)
{
    struct act_runtime_options o = world_options(1);
    struct act_runtime *other;
    struct world w;
    act_id there[2];

    cr_assert_eq(act_runtime_start(&o, &other, NULL), 0);
    struct world v = {.runtime = other};
    cr_assert_eq(act_port_open(other, &v.port), 0);
    for (uint32_t i = 0; i < 2; i++)
        there[i] = world_probe(&v, 0, 0)->self;
    act_port_close(v.port);
    world_start(&w, &o);
    struct probe *p = world_probe(&w, 0, 0);
    for (uint32_t i = 0; i < 2; i++) {
        cr_assert_eq(send_value(there[i], TYPE_GO, i), -EHOSTUNREACH);
        cr_assert_eq(act_stop(there[i], 0), -EHOSTUNREACH);
        cr_assert_eq(act_monitor(there[i]), -EHOSTUNREACH);
    }
    world_sync(&w, p);
    cr_assert_eq(p->count, 0);
    cr_assert_eq(world_stats(&w).dead_letters, 0);
    world_stop(&w);
    cr_assert_eq(act_runtime_stop(other), 0);
}

/* A child of a process whose runtime was used and stopped has one of its own. */
Test(embed, fork_after_a_runtime_was_stopped)
{
    struct act_runtime_options o = world_options(2);
    struct world w;
    int status;

    world_start(&w, &o);
    cr_assert_eq(refused_spawns(&w), 0);
    world_stop(&w);
    const pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        alarm(20);
        world_start(&w, &o);
        const uint64_t refused = refused_spawns(&w);
        act_port_close(w.port);
        _exit(refused == 0 && act_runtime_stop(w.runtime) == 0 ? 0 : 1);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child ended with %x", status);
    world_start(&w, &o);
    cr_assert_eq(refused_spawns(&w), 0);
    world_stop(&w);
}

/* The embedder's own liburcu is the embedder's: a reader that holds still holds up nobody. */
Test(embed, an_embedder_that_is_a_reader_of_liburcu)
{
    struct act_runtime_options o = small();
    struct world w;

    rcu_register_thread();
    world_start(&w, &o);
    cr_assert_eq(refused_spawns(&w), 0);
    world_stop(&w);
    rcu_unregister_thread();
}

/** From now on membarrier is refused to every thread of the process, as to some containers'. */
static void forbid_membarrier(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};

    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    cr_assert_eq(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program),
                 0);
}

/* park.h: without the system call both sides have fences of their own, from then on. */
Test(embed, membarrier_is_forbidden_after_the_start)
{
    struct act_runtime_options o = small();
    struct world w;

    o.spin_us = 0;
    world_start(&w, &o);
    struct probe *p = world_probe(&w, 0, 0);
    world_sync(&w, p);
    forbid_membarrier();
    for (uint32_t i = 0; i < 2000; i++)
        world_sync(&w, p);
    cr_assert_eq(refused_spawns(&w), 0);
    cr_assert_gt(world_stats(&w).parks, 10);
    world_stop(&w);
}
