/**
 * Names of logs: that no bytes of an entry hide others, its predecessor least of all.
 */
#include "checksum.h"
#include "fixture.h"
#include "leak_check.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

LEAK_CHECKED_SUITE(checksum);

enum { PAYLOAD_MAX = 2048, ORDINARY = 40 };

/** An entry whose requests are any bytes: its name does not care what they mean. */
struct entry {
    struct vsr_prepare prepare;
    uint64_t words[PAYLOAD_MAX / 8];
};

static uint64_t next_random(uint64_t *random)
{
    *random = *random * 6364136223846793005ull + 1442695040888963407ull;
    return *random ^ *random >> 29;
}

static struct entry make_entry(uint32_t bytes, uint64_t *random)
{
    struct entry e = {
        .prepare.header = {.cluster = CLUSTER,
                           .bytes = (uint32_t)sizeof e.prepare + bytes,
                           .count = 1},
        .prepare.entry = {.op = 9, .view = 3, .epoch = 1, .timestamp = 77, .parent_checksum = 5},
    };

    for (uint32_t i = 0; i < PAYLOAD_MAX / 8; i++)
        e.words[i] = next_random(random);
    return e;
}

static vsr_checksum name_after(struct entry *e, uint64_t parent)
{
    e->prepare.entry.parent_checksum = parent;
    return vsr_entry_checksum(&e->prepare);
}

/** What the requests' checksum begins with, for the predecessor that stands in the entry. */
static uint64_t seed_of_requests(const struct entry *e)
{
    struct vsr_entry fields = e->prepare.entry;

    fields.checksum = (uint64_t)e->prepare.header.bytes << 32 | e->prepare.header.count;
    return vsr_checksum_of(vsr_checksum_seed(CLUSTER), &fields, sizeof fields);
}

/**
 * Words that a multiplication might make nothing of: 0, all ones, constants of well-known hashes,
 * every word of XXH3's secret, plain and with the seed that is in use added and taken away.
 */
static uint32_t words_of_interest(uint64_t seed, uint64_t *words)
{
    static const uint64_t fixed[] = {
        0,          UINT64_MAX,          0x6A09E667F3BCC909, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B,
        1,          0xA54FF53A5F1D36F1,  XXH_PRIME64_1,      XXH_PRIME64_2,      XXH_PRIME64_3,
        1ull << 63, XXH_PRIME64_4,       XXH_PRIME64_5,      XXH_PRIME32_1,      XXH_PRIME32_2,
        1ull << 32, 0x9E3779B97F4A7C15u, UINT32_MAX,         XXH_PRIME32_3,      0xFFFFFFFF00000000,
    };
    uint32_t count = sizeof fixed / sizeof fixed[0];

    memcpy(words, fixed, sizeof fixed);
    for (uint32_t at = 0; at + 8 <= XXH_SECRET_DEFAULT_SIZE; at++) {
        /* The short inputs use every eighth byte, the ends of the longer ones odd ones. */
        if (at % 8 != 0 && at % 8 != 3 && at % 8 != 7) continue;
        uint64_t secret;
        memcpy(&secret, XXH3_kSecret + at, sizeof secret);
        words[count++] = secret;
        words[count++] = secret + seed;
        words[count++] = secret - seed;
    }
    return count;
}

