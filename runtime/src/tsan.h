/**
 * What ThreadSanitizer has to be told about code it cannot see into.
 *
 * The inline assembly of Concurrency Kit looks like races to it. The edge that a ring makes is told
 * per message, and the ring call itself is ignored: tagging the ring or the batch alone would let a
 * later publish hide a race in a payload.
 */
#ifndef ACT_SRC_TSAN_H
#define ACT_SRC_TSAN_H

#if defined(__SANITIZE_THREAD__)
#define ACT_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ACT_TSAN 1
#endif
#endif

#ifdef ACT_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
#define TSAN_ACQUIRE(address) __tsan_acquire((void *)(address))
#define TSAN_RELEASE(address) __tsan_release((void *)(address))
#define TSAN_IGNORE_BEGIN()                                                                        \
    do {                                                                                           \
        AnnotateIgnoreReadsBegin(__FILE__, __LINE__);                                              \
        AnnotateIgnoreWritesBegin(__FILE__, __LINE__);                                             \
    } while (0)
#define TSAN_IGNORE_END()                                                                          \
    do {                                                                                           \
        AnnotateIgnoreWritesEnd(__FILE__, __LINE__);                                               \
        AnnotateIgnoreReadsEnd(__FILE__, __LINE__);                                                \
    } while (0)
#else
#define TSAN_ACQUIRE(address) ((void)(address))
#define TSAN_RELEASE(address) ((void)(address))
#define TSAN_IGNORE_BEGIN() ((void)0)
#define TSAN_IGNORE_END() ((void)0)
#endif

#endif
