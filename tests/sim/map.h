/**
 * From a 64-bit key to a 64-bit value. Open addressing; keys are never removed one by one.
 */
#ifndef SIM_MAP_H
#define SIM_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct map_entry {
    uint64_t key; /* + 1, so that 0 is an empty place */
    uint64_t value;
};

struct map {
    struct map_entry *entries;
    size_t mask; /* one less than the places; 0 = none yet */
    size_t count;
};

static inline size_t map_place(const struct map *map, uint64_t key)
{
    size_t at = (size_t)((key * 0x9E3779B97F4A7C15ull) >> 20) & map->mask;
    while (map->entries[at].key != 0 && map->entries[at].key != key + 1)
        at = (at + 1) & map->mask;
    return at;
}

static inline void map_grow(struct map *map)
{
    const struct map old = *map;
    size_t places = old.mask == 0 ? 1024 : (old.mask + 1) * 2;

    map->entries = calloc(places, sizeof *map->entries);
    if (map->entries == NULL) abort();
    map->mask = places - 1;
    for (size_t i = 0; old.mask != 0 && i <= old.mask; i++)
        if (old.entries[i].key != 0)
            map->entries[map_place(map, old.entries[i].key - 1)] = old.entries[i];
    free(old.entries);
}

/** The value's place, or NULL. Good until the next map_put. */
static inline uint64_t *map_find(const struct map *map, uint64_t key)
{
    if (map->mask == 0) return NULL;
    struct map_entry *entry = &map->entries[map_place(map, key)];
    return entry->key != 0 ? &entry->value : NULL;
}

/** Puts a value where none is; returns the place of the one that is there in the end. */
static inline uint64_t *map_put(struct map *map, uint64_t key, uint64_t value)
{
    if (map->mask == 0 || map->count * 2 > map->mask) map_grow(map);
    struct map_entry *entry = &map->entries[map_place(map, key)];
    if (entry->key == 0) {
        *entry = (struct map_entry){.key = key + 1, .value = value};
        map->count++;
    }
    return &entry->value;
}

static inline void map_deinit(struct map *map)
{
    free(map->entries);
    *map = (struct map){0};
}

#endif