/* Every bit and the length count, and what the checksum continues. */
Test(checksum, every_bit_and_the_length_count)
{
    uint8_t bytes[300] = {0};

    for (size_t count = 0; count < sizeof bytes; count++) {
        uint64_t sum = vsr_checksum_of(1, bytes, count);
        cr_assert_neq(sum, vsr_checksum_of(1, bytes, count + 1));
        cr_assert_neq(sum, vsr_checksum_of(2, bytes, count));
        for (size_t bit = 0; bit < count * 8; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            cr_assert_neq(sum, vsr_checksum_of(1, bytes, count), "bit %zu of %zu", bit, count);
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

/* log.h: every bit of an entry but its checksum's, and of what its header says of the requests. */
Test(checksum, every_bit_of_an_entry_counts)
{
    uint64_t random = 1;
    struct entry e = make_entry(ORDINARY, &random);
    const vsr_checksum name = vsr_entry_checksum(&e.prepare);
    uint8_t *const covered = (uint8_t *)&e.prepare.entry;
    const size_t own = offsetof(struct vsr_entry, checksum);

    for (size_t bit = 0; bit < (sizeof e.prepare.entry + ORDINARY) * 8; bit++) {
        bool is_own = bit / 8 >= own && bit / 8 < own + sizeof e.prepare.entry.checksum;
        covered[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_assert_eq(vsr_entry_checksum(&e.prepare) == name, is_own, "bit %zu", bit);
        covered[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (uint32_t bit = 0; bit < 32; bit++) {
        e.prepare.header.count ^= 1u << bit;
        cr_assert_neq(vsr_entry_checksum(&e.prepare), name, "bit %u of the count", bit);
        e.prepare.header.count ^= 1u << bit;
    }
    e.prepare.header.bytes += 8;
    cr_assert_neq(vsr_entry_checksum(&e.prepare), name);
}

/* checksum.h: two clusters have no name in common, nor a snapshot. */
Test(checksum, every_bit_of_the_cluster_counts)
{
    uint64_t random = 2;
    struct entry e = make_entry(ORDINARY, &random);
    const vsr_checksum name = vsr_entry_checksum(&e.prepare);
    const vsr_checksum id = vsr_snapshot_id(CLUSTER, &e, sizeof e);

    for (uint32_t bit = 0; bit < 64; bit++) {
        e.prepare.header.cluster ^= 1ull << bit;
        cr_assert_neq(vsr_entry_checksum(&e.prepare), name, "bit %u", bit);
        e.prepare.header.cluster ^= 1ull << bit;
        cr_assert_neq(vsr_snapshot_id(CLUSTER ^ 1ull << bit, &e, sizeof e), id, "bit %u", bit);
    }
}

/* The words that were the constants of an earlier checksum, which are the first of SHA-512's and
 * stand in real files: they made two logs of two predecessors one. */
Test(checksum, constants_of_sha_512_hide_no_predecessor)
{
    uint64_t random = 3;
    struct entry e = make_entry(ORDINARY, &random);
    const uint64_t payload[5] = {1, 0, 0x3C6EF372FE94F82B, 0, 0xA54FF53A5F1D36F1};

    memcpy(e.words, payload, sizeof payload);
    cr_assert_neq(name_after(&e, 1), name_after(&e, 2));
}

/** Puts a word at a place of the requests: the predecessor counts, and so does every other word. */
static void check_nothing_is_hidden_by(struct entry *e, uint32_t at, uint64_t word,
                                       uint64_t *random)
{
    const uint32_t count = (e->prepare.header.bytes - (uint32_t)sizeof e->prepare) / 8;
    const uint64_t parent = e->prepare.entry.parent_checksum;
    const uint64_t before = e->words[at];
    /* In long requests the neighbours, up to a stripe away. */
    const uint32_t reach = count <= 32 ? count : 9;

    e->words[at] = word;
    const vsr_checksum name = vsr_entry_checksum(&e->prepare);
    cr_assert_neq(name_after(e, next_random(random)), name, "word %u of %u is %llx", at, count,
                  (unsigned long long)word);
    cr_assert_neq(name_after(e, parent ^ 1ull << next_random(random) % 64), name,
                  "word %u of %u is %llx", at, count, (unsigned long long)word);
    e->prepare.entry.parent_checksum = parent;
    for (uint32_t i = at > reach ? at - reach : 0; i < count && i <= at + reach; i++) {
        const uint64_t bit = 1ull << next_random(random) % 64;
        e->words[i] ^= bit;
        cr_assert_neq(vsr_entry_checksum(&e->prepare), name, "word %u of %u is %llx, hides word %u",
                      at, count, (unsigned long long)word, i);
        e->words[i] ^= bit;
    }
    e->words[at] = before;
}

/* Every place of requests of every kind of length that XXH3 treats in a way of its own. */
Test(checksum, no_word_of_the_requests_hides_another_or_the_predecessor)
{
    static const uint32_t lengths[] = {8, 16, 24, 40, 104, 128, 136, 232, 240, 248, 1024, 1104};
    static uint64_t words[256];
    uint64_t random = 4;

    for (size_t k = 0; k < sizeof lengths / sizeof lengths[0]; k++) {
        struct entry e = make_entry(lengths[k], &random);
        const uint32_t count = words_of_interest(seed_of_requests(&e), words);
        /* Long ones take long: every third word, another third at each place. */
        const uint32_t step = lengths[k] <= 128 ? 1 : 3;
        for (uint32_t at = 0; at < lengths[k] / 8; at++) {
            for (uint32_t i = at % step; i < count; i += step)
                check_nothing_is_hidden_by(&e, at, words[i], &random);
            for (uint32_t i = 0; i < 4; i++)
                check_nothing_is_hidden_by(&e, at, next_random(&random), &random);
        }
    }
}

/* The same for the fields: op, view, timestamp, and the words that epoch, kind and count are in. */
Test(checksum, no_word_of_the_fields_hides_another)
{
    static uint64_t words[256];
    uint64_t random = 5;
    struct entry e = make_entry(ORDINARY, &random);
    const uint32_t count = words_of_interest(vsr_checksum_seed(CLUSTER), words);
    uint64_t *const fields = (uint64_t *)(void *)&e.prepare.entry;
    enum { FIELDS = sizeof e.prepare.entry / 8, OWN = offsetof(struct vsr_entry, checksum) / 8 };

    for (uint32_t at = 0; at < FIELDS; at++) {
        for (uint32_t i = 0; i < count + 16; i++) {
            const uint64_t before = fields[at];
            fields[at] = i < count ? words[i] : next_random(&random);
            const vsr_checksum name = vsr_entry_checksum(&e.prepare);
            for (uint32_t k = 0; k < FIELDS * 64; k++) {
                if (k / 64 == OWN) continue;
                fields[k / 64] ^= 1ull << k % 64;
                cr_assert_neq(vsr_entry_checksum(&e.prepare), name,
                              "field %u is %llx, hides bit %u of %u", at,
                              (unsigned long long)fields[at], k % 64, k / 64);
                fields[k / 64] ^= 1ull << k % 64;
            }
            fields[at] = before;
        }
    }
}
