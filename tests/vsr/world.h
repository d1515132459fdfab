/**
 * Several replicas and a network that moves nothing by itself: a test delivers, holds back, drops
 * and repeats the messages it names by (type, from, to).
 */
#ifndef VSR_TESTS_WORLD_H
#define VSR_TESTS_WORLD_H

#include "fixture.h"

/** For any type, sender or receiver of a message. */
enum { ANY = 99, WORLD_PACKETS_MAX = 4096, WORLD_ANSWERS_MAX = 256 };

struct packet {
    uint32_t from;
    uint32_t to;
    bool is_held;   /* until it is named */
    uint64_t ticks; /* world_settle delivers it from then on */
    struct vsr_buffer buffer;
};

struct world {
    struct vsr_replica_options options;
    uint32_t count;
    struct fixture *replicas[VSR_REPLICAS_MAX];          /* NULL: down */
    struct vsr_superblock superblocks[VSR_REPLICAS_MAX]; /* of those that are down */
    uint32_t noticed[VSR_REPLICAS_MAX];                  /* 1 << notice, ever */
    vsr_checksum executed[FIXTURE_OPS];                  /* by anybody, ever */
    bool is_cut[VSR_REPLICAS_MAX][VSR_REPLICAS_MAX];     /* [from][to]: nothing new passes */
    struct packet packets[WORLD_PACKETS_MAX];            /* in the order they were sent */
    uint32_t packet_count;
    uint32_t link_ticks; /* for so many ticks of world_run a message is under way */
    uint64_t ticks;      /* of world_run */
    struct world_answer {
        vsr_session session;
        uint64_t number;
        uint32_t slot;
        uint32_t from;
        enum vsr_reply_status status;
        uint64_t value; /* the counter; of a Register: its client id */
    } answers[WORLD_ANSWERS_MAX];
    uint32_t answer_count;
};

/** Replicas 0 .. replica_count - 1 with these options, NORMAL in view 0. */
void world_start(struct world *w, const struct vsr_replica_options *options);
/** Checks agreement a last time; asserts that every buffer came back. */
void world_end(struct world *w);

/** Each names what is on its way now, not what that brings about; returns how many there were. */
uint32_t world_deliver(struct world *w, uint32_t type, uint32_t from, uint32_t to);
uint32_t world_drop(struct world *w, uint32_t type, uint32_t from, uint32_t to);
uint32_t world_hold(struct world *w, uint32_t type, uint32_t from, uint32_t to);
uint32_t world_repeat(struct world *w, uint32_t type, uint32_t from, uint32_t to);
/** How many such messages are on their way, and the first of them or NULL. */
uint32_t world_waiting(const struct world *w, uint32_t type, uint32_t from, uint32_t to);
const struct vsr_header *world_peek(const struct world *w, uint32_t type, uint32_t from,
                                    uint32_t to);
/** Delivers all that is not held, and what that brings, until nothing moves. */
void world_settle(struct world *w);
/** Delivers one message now. Ownership: takes it. */
enum vsr_drop world_say(struct world *w, uint32_t to, struct vsr_buffer m);

/** Nothing sent from now on passes between the two, in either direction; or does again. */
void world_cut(struct world *w, uint32_t a, uint32_t b);
void world_isolate(struct world *w, uint32_t replica);
void world_heal(struct world *w);

void world_tick(struct world *w, uint32_t replica, uint32_t ticks);
/** Ticks for everybody, with the messages delivered. */
void world_run(struct world *w, uint32_t ticks);
/** Ticks one replica until it votes for the next view. */
void world_suspect(struct world *w, uint32_t replica);

/** A quorum's votes, made up, reach these replicas, a mask, and move them. A vote promises nothing
 * and may come at any time. */
void world_vote(struct world *w, vsr_view view, uint32_t who);
/** The same; and the view starts among them. */
void world_change_view(struct world *w, vsr_view view, uint32_t who);
/** Who serves a view that others are in too. */
uint32_t world_primary(const struct world *w);

/** Everything but its superblock is gone. */
void world_crash(struct world *w, uint32_t replica);
void world_recover(struct world *w, uint32_t replica);

/** A client's messages, at once; answers are kept in w->answers. */
void world_register(struct world *w, uint32_t to, uint64_t client_id);
void world_request(struct world *w, uint32_t to, vsr_session session, uint32_t slot,
                   uint64_t number, uint64_t counter);
/** Opens a session of the healthy group whose primary is `to`; returns it. */
struct world_answer world_open(struct world *w, uint32_t to, uint64_t client_id);
/** How often a request was answered with a result. */
uint32_t world_answered(const struct world *w, vsr_session session, uint64_t number);

/** Asserts that every replica has counted this counter so often. */
void world_all_counted(const struct world *w, uint64_t counter, uint64_t times);
/** Whether a replica has given this notice, ever. */
bool world_noticed(const struct world *w, uint32_t replica, enum vsr_notice notice);

/** Whether all that are up are NORMAL in one view, with one log, all of it executed. */
bool world_agrees(const struct world *w);
/** Runs until it does. */
void world_converge(struct world *w, uint32_t ticks_max);

#endif
