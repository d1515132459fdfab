/**
 * What every part of the library counts and limits, and the buffers that messages live in.
 */
#ifndef VSR_TYPES_H
#define VSR_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define VSR_MUST_CHECK __attribute__((warn_unused_result))
#define VSR_VISIBILITY(action) _Pragma(action)
#else
#define VSR_MUST_CHECK
#define VSR_VISIBILITY(action)
#endif

/* Around the functions of a public header: they have C's names in C++ too, and a shared library,
 * which is compiled with hidden symbols, shows them and no other. */
#ifdef __cplusplus
#define VSR_STATIC_ASSERT static_assert
#define VSR_DECLARATIONS_BEGIN                                                                     \
    VSR_VISIBILITY("GCC visibility push(default)")                                                 \
    extern "C" {
#define VSR_DECLARATIONS_END                                                                       \
    }                                                                                              \
    VSR_VISIBILITY("GCC visibility pop")
#else
#define VSR_STATIC_ASSERT _Static_assert /* no <assert.h>: a program may have one of its own */
#define VSR_DECLARATIONS_BEGIN VSR_VISIBILITY("GCC visibility push(default)")
#define VSR_DECLARATIONS_END VSR_VISIBILITY("GCC visibility pop")
#endif

/** Numbers a batch of requests in the log; the first is 1. */
typedef uint64_t vsr_op;
typedef uint64_t vsr_view;
typedef uint32_t vsr_epoch;
/** Op number of the Register that opened a session; with the session's slot it is unique. */
typedef uint64_t vsr_session;
typedef uint64_t vsr_checksum;
/** Where a client's replies go. Opaque to the core; the node puts an act_id here. */
typedef uint64_t vsr_address;
/** Numbers a replica's durable effects: {incarnation, count}, 32 bits each. It only rises, over all
 * of the replica's lives. */
typedef uint64_t vsr_sequence;

enum {
    VSR_REPLICAS_MAX = 7,
    VSR_SESSIONS_MAX = 1 << 22,
    VSR_OP_BYTES_MAX = 32768,        /* one request's payload */
    VSR_RESULT_BYTES_MAX = 32768,    /* one reply's payload */
    VSR_MESSAGE_BYTES_MAX = 1 << 20, /* header and body */
    VSR_PIPELINE_MAX = 64,           /* ops prepared and not committed */
    VSR_LOG_OPS_MAX = 1 << 20,
    VSR_CHUNK_BYTES_MAX = 1 << 19, /* of a snapshot in one message */
};

/**
 * The highest view: 2^64 - 2^32. What names a higher one is no message, so bytes that are all ones
 * take nobody to where no view follows.
 */
#define VSR_VIEW_MAX (UINT64_MAX - UINT32_MAX)

struct vsr_header;

/** A message and the host's name for the memory it lies in. */
struct vsr_buffer {
    struct vsr_header *header; /* 8-byte aligned; NULL = no buffer */
    void *handle;
};

/**
 * Where messages come from: the runtime's pool in a node, a counter over malloc in a simulator.
 *
 * Exhaustion is an ordinary answer: take then returns false and the core waits or answers Busy.
 */
struct vsr_buffers {
    void *context;
    /** Gives a buffer of at least `bytes` (<= VSR_MESSAGE_BYTES_MAX), not cleared. */
    bool (*take)(void *context, uint32_t bytes, struct vsr_buffer *out);
    /** Gives a second handle to the same bytes, which are read-only from then on; NULL = exhausted.
     */
    void *(*ref)(void *context, void *handle);
    void (*unref)(void *context, void *handle);
};

enum { VSR_ERROR_TEXT_BYTES = 768 };

/** Why an option was refused, or what the world said. `text` is always the whole sentence; the rest
 * is for programs: `option` was `value`; accepted is min..max, and `rule` says more. */
struct vsr_error {
    const char *option;
    uint64_t value;
    uint64_t min;
    uint64_t max;
    const char *rule; /* "" when the range says it all */
    /** All of it in words: which option or file, its value, what is accepted, what to do. */
    char text[VSR_ERROR_TEXT_BYTES];
};

#endif
