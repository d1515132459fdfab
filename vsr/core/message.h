/**
 * Writing messages.
 */
#ifndef VSR_CORE_MESSAGE_H
#define VSR_CORE_MESSAGE_H

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

#endif
