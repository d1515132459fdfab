/**
 * Appending to the host's list of effects.
 */
#ifndef VSR_CORE_EFFECTS_H
#define VSR_CORE_EFFECTS_H

#include "assert.h"

#include <vsr/replica.h>

static inline struct vsr_effect *effects_next(struct vsr_effects *out, enum vsr_effect_kind kind)
{
    VSR_ASSERT(out->count < out->capacity);
    struct vsr_effect *effect = &out->list[out->count++];
    effect->kind = kind;
    return effect;
}

/** Ownership: takes buffer. */
static inline void effects_send(struct vsr_effects *out, uint32_t to_mask, struct vsr_buffer buffer)
{
    struct vsr_effect *effect = effects_next(out, VSR_EFFECT_SEND);
    effect->to = to_mask;
    effect->buffer = buffer;
}

/** Ownership: takes buffer. */
static inline void effects_send_client(struct vsr_effects *out, vsr_address address,
                                       struct vsr_buffer buffer)
{
    struct vsr_effect *effect = effects_next(out, VSR_EFFECT_SEND_CLIENT);
    effect->address = address;
    effect->buffer = buffer;
}

static inline void effects_notice(struct vsr_effects *out, enum vsr_notice notice, uint32_t replica,
                                  vsr_op op)
{
    struct vsr_effect *effect = effects_next(out, VSR_EFFECT_NOTICE);
    effect->notice = notice;
    effect->replica = replica;
    effect->at_op = op;
}

#endif
