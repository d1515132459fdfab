/**
 * Making messages: one function per type, of the list in vsr/message.h.
 */
#ifndef VSR_CORE_MAKE_H
#define VSR_CORE_MAKE_H

#include <vsr/replica.h>

/**
 * Takes a buffer from the host and fills in the header.
 *
 * Ownership: gives the caller the buffer.
 * Returns:   the message, whose fields behind the header are the caller's to write; NULL when the
 *            host has no buffer.
 */
void *vsr_make(struct vsr_replica *r, enum vsr_message_type type, uint32_t bytes, uint32_t capacity,
               struct vsr_buffer *out);

/* vsr_make_<message>: likewise. What may have more behind its struct takes two sizes: of what is
 * there from the beginning, and of what there is room for. */
#define MAKE_FIXED(name, body)                                                                     \
    static inline struct vsr_##body *vsr_make_##body(struct vsr_replica *r,                        \
                                                     struct vsr_buffer *out)                       \
    {                                                                                              \
        return vsr_make(r, VSR_##name, sizeof(struct vsr_##body), sizeof(struct vsr_##body), out); \
    }
#define MAKE_AT_LEAST(name, body)                                                                  \
    static inline struct vsr_##body *vsr_make_##body(struct vsr_replica *r, uint32_t bytes,        \
                                                     uint32_t capacity, struct vsr_buffer *out)    \
    {                                                                                              \
        return vsr_make(r, VSR_##name, bytes, capacity, out);                                      \
    }
#define X(name, text, body, size, shape, level) MAKE_##shape(name, body)
VSR_MESSAGES(X)
#undef X
#undef MAKE_FIXED
#undef MAKE_AT_LEAST

#endif
