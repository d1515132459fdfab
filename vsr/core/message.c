/**
 * Making and checking messages.
 */
#include "message.h"

bool vsr_requests_are_well_formed(const struct vsr_header *header, uint32_t offset)
{
    const uint32_t end = header->bytes;
    uint32_t size = 0;

    for (uint32_t left = header->count; left > 0; left--) {
        if (end - offset < sizeof(struct vsr_request)) return false;
        const struct vsr_request *request = request_at(header, offset);
        __builtin_prefetch((const uint8_t *)request + READ_AHEAD);
        if (request_bytes(request) > end - offset) return false;
        if (request->kind != VSR_KIND_OPERATION &&
            (request->kind != VSR_KIND_REGISTER ||
             request->payload_bytes != sizeof(struct vsr_register)))
            return false;
        offset = step_over(offset, request_bytes(request), &size);
    }
    return offset == end;
}
