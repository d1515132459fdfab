/**
 * One life of a replica: its state machine, its core, its snapshots.
 */
#include "life.h"
#include "buffers.h"
#include "replica_actor.h"
#include "snapshots.h"

#include "../core/assert.h"

#include <errno.h>
#include <stdio.h>

/** A machine without one of its functions would end the process at some later op. */
static int check_machine(const struct vsr_state_machine *machine, uint32_t replica,
                         struct vsr_error *why)
{
    const char *missing = machine->apply == NULL     ? "apply"
                          : machine->save == NULL    ? "save"
                          : machine->load == NULL    ? "load"
                          : machine->digest == NULL  ? "digest"
                          : machine->destroy == NULL ? "destroy"
                                                     : NULL;

    if (missing == NULL && machine->result_bytes_max <= VSR_RESULT_BYTES_MAX) return 0;
    if (why == NULL) return -EINVAL;
    *why = (struct vsr_error){.option = missing != NULL ? missing : "result_bytes_max",
                              .value = missing != NULL ? 0 : machine->result_bytes_max,
                              .max = VSR_RESULT_BYTES_MAX,
                              .rule = missing != NULL ? "a state machine needs it" : ""};
    if (missing != NULL)
        snprintf(why->text, sizeof why->text, "the state machine of replica %u has no %s", replica,
                 missing);
    else
        snprintf(why->text, sizeof why->text,
                 "the state machine of replica %u gives results of up to %u bytes; at most %u are "
                 "possible (VSR_RESULT_BYTES_MAX)",
                 replica, machine->result_bytes_max, VSR_RESULT_BYTES_MAX);
    return -EINVAL;
}

int vsr_node_life_create_machine(const struct vsr_cluster_options *options, uint32_t replica,
                                 struct vsr_node_life *life, struct vsr_error *why)
{
    VSR_ASSERT(replica < options->replica.replica_count);
    VSR_ASSERT(options->create_machine != NULL);
    *life = (struct vsr_node_life){0};
    int error = options->create_machine(options->machine_context, replica, &life->machine);
    if (error != 0) {
        *life = (struct vsr_node_life){0}; /* nothing was made, whatever stands there */
        return error;
    }
    error = check_machine(&life->machine, replica, why);
    if (error != 0) vsr_node_life_destroy(life);
    return error;
}

int vsr_node_life_create_core(const struct vsr_cluster_options *options, uint32_t replica,
                              const struct vsr_superblock *superblock, struct vsr_node_life *life)
{
    struct vsr_replica_options o = options->replica;

    VSR_ASSERT(life->machine.apply != NULL);
    VSR_ASSERT(life->driver.core == NULL);
    VSR_ASSERT(superblock->log_view <= superblock->view);
    VSR_ASSERT(superblock->incarnation < UINT32_MAX);
    VSR_ASSERT(life->machine.result_bytes_max == o.result_bytes_max);
    life->superblock = *superblock;
    life->snapshots.cluster = o.cluster;
    o.replica = replica;
    o.incarnation = superblock->incarnation + 1;
    o.buffers = vsr_node_buffers;
    int error = vsr_driver_create(&life->driver, &o, &vsr_node_replica_host, NULL);
    if (error != 0) vsr_node_life_destroy(life);
    return error;
}

void vsr_node_life_destroy(struct vsr_node_life *life)
{
    vsr_driver_destroy(&life->driver);
    if (life->machine.destroy != NULL) life->machine.destroy(life->machine.state);
    vsr_node_snapshots_deinit(&life->snapshots);
    *life = (struct vsr_node_life){0};
}
