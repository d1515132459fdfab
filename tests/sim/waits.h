/**
 * Who waits for whom, since when, with what progress: what the report of a run without progress
 * says. Seen from outside: what a replica asks, what it is answered, what changes.
 */
#ifndef SIM_WAITS_H
#define SIM_WAITS_H

#include <vsr/replica.h>

struct world;
struct host;

/** Questions that a replica repeats, and the messages that answer them. */
#define SIM_QUESTIONS(X)                                                                           \
    X(GET_STATE, NEW_STATE)                                                                        \
    X(GET_CHUNK, CHUNK)                                                                            \
    X(RECOVERY, RECOVERY_RESPONSE)                                                                 \
    X(START_VIEW_CHANGE, DO_VIEW_CHANGE)                                                           \
    X(DO_VIEW_CHANGE, START_VIEW)                                                                  \
    X(PING, PONG)

enum question {
#define X(asked, answer) QUESTION_##asked,
    SIM_QUESTIONS(X)
#undef X
        QUESTION_COUNT
};

/** A question since the last progress. */
struct asking {
    uint64_t since;
    uint64_t count; /* 0: not asked since */
    uint64_t answers;
    uint32_t to;           /* mask of those asked */
    enum vsr_drop outcome; /* of the last answer */
};

struct waits {
    uint64_t progress_at; /* when anything below changed last */
    enum vsr_status status;
    vsr_view view, log_view;
    vsr_op op, commit, applied;
    struct asking asking[QUESTION_COUNT];
    uint64_t heard_at[VSR_REPLICAS_MAX]; /* when a message of each came last */
    uint8_t heard_type[VSR_REPLICAS_MAX];
};

void waits_on_step(struct world *w, struct host *h);
/** Progress that no report shows: a part of a snapshot. */
void waits_on_chunk(struct world *w, struct host *h);
void waits_on_sent(struct world *w, struct host *h, uint8_t type, uint32_t to);
void waits_on_heard(struct world *w, struct host *h, uint8_t type, uint64_t from,
                    enum vsr_drop outcome);
/** Writes all of it into the journal. */
void waits_tell(struct world *w);

#endif
