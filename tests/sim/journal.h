/**
 * The last events of a run, and how a run fails.
 */
#ifndef SIM_JOURNAL_H
#define SIM_JOURNAL_H

#include "scenario.h"

#include <vsr/replica.h>
#include <vsr/trace.h>

/** Exit statuses, of a run and of the program. */
enum outcome {
    OUTCOME_OK = 0,
    OUTCOME_USAGE = 2,
    OUTCOME_INVARIANT = 3,
    OUTCOME_NO_PROGRESS = 4,
    OUTCOME_CRASH = 5,
    OUTCOME_NOTHING = 6, /* no failure, but nobody got an answer either */
};

enum { JOURNAL_NOTES = 512, JOURNAL_SHOWN = 40, NOTE_BYTES = 160 };

enum note_kind {
    NOTE_TEXT,
    NOTE_SENT,      /* by a replica or client */
    NOTE_DELIVERED, /* to target */
};

struct note {
    uint64_t time;
    uint8_t kind;
    uint8_t is_cut;  /* the message was longer than `bytes` */
    int16_t target;  /* replica; below 0: client -1 - target */
    uint32_t to;     /* sent: mask */
    uint16_t reason; /* delivered: enum vsr_drop */
    union {
        uint64_t words[NOTE_BYTES / 8]; /* of the message */
        char text[NOTE_BYTES];
    };
};

struct journal {
    struct note notes[JOURNAL_NOTES];
    uint64_t count;
    uint64_t digest;            /* of all notes: two runs of a seed have the same */
    enum vsr_trace_level level; /* what to print at once */
    const struct scenario *scenario;
    uint32_t replicas_asked; /* the option --replicas; 0 = drawn */
    const uint64_t *now;
};

__attribute__((format(printf, 2, 3))) void journal_text(struct journal *j, const char *format, ...);
void journal_message(struct journal *j, enum note_kind kind, const struct vsr_header *m,
                     int16_t target, uint32_t to);
/** What became of the message noted last. */
void journal_reason(struct journal *j, enum vsr_drop why);

/** Prints the seed, what went wrong, the last events and how to repeat it, then ends the process.
 */
_Noreturn __attribute__((format(printf, 3, 4))) void
journal_fail(struct journal *j, enum outcome outcome, const char *format, ...);
/** The same from a signal handler. */
_Noreturn void journal_crash(struct journal *j, const char *what);

#endif
