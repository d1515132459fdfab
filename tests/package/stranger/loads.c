/* Loads libvsr with dlopen, as a plug-in's host does, and starts and stops its runtime. Usage: loads LIBRARY */
#include <act/runtime.h>

#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    void (*init)(struct act_runtime_options *);
    int (*start)(const struct act_runtime_options *, struct act_runtime **, struct act_error *);
    uint64_t (*stop)(struct act_runtime *);
    struct act_runtime_options options;
    struct act_runtime *runtime;
    struct act_error why;
    void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;

    if (library == NULL) return puts(argc == 2 ? dlerror() : "Usage: loads LIBRARY"), 1;
    *(void **)&init = dlsym(library, "act_runtime_options_init");
    *(void **)&start = dlsym(library, "act_runtime_start");
    *(void **)&stop = dlsym(library, "act_runtime_stop");
    if (dlsym(library, "vsr_cluster_start") == NULL || init == NULL || start == NULL || stop == NULL) return puts(dlerror()), 1;
    init(&options);
    options.workers = 2;
    if (start(&options, &runtime, &why) != 0) return puts(why.text), 1;
    if (stop(runtime) != 0) return 1;
    puts("loaded, started, stopped");
    return 0;
}
