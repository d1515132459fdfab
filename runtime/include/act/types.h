/**
 * Names that every part of the runtime shares: actor ids, limits, attributes.
 *
 * An actor id is {runtime, generation, slot} in 64 bits. A slot is used again after its actor is
 * gone, with the next generation, so an old id never reaches the new actor (a slot's generation
 * wraps after 2^24 actors). Each runtime that a process starts has the next number (of 2^16 - 1),
 * so an id of another one is refused. Ids are plain numbers: copy, compare, send them freely.
 */
#ifndef ACT_TYPES_H
#define ACT_TYPES_H

#include <stdint.h>

#if defined(__GNUC__)
#define ACT_MUST_CHECK __attribute__((warn_unused_result))
#define ACT_VISIBILITY(action) _Pragma(action)
#else
#define ACT_MUST_CHECK
#define ACT_VISIBILITY(action)
#endif

/* Around the functions of a public header: they have C's names in C++ too, and a shared library,
 * which is compiled with hidden symbols, shows them and no other. */
#ifdef __cplusplus
#define ACT_DECLARATIONS_BEGIN                                                                     \
    ACT_VISIBILITY("GCC visibility push(default)")                                                 \
    extern "C" {
#define ACT_DECLARATIONS_END                                                                       \
    }                                                                                              \
    ACT_VISIBILITY("GCC visibility pop")
#else
#define ACT_DECLARATIONS_BEGIN ACT_VISIBILITY("GCC visibility push(default)")
#define ACT_DECLARATIONS_END ACT_VISIBILITY("GCC visibility pop")
#endif

typedef uint64_t act_id;

/** No actor. A send to it is a dead letter. */
#define ACT_ID_NONE ((act_id)0)

enum {
    ACT_WORKERS_MAX = 64,
    ACT_PORTS_MAX = 64,
    ACT_ACTORS_MAX = 1 << 24,
    ACT_MAILBOX_EXACT_MAX = 1024,   /* messages; up to here a mailbox's bound is exact */
    ACT_LANE_MESSAGES_MAX = 6014,   /* under way from one worker or port to another */
    ACT_MESSAGE_BODY_MAX = 1 << 20, /* bytes */
    ACT_NAME_MAX = 63,              /* bytes, without the end */
};

/** Message types from here on belong to the runtime; an application uses the ones below. */
#define ACT_TYPE_SYSTEM 0xFFFF0000u
/** Room again at the actor that `act_await_room` named. Body: act_id. */
#define ACT_TYPE_ROOM 0xFFFF0001u
/** A monitored actor is gone. Body: struct act_down. */
#define ACT_TYPE_DOWN 0xFFFF0002u
/** A linked actor is gone, and the receiver traps exits. Body: struct act_down. */
#define ACT_TYPE_EXIT 0xFFFF0004u
/** A call's time is over (act/call.h). Body: act_id. */
#define ACT_TYPE_TIMEOUT 0xFFFF0003u

/** Reasons of an actor's end. 0 is a normal one; an application's others, for failures, are
 * positive; these are the runtime's. */
#define ACT_REASON_SHUTDOWN (-1)   /* the runtime stops, or its supervisor stops it */
#define ACT_REASON_GONE (-2)       /* it was gone before the monitor or the request reached it */
#define ACT_REASON_UNANSWERED (-3) /* of a call: who had the request has ended it */
#define ACT_REASON_RESTARTS (-4)   /* a supervisor's: too many restarts */
#define ACT_REASON_OVERDUE (-5)    /* a supervisor's: a child has not ended in time */

#endif
