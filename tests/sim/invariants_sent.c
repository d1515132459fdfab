/**
 * The invariants of what replicas say: to each other, and to clients.
 */
#include "broken.h"
#include "world.h"

#include <inttypes.h>
#include <string.h>

/** Types that say: this view is ours; and, of them, those that say: we hold its log. */
#define NAMES_VIEW                                                                                 \
    (1u << VSR_DO_VIEW_CHANGE | 1u << VSR_START_VIEW | 1u << VSR_PREPARE | 1u << VSR_PREPARE_OK |  \
     1u << VSR_COMMIT | 1u << VSR_COMMIT_OK | 1u << VSR_NEW_STATE | 1u << VSR_RECOVERY_RESPONSE |  \
     1u << VSR_REPLY | 1u << VSR_PONG | 1u << VSR_NEW_VIEW | 1u << VSR_CHUNK)
#define HOLDS_LOG                                                                                  \
    (1u << VSR_START_VIEW | 1u << VSR_PREPARE | 1u << VSR_PREPARE_OK | 1u << VSR_COMMIT |          \
     1u << VSR_COMMIT_OK | 1u << VSR_RECOVERY_RESPONSE | 1u << VSR_REPLY)
#define OF_PRIMARY (1u << VSR_START_VIEW | 1u << VSR_PREPARE | 1u << VSR_COMMIT)

/** I15: nothing leaves before what it depends on is durable. */
static void check_durable(struct world *w, const struct host *h, const struct vsr_header *m)
{
    const struct vsr_superblock *s = &h->durable_before;
    const uint32_t bit = 1u << m->type;

    if ((bit & NAMES_VIEW) != 0 && (m->view > s->view || !h->has_durable))
        BROKEN(w, "I15: replica %u sends a %s of view %" PRIu64 ", but view %" PRIu64 " is durable",
               h->index, vsr_message_name(m->type), m->view, s->view);
    if ((bit & HOLDS_LOG) != 0 && m->view > s->log_view)
        BROKEN(w,
               "I15: replica %u sends a %s of view %" PRIu64 ", but log view %" PRIu64
               " is durable",
               h->index, vsr_message_name(m->type), m->view, s->log_view);
}

/** I8: a view has one primary, in one life of it. I20: nobody acknowledges below its promise. */
static void check_role(struct world *w, const struct host *h, const struct vsr_header *m)
{
    const uint32_t bit = 1u << m->type;

    if ((bit & (OF_PRIMARY | 1u << VSR_PREPARE_OK)) == 0) return;
    if (m->view < w->ghost.voted[h->index])
        BROKEN(w,
               "I20: replica %u sends a %s of view %" PRIu64
               " after a DoViewChange of view %" PRIu64,
               h->index, vsr_message_name(m->type), m->view, w->ghost.voted[h->index]);
    if ((bit & OF_PRIMARY) == 0) return;
    const uint64_t self = (uint64_t)h->index << 32 | m->from_incarnation;
    const uint64_t *owner = map_put(&w->ghost.primaries, m->view, self);
    if (*owner != self || m->view % world_replicas(w) != h->index)
        BROKEN(w,
               "I8: replica %u, incarnation %u, acts as the primary of view %" PRIu64
               "; that was replica %u, incarnation %u",
               h->index, m->from_incarnation, m->view, (unsigned)(*owner >> 32), (unsigned)*owner);
}

/** I21: no two lives of a replica share an incarnation. What it is told to be is not asked. */
static void check_life(struct world *w, const struct host *h, const struct vsr_header *m)
{
    struct ghost_life *life = &w->ghost.lives[h->index];

    if (life->is_new && life->has_spoken && m->from_incarnation <= life->incarnation)
        BROKEN(w, "I21: replica %u speaks as incarnation %u in a new life; it was %u before",
               h->index, m->from_incarnation, life->incarnation);
    if (!life->is_new && m->from_incarnation != life->incarnation)
        BROKEN(w, "I21: replica %u speaks as incarnation %u; it was %u in the same life", h->index,
               m->from_incarnation, life->incarnation);
    *life = (struct ghost_life){.has_spoken = true, .incarnation = m->from_incarnation};
}

