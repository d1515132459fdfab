#include <act/port.h>
#include <act/runtime.h>
#include <vsr/caller.h>
#include <vsr/cluster.h>
#include <vsr/counter.h>

#include <stdio.h>

/* Each replica has a state machine of its own: here 16 counters. Yours is a struct of functions. */
static int create_machine(void *context, uint32_t replica, struct vsr_state_machine *machine)
{
    (void)context, (void)replica;
    return vsr_counter_create(16, machine);
}

int main(void)
{
    struct act_runtime_options runtime_options;
    struct vsr_cluster_options cluster_options;
    struct vsr_service_options service_options;
    struct act_runtime *runtime;
    struct vsr_cluster *cluster;
    struct vsr_caller *caller;
    struct act_error why;
    struct vsr_error error;
    act_id service;

    act_runtime_options_init(&runtime_options); /* one worker thread per core */
    if (act_runtime_start(&runtime_options, &runtime, &why) != 0) return puts(why.text), 1;

    vsr_cluster_options_init(&cluster_options); /* three replicas */
    cluster_options.runtime = runtime;
    cluster_options.create_machine = create_machine;
    if (vsr_cluster_start(&cluster_options, &cluster, &error) != 0) return puts(error.text), 1;

    vsr_service_options_init(&service_options); /* takes operations from any thread */
    service_options.peers = vsr_cluster_peers(cluster);
    if (vsr_service_spawn(&service_options, &service, NULL) != 0) return 1;

    /* Every thread that calls opens a caller of its own. */
    if (vsr_caller_open(runtime, service, &caller) != 0) return 1;
    for (int i = 0; i < 3; i++) {
        const struct vsr_counter_add add = {.index = 7, .amount = 5};
        uint64_t value = 0;
        uint32_t bytes = sizeof value;
        int status = vsr_caller_call(caller, &add, sizeof add, &value, &bytes, 1000000000);
        if (status != 0) return puts(vsr_status_text(status)), 1;
        printf("counter 7 is %llu\n", (unsigned long long)value);
    }
    vsr_caller_close(caller);
    if (vsr_service_stop(runtime, service, 1000000000) != 0) return 1;
    if (vsr_cluster_stop(cluster, &error) != 0) return puts(error.text), 1;
    return act_runtime_stop(runtime) == 0 ? 0 : 1;
}
