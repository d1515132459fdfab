/**
 * A hash table of word strings. See word_set.h.
 */
#include "word_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sim_require(bool condition, const char *what)
{
    if (condition) return;
    fprintf(stderr, "linearizable: %s\n", what);
    abort();
}

void *sim_allocate(void *old, size_t count, size_t bytes)
{
    void *memory = realloc(old, count * bytes + 1); /* 0 bytes would mean free */

    sim_require(memory != NULL, "out of memory");
    return memory;
}

void word_set_init(struct word_set *set)
{
    *set = (struct word_set){.slots_count = 64};
    set->slots = sim_allocate(NULL, set->slots_count, sizeof *set->slots);
    memset(set->slots, 0, set->slots_count * sizeof *set->slots);
}

void word_set_deinit(struct word_set *set)
{
    free(set->slots);
    free(set->words);
}

static void grow(struct word_set *set)
{
    size_t old_count = set->slots_count;
    struct word_set_slot *old = set->slots;

    set->slots_count *= 2;
    set->slots = sim_allocate(NULL, set->slots_count, sizeof *set->slots);
    memset(set->slots, 0, set->slots_count * sizeof *set->slots);
    for (size_t i = 0; i < old_count; i++) {
        if (old[i].end == 0) continue;
        size_t at = old[i].hash & (set->slots_count - 1);
        while (set->slots[at].end != 0)
            at = (at + 1) & (set->slots_count - 1);
        set->slots[at] = old[i];
    }
    free(old);
}

uint32_t *word_set_reserve(struct word_set *set, size_t count)
{
    if (set->words_count + count + 1 > set->words_max) {
        set->words_max = 2 * set->words_max + count + 1024;
        set->words = sim_allocate(set->words, set->words_max, sizeof *set->words);
    }
    return set->words + set->words_count;
}

bool word_set_add(struct word_set *set, uint32_t count)
{
    uint32_t *string = set->words + set->words_count;
    uint64_t hash = count;

    for (uint32_t i = 0; i < count; i++) {
        hash = (hash ^ string[i]) * 0x9E3779B97F4A7C15ull;
        hash ^= hash >> 32;
    }
    size_t at = hash & (set->slots_count - 1);
    for (; set->slots[at].end != 0; at = (at + 1) & (set->slots_count - 1)) {
        const uint32_t *end = set->words + set->slots[at].end;
        if (set->slots[at].hash == hash && end[-1] == count &&
            memcmp(end - 1 - count, string, count * sizeof *string) == 0)
            return false;
    }
    string[count] = count;
    set->words_count += count + 1;
    set->slots[at] = (struct word_set_slot){.hash = hash, .end = set->words_count};
    if (++set->strings_count * 2 > set->slots_count) grow(set);
    return true;
}
