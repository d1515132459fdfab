/**
 * What has to be durable. See durable.h.
 *
 * Source: rules G7 and 9.2 of DESIGN.md.
 */
#include "durable.h"

#include "state.h"

static struct vsr_superblock wanted(const struct vsr_replica *r)
{
    VSR_ASSERT(r->log_view <= r->view);
    return (struct vsr_superblock){
        .view = r->view,
        .log_view = r->log_view,
        .epoch = r->members.epoch,
        .incarnation = r->options.incarnation,
    };
}

void vsr_durable_begin(struct vsr_replica *r, const struct vsr_superblock *held)
{
    struct vsr_durability *d = &r->durability;

    VSR_ASSERT(d->asked == 0);
    VSR_ASSERT(d->durable == 0);
    VSR_ASSERT(held->view <= VSR_VIEW_MAX);
    VSR_ASSERT(held->log_view <= held->view);               /* as wanted() has it */
    VSR_ASSERT(held->incarnation < r->options.incarnation); /* Or else two lives share sequences. */
    d->superblock = *held;
    d->asked = d->durable = (vsr_sequence)r->options.incarnation << 32;
}

/** The sequence of the effect that covers what the replica is now, asked for or to be. */
static vsr_sequence needed_sequence(const struct vsr_replica *r)
{
    const struct vsr_superblock *asked = &r->durability.superblock;
    const bool is_asked = asked->view == r->view && asked->log_view == r->log_view &&
                          asked->epoch == r->members.epoch &&
                          asked->incarnation == r->options.incarnation;

    return r->durability.asked + !is_asked;
}

bool vsr_is_durable(const struct vsr_replica *r)
{
    return needed_sequence(r) <= r->durability.durable;
}

void vsr_persist(struct vsr_replica *r, struct vsr_effects *out)
{
    struct vsr_durability *d = &r->durability;

    if (d->durable < d->asked || vsr_is_durable(r)) return;
    VSR_ASSERT(d->durable == d->asked); /* one is out at a time */
    VSR_ASSERT(d->superblock.view <= r->view);
    VSR_ASSERT(d->superblock.log_view <= r->log_view);
    VSR_ASSERT(d->superblock.epoch <= r->members.epoch);
    /* A life's sequences end before the next one's begin: both halves are counted, not wrapped. */
    VSR_ASSERT((uint32_t)d->asked < UINT32_MAX);
    d->superblock = wanted(r);
    d->asked++;
    struct vsr_effect *effect = effects_next(out, VSR_EFFECT_PERSIST);
    effect->superblock = d->superblock;
    effect->sequence = d->asked;
    VSR_ASSERT(!vsr_is_durable(r)); /* what was asked for is not there yet */
}

enum vsr_drop vsr_on_durable(struct vsr_replica *r, vsr_sequence sequence, struct vsr_effects *out)
{
    struct vsr_durability *d = &r->durability;

    VSR_ASSERT(d->durable <= d->asked);
    VSR_ASSERT(sequence <= d->asked); /* The host answers what was asked. */
    if (sequence <= d->durable) return drop(r, VSR_DROP_STALE);
    d->durable = sequence;
    vsr_persist(r, out); /* The view may have moved on meanwhile. */
    return VSR_DROP_NONE;
}
