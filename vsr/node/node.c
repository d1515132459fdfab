/**
 * Nodes. See node.h.
 */
#include "node.h"

#include "../core/assert.h"
#include "errors.h"
#include "life.h"
#include "replica_actor.h"
#include "storage.h"
#include "wait.h"

#include <act/actor.h>
#include <act/runtime.h>

#include <errno.h>
#include <stdio.h>

void vsr_node_init(struct vsr_node *node, struct vsr_node_common *common, uint32_t index)
{
    VSR_ASSERT(index < common->options.replica.replica_count);
    *node = (struct vsr_node){.common = common, .index = index};
    vsr_node_inbox_init(&node->inbox);
    vsr_node_event_init(&node->stopped);
}

void vsr_node_deinit(struct vsr_node *node)
{
    VSR_ASSERT(node->address == ACT_ID_NONE);
    vsr_node_event_deinit(&node->stopped);
    vsr_node_inbox_deinit(&node->inbox);
}

/** From the last worker on: what a thread spawns next, a service, is not beside the primary. */
static uint32_t default_place(const struct act_runtime *runtime, uint32_t replica)
{
    const uint32_t workers = act_runtime_workers(runtime);
    VSR_ASSERT(workers > 0);
    return ACT_PLACE_ON(workers - 1 - replica % workers);
}

int vsr_node_spawn(struct vsr_node *node)
{
    struct vsr_node_common *common = node->common;
    const struct vsr_cluster_options *o = &common->options;
    struct vsr_node_replica *replica = vsr_node_replica_create(
        o, node->index, common->storage, &node->inbox, &node->stopped, &common->health);

    VSR_ASSERT(node->address == ACT_ID_NONE);
    VSR_ASSERT(common->storage != NULL);
    act_id id;

    if (replica == NULL) return -ENOMEM;
    int error = act_spawn(
        &(struct act_spawn_options){
            .behaviour = &vsr_node_replica_behaviour,
            .state = replica,
            .place =
                o->places != NULL ? o->places[node->index] : default_place(o->runtime, node->index),
            .mailbox_max = o->mailbox_max,
        },
        &id);
    if (error == 0)
        node->address = id;
    else
        vsr_node_replica_destroy(replica);
    return error;
}

/**
 * Takes the size of results from the first state machine that is made; all others, those of later
 * lives too, give the same: the places of results are part of a snapshot.
 */
static int agree_on_results(struct vsr_node_common *common, uint32_t replica, uint32_t bytes_max,
                            struct vsr_error *why)
{
    struct vsr_replica_options *o = &common->options.replica;

    VSR_ASSERT(bytes_max <= VSR_RESULT_BYTES_MAX); /* check_machine has looked at it. */
    if (!common->has_result_bytes) {
        o->result_bytes_max = bytes_max;
        common->has_result_bytes = true;
        return vsr_replica_options_check(o, why);
    }
    if (bytes_max == o->result_bytes_max) return 0;
    if (why != NULL) {
        *why = (struct vsr_error){.option = "result_bytes_max",
                                  .value = bytes_max,
                                  .min = o->result_bytes_max,
                                  .max = o->result_bytes_max,
                                  .rule = "the same for all replicas"};
        snprintf(why->text, sizeof why->text,
                 "the state machine of replica %u gives results of up to %u bytes, the first one "
                 "made gave %u; create_machine has to make the same for all replicas",
                 replica, bytes_max, o->result_bytes_max);
    }
    return -EINVAL;
}

/**
 * A storage of the embedder's may hold anything: what no replica has asked it to keep is no
 * superblock. Returns 0 or -EBADMSG, and *why.
 */
static int check_superblock(const struct vsr_superblock *superblock, uint32_t replica,
                            struct vsr_error *why)
{
    if (superblock->log_view <= superblock->view && superblock->view <= VSR_VIEW_MAX &&
        superblock->incarnation < UINT32_MAX)
        return 0;
    return vsr_node_explain(
        why, "storage", -EBADMSG,
        "replica %u: no superblock of a replica: view %llu, log view %llu, "
        "incarnation %u. Restore it or replace the replica: starting it empty would "
        "fork the log",
        replica, (unsigned long long)superblock->view, (unsigned long long)superblock->log_view,
        superblock->incarnation);
}

int vsr_node_prepare(struct vsr_node *node, const struct vsr_peers *peers,
                     struct vsr_node_control *control, struct vsr_error *why)
{
    struct vsr_node_common *common = node->common;
    struct vsr_node_life *life = &control->life;
    struct vsr_superblock superblock;

    VSR_ASSERT(!act_on_worker()); /* It blocks. */
    *control = (struct vsr_node_control){.command = NODE_BEGIN, .peers = peers->ids};
    int error = vsr_node_storage_read(common->storage, node->index, &superblock, why);
    if (error != 0) return error;
    error = check_superblock(&superblock, node->index, why);
    if (error != 0) return error;
    error = vsr_node_life_create_machine(&common->options, node->index, life, why);
    if (error != 0) return error;
    error = agree_on_results(common, node->index, life->machine.result_bytes_max, why);
    if (error == 0)
        return vsr_node_life_create_core(&common->options, node->index, &superblock, life);
    vsr_node_life_destroy(life);
    return error;
}

int vsr_node_ask(struct vsr_node *node, struct vsr_node_control *control)
{
    return vsr_node_control_ask(&node->inbox, node->address, node->index, control);
}

int vsr_node_await(struct vsr_node *node, struct vsr_node_control *control)
{
    return vsr_node_control_await(&node->inbox, node->index, control);
}

int vsr_node_command(struct vsr_node *node, struct vsr_node_control *control)
{
    int error = vsr_node_ask(node, control);
    return error != 0 ? error : vsr_node_await(node, control);
}

int vsr_node_inspect(struct vsr_node *node, bool wants_digest, struct vsr_cluster_report *report)
{
    VSR_ASSERT(report != NULL);
    struct vsr_node_control control = {
        .command = NODE_INSPECT, .report = report, .wants_digest = wants_digest};
    return vsr_node_command(node, &control);
}

void vsr_node_stop(struct vsr_node *node)
{
    struct vsr_node_wait wait = vsr_node_wait_begin("a replica's mailbox, to stop it", node->index);

    VSR_ASSERT(!act_on_worker());
    if (node->address == ACT_ID_NONE) return;
    while (act_stop(node->address, 0) != 0)
        vsr_node_wait_pause(&wait);
}

void vsr_node_join(struct vsr_node *node)
{
    struct vsr_node_wait wait = vsr_node_wait_begin("a replica's actor, to end", node->index);

    VSR_ASSERT(!act_on_worker());
    if (node->address == ACT_ID_NONE) return;
    /* No deadline: an actor that lives on would use what is freed next. It is named. */
    while (!vsr_node_event_wait_for(&node->stopped, NODE_WAIT_SAY_NS))
        vsr_node_wait_look(&wait);
    node->address = ACT_ID_NONE;
}
