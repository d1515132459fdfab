/**
 * A runtime with one port under test, and actors that do what a test tells them.
 *
 * A test reads like one thread: run_in() has an actor call a function in its handler and waits, so
 * what the function noted may be looked at afterwards.
 */
#ifndef TESTS_RUNTIME_FIXTURE_H
#define TESTS_RUNTIME_FIXTURE_H

#include <act/actor.h>
#include <act/call.h>
#include <act/message.h>
#include <act/port.h>
#include <act/runtime.h>
#include <act/timer.h>

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SECOND 1000000000ull
/** Longer than anything takes; a test that waits so long has failed. */
#define PATIENCE (20 * SECOND)

enum { PROBE_LOG = 4096 };

/** Types of the fixture's messages; a test's own are below. */
enum { TYPE_RUN = 0x1000, TYPE_RAN, TYPE_STOPPED, TYPE_TURN };

struct received {
    uint32_t type;
    uint32_t turn; /* turns that ended before it came */
    act_id from;
    uint64_t value; /* the body's first 8 bytes; 0 when it is shorter */
    act_call_id call;
};

/** An actor's state: it logs every message but those of run_in. */
struct probe {
    struct received log[PROBE_LOG];
    uint32_t count;
    uint32_t turns; /* turn_end calls */
    int reason;     /* of its stop */
    uint32_t stops; /* calls of `stopped` */
    void (*at_turn_end)(struct probe *probe);
    void (*at_stop)(struct probe *probe);
    act_id other; /* for the test's own use */
    act_id self;
    int result;
};

extern const struct act_behaviour probe_behaviour;

struct world {
    struct act_runtime *runtime;
    struct act_port *port;
    act_id port_id;
};

/** Options of a small runtime: these workers, one port, everything else by default. */
struct act_runtime_options world_options(uint32_t workers);
/** Starts a runtime and opens a port. */
void world_start(struct world *w, const struct act_runtime_options *options);
/** Closes the port and stops the runtime; nothing may be left over. */
void world_stop(struct world *w);

/** A new probe on a worker; it may be looked at until the next world_start. */
struct probe *world_probe(struct world *w, uint32_t worker, uint32_t mailbox_max);

/** Has the actor call run(argument) in its handler, and waits until it has. */
void run_in(struct world *w, act_id actor, void (*run)(struct probe *, void *), void *argument);
/** The same without waiting: the answer, TYPE_RAN, is the caller's to receive. Any thread. */
void start_in(act_id actor, void (*run)(struct probe *, void *), void *argument);

/** Waits until everything that the port has sent to the probe so far was handled. */
void world_sync(struct world *w, const struct probe *probe);
/** Waits until the probe has received so many messages; other lanes than the port's may be slower.
 */
void world_await(struct world *w, const struct probe *probe, uint32_t count);
/** Stops the probe and waits for its end. Returns the reason that the monitor gave. */
int world_end(struct world *w, const struct probe *probe, int reason);

/** Sends a message with a number; ends it when it is refused. Any thread of the runtime. */
int send_value(act_id to, uint32_t type, uint64_t value);
/** Receives the next message to the port, which has to be of this type; returns its number. */
uint64_t expect(struct world *w, uint32_t type);
/** Receives the next DOWN message. */
struct act_down expect_down(struct world *w);
/** Nothing waits for the port now. */
void expect_nothing(struct world *w);

struct act_runtime_stats world_stats(const struct world *w);
/** Waits until a condition holds that other threads bring about; it is asked again and again. */
bool wait_until(bool (*holds)(void *argument), void *argument);

/** A gate that a handler holds its worker at, until the test opens it. */
struct gate {
    atomic_int is_reached;
    atomic_int is_open;
};

/** For run_in and start_in: the handler waits at the gate. */
void wait_at_gate(struct probe *probe, void *gate);
/** Holds a probe's worker in the handler; returns when it is there. */
void gate_shut(struct gate *gate, const struct probe *probe);
/** Lets the worker go on; the probe's TYPE_RAN is received. */
void gate_open(struct world *w, struct gate *gate);

#endif
