/**
 * One run: replicas, clients, a network, disks, and time, in one thread.
 *
 * Everything is drawn from the scenario's seed. The parts (host.c, network.c, faults.c, clients.c,
 * finish.c) share this structure; invariants.c looks on.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "driver.h"
#include "invariants.h"
#include "journal.h"
#include "monitor.h"
#include "pool.h"
#include "queue.h"
#include "scenario.h"
#include "stats.h"
#include "waits.h"

#include <vsr/client.h>
#include <vsr/state_machine.h>

enum { CLIENTS_MAX = 8, ARCHIVE_MAX = 64, CLIENT_ADDRESS = 1000 };

/** A snapshot's bytes, as its host keeps them. */
struct stored {
    struct vsr_snapshot snapshot;
    uint8_t *bytes;
    size_t count;
    size_t capacity;
};

/** A replica's process, machine, disk and clock. */
struct host {
    struct world *world;
    struct vsr_driver driver; /* no core: down */
    struct vsr_state_machine machine;
    vsr_op machine_op; /* the last given to the machine */
    uint32_t index;
    uint32_t incarnation; /* of this process start; counts on */
    uint32_t first_incarnation;
    bool is_paused;
    bool is_frozen;  /* stays as it is until the end of the run */
    bool is_amnesic; /* has crashed and not recovered yet */
    bool has_turn;   /* a turn's end is due */
    bool is_saving;  /* or loading: nothing else happens until busy_until */
    bool is_stalled; /* paused, and messages wait */
    bool deviates_next;
    bool is_deviant;   /* its machine has executed something else */
    vsr_op deviant_op; /* ... behind this op */
    bool is_doomed;    /* crashes when this step's effects are performed */
    bool drops_rest;   /* ... and the rest of them is lost */
    uint64_t restart_after;
    uint32_t loads_refused; /* in a row */
    uint64_t busy_until;
    uint64_t resume_at;
    struct vsr_event completion; /* what it is told then */
    uint64_t
        away_at[VSR_REPLICAS_MAX]; /* when it was told Away, the last it heard; 0 = it was not */

    uint64_t tick_units; /* its clock's period */
    uint64_t clock_offset_ns;
    uint32_t days_ahead;

    struct vsr_superblock durable; /* ground truth */
    bool has_durable;
    struct vsr_superblock writing;
    bool is_writing; /* a persist effect is out */

    struct vsr_effect apply;
    bool is_applying; /* it is out: the core has not been told of its end */

    struct stored kept;   /* snapshot */
    struct stored staged; /* chunks put aside */

    struct pool_source source;
    uint64_t first_sent[VSR_MESSAGE_COUNT]; /* view + 1 in which this type was sent last */

    struct waits waits;
    struct vsr_header heard;        /* the message that came last */
    struct vsr_replica_report seen; /* after its last step */
    bool has_seen;
    enum vsr_status status_before;        /* this step */
    struct vsr_superblock durable_before; /* as of the start of this step */
};

/** One call of a session: what the linearizability check looks at. */
struct call {
    uint64_t invoked;
    uint64_t returned; /* 0: never */
    uint64_t key;
    uint64_t tag; /* of the payload */
    uint64_t amount;
    uint64_t result;
    bool is_known;
    bool is_void; /* the client was told that it was never executed */
};

struct client_session {
    uint32_t submitted; /* of its goal */
    uint64_t due;       /* when it submits next */
    uint64_t since;     /* when it submitted the outstanding one */
    size_t call;        /* index + 1 of the outstanding one */
};

struct client_host {
    struct vsr_client *core;
    void *memory;
    size_t memory_bytes;
    struct vsr_client_effects effects; /* of one call: no more room than it promises to need */
    struct vsr_client_effects todo;    /* of all calls since they were performed last */
    struct client_session *sessions;
    struct pool_source source;
    uint32_t life;
    uint64_t id[2];
    uint64_t address;
};

struct link {
    uint8_t blocks; /* how many faults block it */
    uint64_t clogged_until;
};

/** A kind of message that a fault looks for. */
struct type_fault {
    uint64_t until;
    uint64_t delay; /* 0: drop */
    uint32_t ppm;
};

struct trap {
    bool is_armed;
    uint8_t type;
    bool wants_first; /* of its kind in the view */
};

struct network {
    struct link links[VSR_REPLICAS_MAX][VSR_REPLICAS_MAX];
    struct type_fault type_faults[VSR_MESSAGE_COUNT];
    uint32_t loss_ppm; /* as it is now */
    uint64_t loss_until;
    struct event archive[ARCHIVE_MAX];
    uint32_t archived;
    bool is_faulty;
};

/** What a fault that lasts has done, so that its end can undo it. */
struct lasting {
    bool is_on;
    uint32_t life;
    uint8_t blocked[VSR_REPLICAS_MAX]; /* per sender: mask of receivers */
};

