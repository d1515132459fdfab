/**
 * Admission: what is the same for every message, checked once, and who handles it.
 *
 * Nothing from outside asserts: it is counted by reason and dropped. Source: rules G1 to G5.
 */
#include "admission.h"

#include "checkpoint.h"
#include "liveness.h"
#include "normal.h"
#include "recovery.h"
#include "request.h"
#include "say.h"
#include "state.h"
#include "state_transfer.h"
#include "view_change.h"

typedef enum vsr_drop (*handler_fn)(struct vsr_replica *, struct vsr_buffer *,
                                    struct vsr_effects *);

enum role {
    FROM_CLIENT,  /* anyone; the view in it is a hint */
    FROM_PRIMARY, /* the primary of the message's view */
    FROM_BACKUP,  /* a backup, and we are the primary */
    FROM_REPLICA, /* any other replica */
};

enum views {
    SAME_VIEW, /* older: dropped, and the sender is told. Newer: never acted upon */
    STARTED,  /* likewise; but one of a view that we wait for, or newer, says that it has started */
    ANY_VIEW, /* the handler decides */
};

/* Statuses in which a message is looked at. */
#define STARTING (1u << VSR_STATUS_STARTING)
#define NORMAL (1u << VSR_STATUS_NORMAL)
#define VIEW_CHANGE (1u << VSR_STATUS_VIEW_CHANGE)
#define RECOVERING (1u << VSR_STATUS_RECOVERING)

struct handler {
    handler_fn handle; /* NULL: replicas do not receive this */
    enum role role;
    enum views views;
    uint32_t statuses;
};

/** How large a message is: the list's columns. */
static const struct {
    uint32_t bytes_min;
    uint32_t bytes_max;
} sizes[VSR_MESSAGE_COUNT] = {
#define FIXED(size) size
#define AT_LEAST(size) VSR_MESSAGE_BYTES_MAX
#define X(name, text, body, size, shape, level) [VSR_##name] = {size, shape(size)},
    VSR_MESSAGES(X)
#undef X
#undef FIXED
#undef AT_LEAST
};

static const struct handler handlers[VSR_MESSAGE_COUNT] = {
    [VSR_REQUEST] = {vsr_on_request, FROM_CLIENT, ANY_VIEW, NORMAL},
    [VSR_PREPARE] = {vsr_on_prepare, FROM_PRIMARY, STARTED, NORMAL | VIEW_CHANGE},
    [VSR_PREPARE_OK] = {vsr_on_prepare_ok, FROM_BACKUP, SAME_VIEW, NORMAL},
    [VSR_COMMIT] = {vsr_on_commit, FROM_PRIMARY, STARTED, NORMAL | VIEW_CHANGE},
    [VSR_COMMIT_OK] = {vsr_on_commit_ok, FROM_BACKUP, SAME_VIEW, NORMAL},
    [VSR_GET_STATE] = {vsr_on_get_state, FROM_REPLICA, SAME_VIEW, NORMAL | VIEW_CHANGE},
    [VSR_NEW_STATE] = {vsr_on_new_state, FROM_REPLICA, SAME_VIEW,
                       NORMAL | VIEW_CHANGE | RECOVERING},
    [VSR_START_VIEW_CHANGE] = {vsr_on_start_view_change, FROM_REPLICA, ANY_VIEW,
                               NORMAL | VIEW_CHANGE},
    [VSR_DO_VIEW_CHANGE] = {vsr_on_do_view_change, FROM_REPLICA, ANY_VIEW, NORMAL | VIEW_CHANGE},
    [VSR_START_VIEW] = {vsr_on_start_view, FROM_PRIMARY, ANY_VIEW, NORMAL | VIEW_CHANGE},
    [VSR_RECOVERY] = {vsr_on_recovery, FROM_REPLICA, ANY_VIEW, NORMAL | VIEW_CHANGE},
    [VSR_RECOVERY_RESPONSE] = {vsr_on_recovery_response, FROM_REPLICA, ANY_VIEW,
                               NORMAL | RECOVERING},
    [VSR_GET_CHUNK] = {vsr_on_get_chunk, FROM_REPLICA, SAME_VIEW, NORMAL},
    [VSR_CHUNK] = {vsr_on_chunk, FROM_REPLICA, SAME_VIEW, NORMAL | VIEW_CHANGE | RECOVERING},
    [VSR_PING] = {vsr_on_ping, FROM_REPLICA, ANY_VIEW, NORMAL | VIEW_CHANGE},
    [VSR_AWAY] = {vsr_on_away, FROM_REPLICA, ANY_VIEW,
                  STARTING | NORMAL | VIEW_CHANGE | RECOVERING},
    [VSR_PONG] = {vsr_on_pong, FROM_REPLICA, ANY_VIEW, NORMAL | VIEW_CHANGE},
};

