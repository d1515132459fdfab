/**
 * What is the same for every message, checked once.
 */
#ifndef VSR_CORE_ADMISSION_H
#define VSR_CORE_ADMISSION_H

#include <vsr/replica.h>

/** Checks a message and gives it to its handler. Ownership: takes m. */
enum vsr_drop vsr_on_message(struct vsr_replica *r, struct vsr_buffer m, struct vsr_effects *out);

#endif