struct world {
    struct scenario scenario;
    uint64_t now;
    struct queue queue;
    struct journal journal;
    struct stats stats;
    struct pool pool;
    struct host hosts[VSR_REPLICAS_MAX];
    struct client_host clients[CLIENTS_MAX];
    struct network network;
    struct lasting lasting[FAULT_COUNT];
    struct trap send_trap, receive_trap;
    uint64_t slow_disk_until, famine_until;
    bool crashes_at_persist;
    bool damages_snapshot;
    bool has_ended; /* faults are off */
    bool has_cuts;  /* the standing ones */
    bool has_lied;  /* a message was garbled so that nothing is known any more */
    bool is_beyond; /* more than f have lost their memory at once: no progress is asked for */
    uint32_t load_goal;
    struct monitor monitor;
    struct call *calls;
    size_t call_count, call_capacity;
    uint64_t history_clock; /* finer than time: what happens at one time has an order too */
    struct random network_random, fault_random, disk_random, client_random, end_random, cost_random;
    struct ghost ghost;
};

/** Runs a scenario from the beginning to the end, or ends the process with what went wrong. */
void world_run(struct world *w, uint32_t replicas_asked, enum vsr_trace_level level);
void world_init(struct world *w);
void world_deinit(struct world *w);
/** Handles the events up to a time. */
void world_advance(struct world *w, uint64_t time);

static inline uint32_t world_replicas(const struct world *w)
{
    return w->scenario.replica.replica_count;
}

static inline bool host_is_up(const struct host *h)
{
    return h->driver.core != NULL && !h->is_paused;
}

/* host.c */
void host_init(struct world *w, uint32_t index);
void host_deinit(struct world *w, struct host *h);
/** Starts the process: with START, or with RECOVER and what is on its disk. */
void host_start(struct world *w, struct host *h);
/** Gives it an empty machine. */
void host_start_machine(struct world *w, struct host *h);
void host_crash(struct world *w, struct host *h, uint64_t restart_after);
void host_on_event(struct world *w, const struct event *event);
_Noreturn void host_fail(struct world *w, const struct host *h, const char *what);
/** An event of this process; void when it has crashed by then. */
void host_schedule(struct world *w, struct host *h, enum event_kind kind, uint64_t delay);
/** Nothing else happens to the host for so long; then its core is told. */
void host_take_time(struct world *w, struct host *h, uint64_t units, const struct vsr_event *then);
/** How many replicas are down, recovering or outsiders. */
uint32_t world_amnesic(const struct world *w);
/** A crash that no limit forbids. */
void host_lose_memory(struct world *w, struct host *h, uint64_t restart_after);
/** Whether one more may lose its memory. */
bool world_may_crash(const struct world *w, const struct host *h);

/* perform.c */
/** What a replica's driver calls, with the host. */
extern const struct vsr_host host_behaviour;
/** Executes the APPLY that is out; the core is told next. */
void host_apply_now(struct world *w, struct host *h);
/** The superblock that is being written is on the disk. */
void host_note_written(struct world *w, struct host *h);

/* snapshots.c: effects of one host, as struct vsr_host has them. */
bool snapshot_save(struct world *w, struct host *h, vsr_op op, struct vsr_snapshot *snapshot);
void snapshot_fill_chunk(struct world *w, struct host *h, const struct vsr_effect *e);
void snapshot_store_chunk(struct world *w, struct host *h, const struct vsr_effect *e);
bool snapshot_load(struct world *w, struct host *h, const struct vsr_snapshot *snapshot,
                   bool *is_loaded);

/* network.c. All take the buffer. */
void network_send(struct world *w, uint32_t from, uint32_t to_mask, struct vsr_buffer buffer);
void network_send_client(struct world *w, uint32_t from, vsr_address to, struct vsr_buffer buffer);
void network_from_client(struct world *w, uint32_t client, uint32_t to_mask,
                         struct vsr_buffer buffer);
void network_replay(struct world *w);
/** Votes of all for a first view with a large number. */
void network_vote(struct world *w, vsr_view target);
/** Sometimes, what this replica was sent in earlier lives and views comes again. */
void network_replay_to(struct world *w, uint32_t replica);
void network_calm(struct world *w);
void network_deinit(struct world *w);

/* standing.c */
/** At the time when the standing cuts begin. */
void standing_cut(struct world *w);
/** Begins the cuts when that is the message that they begin with; it still arrives. */
void standing_on_sent(struct world *w, uint32_t from, uint8_t type);
/** Whether messages travel for good from one replica to another. */
bool standing_links(const struct world *w, uint32_t from, uint32_t to);
/** The replicas that are in a connected core of max(Qr, Qv) with this one; 0 = there is none. */
uint32_t standing_core_of(const struct world *w, uint32_t replica);

/* faults.c */
void faults_start(struct world *w);
void faults_on_event(struct world *w, const struct event *event);
void faults_stop(struct world *w);
/** Whether a trap that is armed wants this message; disarms it. */
bool faults_spring(struct world *w, struct trap *trap, uint8_t type, bool is_first);
/** How long a crashed replica stays down. */
uint64_t faults_restart_after(struct world *w);

/* clients.c */
void clients_start(struct world *w);
void client_deinit(struct world *w, struct client_host *c);
void client_restart(struct world *w, uint32_t index);
void clients_on_event(struct world *w, const struct event *event);
/** Since when somebody has waited for an answer; UINT64_MAX = nobody waits. */
uint64_t clients_wait_since(const struct world *w);
/** What has not been submitted by now never is. */
void clients_forget_goal(struct world *w);
/** Whether nothing is outstanding and all has been submitted. */
bool clients_are_done(const struct world *w);

/* finish.c */
void finish_run(struct world *w);

#endif
