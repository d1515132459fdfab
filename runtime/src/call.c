/**
 * See act/call.h: requests of the running actor, their answers, and their timeouts.
 *
 * A call is one of its actor's belongings, with a place in the schedule when it has a timeout. All
 * that may end it is an answer: the callee's, the schedule's, or the request itself when nobody
 * will answer it any more (act_message_refuse). So the order in the caller's mailbox decides.
 */
#include "call.h"

#include "assert.h"
#include "delivery.h"
#include "message.h"
#include "schedule.h"

#include <act/clock.h>

#include <errno.h>
#include <string.h>

int act_call_send(struct act_endpoint *e, act_id to, struct act_message *m, uint64_t call)
{
    if (m == NULL || message_is_request(m)) return -EINVAL;
    struct act_message *request = act_message_envelope(m, sizeof(struct call_trailer));
    if (request == NULL) return -ENOMEM;
    uint16_t *flags = &message_of(request)->header.flags;

    ACT_ASSERT((*flags & (MESSAGE_IS_SYSTEM | MESSAGE_IS_ANSWER)) == 0);
    *message_trailer(request) = (struct call_trailer){.caller = e->self, .call = call};
    *flags = (uint16_t)((*flags & ~MESSAGE_HAS_CALL) | MESSAGE_IS_REQUEST);
    int error = act_send(to, request);
    if (error != 0) {
        *flags &= (uint16_t)~MESSAGE_IS_REQUEST;
        if (request != m) act_message_unref(request);
        return error;
    }
    if (request != m) act_message_unref(m);
    return 0;
}

static void end_call(struct act_endpoint *e, uint32_t index)
{
    if (belonging_at(&e->belongings, index)->place != SCHEDULE_NOWHERE)
        act_schedule_remove(e->schedule, index);
    act_belongings_give(&e->belongings, index);
}

/** Opens a call of the running actor's. */
static int open_call(struct act_endpoint *e, act_id to, uint64_t timeout_ns, uint32_t *index)
{
    if (act_belongings_take(&e->belongings, e->self, index) != 0) return -ENOMEM;
    struct belonging *it = belonging_at(&e->belongings, *index);
    it->type = ACT_TYPE_TIMEOUT;
    it->cookie = to;
    it->place = SCHEDULE_NOWHERE;
    e->running->flags |= ACTOR_HAS_BELONGINGS;
    if (timeout_ns == UINT64_MAX) return 0;
    const uint64_t now_ns = act_now_ns();
    if (timeout_ns >= SCHEDULE_NEVER - now_ns) return 0; /* later than the clock can tell */
    if (act_schedule_add(e->schedule, *index, now_ns + timeout_ns) == 0) return 0;
    end_call(e, *index);
    return -ENOMEM;
}

int act_call(act_id to, struct act_message *m, uint64_t timeout_ns, act_call_id *call)
{
    struct act_endpoint *e = act_endpoint_current();
    uint32_t index;

    if (e == NULL || !e->is_worker || e->running == NULL) return -EPERM;
    ACT_ASSERT(e->schedule != NULL);
    int error = open_call(e, to, timeout_ns, &index);
    if (error != 0) return error;
    const act_call_id name = act_belongings_name(&e->belongings, index);
    error = act_call_send(e, to, m, name);
    if (error != 0) {
        end_call(e, index);
        return error;
    }
    if (call != NULL) *call = name;
    return 0;
}

/** Whether a message may answer a request. */
static bool is_answer(const struct act_message *request, const struct act_message *answer)
{
    if (answer == NULL || answer->type >= ACT_TYPE_SYSTEM) return false;
    return answer == request || !message_is_request(answer);
}

int act_reply(struct act_message *request, struct act_message *answer)
{
    struct act_endpoint *e = act_endpoint_current();

    if (e == NULL) return -EPERM;
    if (request == NULL || !message_is_request(request) || !is_answer(request, answer))
        return -EINVAL;
    const struct call_trailer trailer = *message_trailer(request);
    struct act_message *sent =
        answer == request ? request : act_message_envelope(answer, sizeof trailer.call);
    if (sent == NULL) return -ENOMEM;
    uint16_t *flags = &message_of(sent)->header.flags;
    const uint16_t flags_before = *flags;

    *message_call(sent) = trailer.call;
    *flags &= (uint16_t)~MESSAGE_IS_REQUEST;
    *flags |= MESSAGE_IS_ANSWER | MESSAGE_HAS_CALL;
    sent->from = e->self;
    int error = act_delivery_answer(e, trailer.caller, sent);
    if (error != 0) {
        *flags = flags_before;
        if (sent != answer) act_message_unref(sent);
        return error;
    }
    if (request != answer) message_of(request)->header.flags &= (uint16_t)~MESSAGE_IS_REQUEST;
    if (sent != answer) act_message_unref(answer);
    return 0;
}

act_call_id act_call_of(const struct act_message *m)
{
    return (message_of(m)->header.flags & MESSAGE_HAS_CALL) != 0 ? *message_call(m) : 0;
}

bool act_call_expire(struct act_endpoint *e, uint32_t index)
{
    const struct belonging *it = belonging_at(&e->belongings, index);
    struct act_message *m = act_message_create(ACT_TYPE_TIMEOUT, sizeof it->cookie);

    ACT_ASSERT(call_is_at(it));
    if (m == NULL) return false;
    memcpy(m->body, &it->cookie, sizeof it->cookie);
    *message_call(m) = act_belongings_name(&e->belongings, index);
    message_of(m)->header.flags |= MESSAGE_IS_ANSWER | MESSAGE_HAS_CALL;
    m->from = it->owner;
    /* An answer that waits in the mailbox already comes before it, and ends the call. */
    act_schedule_remove(e->schedule, index);
    act_delivery_send_system(e, it->owner, m);
    return true;
}

bool act_call_on_answer(struct act_endpoint *e, struct act_message *m)
{
    uint32_t index;

    ACT_ASSERT((message_of(m)->header.flags & MESSAGE_IS_ANSWER) != 0);
    if (act_belongings_find(&e->belongings, e->self, *message_call(m), &index) &&
        call_is_at(belonging_at(&e->belongings, index))) {
        end_call(e, index);
        message_of(m)->header.flags &= (uint16_t)~MESSAGE_IS_ANSWER;
        return true;
    }
    act_delivery_bury(e, m);
    return false;
}
