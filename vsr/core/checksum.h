/**
 * The checksum of log entries: 64 bits, fast, for accidents and not for attackers.
 *
 * Two independent lanes of multiply-and-fold over 16 bytes each: a 64 x 64 -> 128 bit product whose
 * halves are XORed diffuses every input bit over the output, and two lanes keep the multiplier
 * busy. 16 KiB take about 1 us; the log's hash chain costs 2 ns per 40-byte request.
 */
#ifndef VSR_CORE_CHECKSUM_H
#define VSR_CORE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

__extension__ typedef unsigned __int128 vsr_u128;

/* Odd constants with about half of their bits set: fractions of the square roots of 2, 3, 5, 7. */
#define VSR_MIX_0 0x6A09E667F3BCC909ull
#define VSR_MIX_1 0xBB67AE8584CAA73Bull
#define VSR_MIX_2 0x3C6EF372FE94F82Bull
#define VSR_MIX_3 0xA54FF53A5F1D36F1ull

static inline uint64_t checksum_fold(uint64_t a, uint64_t b)
{
    vsr_u128 product = (vsr_u128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t checksum_load(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

/** The checksum of `count` bytes that continue what `seed` sums up. */
static inline uint64_t vsr_checksum_of(uint64_t seed, const void *data, size_t count)
{
    const uint8_t *bytes = data;
    uint64_t lane_0 = seed ^ VSR_MIX_0;
    uint64_t lane_1 = seed ^ VSR_MIX_1;
    size_t left = count;

    for (; left >= 32; left -= 32, bytes += 32) {
        lane_0 = checksum_fold(lane_0 ^ checksum_load(bytes), VSR_MIX_2 ^ checksum_load(bytes + 8));
        lane_1 = checksum_fold(lane_1 ^ checksum_load(bytes + 16),
                               VSR_MIX_3 ^ checksum_load(bytes + 24));
    }
    for (; left >= 8; left -= 8, bytes += 8)
        lane_0 = checksum_fold(lane_0 ^ checksum_load(bytes), VSR_MIX_2);
    if (left > 0) {
        uint64_t tail = 0;
        memcpy(&tail, bytes, left);
        lane_1 = checksum_fold(lane_1 ^ tail, VSR_MIX_3);
    }
    /* The length goes in last, so that trailing zeros count. */
    return checksum_fold(lane_0 ^ VSR_MIX_1, lane_1 ^ (uint64_t)count ^ VSR_MIX_0);
}

#endif
