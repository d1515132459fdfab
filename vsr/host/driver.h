/**
 * One driver for every host: takes events, has the host perform the effects in their order, and
 * says what that completes.
 *
 * A host (an actor, the simulator, a test, a benchmark) fills in struct vsr_host. What completes at
 * once waits in a FIFO until the effects of its step are all performed; what takes time the host
 * says later, as any other event.
 *
 * Threads: one at a time, as the replica.
 */
#ifndef VSR_HOST_DRIVER_H
#define VSR_HOST_DRIVER_H

#include <vsr/replica.h>
#include <vsr/state_machine.h>

/** What a host does with effects. All get the driver's context. */
struct vsr_host {
    /** Sends to the replicas in the mask. Takes buffer. */
    void (*send)(void *context, uint32_t to_mask, struct vsr_buffer buffer);
    /** Takes buffer. */
    void (*send_client)(void *context, vsr_address address, struct vsr_buffer buffer);
    /** Returns true when it is done, false when the host will say VSR_EVENT_APPLIED. */
    bool (*apply)(void *context, const struct vsr_effect *effect);
    /** Returns true when it is durable, false when the host will say VSR_EVENT_DURABLE. */
    bool (*persist)(void *context, const struct vsr_effect *effect);
    /** Returns true and *snapshot, or false when the host will say VSR_EVENT_SAVED. */
    bool (*save)(void *context, vsr_op op, struct vsr_snapshot *snapshot);
    /** Fills in the bytes of a Chunk; `send` follows. */
    void (*fill_chunk)(void *context, const struct vsr_effect *effect);
    /** Borrows effect->buffer. */
    void (*store_chunk)(void *context, const struct vsr_effect *effect);
    /** Returns true and *is_loaded, or false when the host will say VSR_EVENT_LOADED. */
    bool (*load)(void *context, const struct vsr_snapshot *snapshot, bool *is_loaded);
    void (*notice)(void *context, const struct vsr_effect *effect);

    /* For hosts that watch; NULL = nothing. */

    /** After the core has taken an event, before the effects. */
    void (*stepped)(void *context, const struct vsr_event *event, enum vsr_drop why);
    /** Before each effect. Returns true: the process is dead, no more is performed of this step. */
    bool (*is_dead)(void *context);
    /** After the effects of a step. Returns false: the core is gone, and the driver lets go of it.
     */
    bool (*performed)(void *context);
};

/** One of each kind may be out, APPLIED, DURABLE, SAVED and LOADED, beside the one that is being
 * taken. A power of two. */
enum { VSR_DRIVER_COMPLETIONS_MAX = 8 };

/** Zeroed = without a core. The fields are for looking only. */
struct vsr_driver {
    const struct vsr_host *host;
    void *context;
    struct vsr_replica *core;
    struct vsr_effects effects;
    struct vsr_buffers buffers;
    uint64_t applied;                                         /* APPLY effects that completed */
    struct vsr_event completions[VSR_DRIVER_COMPLETIONS_MAX]; /* a ring */
    uint32_t head;
    uint32_t count;
};

/**
 * Makes a core and its list of effects on the heap.
 *
 * Ownership: borrows options; host and context outlive the driver.
 * Returns:   0 or -ENOMEM; then the driver is as if zeroed.
 */
int vsr_driver_create(struct vsr_driver *driver, const struct vsr_replica_options *options,
                      const struct vsr_host *host, void *context) VSR_MUST_CHECK;

/** Gives back all that create made. A zeroed driver is fine. */
void vsr_driver_destroy(struct vsr_driver *driver);

/**
 * Takes one event and all that follows from it at once.
 *
 * Ownership: takes the event's message.
 * Returns:   what the core said to the event itself.
 */
enum vsr_drop vsr_driver_step(struct vsr_driver *driver, const struct vsr_event *event);

/** Ends a turn: what is committed at once (one replica) has replies that belong to it. */
void vsr_driver_turn_end(struct vsr_driver *driver);

/**
 * Gives operations to a state machine, and looks at the results it has written.
 *
 * A result lies in the client table: one larger than its place has overwritten the next session, so
 * nothing can go on from there, and the process ends with the machine's mistake by name.
 */
void vsr_driver_apply(const struct vsr_state_machine *machine, const struct vsr_effect *effect);

#endif
