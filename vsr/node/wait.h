/**
 * Threads that wait for actors: events, and waits that say for whom.
 */
#ifndef VSR_NODE_WAIT_H
#define VSR_NODE_WAIT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/** Something that one thread waits for and an actor brings about. */
struct vsr_node_event {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool is_set;
};

/** Lays an event that is not set into the caller's memory. */
void vsr_node_event_init(struct vsr_node_event *event);
/** Sets it, for good. Threads: any; the event may be gone when this returns. */
void vsr_node_event_set(struct vsr_node_event *event);
/** Waits until it is set. Threads: one; blocks. */
void vsr_node_event_wait(struct vsr_node_event *event);
/** Waits. Threads: one; blocks. Returns whether it was set before the time was over. */
bool vsr_node_event_wait_for(struct vsr_node_event *event, uint64_t timeout_ns);
/** The memory is the caller's again. Nobody waits, and who set it has been waited for. */
void vsr_node_event_deinit(struct vsr_node_event *event);

/** How long a call waits for a replica's actor, and after how long stderr says for whom. */
#define NODE_WAIT_NS 60000000000ull
#define NODE_WAIT_SAY_NS 5000000000ull

/** A wait of a thread for something of a replica. */
struct vsr_node_wait {
    const char *what;
    uint32_t replica;
    uint64_t start_ns;
    uint64_t said_ns;
};

/** Begins a wait now. Ownership: borrows what until its end. */
struct vsr_node_wait vsr_node_wait_begin(const char *what, uint32_t replica);
/** Returns false when NODE_WAIT_NS are over. Names what is waited for now and then. */
bool vsr_node_wait_look(struct vsr_node_wait *wait);
/** Sleeps for a moment, then as vsr_node_wait_look. */
bool vsr_node_wait_pause(struct vsr_node_wait *wait);

#endif
