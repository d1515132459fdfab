/**
 * A small key-value store as a state machine.
 *
 * Bounded: so many records, keys and values up to a size. An operation is a struct
 * vsr_kv_operation, the key, the value; its result a struct vsr_kv_result and maybe a value. Bytes
 * that are no valid operation change nothing and get VSR_KV_MALFORMED.
 */
#ifndef VSR_KV_H
#define VSR_KV_H

#include <vsr/state_machine.h>

VSR_DECLARATIONS_BEGIN

enum vsr_kv_kind {
    VSR_KV_GET,    /* the value */
    VSR_KV_PUT,    /* nothing */
    VSR_KV_SWAP,   /* puts, and returns the value that was there: a read-modify-write */
    VSR_KV_DELETE, /* nothing */
    VSR_KV_KINDS
};

struct vsr_kv_operation {
    uint8_t kind; /* enum vsr_kv_kind */
    uint8_t key_bytes;
    uint16_t value_bytes; /* of PUT and SWAP; else 0 */
    /* key_bytes of key, value_bytes of value */
};

enum vsr_kv_status {
    VSR_KV_OK,
    VSR_KV_NOT_FOUND,
    VSR_KV_FULL,      /* no place for one more record */
    VSR_KV_MALFORMED, /* or a key or value above its bound */
};

struct vsr_kv_result {
    uint16_t status; /* enum vsr_kv_status */
    uint16_t value_bytes;
    /* value_bytes of value */
};

struct vsr_kv_options {
    uint32_t records_max;     /* 1..2^28 */
    uint32_t key_bytes_max;   /* 1..255 */
    uint32_t value_bytes_max; /* 0..4096 */
};

/** Bytes that an operation with such a key and value takes. */
#define VSR_KV_OPERATION_BYTES(key_bytes, value_bytes)                                             \
    ((uint32_t)sizeof(struct vsr_kv_operation) + (uint32_t)(key_bytes) + (uint32_t)(value_bytes))

/**
 * Writes an operation. Returns its size.
 *
 * Shape: out has room for VSR_KV_OPERATION_BYTES(); key_bytes <= 255, value_bytes <= 65535.
 */
uint32_t vsr_kv_encode(void *out, enum vsr_kv_kind kind, const void *key, uint32_t key_bytes,
                       const void *value, uint32_t value_bytes);

/**
 * Makes an empty store.
 *
 * Ownership: gives the caller *machine, to be ended by machine->destroy(machine->state).
 * Returns:   0, -EINVAL for an option out of range, -ENOMEM.
 */
int vsr_kv_create(const struct vsr_kv_options *options,
                  struct vsr_state_machine *machine) VSR_MUST_CHECK;

VSR_DECLARATIONS_END

#endif
