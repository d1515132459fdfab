/**
 * The fuzzer's entry.
 */
#ifndef VSR_FUZZ_STEP_H
#define VSR_FUZZ_STEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Prints each message, and what the replica makes of it. */
extern bool fuzz_is_tracing;

/** Runs one input. Returns 0; a broken replica aborts. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

#endif
