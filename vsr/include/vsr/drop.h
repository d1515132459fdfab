/**
 * Why a replica leaves a message, or a request in it, aside.
 */
#ifndef VSR_DROP_H
#define VSR_DROP_H

#include <vsr/types.h>

VSR_DECLARATIONS_BEGIN

/** Name, text: why a message, or a request in it, changed nothing. */
#define VSR_DROPS(X)                                                                               \
    X(NONE, "not dropped")                                                                         \
    X(MALFORMED, "sizes or fields that do not fit")                                                \
    X(WRONG_VERSION, "another magic or version")                                                   \
    X(WRONG_CLUSTER, "another cluster")                                                            \
    X(WRONG_EPOCH, "another epoch")                                                                \
    X(MISDELIVERED, "addressed to another replica")                                                \
    X(WRONG_SENDER, "a sender whose role does not send this")                                      \
    X(STATUS, "not in this status")                                                                \
    X(STALE_VIEW, "an older view")                                                                 \
    X(NEWER_VIEW, "a newer view: looked at for its number only")                                   \
    X(STARTED_VIEW, "the view has started already")                                                \
    X(WRONG_NONCE, "an answer to another question")                                                \
    X(NOT_HELD, "a question about a log or snapshot that is not held")                             \
    X(NOT_PRIMARY, "a request, and this is a backup")                                              \
    X(STALE, "nothing new")                                                                        \
    X(GAP, "an op beyond the next one")                                                            \
    X(FORKED, "another entry than the one held")                                                   \
    X(DAMAGED, "an entry whose bytes are not those of its checksum")                               \
    X(LOG_FULL, "no room in the log")                                                              \
    X(UNKNOWN_SESSION, "a session that may not be open here yet")                                  \
    X(EVICTED_SESSION, "a session that is gone")                                                   \
    X(ANSWERED, "executed before; the cached reply is sent again")                                 \
    X(FOREIGN_ID, "a Register with a client id that another address has")                          \
    X(IN_LOG, "in the log already; its reply will come")                                           \
    X(OUT_OF_ORDER, "not the session's next number")                                               \
    X(BUSY, "the queue of waiting requests is full")                                               \
    X(TOO_LARGE, "a payload above op_bytes_max")                                                   \
    X(NO_BUFFER, "the host is out of buffers")

enum vsr_drop {
#define X(name, text) VSR_DROP_##name,
    VSR_DROPS(X)
#undef X
        VSR_DROP_COUNT
};

/** A drop's name, as in the list above; "?" for any other number. Threads: any. */
const char *vsr_drop_name(enum vsr_drop drop);
/** The same in words. */
const char *vsr_drop_text(enum vsr_drop drop);

VSR_DECLARATIONS_END

#endif
