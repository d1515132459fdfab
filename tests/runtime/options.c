/**
 * What act_runtime_start says to options, good and bad; pinning.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <act/runtime.h>

#include "fixture.h"
#include "leak_check.h"
#include "memory.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

LEAK_CHECKED_SUITE(options);

static struct act_runtime_options defaults(void)
{
    struct act_runtime_options o;
    act_runtime_options_init(&o);
    return o;
}

static int start(const struct act_runtime_options *o, struct act_error *why)
{
    struct act_runtime *runtime = NULL;

    /* Options that are accepted need not be built: the first allocation fails. */
    act_memory_fail_at(1);
    int error = act_runtime_start(o, &runtime, why);
    act_memory_fail_at(0);
    cr_assert_null(runtime);
    cr_assert_eq(act_memory_held(), 0);
    return error;
}

static void accepts(struct act_runtime_options o, const char *name)
{
    struct act_error why = {{0}};

    cr_assert_eq(start(&o, &why), -ENOMEM, "%s: %s", name, why.text);
    cr_assert_neq(why.text[0], '\0', "no memory is worth a word, too");
}

/** The text names the option, the value and what is accepted. */
static void refuses(struct act_runtime_options o, const char *name, uint64_t value, uint64_t min,
                    uint64_t max)
{
    struct act_error why = {{0}};
    char expected[192];

    cr_assert_eq(start(&o, &why), -EINVAL, "%s", name);
    snprintf(expected, sizeof expected, "%s is %llu; accepted is %llu to %llu", name,
             (unsigned long long)value, (unsigned long long)min, (unsigned long long)max);
    cr_assert_str_eq(why.text, expected);
    cr_assert_eq(start(&o, NULL), -EINVAL, "why may be NULL");
}

