/**
 * Sessions whose slot another session has. See client_displaced.h.
 */
#include "client_displaced.h"

#include "splitmix.h"

uint32_t vsr_displaced_lists(uint32_t sessions)
{
    uint32_t lists = 1;

    VSR_ASSERT(sessions <= VSR_SESSIONS_MAX);
    while (lists < sessions)
        lists *= 2;
    return lists;
}

/** Both together name a session: one op may have opened many. */
static uint32_t *list_of(const struct vsr_client *c, vsr_session session, uint32_t slot)
{
    uint64_t mixed = session ^ (uint64_t)slot << 32;

    return &c->displaced.lists[splitmix_next(&mixed) & c->displaced.mask];
}

/** Where a session is named, or the end of the list where it would be. */
static uint32_t *place_of(struct vsr_client *c, uint32_t index)
{
    const struct vsr_request *request = &session_at(c, index)->request;
    uint32_t *place = list_of(c, request->session, request->slot);

    VSR_ASSERT(index < c->options.sessions);
    for (; *place != 0 && *place != index + 1; c->displaced.read++)
        place = &c->displaced.next[*place - 1];
    return place;
}

void vsr_displaced_add(struct vsr_client *c, uint32_t index)
{
    uint32_t *place = place_of(c, index);

    VSR_ASSERT(*place == 0); /* Who has no slot is displaced by nobody. */
    c->displaced.next[index] = 0;
    *place = index + 1;
}

void vsr_displaced_remove(struct vsr_client *c, uint32_t index)
{
    uint32_t *place = place_of(c, index);

    if (*place != 0) *place = c->displaced.next[index];
}

uint32_t vsr_displaced_find(struct vsr_client *c, const struct vsr_reply *reply)
{
    uint32_t at = *list_of(c, reply->session, reply->slot);

    for (; at != 0; at = c->displaced.next[at - 1]) {
        const struct vsr_request *request = &session_at(c, at - 1)->request;
        c->displaced.read++;
        if (request->session == reply->session && request->slot == reply->slot) break;
    }
    return at - 1; /* 0 - 1 is UINT32_MAX */
}
