/**
 * A load for a cluster under test, whose every answer is checked.
 *
 * Each session adds 1 to a counter of its own, again and again: the counter's value tells whether
 * an operation was executed once, and the session whether it was answered once.
 */
#ifndef TESTS_NODE_LOAD_H
#define TESTS_NODE_LOAD_H

#include <act/actor.h>
#include <act/port.h>
#include <act/runtime.h>
#include <vsr/cluster.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { LOAD_CLIENTS = 2, LOAD_SESSIONS = 40 };

/** Of all that is random in a test; printed when a claim fails. */
extern uint64_t load_seed;

#define CHECK(claim)                                                                               \
    do {                                                                                           \
        if (!(claim)) {                                                                            \
            fprintf(stderr, "seed %llu: not so: %s (%s:%d)\n", (unsigned long long)load_seed,      \
                    #claim, __FILE__, __LINE__);                                                   \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

struct load {
    struct vsr_cluster *cluster;
    atomic_uint is_over; /* relaxed, as all counters here: they carry numbers, no memory */
    struct load_client {
        struct load *load;
        act_id id;
        uint32_t first;
        uint64_t submitted[LOAD_SESSIONS];
        uint64_t answered[LOAD_SESSIONS];
        atomic_ullong total;
        atomic_uint waiting;
        atomic_uint has_stopped;
    } clients[LOAD_CLIENTS];
};

uint64_t load_random(uint64_t *state);
void load_sleep_ms(uint32_t ms);
/** vsr_machine_create: counters enough for every session. */
int load_create_machine(void *context, uint32_t replica, struct vsr_state_machine *machine);

/** Starts a runtime whose workers hardly spin, and opens a port of it. */
struct act_runtime *load_start_runtime(uint32_t workers, struct act_port **port);

/* The thread that starts and stops the clients has a port. */

void load_start(struct load *load, struct vsr_cluster *cluster, uint32_t requests_per_message);
uint64_t load_answered(struct load *load);
/** Waits for that many answers more. */
void load_await(struct load *load, uint64_t answers);
/** Submits no more, and waits until all is answered. */
void load_finish(struct load *load);
/** All replicas have executed just what was answered, and are the same. Returns how much it is. */
uint64_t load_verify(struct load *load);
void load_stop(struct load *load);

#endif
