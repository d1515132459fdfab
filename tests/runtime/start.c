/**
 * Starts that fail half-way leave nothing behind: no memory, no file, no thread.
 *
 * pthread_create is wrapped by the linker, so that the n-th one can fail.
 */
#include "fixture.h"
#include "leak_check.h"
#include "memory.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

LEAK_CHECKED_SUITE(start);

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *argument);

static uint32_t threads_left = UINT32_MAX;

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *argument)
{
    if (threads_left == 0) return EAGAIN;
    threads_left--;
    return __real_pthread_create(thread, attributes, run, argument);
}

static uint32_t entries_of(const char *directory)
{
    DIR *d = opendir(directory);
    uint32_t count = 0;

    cr_assert_not_null(d);
    while (readdir(d) != NULL)
        count++;
    closedir(d);
    return count;
}

struct held {
    size_t bytes;
    size_t files;
    size_t threads;
};

static struct held held_now(void)
{
    return (struct held){
        .bytes = act_memory_held(),
        .files = entries_of("/proc/self/fd"),
        .threads = entries_of("/proc/self/task"),
    };
}

static bool is_as_before(void *before)
{
    const struct held now = held_now();
    return memcmp(&now, before, sizeof now) == 0;
}

static void check(struct held before)
{
    cr_assert_eq(act_memory_held(), before.bytes);
    cr_assert_eq(entries_of("/proc/self/fd"), before.files);
    /* A thread that was joined may be seen for a moment. */
    cr_assert(wait_until(is_as_before, &before));
}

static int try_to_start(uint32_t workers, struct act_error *why)
{
    struct act_runtime_options o = world_options(workers);
    struct act_runtime *runtime = NULL;

    o.ports_max = 2;
    int error = act_runtime_start(&o, &runtime, why);
    cr_assert_eq(error == 0, runtime != NULL);
    if (error == 0) cr_assert_eq(act_runtime_stop(runtime), 0);
    return error;
}

/* runtime.h: -ENOMEM; then nothing is left behind. Each allocation fails once. */
Test(start, every_allocation_fails_once)
{
    const struct held before = held_now();
    struct act_error why;
    unsigned long nth = 1;

    for (;; nth++) {
        why.text[0] = '\0';
        act_memory_fail_at(nth);
        int error = try_to_start(3, &why);
        act_memory_fail_at(0);
        check(before);
        if (error == 0) break;
        cr_assert_eq(error, -ENOMEM, "allocation %lu", nth);
        cr_assert_neq(why.text[0], '\0', "allocation %lu", nth);
    }
    cr_assert_gt(nth, 30);
}

/* The same without anybody who asks why. */
Test(start, every_allocation_fails_unasked)
{
    const struct held before = held_now();
    unsigned long nth = 1;

    do {
        act_memory_fail_at(nth++);
    } while (try_to_start(1, NULL) != 0);
    act_memory_fail_at(0);
    check(before);
}

/* runtime.h: another negative errno of opening files; every file fails once. */
Test(start, every_file_fails_once)
{
    const struct held before = held_now();
    struct rlimit limit;
    struct rlimit low;
    struct act_error why;
    uint32_t failures = 0;
    int error;

    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    for (low.rlim_cur = 0;; low.rlim_cur++) {
        why.text[0] = '\0';
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
        error = try_to_start(3, &why);
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        check(before);
        if (error == 0) break;
        cr_assert_eq(error, -EMFILE);
        cr_assert_not_null(strstr(why.text, "3 workers"), "%s", why.text);
        failures++;
    }
    cr_assert_geq(failures, 6, "two files a worker");
}

/* runtime.h: of thread creation; those that run already end. */
Test(start, every_thread_fails_once)
{
    const struct held before = held_now();
    struct act_error why;

    for (uint32_t threads = 0; threads <= 3; threads++) {
        why.text[0] = '\0';
        threads_left = threads;
        int error = try_to_start(3, &why);
        threads_left = UINT32_MAX;
        check(before);
        cr_assert_eq(error, threads < 3 ? -EAGAIN : 0);
        if (error != 0) cr_assert_not_null(strstr(why.text, "3 workers"), "%s", why.text);
    }
}

/* Nothing that a runtime does after its start needs a new thread. */
Test(start, no_thread_is_made_afterwards)
{
    static struct probe p;
    struct act_runtime_options o = world_options(2);
    const struct held before = held_now();
    struct world w;

    world_start(&w, &o);
    threads_left = 0;
    for (uint32_t i = 0; i < 3000; i++) {
        struct act_spawn_options s = {
            .behaviour = &probe_behaviour, .state = &p, .name = i % 2 == 0 ? "even" : "odd"};
        p = (struct probe){0};
        cr_assert_eq(act_spawn(&s, &p.self), 0);
        world_end(&w, &p, 0);
    }
    world_stop(&w);
    threads_left = UINT32_MAX;
    check(before);
}

/* A runtime that was started and stopped leaves nothing, and two may run side by side. */
Test(start, runtimes_come_and_go)
{
    const struct held before = held_now();
    struct act_runtime_options o = world_options(2);
    struct act_runtime *runtimes[2];

    for (uint32_t round = 0; round < 10; round++) {
        cr_assert_eq(act_runtime_start(&o, &runtimes[0], NULL), 0);
        cr_assert_eq(act_runtime_start(&o, &runtimes[1], NULL), 0);
        cr_assert_eq(act_runtime_stop(runtimes[round % 2]), 0);
        cr_assert_eq(act_runtime_stop(runtimes[(round + 1) % 2]), 0);
    }
    check(before);
}

/** Signals that a thread of this process blocks, a bit each; ours when tid is 0. */
static uint64_t blocked_by(const char *tid)
{
    char path[64];
    char line[128];
    unsigned long long mask = 0;

    snprintf(path, sizeof path, "/proc/self/task/%s/status", tid);
    FILE *f = fopen(path, "r");
    if (f == NULL) return UINT64_MAX; /* It has ended meanwhile. */
    while (fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "SigBlk: %llx", &mask) == 1) break;
    fclose(f);
    return mask;
}

/* thread.h: the program's signals are the program's: blocked after the start and waited for, they
 * kill no worker. */
Test(start, signals_stay_with_the_program)
{
    const struct timespec patience = {.tv_sec = 20};
    struct act_runtime_options o = world_options(3);
    struct world world;
    struct dirent *entry;
    char main_tid[16];
    uint32_t others = 0;
    sigset_t set;

    world_start(&world, &o);
    snprintf(main_tid, sizeof main_tid, "%d", (int)gettid());
    DIR *d = opendir("/proc/self/task");
    cr_assert_not_null(d);
    while ((entry = readdir(d)) != NULL) {
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, main_tid) == 0) continue;
        const uint64_t mask = blocked_by(entry->d_name);
        others++;
        cr_expect((mask >> (SIGTERM - 1) & 1) != 0, "thread %s takes SIGTERM", entry->d_name);
    }
    closedir(d);
    cr_assert_geq(others, 3, "the workers");
    cr_assert((blocked_by(main_tid) >> (SIGTERM - 1) & 1) == 0, "our own mask is as before");

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    cr_assert_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    cr_assert_eq(kill(getpid(), SIGTERM), 0);
    cr_assert_eq(sigtimedwait(&set, NULL, &patience), SIGTERM);
    world_stop(&world);
}
