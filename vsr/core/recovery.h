/**
 * The state of a replica that has lost its memory: Recovery, RecoveryResponse.
 */
#ifndef VSR_CORE_RECOVERY_H
#define VSR_CORE_RECOVERY_H

#include <vsr/replica.h>

/** What each replica answered to our Recovery. */
struct vsr_recovery_state {
    uint64_t nonce;      /* 0: not asked yet */
    vsr_view view_heard; /* the highest that others have said they are in */
    bool is_installed;   /* state and log are there; NORMAL when that is durable */
    uint32_t ticks_left; /* until it is asked again, or anew */
    uint32_t repeats;    /* of the question, under its nonce */
    struct vsr_recovery_answer {
        bool is_here;
        vsr_view view;
        vsr_op op;
        vsr_checksum checksum;
        vsr_op commit;
        vsr_checksum commit_checksum;
    } answers[VSR_REPLICAS_MAX];
};

/** Whose answer it waits for. */
uint32_t vsr_recovery_lacks(const struct vsr_replica *r);
void vsr_recovery_start(struct vsr_replica *r, struct vsr_effects *out);
/** A NORMAL backup whose log is not its view's recovers, as if it had lost what follows its last
 * committed op. Source: rule G0. */
void vsr_leave_fork(struct vsr_replica *r);
/** A replica whose snapshot has not loaded has no state: it recovers, as if it had lost its memory,
 * from another one; after some of them it halts. */
void vsr_lose_state(struct vsr_replica *r, struct vsr_effects *out);
void vsr_recovery_tick(struct vsr_replica *r, struct vsr_effects *out);
enum vsr_drop vsr_on_recovery(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out);
enum vsr_drop vsr_on_recovery_response(struct vsr_replica *r, struct vsr_buffer *m,
                                       struct vsr_effects *out);

#endif
