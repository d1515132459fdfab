/**
 * Checking messages; what they are called.
 */
#include "message.h"

/** Whether a request that is no operation has the payload of its kind. Out of line: they are few.
 */
__attribute__((noinline)) static bool is_sound_session_request(const struct vsr_request *request)
{
    static const uint16_t bytes_of[VSR_KIND_COUNT] = {
#define X(name, text, bytes) [VSR_KIND_##name] = bytes,
        VSR_KINDS(X)
#undef X
    };
    return request->kind < VSR_KIND_COUNT && request->payload_bytes == bytes_of[request->kind];
}

/** Inlined into each of its callers, which know some of the bounds. */
static inline __attribute__((always_inline)) bool
are_well_formed(const struct vsr_header *header, uint32_t offset,
                const struct vsr_request_bounds bounds)
{
    const uint32_t end = header->bytes;
    uint32_t size = 0;

    for (uint32_t left = header->count; left > 0; left--) {
        if (end - offset < sizeof(struct vsr_request)) return false;
        const struct vsr_request *request = request_at(header, offset);
        __builtin_prefetch((const uint8_t *)request + READ_AHEAD);
        if (request_bytes(request) > end - offset) return false;
        if (request->kind != bounds.kind && bounds.kind != VSR_KIND_COUNT) return false;
        if (request->payload_bytes > bounds.payload_bytes_max) return false;
        if (request->kind != VSR_KIND_OPERATION && !is_sound_session_request(request)) return false;
        offset = step_over(offset, request_bytes(request), &size);
    }
    return offset == end;
}

bool vsr_requests_are_well_formed(const struct vsr_header *header, uint32_t offset,
                                  struct vsr_request_bounds bounds)
{
    VSR_ASSERT(offset >= sizeof *header);
    VSR_ASSERT(offset <= header->bytes);
    /* What any client may say: its own loop, without the comparisons that always hold. */
    if (bounds.kind == VSR_KIND_COUNT && bounds.payload_bytes_max == UINT32_MAX)
        return are_well_formed(
            header, offset,
            (struct vsr_request_bounds){.payload_bytes_max = UINT32_MAX, .kind = VSR_KIND_COUNT});
    return are_well_formed(header, offset, bounds);
}

bool vsr_entry_may_enter(const struct vsr_replica_options *o, vsr_view view,
                         const struct vsr_prepare *prepare)
{
    const struct vsr_header *header = &prepare->header;
    const struct vsr_entry *entry = &prepare->entry;

    if (header->type != VSR_PREPARE || header->cluster != o->cluster) return false;
    if (header->bytes > o->batch_bytes_max || header->count > o->batch_requests_max) return false;
    if (entry->op == 0 || entry->view > header->view || header->view > view) return false;
    if (entry->kind >= VSR_KIND_COUNT) return false;
    /* More would share a place in the client table. */
    return entry->kind != VSR_KIND_REGISTER || header->count <= o->sessions_max;
}

bool vsr_entry_is_well_formed(const struct vsr_replica_options *o, vsr_view view,
                              const struct vsr_prepare *prepare)
{
    const uint8_t kind = prepare->entry.kind;

    VSR_ASSERT(prepare->header.bytes >= sizeof *prepare); /* admission, vsr_entry_in */
    if (!vsr_entry_may_enter(o, view, prepare)) return false;
    /* The state machine has been promised no larger payloads, whoever was the primary. */
    const struct vsr_request_bounds bounds = {
        .payload_bytes_max =
            kind == VSR_KIND_REGISTER ? sizeof(struct vsr_register) : o->op_bytes_max,
        .kind = kind,
    };
    return are_well_formed(&prepare->header, sizeof *prepare, bounds);
}

const char *vsr_kind_text(uint8_t kind)
{
    static const char *const texts[VSR_KIND_COUNT] = {
#define X(name, text, bytes) [VSR_KIND_##name] = text,
        VSR_KINDS(X)
#undef X
    };
    return kind < VSR_KIND_COUNT ? texts[kind] : "?";
}

const char *vsr_message_name(uint8_t type)
{
    static const char *const names[VSR_MESSAGE_COUNT] = {[VSR_MESSAGE_NONE] = "?",
#define X(name, text, ...) [VSR_##name] = text,
                                                         VSR_MESSAGES(X)
#undef X
    };
    return type < VSR_MESSAGE_COUNT ? names[type] : "?";
}
