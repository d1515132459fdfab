/**
 * A client and what it has been told and has said. See desk.h.
 */
#include "desk.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

struct desk open_desk(uint32_t sessions, uint32_t requests_per_message)
{
    struct vsr_client_options o;
    struct desk d = {.sessions = sessions};

    vsr_client_options_init(&o);
    o.cluster = CLUSTER;
    o.replica_count = 3;
    o.address = CLIENT;
    o.sessions = sessions;
    o.requests_per_message = requests_per_message;
    o.retry_ticks = 10;
    o.id[0] = 3;
    o.buffers = fixture_buffers;
    cr_assert_eq(vsr_client_options_check(&o, NULL), 0);
    size_t bytes = (vsr_client_bytes(&o) + 63) & ~(size_t)63;
    d.memory = aligned_alloc(64, bytes);
    memset(d.memory, 0, bytes);
    d.c = vsr_client_init(d.memory, &o);
    d.out.capacity = vsr_client_effects_max(&o);
    d.out.list = calloc(d.out.capacity, sizeof *d.out.list);
    return d;
}

void drop_effects(struct desk *d)
{
    for (uint32_t i = 0; i < d->out.count; i++)
        if (d->out.list[i].kind == VSR_CLIENT_SEND)
            fixture_buffers.unref(NULL, d->out.list[i].buffer.handle);
    d->out.count = 0;
}

void close_desk(struct desk *d)
{
    drop_effects(d);
    vsr_client_deinit(d->c);
    free(d->memory);
    free(d->out.list);
    cr_assert_eq(fixture_buffers_live, 0);
}

const struct vsr_request *request(const struct desk *d, uint32_t nth, uint32_t *to)
{
    for (uint32_t i = 0; i < d->out.count; i++) {
        const struct vsr_client_effect *e = &d->out.list[i];
        if (e->kind != VSR_CLIENT_SEND) continue;
        uint32_t offset = sizeof(struct vsr_header);
        for (uint32_t k = 0; k < e->buffer.header->count; k++) {
            const struct vsr_request *r = request_at(e->buffer.header, offset);
            if (nth-- == 0) {
                if (to != NULL) *to = e->to;
                return r;
            }
            offset += request_bytes(r);
        }
    }
    return NULL;
}

void read_id(const struct desk *d, uint32_t nth, uint32_t *to, uint64_t id[2])
{
    const struct vsr_request *r = request(d, nth, to);

    cr_assert_not_null(r);
    cr_assert_eq(r->kind, VSR_KIND_REGISTER);
    memcpy(id, r + 1, 2 * sizeof id[0]);
}

uint32_t count_effects(const struct desk *d, enum vsr_client_effect_kind kind)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < d->out.count; i++)
        count += d->out.list[i].kind == kind;
    return count;
}

void receive_reply(struct desk *d, struct vsr_reply reply, const void *payload, vsr_view view)
{
    uint64_t memory[32] = {0};
    struct vsr_header *m = (struct vsr_header *)(void *)memory;
    const uint32_t bytes = sizeof *m + sizeof reply + VSR_PADDED(reply.payload_bytes);

    *m = (struct vsr_header){.magic = VSR_MAGIC,
                             .version = VSR_VERSION,
                             .type = VSR_REPLY,
                             .cluster = CLUSTER,
                             .view = view,
                             .bytes = bytes,
                             .count = 1};
    memcpy(m + 1, &reply, sizeof reply);
    if (reply.payload_bytes > 0)
        memcpy((uint8_t *)(m + 1) + sizeof reply, payload, reply.payload_bytes);
    vsr_client_receive(d->c, m, &d->out);
}

void admit(struct desk *d, uint32_t nth, uint32_t slot)
{
    const struct vsr_request *r = request(d, nth, NULL);
    struct vsr_register payload;
    struct vsr_registered result;

    cr_assert_not_null(r);
    memcpy(&payload, r + 1, sizeof payload);
    memcpy(result.client_id, payload.client_id, sizeof result.client_id);
    receive_reply(
        d, (struct vsr_reply){.session = 100 + slot, .slot = slot, .payload_bytes = sizeof result},
        &result, 0);
}

struct desk ready_desk(uint32_t sessions, uint32_t requests_per_message)
{
    struct desk d = open_desk(sessions, requests_per_message);

    vsr_client_open(d.c, &d.out);
    vsr_client_turn_end(d.c, &d.out);
    for (uint32_t i = 0; i < sessions; i++)
        admit(&d, i, i);
    cr_assert_eq(count_effects(&d, VSR_CLIENT_OPENED), sessions);
    drop_effects(&d);
    return d;
}

void submit(struct desk *d, uint32_t session)
{
    const uint64_t payload = 7;
    cr_assert_eq(vsr_client_submit(d->c, session, &payload, sizeof payload, &d->out), 0);
}

void reply_to(struct desk *d, uint32_t session, uint64_t number, uint8_t status)
{
    receive_reply(
        d,
        (struct vsr_reply){
            .session = 100 + session, .number = number, .slot = session, .status = status},
        NULL, 0);
}
