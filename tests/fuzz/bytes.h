/**
 * The fuzzer's bytes, taken one after the other; behind the last one there are zeros.
 */
#ifndef VSR_FUZZ_BYTES_H
#define VSR_FUZZ_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
    const uint8_t *at;
    size_t left;
};

static inline uint8_t bytes_take(struct bytes *b)
{
    if (b->left == 0) return 0;
    b->left--;
    return *b->at++;
}

/** Little-endian, of `count` <= 8 bytes. */
static inline uint64_t bytes_take_number(struct bytes *b, uint32_t count)
{
    uint64_t number = 0;

    for (uint32_t i = 0; i < count; i++)
        number |= (uint64_t)bytes_take(b) << 8 * i;
    return number;
}

#endif
