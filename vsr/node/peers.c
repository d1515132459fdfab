/**
 * Peers. See vsr/peers.h.
 */
#include "peers.h"

#include "../core/assert.h"
#include "../core/options.h"
#include "errors.h"
#include "health.h"
#include "identity.h"
#include "misuse.h"

#include <vsr/client.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void vsr_node_peers_init(struct vsr_peers *peers, const struct vsr_peers_options *options,
                         const struct vsr_node_health *health)
{
    VSR_ASSERT(options->replica_count >= 1);
    VSR_ASSERT(options->replica_count <= VSR_REPLICAS_MAX);
    VSR_ASSERT(options->tick_ns > 0);
    *peers = (struct vsr_peers){.options = *options, .health = health};
    peers->options.replicas = NULL;
    pthread_mutex_init(&peers->mutex, NULL);
    vsr_node_identities_init(&peers->identities);
}

void vsr_node_peers_enter(struct vsr_peers *peers, struct vsr_node_member *member)
{
    pthread_mutex_lock(&peers->mutex);
    *member = (struct vsr_node_member){.next = peers->members, .link = &peers->members};
    if (member->next != NULL) member->next->link = &member->next;
    peers->members = member;
    pthread_mutex_unlock(&peers->mutex);
}

void vsr_node_peers_name(struct vsr_peers *peers, struct vsr_node_member *member, act_id id)
{
    VSR_ASSERT(id != ACT_ID_NONE);
    pthread_mutex_lock(&peers->mutex);
    VSR_ASSERT(member->id == ACT_ID_NONE); /* It begins once. */
    member->id = id;
    pthread_mutex_unlock(&peers->mutex);
}

void vsr_node_peers_leave(struct vsr_peers *peers, struct vsr_node_member *member)
{
    pthread_mutex_lock(&peers->mutex);
    VSR_ASSERT(*member->link == member);
    *member->link = member->next;
    if (member->next != NULL) member->next->link = member->link;
    pthread_mutex_unlock(&peers->mutex);
}

uint32_t vsr_node_peers_clients(struct vsr_peers *peers, act_id *one)
{
    uint32_t count = 0;

    *one = ACT_ID_NONE;
    pthread_mutex_lock(&peers->mutex);
    for (const struct vsr_node_member *m = peers->members; m != NULL; m = m->next, count++)
        if (m->id != ACT_ID_NONE) *one = m->id;
    pthread_mutex_unlock(&peers->mutex);
    return count;
}

void vsr_node_peers_deinit(struct vsr_peers *peers)
{
    VSR_ASSERT(peers->members == NULL);
    vsr_node_identities_deinit(&peers->identities);
    pthread_mutex_destroy(&peers->mutex);
}

void vsr_peers_options_init(struct vsr_peers_options *options)
{
    struct vsr_client_options client;

    vsr_client_options_init(&client);
    *options = (struct vsr_peers_options){
        .replica_count = 3,
        .sessions_max = client.sessions_max,
        .op_bytes_max = 1024,
        .result_bytes_max = 16,
        .tick_ns = 1000000,
    };
}

static int check(const struct vsr_peers_options *o, struct vsr_error *why)
{
    const struct vsr_option_range ranges[] = {
        {.name = "runtime",
         .value = o->runtime != NULL,
         .min = 1,
         .max = 1,
         .rule = "a runtime that has started"},
        {.name = "replicas",
         .value = o->replicas != NULL,
         .min = 1,
         .max = 1,
         .rule = "replica_count ids"},
        {.name = "replica_count", .value = o->replica_count, .min = 1, .max = VSR_REPLICAS_MAX},
        {.name = "sessions_max", .value = o->sessions_max, .min = 1, .max = VSR_SESSIONS_MAX},
        {.name = "op_bytes_max", .value = o->op_bytes_max, .max = VSR_OP_BYTES_MAX},
        {.name = "result_bytes_max", .value = o->result_bytes_max, .max = VSR_RESULT_BYTES_MAX},
        {.name = "tick_ns", .value = o->tick_ns, .min = 100000, .max = UINT64_MAX},
    };
    int error = vsr_options_check(ranges, sizeof ranges / sizeof ranges[0], why);

    for (uint32_t i = 0; error == 0 && i < o->replica_count; i++) {
        if (o->replicas[i] != ACT_ID_NONE) continue;
        error = vsr_node_explain(why, "replicas", -EINVAL, "replicas: replica %u has no id", i);
    }
    return error;
}

int vsr_peers_create(const struct vsr_peers_options *options, struct vsr_peers **peers,
                     struct vsr_error *why)
{
    if (why != NULL) *why = (struct vsr_error){.rule = ""};
    int error = options != NULL && peers != NULL ? check(options, why) : -EINVAL;
    struct vsr_peers *p = error == 0 ? calloc(1, sizeof *p) : NULL;

    if (error == 0 && p == NULL) error = -ENOMEM;
    vsr_node_error_finish(why, error);
    if (error != 0) return error;
    vsr_node_peers_init(p, options, NULL);
    memcpy(p->ids, options->replicas, options->replica_count * sizeof p->ids[0]);
    *peers = p;
    return 0;
}

void vsr_peers_destroy(struct vsr_peers *peers)
{
    act_id one;

    NODE_REQUIRE(peers != NULL, "peers is NULL");
    NODE_REQUIRE(peers->health == NULL, "a cluster's peers end with the cluster");
    NODE_REQUIRE(vsr_node_peers_clients(peers, &one) == 0,
                 "a client or a service with these peers has not ended");
    vsr_node_peers_deinit(peers);
    free(peers);
}

uint32_t vsr_peers_count(const struct vsr_peers *peers)
{
    return peers->options.replica_count;
}

act_id vsr_peers_id(const struct vsr_peers *peers, uint32_t replica)
{
    return replica < peers->options.replica_count ? peers->ids[replica] : ACT_ID_NONE;
}
