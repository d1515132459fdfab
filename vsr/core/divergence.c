/**
 * Whether the replicas' states are the same. See divergence.h.
 *
 * Digests are chains: the same one at an op is the same one at all before it, and once different
 * they stay so. So a replica is summed up by the highest op at which it was as we are, and the
 * first at which it was not.
 */
#include "divergence.h"

#include "state.h"

#include <string.h>

/** Odd, with about half of its bits set: one of xxHash's primes. */
#define MIX 0xC2B2AE3D27D4EB4Full

/**
 * One to one in what came before and in the word that it adds, so that results which differ in one
 * word never come out alike, and no word makes another one vanish.
 */
static inline uint64_t mix(uint64_t sum, uint64_t word)
{
    sum = (sum ^ word) * MIX;
    return sum << 27 | sum >> 37;
}

/** A result of another size than most have: its size counts too. */
__attribute__((noinline)) static uint64_t mix_words(uint64_t sum, const struct vsr_result *result)
{
    uint64_t word;
    uint32_t at = 0;

    sum += result->bytes;
    for (; at + 8 <= result->bytes; at += 8) {
        memcpy(&word, result->data + at, sizeof word);
        sum = mix(sum, word);
    }
    if (at == result->bytes) return mix(sum, 0);
    word = 0;
    memcpy(&word, result->data + at, result->bytes - at);
    return mix(sum, word);
}

static inline uint64_t mix_result(uint64_t sum, const struct vsr_operation *operation)
{
    const struct vsr_result *result = operation->result;
    uint64_t word;

    if (__builtin_expect(result->bytes != sizeof word, 0)) return mix_words(sum, result);
    memcpy(&word, result->data, sizeof word);
    return mix(sum, word);
}

void vsr_digest_results(struct vsr_replica *r, vsr_op op)
{
    const struct vsr_operation *next = r->operations;
    const struct vsr_operation *const end = next + r->operation_count;
    uint64_t sum = r->divergence.digest;
    /* Chains side by side, or each operation would wait for the one before. */
    uint64_t sum_1 = 1;
    uint64_t sum_2 = 2;
    uint64_t sum_3 = 3;

    VSR_ASSERT(r->operation_count <= r->options.batch_requests_max);
    for (; end - next >= 4; next += 4) {
        sum = mix_result(sum, &next[0]);
        sum_1 = mix_result(sum_1, &next[1]);
        sum_2 = mix_result(sum_2, &next[2]);
        sum_3 = mix_result(sum_3, &next[3]);
    }
    if (r->operation_count >= 4) sum = mix(mix(mix(sum, sum_1), sum_2), sum_3);
    for (; next < end; next++)
        sum = mix_result(sum, next);
    VSR_ASSERT(op == r->applied);
    r->divergence.digest = sum;
    r->divergence.digests[op & r->log.mask] = sum;
}

/** Our own digest at an op that we have come to. False: it is not kept any more. */
static bool find_own(const struct vsr_replica *r, vsr_op op, uint64_t *digest)
{
    const struct vsr_divergence *d = &r->divergence;

    VSR_ASSERT(op <= r->applied);
    if (op < d->known_from || r->applied - op > r->log.mask) return false;
    *digest = d->digests[op & r->log.mask];
    return true;
}

/** The step's end halts us: our state is not the majority's at `op`. */
static void note_divergence(struct vsr_replica *r, vsr_op op)
{
    VSR_ASSERT(op != 0);
    VSR_ASSERT(op <= r->applied);
    if (r->divergence.halts_at == 0) r->divergence.halts_at = op;
    r->due |= DUE_HALT;
}

/** A primary that too many differ from cannot be one of a majority. */
static void judge(struct vsr_replica *r, vsr_op op, struct vsr_effects *out)
{
    const uint32_t count = r->members.count;
    uint32_t others = 0;

    VSR_ASSERT(is_primary(r));
    VSR_ASSERT(op != 0);
    VSR_ASSERT(r->in_view.compared.other[r->members.self] == 0); /* nobody differs from himself */

    for (uint32_t i = 0; i < count; i++)
        others += r->in_view.compared.other[i] != 0;
    if (count - others < quorum_majority(count)) {
        note_divergence(r, op);
        return;
    }
    if (r->in_view.compared.is_split_said) return;
    r->in_view.compared.is_split_said = true;
    effects_notice(out, VSR_NOTICE_STATES_DIFFER, r->members.self, op);
}

/** A replica's state is ours at the claim's op: so may a majority's be, our own among them. */
static void note_equal(struct vsr_replica *r, uint32_t from, const struct vsr_claim *claim)
{
    struct vsr_comparisons *c = &r->in_view.compared;
    uint32_t count = 1;

    VSR_ASSERT(claim->op <= r->applied);
    VSR_ASSERT(vsr_members_has_other(&r->members, from));
    if (claim->op <= c->equal[from]) return;
    c->equal[from] = claim->op;
    if (claim->op <= c->agreed.op) return;
    for (uint32_t i = 0; i < r->members.count; i++)
        count += i != r->members.self && c->equal[i] >= claim->op;
    VSR_ASSERT(count <= r->members.count);
    if (count >= quorum_majority(r->members.count)) c->agreed = *claim;
}

static void compare(struct vsr_replica *r, uint32_t from, const struct vsr_claim *claim,
                    uint64_t witness, struct vsr_effects *out)
{
    struct vsr_comparisons *c = &r->in_view.compared;
    uint64_t own;

    VSR_ASSERT(claim->op != 0);
    VSR_ASSERT(vsr_members_has_other(&r->members, from));

    if (claim->op > r->applied) {
        /* The first that waits, or a replica that is always ahead would never be compared. */
        if (c->waiting[from].op == 0 || claim->op < c->waiting[from].op) {
            c->waiting[from] = *claim;
            c->waiting_witness[from] = witness;
        }
        c->is_due = true;
        return;
    }
    if (!find_own(r, claim->op, &own)) return;
    if (own == claim->digest) {
        note_equal(r, from, claim);
        vsr_doubt_ends(&c->doubts[from], claim->op);
        return;
    }
    if (!vsr_doubt_again(&c->doubts[from], claim->op, witness)) return;
    if (!is_primary(r)) {
        note_divergence(r, claim->op);
        return;
    }
    if (c->other[from] != 0) return;
    c->other[from] = claim->op;
    judge(r, claim->op, out);
}

void vsr_compare_waiting(struct vsr_replica *r, struct vsr_effects *out)
{
    struct vsr_comparisons *c = &r->in_view.compared;

    if (!c->is_due) return;
    c->is_due = false;
    for (uint32_t i = 0; i < r->members.count; i++) {
        const struct vsr_claim claim = c->waiting[i];
        if (claim.op == 0) continue;
        c->waiting[i].op = 0;
        compare(r, i, &claim, c->waiting_witness[i], out);
    }
}

struct vsr_claim vsr_claim_own(const struct vsr_replica *r)
{
    return (struct vsr_claim){.op = r->applied, .digest = r->divergence.digest};
}

void vsr_hear_claim(struct vsr_replica *r, uint32_t from, const struct vsr_claim *claim,
                    uint64_t witness, struct vsr_effects *out)
{
    if (claim->op != 0) compare(r, from, claim, witness, out);
}

void vsr_forget_claims(struct vsr_replica *r, uint32_t from)
{
    struct vsr_comparisons *c = &r->in_view.compared;

    VSR_ASSERT(vsr_members_has_other(&r->members, from));
    c->waiting[from] = (struct vsr_claim){0};
    c->doubts[from] = (struct vsr_doubt){0};
    c->equal[from] = c->other[from] = 0;
}