static void note_body(struct world *w, const struct host *h, const struct vsr_new_state *state)
{
    /* A log that is not the view's yet goes to the primary that will start it: it is what it was.
     */
    const vsr_view of = h->seen.log_view;
    uint32_t offset = sizeof *state;

    ghost_note_view_op(w, h, of, state->op, state->checksum, "a NewState");
    for (uint32_t i = 0; i < state->header.count; i++) {
        const struct vsr_prepare *p =
            (const struct vsr_prepare *)(const void *)((const uint8_t *)state + offset);
        ghost_note_view_op(w, h, of, p->entry.op, p->entry.checksum, "a NewState's body");
        offset += p->header.bytes;
    }
}

static void note_do_view_change(struct world *w, const struct host *h,
                                const struct vsr_do_view_change *do_view_change)
{
    if (do_view_change->log_view >= do_view_change->header.view)
        BROKEN(w, "I13: replica %u votes for view %" PRIu64 " with the log of view %" PRIu64,
               h->index, do_view_change->header.view, do_view_change->log_view);
    if (do_view_change->log_view > h->durable_before.log_view)
        BROKEN(w, "I15: replica %u offers the log of view %" PRIu64 " which is not durable",
               h->index, do_view_change->log_view);
    if (do_view_change->header.view > w->ghost.voted[h->index])
        w->ghost.voted[h->index] = do_view_change->header.view;
    ghost_note_view_op(w, h, do_view_change->log_view, do_view_change->op, do_view_change->checksum,
                       "a DoViewChange");
}

static void note_acknowledged(struct world *w, const struct host *h,
                              const struct vsr_prepare_ok *ok)
{
    struct ghost_acked *acked = &w->ghost.acked[h->index];
    uint64_t *op = map_put(&w->ghost.acks, ghost_acks_key(w, ok->header.view, h->index), 0);

    if (ok->op > *op) *op = ok->op;
    if (ok->header.view < acked->view) return; /* I20 has its word on that */
    if (ok->header.view > acked->view) *acked = (struct ghost_acked){.view = ok->header.view};
    if (ok->op > acked->op) acked->op = ok->op;
}

/** I3 for everything that says which entry a view has. */
static void note_entries(struct world *w, const struct host *h, const struct vsr_header *m)
{
    const void *body = m;

    if (m->type == VSR_PREPARE) {
        const struct vsr_prepare *p = body;
        ghost_note_view_op(w, h, m->view, p->entry.op, p->entry.checksum, "a Prepare");
    } else if (m->type == VSR_PREPARE_OK) {
        const struct vsr_prepare_ok *ok = body;
        ghost_note_view_op(w, h, m->view, ok->op, ok->checksum, "a PrepareOK");
        note_acknowledged(w, h, ok);
    } else if (m->type == VSR_COMMIT) {
        const struct vsr_commit *c = body;
        ghost_note_view_op(w, h, m->view, c->commit, c->commit_checksum, "a Commit");
    } else if (m->type == VSR_START_VIEW) {
        const struct vsr_start_view *start_view = body;
        ghost_note_view_op(w, h, m->view, start_view->op, start_view->checksum, "a StartView");
    } else if (m->type == VSR_RECOVERY_RESPONSE) {
        const struct vsr_recovery_response *r = body;
        ghost_note_view_op(w, h, m->view, r->op, r->checksum, "a RecoveryResponse");
    } else if (m->type == VSR_NEW_STATE) {
        note_body(w, h, body);
    } else if (m->type == VSR_DO_VIEW_CHANGE) {
        note_do_view_change(w, h, body);
    }
}

void ghost_on_send(struct world *w, struct host *h, const struct vsr_header *m,
                   enum vsr_status status_before)
{
    const uint32_t bit = 1u << m->type;

    if (w->has_lied) return;
    if (m->type == VSR_REQUEST && m->to < world_replicas(w) && m->to != h->index)
        return; /* Rule 5.7: a client's, passed on. */
    if ((m->type == VSR_RECOVERY || m->type == VSR_RECOVERY_RESPONSE) && m->from != h->index)
        return; /* Rule 8.1: another replica's, passed on. */
    if (m->type >= VSR_MESSAGE_COUNT || m->from != h->index ||
        m->from_incarnation != h->incarnation)
        BROKEN(w, "replica %u sends a %s as replica %" PRIu64 ", incarnation %u", h->index,
               vsr_message_name(m->type), m->from, m->from_incarnation);
    check_life(w, h, m);
    if (m->type == VSR_CHUNK && m->view != h->seen.view)
        BROKEN(w, "I15: replica %u sends a Chunk of view %" PRIu64 " in view %" PRIu64, h->index,
               m->view, h->seen.view);
    const bool is_recovering =
        status_before == VSR_STATUS_RECOVERING && h->seen.status == VSR_STATUS_RECOVERING;
    if (is_recovering && (bit & (HOLDS_LOG | 1u << VSR_DO_VIEW_CHANGE | 1u << VSR_NEW_STATE)) != 0)
        BROKEN(w, "I19: replica %u sends a %s while it recovers", h->index,
               vsr_message_name(m->type));
    check_durable(w, h, m);
    check_role(w, h, m);
    note_entries(w, h, m);
    if (h->durable_before.view > w->ghost.promised[h->index])
        w->ghost.promised[h->index] = h->durable_before.view;
}

