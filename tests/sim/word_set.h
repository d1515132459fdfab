/**
 * A set of strings of 32-bit words, for the checker in linearizable.c.
 *
 * Aborts where memory runs out: so do all of the checker's functions.
 */
#ifndef SIM_WORD_SET_H
#define SIM_WORD_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Aborts with a message unless the condition holds; assert() does nothing in release builds. */
void sim_require(bool condition, const char *what);
/** realloc that does not fail. */
void *sim_allocate(void *old, size_t count, size_t bytes);

struct word_set_slot {
    uint64_t hash;
    size_t end; /* in words, after the string; 0: an empty slot */
};

struct word_set {
    struct word_set_slot *slots; /* open addressing, at most half full */
    size_t slots_count;          /* a power of two */
    size_t strings_count;
    uint32_t *words; /* the strings one after the other, each ends with its length */
    size_t words_count;
    size_t words_max;
};

void word_set_init(struct word_set *set);
/** Room for a string of up to `count` words, good until the next call. */
uint32_t *word_set_reserve(struct word_set *set, size_t count);
/** Adds the first `count` words of the room reserved last; false if that string was in it before.
 */
bool word_set_add(struct word_set *set, uint32_t count);
void word_set_deinit(struct word_set *set);

#endif
