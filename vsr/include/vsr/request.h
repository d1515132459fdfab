/**
 * What clients and replicas say to each other: the requests in a Request message and in a log
 * entry, the replies in a Reply. Little-endian, fixed layout, no pointers, as vsr/message.h says.
 */
#ifndef VSR_REQUEST_H
#define VSR_REQUEST_H

#include <vsr/types.h>

VSR_DECLARATIONS_BEGIN

/** Bytes that a payload takes in a message. */
#define VSR_PADDED(bytes) (((uint32_t)(bytes) + 7u) & ~7u)

/** Name, what many are called, bytes of the payload (of an operation: op_bytes_max at most). */
#define VSR_KINDS(X)                                                                               \
    X(OPERATION, "requests", 0)                                                                    \
    X(REGISTER, "registers", sizeof(struct vsr_register)) /* opens a session */                    \
    X(CLOSE, "closes", 0) /* ends one. Its number follows its session's last one */

/** Of a request, and of a log entry: all of its requests are of one kind. */
enum vsr_request_kind {
#define X(name, text, bytes) VSR_KIND_##name,
    VSR_KINDS(X)
#undef X
        VSR_KIND_COUNT
};

/** One request, in a Request and in a log entry. The payload follows, padded to 8 bytes with zeros.
 */
struct vsr_request {
    uint64_t session; /* 0 in a Register */
    uint64_t number;  /* of the session's requests, from 1; 0 in a Register */
    uint32_t slot;    /* of the session in the client table; 0 in a Register */
    uint16_t payload_bytes;
    uint8_t kind; /* enum vsr_request_kind */
    uint8_t reserved;
};

/** Payload of a Register. */
struct vsr_register {
    uint64_t client_id[2]; /* of the session: its client's random id, and a number; never again */
    uint64_t address;
};

enum vsr_reply_status {
    VSR_REPLY_OK,
    VSR_REPLY_EVICTED,   /* the session is gone; a struct vsr_evicted follows if more is known; of a
                            Register: it was opened before, a struct vsr_registered follows */
    VSR_REPLY_BUSY,      /* not looked at: the primary's queue is full; ask again later */
    VSR_REPLY_REFUSED,   /* of a Register: another address has a session of this client id */
    VSR_REPLY_TOO_LARGE, /* never executed: a payload above the replica's op_bytes_max */
};

/** One reply. The result follows, padded to 8 bytes. */
struct vsr_reply {
    uint64_t session;
    uint64_t number; /* of the request it answers; 0 answers a Register */
    uint32_t slot;
    uint16_t payload_bytes;
    uint8_t status; /* enum vsr_reply_status */
    uint8_t reserved;
};

/** Result of a Register, whatever became of it: says which one was answered; the reply itself names
 * session and slot. */
struct vsr_registered {
    uint64_t client_id[2];
};

/** Of a session that is gone, as long as its slot has had one session since: what is behind this
 * number was never executed and never will be. */
struct vsr_evicted {
    uint64_t executed;
};

VSR_STATIC_ASSERT(sizeof(struct vsr_request) == 24, "wire layout");
VSR_STATIC_ASSERT(offsetof(struct vsr_request, slot) == 16, "wire layout");
VSR_STATIC_ASSERT(sizeof(struct vsr_register) == 24, "wire layout");
VSR_STATIC_ASSERT(sizeof(struct vsr_reply) == 24, "wire layout");
VSR_STATIC_ASSERT(sizeof(struct vsr_registered) == 16, "wire layout");
VSR_STATIC_ASSERT(sizeof(struct vsr_evicted) == 8, "wire layout");

/** What many of a kind are called, for diagnostics; "?" for a number that is none. */
const char *vsr_kind_text(uint8_t kind);

VSR_DECLARATIONS_END

#endif
