/**
 * The checksum of log entries, snapshots and superblocks: XXH3, for accidents and not for
 * attackers.
 *
 * 128 bits of XXH3, folded to 64. The shorter XXH3_64bits multiplies pairs of words: one that
 * equals a word of its secret makes the product zero and hides its neighbour. The longer one adds
 * each word to the other half too, so no word at any place hides another, and it costs the same
 * from 1 KiB on.
 */
#ifndef VSR_CORE_CHECKSUM_H
#define VSR_CORE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* xxhash.h wants C11's <assert.h>; where this folder is searched it finds the core's own. */
#ifndef static_assert
#define static_assert _Static_assert
#endif
/* Header only: its functions become our own, and nothing is linked. The one library of the core. */
#define XXH_INLINE_ALL
#include <xxhash.h>

/** The checksum of `count` bytes that continue what `seed` sums up. */
static inline uint64_t vsr_checksum_of(uint64_t seed, const void *data, size_t count)
{
    XXH128_hash_t sum = XXH3_128bits_withSeed(data, count, seed);
    return sum.low64 ^ sum.high64;
}

/**
 * What the checksums of a cluster begin with, so that no bytes of a file, and no entry of another
 * cluster, pass for an entry of this one.
 *
 * Shape: one to one: mixed, because ids are small numbers and XXH3 adds its seed to its secret.
 */
static inline uint64_t vsr_checksum_seed(uint64_t cluster)
{
    return XXH64_avalanche(cluster + 0x9E3779B97F4A7C15ull);
}

#endif
