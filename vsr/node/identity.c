/**
 * Who a client is: ids from the system's random source, or from a seed that is given once.
 */
#include "identity.h"

#include "../core/assert.h"
#include "../core/splitmix.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void vsr_node_identities_init(struct vsr_node_identities *identities)
{
    *identities = (struct vsr_node_identities){0};
    pthread_mutex_init(&identities->mutex, NULL);
}

void vsr_node_identities_deinit(struct vsr_node_identities *identities)
{
    VSR_ASSERT(identities->count <= identities->capacity);
    pthread_mutex_destroy(&identities->mutex);
    free(identities->seeds);
}

static int draw(uint64_t id[2], struct vsr_error *why)
{
    ssize_t got;

    do
        got = getrandom(id, sizeof(uint64_t[2]), 0);
    while (got < 0 && errno == EINTR);
    if (got == (ssize_t)sizeof(uint64_t[2])) return 0;
    const int error = got < 0 ? -errno : -EIO;
    if (why != NULL) {
        *why = (struct vsr_error){.option = "seed", .max = UINT64_MAX, .rule = ""};
        snprintf(why->text, sizeof why->text,
                 "a client needs an id from the system's random source, which says: %s; let "
                 "getrandom through, or give each client a seed of its own",
                 strerror(-error));
    }
    return error;
}

/** Notes a seed. Returns 0, -EEXIST when it was given before, -ENOMEM. */
static int claim(struct vsr_node_identities *identities, uint64_t seed)
{
    VSR_ASSERT(seed != 0); /* That asks for a random id. */
    for (uint32_t i = 0; i < identities->count; i++)
        if (identities->seeds[i] == seed) return -EEXIST;
    if (identities->count == identities->capacity) {
        const uint32_t capacity = identities->capacity == 0 ? 16 : identities->capacity * 2;
        uint64_t *seeds = realloc(identities->seeds, capacity * sizeof *seeds);
        if (seeds == NULL) return -ENOMEM;
        identities->seeds = seeds;
        identities->capacity = capacity;
    }
    VSR_ASSERT(identities->count < identities->capacity);
    identities->seeds[identities->count++] = seed;
    return 0;
}

int vsr_node_identify(struct vsr_node_identities *identities, uint64_t seed, uint64_t id[2],
                      struct vsr_error *why)
{
    if (seed == 0) return draw(id, why);

    pthread_mutex_lock(&identities->mutex);
    const int error = claim(identities, seed);
    pthread_mutex_unlock(&identities->mutex);
    if (error == -EEXIST && why != NULL) {
        *why = (struct vsr_error){
            .option = "seed", .value = seed, .min = 1, .max = UINT64_MAX, .rule = ""};
        snprintf(why->text, sizeof why->text,
                 "seed %llu was given to a client of this cluster before, which may have stopped "
                 "since: both would have the same client ids, and the second would be told the "
                 "first one's results; leave it 0, or give each client a seed of its own",
                 (unsigned long long)seed);
    }
    /* Each of its steps is a bijection: two seeds never give the same id. */
    id[0] = splitmix_next(&seed);
    id[1] = splitmix_next(&seed);
    return error;
}