#define CHECK_RANGE(option, min, max)                                                              \
    do {                                                                                           \
        struct act_runtime_options o = defaults();                                                 \
        o.option = (min);                                                                          \
        accepts(o, #option);                                                                       \
        o.option = (max);                                                                          \
        accepts(o, #option);                                                                       \
    } while (0)

#define CHECK_REFUSED(option, bad, min, max)                                                       \
    do {                                                                                           \
        struct act_runtime_options o = defaults();                                                 \
        o.option = (bad);                                                                          \
        refuses(o, #option, o.option, min, max);                                                   \
    } while (0)

/* runtime.h: every option at both ends of its range. */
Test(options, ends_of_the_ranges_are_accepted)
{
    accepts(defaults(), "defaults");
    CHECK_RANGE(workers, 1, ACT_WORKERS_MAX);
    CHECK_RANGE(ports_max, 0, ACT_PORTS_MAX);
    CHECK_RANGE(actors_max, 1, ACT_ACTORS_MAX);
    CHECK_RANGE(mailbox_max, 1, 1u << 30);
    CHECK_RANGE(spin_us, 0, 1000000);
    CHECK_RANGE(turn_max, 1, 65536);
    CHECK_RANGE(pool_bytes_max, 1 << 20, UINT64_MAX);
}

/* runtime.h: -EINVAL for an option out of range, and a text for a person. */
Test(options, beyond_the_ranges_is_refused_by_name)
{
    CHECK_REFUSED(workers, ACT_WORKERS_MAX + 1, 1, ACT_WORKERS_MAX);
    CHECK_REFUSED(workers, UINT32_MAX, 1, ACT_WORKERS_MAX);
    CHECK_REFUSED(ports_max, ACT_PORTS_MAX + 1, 0, ACT_PORTS_MAX);
    CHECK_REFUSED(actors_max, 0, 1, ACT_ACTORS_MAX);
    CHECK_REFUSED(actors_max, ACT_ACTORS_MAX + 1, 1, ACT_ACTORS_MAX);
    CHECK_REFUSED(mailbox_max, 0, 1, 1u << 30);
    CHECK_REFUSED(mailbox_max, (1u << 30) + 1, 1, 1u << 30);
    CHECK_REFUSED(spin_us, 1000001, 0, 1000000);
    CHECK_REFUSED(turn_max, 0, 1, 65536);
    CHECK_REFUSED(turn_max, 65537, 1, 65536);
    CHECK_REFUSED(pool_bytes_max, 0, 1 << 20, UINT64_MAX);
    CHECK_REFUSED(pool_bytes_max, (1 << 20) - 1, 1 << 20, UINT64_MAX);
}

static uint32_t allowed(uint32_t cpus[CPU_SETSIZE])
{
    cpu_set_t set;
    uint32_t count = 0;

    CPU_ZERO(&set);
    cr_assert_eq(sched_getaffinity(0, sizeof set, &set), 0);
    for (uint32_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &set)) cpus[count++] = cpu;
    return count;
}

/* runtime.h: pin worker k to the k-th CPU of `cpus`, or of those allowed. */
Test(options, pinning_needs_cpus_that_exist)
{
    static uint32_t cpus[CPU_SETSIZE];
    const uint32_t count = allowed(cpus);
    struct act_runtime_options o = defaults();
    struct act_error why;
    char expected[64];

    o.pin = true;
    if (count < ACT_WORKERS_MAX) {
        o.workers = count;
        accepts(o, "pin");
        o.workers = count + 1;
        cr_assert_eq(start(&o, &why), -EINVAL);
        snprintf(expected, sizeof expected, "pin: %u workers, but the process may use %u CPUs",
                 count + 1, count);
        cr_assert_eq(strncmp(why.text, expected, strlen(expected)), 0, "%s", why.text);
    }

    /* cpu_count: at least workers. */
    uint32_t same[3] = {cpus[0], cpus[0], cpus[0]};
    o.workers = 2;
    o.cpus = same;
    for (o.cpu_count = 1; o.cpu_count <= 3; o.cpu_count++) {
        if (o.cpu_count >= 2) {
            accepts(o, "cpu_count");
            continue;
        }
        cr_assert_eq(start(&o, &why), -EINVAL);
        cr_assert_str_eq(why.text, "cpu_count is 1; accepted is at least workers, 2");
    }

    /* Every CPU one that the process may use; those beyond `workers` do not matter. */
    const uint32_t bad[] = {CPU_SETSIZE, UINT32_MAX, CPU_SETSIZE - 1};
    for (uint32_t i = 0; i < 3; i++) {
        if (bad[i] == cpus[count - 1]) continue;
        o.cpu_count = 3;
        same[1] = cpus[0];
        same[2] = bad[i];
        accepts(o, "cpus beyond workers");
        same[1] = bad[i];
        cr_assert_eq(start(&o, &why), -EINVAL);
        snprintf(expected, sizeof expected, "cpus[1] is %u; ", bad[i]);
        cr_assert_eq(strncmp(why.text, expected, strlen(expected)), 0, "%s", why.text);
    }
    o.pin = false;
    accepts(o, "cpus without pin");
}

static struct world w;

static void note_cpus(struct probe *p, void *set)
{
    p->result = sched_getaffinity(0, sizeof(cpu_set_t), set);
}

static void check_pins(struct act_runtime_options *o, const uint32_t *expected)
{
    world_start(&w, o);
    for (uint32_t k = 0; k < o->workers; k++) {
        cpu_set_t set;
        struct probe *p = world_probe(&w, k, 0);
        run_in(&w, p->self, note_cpus, &set);
        cr_assert_eq(p->result, 0);
        cr_assert_eq(CPU_COUNT(&set), 1);
        cr_assert(CPU_ISSET(expected[k], &set), "worker %u", k);
    }
    world_stop(&w);
}

Test(options, pinned_workers_stay_on_their_cpus)
{
    static uint32_t cpus[CPU_SETSIZE];
    const uint32_t count = allowed(cpus);
    struct act_runtime_options o = world_options(count < 2 ? count : 2);

    o.pin = true;
    check_pins(&o, cpus);

    uint32_t *backwards = act_memory_take(2 * sizeof *backwards);
    backwards[0] = cpus[count < 2 ? 0 : 1];
    backwards[1] = cpus[0];
    o.cpus = backwards;
    o.cpu_count = 2;
    check_pins(&o, backwards);
    act_memory_give(backwards, 2 * sizeof *backwards);
}

/* runtime.h: workers 0 = one per core the process may use. */
Test(options, one_worker_per_usable_core)
{
    static uint32_t cpus[CPU_SETSIZE];
    struct act_runtime_options o = world_options(0);
    cpu_set_t one;

    if (allowed(cpus) <= 4) {
        world_start(&w, &o);
        cr_assert_eq(act_runtime_workers(w.runtime), allowed(cpus));
        world_stop(&w);
    }
    CPU_ZERO(&one);
    CPU_SET(cpus[0], &one);
    cr_assert_eq(sched_setaffinity(0, sizeof one, &one), 0);
    world_start(&w, &o);
    cr_assert_eq(act_runtime_workers(w.runtime), 1);
    world_stop(&w);
    o.workers = 3;
    world_start(&w, &o);
    cr_assert_eq(act_runtime_workers(w.runtime), 3);
    world_stop(&w);
}
