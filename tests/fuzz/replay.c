/**
 * fuzz_replay [--trace] FILE...: runs inputs of the fuzzer again, with any compiler.
 */
#include "step.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { INPUT_BYTES_MAX = 1 << 16 };

static bool replay(const char *path)
{
    static uint8_t bytes[INPUT_BYTES_MAX];
    FILE *file = fopen(path, "rb");

    if (file == NULL) {
        fprintf(stderr, "fuzz_replay: %s: %s\n", path, strerror(errno));
        return false;
    }
    const size_t count = fread(bytes, 1, sizeof bytes, file);
    const bool is_read = ferror(file) == 0;
    fclose(file);
    if (!is_read) {
        fprintf(stderr, "fuzz_replay: %s cannot be read\n", path);
        return false;
    }
    if (fuzz_is_tracing) printf("%s\n", path);
    return LLVMFuzzerTestOneInput(bytes, count) == 0;
}

int main(int count, char **arguments)
{
    int first = 1;
    int failures = 0;

    if (count > 1 && strcmp(arguments[1], "--trace") == 0) {
        fuzz_is_tracing = true;
        setvbuf(stdout, NULL, _IOLBF, 0); /* the last lines before a crash count most */
        first = 2;
    }
    if (first == count) {
        fprintf(stderr, "Usage: fuzz_replay [--trace] FILE...\n");
        return 2;
    }
    for (int i = first; i < count; i++)
        failures += !replay(arguments[i]);
    printf("%d inputs replayed\n", count - first - failures);
    return failures == 0 ? 0 : 1;
}
