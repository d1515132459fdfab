/**
 * Messages in a form a person can read, and how much of it the environment asks for.
 *
 * A small library of its own (it uses stdio); the core knows nothing of it.
 */
#ifndef VSR_TRACE_H
#define VSR_TRACE_H

#include <vsr/message.h>

VSR_DECLARATIONS_BEGIN

/** VSR_LOG in the environment: off (default), info, debug or trace. Each includes those before. */
enum vsr_trace_level {
    VSR_TRACE_OFF,
    VSR_TRACE_INFO,  /* what happens to replicas: start, stop, view changes, notices */
    VSR_TRACE_DEBUG, /* rare messages too: everything but normal operation's */
    VSR_TRACE_ALL,   /* every message */
};

/**
 * Writes one line about a message, without a line feed: type, sender, receiver, view, fields.
 *
 * Ownership: borrows both.
 * Shape:     m is a whole message (the core's sizes hold), bytes the room in text.
 * Returns:   the length of the whole line, as snprintf does; it is cut when bytes is smaller.
 */
int vsr_trace_message(char *text, size_t bytes, const struct vsr_header *m);

/**
 * The level that VSR_LOG names, read once. Another value is reported on stderr, once, and means
 * off.
 *
 * Threads: any.
 */
enum vsr_trace_level vsr_trace_wanted(void);

/** The level at which a message of this type is worth a line. */
enum vsr_trace_level vsr_trace_level_of(uint8_t type);

VSR_DECLARATIONS_END

#endif
