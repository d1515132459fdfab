/**
 * What a replica tells its operator.
 */
#ifndef VSR_NOTICE_H
#define VSR_NOTICE_H

#include <vsr/types.h>

VSR_DECLARATIONS_BEGIN

/** Name, text. What an operator should know; a notice is given once per occasion. */
#define VSR_NOTICES(X)                                                                             \
    X(PRIMARY_SILENT, "the primary is silent; votes for the next view")                            \
    X(PRIMARY_BACK, "the primary is heard again")                                                  \
    X(VIEW_CHANGE, "leaves its view; waits for the next one's log")                                \
    X(PRIMARY, "is the primary now")                                                               \
    X(BACKUP, "is a backup now")                                                                   \
    X(ABDICATED, "hears too few replicas to commit anything; falls silent as a primary")           \
    X(RECOVERING, "has lost its memory; asks the others")                                          \
    X(RECOVERED, "has its state again")                                                            \
    X(CANNOT_RECOVER, "has lost its memory, and no other replica may have the state: start an "    \
                      "empty cluster, or run more replicas")                                       \
    X(REPLICA_BEHIND_LOG, "a replica is behind the log's ring; it needs a snapshot")               \
    X(LEFT_BEHIND,                                                                                 \
      "a replica cannot keep up and has held the others up for catch_up_ticks; the log "           \
      "goes on without it, and it will need a snapshot")                                           \
    X(BEHIND_LOG, "this replica is behind the log's ring; it asks for a snapshot")                 \
    X(SNAPSHOT_LOADED, "has loaded another replica's snapshot")                                    \
    X(FORKED_LOG, "its log is not the view's at this op; fetches that")                            \
    X(DAMAGED, "an entry's bytes are not those of its checksum; it is not taken")                  \
    X(LOAD_FAILED, "a replica's snapshot did not load; its state is gone; asks another one")       \
    X(SNAPSHOT_DAMAGED, "a snapshot's bytes are not those of its name; asks for it again")         \
    X(WAITS_LONG, "waits long for what this replica does not give; asks on, the others too")       \
    X(CANNOT_LOAD, "no snapshot loads: the state machine refuses them all; halts")                 \
    X(LOG_FULL, "the log's ring is full of entries that are not executed yet")                     \
    X(DIVERGED, "its results are not a majority's, from this op on or before: "                    \
                "the state machine is not deterministic; halts")                                   \
    X(STATES_DIFFER, "a replica's state differs from this primary's: the state machine is not "    \
                     "deterministic; whose is right a majority will say")                          \
    X(DATA_LOST, "the logs of a quorum end before an op that was committed; halts")                \
    X(STORAGE_FAILED, "its superblock could not be written; it stops, kill it or restart it")

enum vsr_notice {
#define X(name, text) VSR_NOTICE_##name,
    VSR_NOTICES(X)
#undef X
        VSR_NOTICE_COUNT
};

/** The notice in words, "?" for none. Lives for ever. */
const char *vsr_notice_text(enum vsr_notice notice);

VSR_DECLARATIONS_END

#endif