/* Replies and execution. */

static void check_registered(struct world *w, const struct host *h, const struct vsr_reply *reply)
{
    const struct vsr_registered *result = (const struct vsr_registered *)(const void *)(reply + 1);
    const struct reference_session *s =
        reference_find(&w->ghost.reference, reply->session, reply->slot);

    if (s != NULL && s->client_id[0] == result->client_id[0] &&
        s->client_id[1] == result->client_id[1])
        return;
    BROKEN(w, "I17: replica %u tells a client of session %" PRIu64 " that was not opened for it",
           h->index, reply->session);
}

/** A Register is told that its session is gone: it was opened, and is closed or evicted. */
static void check_register_evicted(struct world *w, const struct host *h,
                                   const struct vsr_reply *reply)
{
    const struct vsr_registered *result = (const struct vsr_registered *)(const void *)(reply + 1);

    if (reply->payload_bytes != sizeof *result ||
        !reference_has_left(&w->ghost.reference, result->client_id))
        BROKEN(w, "I17: replica %u tells a client that registers of a session that is not gone",
               h->index);
}

static void check_reply(struct world *w, const struct host *h, const struct vsr_reply *reply)
{
    uint64_t result = 0;

    memcpy(&result, reply + 1,
           reply->payload_bytes < sizeof result ? reply->payload_bytes : sizeof result);
    if (reply->status == VSR_REPLY_BUSY || reply->status == VSR_REPLY_REFUSED) return;
    if (reply->number == 0 && reply->status == VSR_REPLY_OK) {
        check_registered(w, h, reply);
        return;
    }
    if (reply->number == 0 && reply->status == VSR_REPLY_EVICTED) {
        check_register_evicted(w, h, reply);
        return;
    }
    const struct reference_session *s =
        reference_find(&w->ghost.reference, reply->session, reply->slot);
    if (reply->status == VSR_REPLY_EVICTED) {
        if (s != NULL && s->is_open)
            BROKEN(w, "I17: replica %u says that session %" PRIu64 " is gone; it is open", h->index,
                   reply->session);
        if (s != NULL && reply->payload_bytes > 0 && result != s->number)
            BROKEN(w,
                   "I17: replica %u says that session %" PRIu64 " ended at request %" PRIu64
                   "; the reference says %" PRIu64,
                   h->index, reply->session, result, s->number);
        return;
    }
    if (s != NULL && s->is_closed && reply->payload_bytes == 0) return; /* of its Close */
    if (s == NULL || reply->number > s->number)
        BROKEN(w,
               "I17: replica %u answers request %" PRIu64 " of session %" PRIu64
               " that is not committed",
               h->index, reply->number, reply->session);
    if (result != s->results[reply->number - 1].value)
        BROKEN(w,
               "I17: replica %u answers request %" PRIu64 " of session %" PRIu64 " with %" PRIu64
               "; the reference says %" PRIu64,
               h->index, reply->number, reply->session, result,
               s->results[reply->number - 1].value);
}

void ghost_on_reply(struct world *w, struct host *h, const struct vsr_header *m)
{
    uint32_t offset = sizeof *m;

    if (m->type != VSR_REPLY || w->has_lied) return; /* NotPrimary and NewView are hints */
    check_durable(w, h, m);
    for (uint32_t i = 0; i < m->count; i++) {
        const struct vsr_reply *reply =
            (const struct vsr_reply *)(const void *)((const uint8_t *)m + offset);
        if (!h->is_deviant) check_reply(w, h, reply);
        offset += (uint32_t)sizeof *reply + VSR_PADDED(reply->payload_bytes);
    }
}
