/**
 * What the stress tests share: a claim that prints the seed, random numbers from it, a watchdog.
 *
 * Each test is a program of its own. It prints nothing and exits with 0 unless a claim fails.
 * Options: --seed N, --seconds S (of load; checks come on top), --limit S.
 */
#ifndef TESTS_STRESS_STRESS_H
#define TESTS_STRESS_STRESS_H

#include <act/timer.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *stress_name = "stress";
static uint64_t stress_seed = 1;
static uint64_t stress_ns = 700000000;
/** A run that has not ended after so long never will: a message or a wake-up is lost. */
static uint32_t stress_limit_s = 30;

#define CHECK(claim)                                                                               \
    do {                                                                                           \
        if (!(claim)) stress_fail(#claim, __FILE__, __LINE__);                                     \
    } while (0)

static inline void stress_fail(const char *claim, const char *file, int line)
{
    fprintf(stderr, "%s: seed %llu: not so: %s (%s:%d)\n", stress_name,
            (unsigned long long)stress_seed, claim, file, line);
    _exit(1); /* other threads run on: nothing of theirs is torn down under their feet */
}

static inline void stress_sleep_us(uint32_t us)
{
    const struct timespec pause = {.tv_sec = us / 1000000, .tv_nsec = (long)(us % 1000000) * 1000};
    nanosleep(&pause, NULL);
}

static inline void *stress_watch(void *nothing)
{
    (void)nothing;
    stress_sleep_us(stress_limit_s * 1000000u);
    stress_fail("the test ends in time", __FILE__, __LINE__);
    return NULL;
}

/** Reads the options and starts the watchdog. */
static inline void stress_begin(const char *name, int argc, char **argv)
{
    pthread_t watchdog;

    stress_name = name;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0) stress_seed = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--seconds") == 0) stress_ns = (uint64_t)(atof(argv[i + 1]) * 1e9);
        if (strcmp(argv[i], "--limit") == 0) stress_limit_s = (uint32_t)atoi(argv[i + 1]);
    }
    CHECK(pthread_create(&watchdog, NULL, stress_watch, NULL) == 0);
    CHECK(pthread_detach(watchdog) == 0);
}

/** A generator's first state; `who` keeps threads and actors apart. */
static inline uint64_t random_from_seed(uint64_t who)
{
    return (stress_seed * 0x9E3779B97F4A7C15ull) ^ (who * 0xBF58476D1CE4E5B9ull);
}

/** 0 .. below-1 (Knuth's MMIX generator; the low bits are weak and not used). */
static inline uint32_t random_below(uint64_t *state, uint32_t below)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)((*state >> 33) % below);
}

static inline bool random_one_in(uint64_t *state, uint32_t n)
{
    return random_below(state, n) == 0;
}

/** Counters of the tests: relaxed, they carry nothing. */
static inline void count_up(atomic_ullong *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static inline uint64_t count_of(atomic_ullong *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

#endif
