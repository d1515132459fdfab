/**
 * See reference.h.
 */
#include "reference.h"

#include "assert.h"

#include <vsr/counter.h>

void reference_init(struct reference *r, uint32_t sessions_max, uint32_t keys)
{
    int error = vsr_counter_create(keys, &r->machine);

    VSR_ASSERT(error == 0);

    r->slots = calloc(sessions_max, sizeof *r->slots);
    VSR_ASSERT(r->slots != NULL);
    r->slots_max = sessions_max;
    r->free = calloc(sessions_max, sizeof *r->free);
    VSR_ASSERT(r->free != NULL);
}

void reference_deinit(struct reference *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->sessions[i].results);
    free(r->sessions);
    free(r->slots);
    free(r->free);
    map_deinit(&r->by_name);
    if (r->machine.destroy != NULL) r->machine.destroy(r->machine.state);
    *r = (struct reference){0};
}

uint64_t reference_sum(uint64_t sum, const struct vsr_result *result)
{
    uint64_t value = 0;

    memcpy(&value, result->data, result->bytes < sizeof value ? result->bytes : sizeof value);
    sum = (sum ^ value ^ (uint64_t)result->bytes << 56) * 0x9E3779B97F4A7C15ull;
    return sum ^ sum >> 31;
}

static uint64_t name_of(vsr_session session, uint32_t slot)
{
    return session << 24 | slot;
}

static struct reference_session *find(const struct reference *r, vsr_session session, uint32_t slot)
{
    const uint64_t *index = map_find(&r->by_name, name_of(session, slot));
    return index != NULL ? &r->sessions[*index] : NULL;
}

const struct reference_session *reference_find(const struct reference *r, vsr_session session,
                                               uint32_t slot)
{
    return find(r, session, slot);
}

bool reference_has_left(const struct reference *r, const uint64_t client_id[2])
{
    for (size_t i = 0; i < r->count; i++) {
        const struct reference_session *s = &r->sessions[i];
        if (!s->is_open && s->client_id[0] == client_id[0] && s->client_id[1] == client_id[1])
            return true;
    }
    return false;
}

/** Rule 5.3: the session whose last op is the oldest goes, the lowest slot among equals. */
static uint32_t take_slot(struct reference *r)
{
    uint32_t oldest = 0;

    if (r->free_count > 0) return r->free[--r->free_count];
    if (r->slots_used < r->slots_max) return r->slots_used++;
    for (uint32_t slot = 1; slot < r->slots_max; slot++)
        if (r->sessions[r->slots[slot]].last_op < r->sessions[r->slots[oldest]].last_op)
            oldest = slot;
    r->sessions[r->slots[oldest]].is_open = false;
    return oldest;
}

static void open_session(struct reference *r, const struct vsr_register *payload, vsr_op op)
{
    for (uint32_t slot = 0; slot < r->slots_used; slot++) {
        const struct reference_session *s = &r->sessions[r->slots[slot]];
        if (s->is_open && s->client_id[0] == payload->client_id[0] &&
            s->client_id[1] == payload->client_id[1])
            return;
    }
    if (r->count == r->capacity) {
        r->capacity = r->capacity == 0 ? 64 : r->capacity * 2;
        r->sessions = realloc(r->sessions, r->capacity * sizeof *r->sessions);
        VSR_ASSERT(r->sessions != NULL);
    }
    const uint32_t slot = take_slot(r);
    r->sessions[r->count] = (struct reference_session){
        .client_id = {payload->client_id[0], payload->client_id[1]},
        .session = op,
        .slot = slot,
        .is_open = true,
        .last_op = op,
    };
    r->slots[slot] = r->count;
    map_put(&r->by_name, name_of(op, slot), r->count);
    r->count++;
}

/** Rule 5.3: the slot that was freed last is the first to be used again. */
static void close_session(struct reference *r, const struct vsr_request *request)
{
    struct reference_session *s = find(r, request->session, request->slot);

    if (s == NULL || !s->is_open) return; /* It was closed or evicted before. */
    s->is_open = false;
    s->is_closed = true;
    r->free[r->free_count++] = request->slot;
}

uint64_t reference_tag(const void *payload, uint32_t bytes)
{
    uint64_t sum = bytes;

    for (uint32_t at = 0; at < bytes; at += 8) {
        uint64_t word = 0;
        memcpy(&word, (const uint8_t *)payload + at, bytes - at < 8 ? bytes - at : 8);
        sum = (sum ^ word) * 0x9E3779B97F4A7C15ull;
        sum ^= sum >> 29;
    }
    return sum;
}

static void keep_result(struct reference_session *s, const struct vsr_request *request,
                        const struct vsr_result *result)
{
    if (s->number > s->capacity) {
        s->capacity = s->capacity == 0 ? 16 : s->capacity * 2;
        s->results = realloc(s->results, s->capacity * sizeof *s->results);
        VSR_ASSERT(s->results != NULL);
    }
    struct reference_result *kept = &s->results[s->number - 1];
    *kept = (struct reference_result){.tag = reference_tag(request + 1, request->payload_bytes)};
    memcpy(&kept->value, result->data, result->bytes);
}

static void execute_request(struct reference *r, const struct vsr_prepare *entry,
                            const struct vsr_request *request, struct reference_outcome *outcome)
{
    uint64_t room[1 + REFERENCE_RESULT_BYTES / 8] = {0};
    struct vsr_result *result = (struct vsr_result *)(void *)room;
    struct reference_session *s = find(r, request->session, request->slot);

    if (s == NULL || !s->is_open) return;
    if (request->number != s->number + 1) {
        outcome->repeated++;
        return;
    }
    const struct vsr_operation operation = {
        .payload = request + 1,
        .result = result,
        .payload_bytes = request->payload_bytes,
    };
    r->machine.apply(r->machine.state, entry->entry.op, entry->entry.timestamp, &operation, 1);
    s->number++;
    s->last_op = entry->entry.op;
    keep_result(s, request, result);
    outcome->results = reference_sum(outcome->results, result);
    outcome->executed++;
}

struct reference_outcome reference_execute(struct reference *r, const struct vsr_prepare *entry)
{
    struct reference_outcome outcome = {0};
    uint32_t offset = sizeof *entry;

    for (uint32_t i = 0; i < entry->header.count; i++) {
        const struct vsr_request *request =
            (const struct vsr_request *)(const void *)((const uint8_t *)entry + offset);
        if (request->kind == VSR_KIND_REGISTER)
            open_session(r, (const struct vsr_register *)(const void *)(request + 1),
                         entry->entry.op);
        else if (request->kind == VSR_KIND_CLOSE)
            close_session(r, request);
        else
            execute_request(r, entry, request, &outcome);
        offset += (uint32_t)sizeof *request + VSR_PADDED(request->payload_bytes);
    }
    outcome.digest = r->machine.digest(r->machine.state);
    return outcome;
}
