/**
 * What clients submit: operations of the counter machine, the YCSB core workloads, a trace.
 */
#ifndef VSR_BENCH_WORKLOAD_H
#define VSR_BENCH_WORKLOAD_H

#include <vsr/state_machine.h>

#include <stdbool.h>
#include <stdint.h>

enum workload_kind {
    WORKLOAD_COUNTER, /* every session adds 1 to a counter of its own */
    WORKLOAD_YCSB_A,  /* 50 % reads, 50 % updates */
    WORKLOAD_YCSB_B,  /* 95 % reads, 5 % updates */
    WORKLOAD_YCSB_C,  /* reads */
    WORKLOAD_YCSB_F,  /* 50 % reads, 50 % read-modify-writes */
    WORKLOAD_TRACE,   /* a file's lines */
};

enum { WORKLOAD_RECORDS = 1000000, WORKLOAD_VALUE_BYTES = 100, WORKLOAD_KEY_BYTES_MAX = 64 };

struct workload {
    enum workload_kind kind;
    uint32_t op_bytes;     /* of a counter operation: 16 or more */
    uint32_t read_percent; /* YCSB; UINT32_MAX = the workload's own */
    uint32_t sessions;     /* of all clients */
    uint32_t *keys;        /* YCSB: zipfian draws, made ahead */
    uint8_t *trace;        /* encoded operations */
    uint64_t *trace_at;    /* where each begins; one more at the end */
    uint64_t trace_count;
    uint64_t trace_capacity; /* bytes of `trace` */
    uint32_t payload_max;    /* bytes of the largest operation */
};

/** Where one client is in the workload. */
struct workload_cursor {
    uint64_t random;
    uint64_t next; /* of the trace, or of the draws */
    uint64_t step;
};

/** The workload of that name. Returns false for another name. */
bool workload_named(const char *name, enum workload_kind *kind);
const char *workload_name(enum workload_kind kind);

/** Prepares a workload. Returns false, and why in error, without memory. */
bool workload_init(struct workload *w, uint64_t seed, char *error, uint32_t error_bytes);
/**
 * Reads a trace: a line is `get KEY`, `put KEY VALUE`, `swap KEY VALUE` or `delete KEY`; empty
 * lines and lines that begin with # do not count. Returns false, and the line's number in error.
 */
bool workload_load_trace(struct workload *w, const char *path, char *error, uint32_t error_bytes);
void workload_deinit(struct workload *w);

/** A cursor for client `client` of `clients`. */
struct workload_cursor workload_cursor(const struct workload *w, uint64_t seed, uint32_t client,
                                       uint32_t clients);
/**
 * The next operation of a session (global index).
 *
 * Returns: its bytes, in *payload: buffer, or the trace's own; 0 = the trace is at its end.
 */
uint32_t workload_next(const struct workload *w, struct workload_cursor *cursor, uint32_t session,
                       uint8_t *buffer, const void **payload);

/** vsr_machine_create: the machine a workload runs on, filled as it begins. */
int workload_create_machine(void *workload, uint32_t replica, struct vsr_state_machine *machine);
uint32_t workload_result_bytes_max(const struct workload *w);

#endif
