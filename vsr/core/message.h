/**
 * Reading and writing messages.
 */
#ifndef VSR_CORE_MESSAGE_H
#define VSR_CORE_MESSAGE_H

#include "assert.h"

#include <vsr/replica.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/**
 * How far ahead of the bytes being written the next ones are fetched.
 *
 * A buffer comes back from another core, which has its lines; fetched one by one as they are
 * written, they cost more than all else that a request needs.
 */
enum { WRITE_AHEAD = 512 };

/** The same for bytes that another core has written and this one reads for the first time. */
enum { READ_AHEAD = 512 };

/** Loads a word by itself. See copy_words. */
static inline uint64_t load_word(const uint64_t *from)
{
    uint64_t word = *from;
    __asm__("" : "+r"(word)); /* keeps the compiler from making one wide load of two words */
    return word;
}

/** Loads a buffer's words one by one, as they were stored a moment ago. See copy_words. */
static inline struct vsr_buffer load_buffer(const struct vsr_buffer *from)
{
    struct vsr_buffer buffer = *from;
    __asm__("" : "+r"(buffer.header), "+r"(buffer.handle));
    return buffer;
}

/**
 * Copies what a payload takes in a message, by words of 8 bytes.
 *
 * Most payloads are a few words, too few for a call of memcpy; and words that were stored a moment
 * ago are loaded as they were stored, where a wider load would wait for the stores to retire.
 * Shape: both sides have VSR_PADDED(bytes) bytes; they do not overlap.
 */
static inline void copy_words(void *to, const void *from, uint32_t bytes)
{
    for (uint32_t at = 0; at < bytes; at += 8) {
        uint64_t word;
        memcpy(&word, (const uint8_t *)from + at, 8);
        word = load_word(&word);
        memcpy((uint8_t *)to + at, &word, 8);
    }
}

/**
 * Steps over a request or reply of `bytes` bytes.
 *
 * Where the next one begins is known only once this one's size is loaded: a walk over a message
 * would wait for one load after the other. Most are as large as the one before, so the step takes
 * that for granted and a branch, mostly predicted, corrects it: the loads then overlap.
 * Shape: *size is the last one's size, 0 before the first.
 */
static inline uint32_t step_over(uint32_t offset, uint32_t bytes, uint32_t *size)
{
    if (__builtin_expect(bytes != *size, 0)) {
        *size = bytes;
        __asm__("" : "+r"(*size)); /* keeps the compiler from adding `bytes` after all */
    }
    return offset + *size;
}

/* vsr_read_<message>: a message as what its type says it is. Whoever made it, or admission, has
 * seen to its type and size. */
#define X(name, text, body, ...)                                                                   \
    static inline const struct vsr_##body *vsr_read_##body(const struct vsr_header *m)             \
    {                                                                                              \
        VSR_DCHECK(m->type == VSR_##name);                                                         \
        return (const struct vsr_##body *)(const void *)m;                                         \
    }
VSR_MESSAGES(X)
#undef X

static inline const struct vsr_request *request_at(const void *message, uint32_t offset)
{
    return (const struct vsr_request *)(const void *)((const uint8_t *)message + offset);
}

static inline uint32_t request_bytes(const struct vsr_request *request)
{
    return (uint32_t)sizeof *request + VSR_PADDED(request->payload_bytes);
}

/** What requests have to be: of a kind (VSR_KIND_COUNT = of any known one), no payload above. */
struct vsr_request_bounds {
    uint32_t payload_bytes_max;
    uint8_t kind;
};

/** Whether `count` such requests fill the message exactly from `offset` to its end. */
bool vsr_requests_are_well_formed(const struct vsr_header *header, uint32_t offset,
                                  struct vsr_request_bounds bounds);
/** Whether a Prepare of `view`, or one that an answer of this view carries, can be an entry of our
 * log by what stands before its requests: sizes, kind, views. */
bool vsr_entry_may_enter(const struct vsr_replica_options *o, vsr_view view,
                         const struct vsr_prepare *prepare);
/** ... and by its requests. What it is called is not looked at. Source: rule G0. */
bool vsr_entry_is_well_formed(const struct vsr_replica_options *o, vsr_view view,
                              const struct vsr_prepare *prepare);

#endif