/**
 * Who speaks is not away any more; but what was sent before Away may come after it.
 *
 * Source: rule 6.8.
 */
static void note_back(struct vsr_replica *r, const struct vsr_header *m)
{
    uint32_t *away = &r->peers.away[m->from];
    VSR_ASSERT(vsr_members_has_other(&r->members, m->from));
    if (*away == 0) return;
    const bool is_back = m->type == VSR_PONG || m->type == VSR_PING;
    if (is_back || *away + r->options.resend_ticks <= r->options.catch_up_ticks) *away = 0;
}

/** Rules G3 and G5: epochs, senders and views of what replicas say. */
static enum vsr_drop admit_replica(struct vsr_replica *r, const struct handler *row,
                                   const struct vsr_header *m, struct vsr_effects *out)
{
    if (m->epoch != r->members.epoch) return VSR_DROP_WRONG_EPOCH;
    if (!vsr_members_has_other(&r->members, m->from)) return VSR_DROP_WRONG_SENDER;
    note_back(r, m);
    if (row->role == FROM_PRIMARY && m->from != primary_in(r, m->view))
        return VSR_DROP_WRONG_SENDER;
    if (row->views != ANY_VIEW && m->view < r->view) {
        vsr_tell_view(r, (uint32_t)m->from, out);
        return VSR_DROP_STALE_VIEW;
    }
    if (row->views != ANY_VIEW && m->view > r->view) {
        if (row->views == STARTED) vsr_catch_up(r, m->view, out);
        return VSR_DROP_NEWER_VIEW;
    }
    if (row->views == STARTED && r->status == VSR_STATUS_VIEW_CHANGE) {
        vsr_catch_up(r, m->view, out); /* It has started, and nobody told us. */
        return VSR_DROP_STATUS;
    }
    VSR_ASSERT(row->views == ANY_VIEW || m->view == r->view);
    if (row->role == FROM_BACKUP && !is_primary(r)) return VSR_DROP_WRONG_SENDER;
    return VSR_DROP_NONE;
}

/** What is the same for every message. Nothing from outside asserts: it is counted and dropped. */
static enum vsr_drop admit(struct vsr_replica *r, const struct vsr_header *m,
                           struct vsr_effects *out)
{
    const struct vsr_replica_options *o = &r->options;

    if (m->magic != VSR_MAGIC || m->version != VSR_VERSION) return VSR_DROP_WRONG_VERSION;
    if (m->cluster != o->cluster) return VSR_DROP_WRONG_CLUSTER;
    if (m->type >= VSR_MESSAGE_COUNT) return VSR_DROP_MALFORMED;
    const struct handler *row = &handlers[m->type];
    if (row->handle == NULL) return VSR_DROP_WRONG_SENDER;
    if (m->bytes < sizes[m->type].bytes_min || m->bytes > sizes[m->type].bytes_max ||
        m->bytes % 8 != 0)
        return VSR_DROP_MALFORMED;
    /* A client's is a hint, and no reason to refuse: rule 5.1. */
    if (row->role != FROM_CLIENT && m->view > VSR_VIEW_MAX) return VSR_DROP_MALFORMED;
    if (m->to != VSR_TO_ALL && m->to != r->members.self) return VSR_DROP_MISDELIVERED;
    if ((row->statuses >> r->status & 1) == 0) {
        bool is_peer = row->role != FROM_CLIENT && vsr_members_has(&r->members, m->from);
        if (is_peer && m->view > r->recovery.view_heard) r->recovery.view_heard = m->view;
        return VSR_DROP_STATUS;
    }
    return row->role == FROM_CLIENT ? VSR_DROP_NONE : admit_replica(r, row, m, out);
}

enum vsr_drop vsr_on_message(struct vsr_replica *r, struct vsr_buffer m, struct vsr_effects *out)
{
    enum vsr_drop why = admit(r, m.header, out);

    if (why == VSR_DROP_NONE) why = handlers[m.header->type].handle(r, &m, out);
    if (why != VSR_DROP_NONE) r->drops[why]++;
    if (m.header != NULL) unref(r, &m);
    return why;
}
