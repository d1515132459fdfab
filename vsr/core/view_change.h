/**
 * From one view's log to the next one's: DoViewChange, StartView.
 */
#ifndef VSR_CORE_VIEW_CHANGE_H
#define VSR_CORE_VIEW_CHANGE_H

#include <vsr/replica.h>

/** A log that may start our view: what one replica said in its DoViewChange. */
struct vsr_known_log {
    bool is_here;
    bool is_out_of_reach; /* it was chosen, and whoever has it does not give it */
    vsr_view log_view;
    vsr_op log_start;
    vsr_op op;
    vsr_checksum checksum;
    vsr_op commit;
    vsr_checksum commit_checksum;
};

/** What lasts from one view change to the next. */
struct vsr_view_change {
    vsr_view votes[VSR_REPLICAS_MAX];      /* highest StartViewChange target of each; 0 = none */
    uint32_t vote_ticks[VSR_REPLICAS_MAX]; /* until the vote is forgotten */
    vsr_op commit;                         /* the highest heard of; execute to it when NORMAL */
    vsr_checksum commit_checksum;
    uint32_t attempts;     /* view changes in a row that did not end */
    uint32_t ticks_left;   /* T_vc */
    uint32_t ticks_stable; /* in NORMAL */
    uint32_t ticks_to_resend;
};

/** Leaves the view for a higher one and says so once that is durable. Source: VRR §4.2. */
void vsr_enter_view_change(struct vsr_replica *r, vsr_view view, struct vsr_effects *out);
/** A view that is ours or higher has started: fetches its log. Source: VRR §5.2, corrected. */
void vsr_catch_up(struct vsr_replica *r, vsr_view view, struct vsr_effects *out);
/** In VIEW_CHANGE, at the end of a step: says what is durable, starts the view, becomes NORMAL. */
void vsr_proceed_between_views(struct vsr_replica *r, struct vsr_effects *out);
/** The log is the view's, and all that has to be durable is. */
void vsr_become_normal(struct vsr_replica *r, struct vsr_effects *out);
/** Enters the highest view that a quorum has voted for at least. Source: rule 6.1. */
void vsr_count_votes(struct vsr_replica *r, struct vsr_effects *out);
enum vsr_drop vsr_on_start_view_change(struct vsr_replica *r, struct vsr_buffer *m,
                                       struct vsr_effects *out);
enum vsr_drop vsr_on_do_view_change(struct vsr_replica *r, struct vsr_buffer *m,
                                    struct vsr_effects *out);
enum vsr_drop vsr_on_start_view(struct vsr_replica *r, struct vsr_buffer *m,
                                struct vsr_effects *out);
void vsr_view_change_tick(struct vsr_replica *r, struct vsr_effects *out);

#endif
