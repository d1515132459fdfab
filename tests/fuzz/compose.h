/**
 * Messages as a peer or a client may send them, made from the fuzzer's bytes: sound ones first,
 * then with fields changed.
 */
#ifndef VSR_FUZZ_COMPOSE_H
#define VSR_FUZZ_COMPOSE_H

#include "bytes.h"
#include "host.h"

/** The types that replicas are sent; the n-th, modulo their number. */
enum vsr_message_type compose_type(uint8_t n);

/**
 * Makes a message of a type for the replica.
 *
 * Ownership: gives the caller a buffer whose header.bytes bytes are there.
 */
struct vsr_buffer compose(struct host *h, enum vsr_message_type type, struct bytes *b);

/** The same with nothing changed, from this replica. */
struct vsr_buffer compose_sound(struct host *h, enum vsr_message_type type, uint32_t from,
                                uint64_t view);

/** The Prepare that follows the peers' entry at `op` - 1, or the one that they have at op. */
struct vsr_buffer compose_prepare(struct host *h, vsr_op op, struct bytes *b);

/** Changes words of a snapshot that is offered; its id is that of the changed bytes. */
void compose_damage_offer(struct host *h, struct bytes *b);

#endif
