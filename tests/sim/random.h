/**
 * Numbers drawn from a seed, one stream per purpose: a fault added to one stream leaves what the
 * others draw as it was.
 */
#ifndef SIM_RANDOM_H
#define SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

__extension__ typedef unsigned __int128 sim_u128;

struct random {
    uint64_t state;
};

/** splitmix64 (Steele, Lea, Flood 2014): every seed is a good one. */
static inline uint64_t random_next(struct random *r)
{
    uint64_t z = (r->state += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

static inline struct random random_stream(uint64_t seed, uint64_t purpose)
{
    struct random mix = {seed * 0xD1342543DE82EF95ull + purpose};
    return (struct random){random_next(&mix)};
}

/** 0..count-1; 0 when count is 0. By the high half of a product, after Lemire 2019. */
static inline uint64_t random_below(struct random *r, uint64_t count)
{
    return (uint64_t)(((sim_u128)random_next(r) * count) >> 64);
}

/** low..high, both included. */
static inline uint64_t random_between(struct random *r, uint64_t low, uint64_t high)
{
    return low + random_below(r, high - low + 1);
}

static inline bool random_percent(struct random *r, uint32_t percent)
{
    return random_below(r, 100) < percent;
}

static inline bool random_ppm(struct random *r, uint32_t per_million)
{
    return per_million != 0 && random_below(r, 1000000) < per_million;
}

/** About exponential, of the given mean, in whole numbers: the same on every machine. */
static inline uint64_t random_exponential(struct random *r, uint64_t mean)
{
    uint64_t bits = random_next(r);
    uint64_t halvings = (uint64_t)__builtin_clzll(bits | 1);
    uint64_t part = random_next(r) >> 54; /* of the next halving, in 1024ths */
    return mean * (halvings * 1024 + part) * 710 / (1024 * 1024);
}

#endif
