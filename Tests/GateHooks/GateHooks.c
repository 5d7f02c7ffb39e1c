#define _GNU_SOURCE
#include "GateHooks.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <sys/resource.h>

// A symbol of the executable comes before the same one of a shared library, so that these serve the
// Swift runtime and glibc's own callers as well. The work is done by glibc under its other names.
// Thread-local variables of an executable need no allocation themselves.
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static _Thread_local struct gate_counts counts;

struct gate_counts gate_counts_here(void) { return counts; }

long gate_page_faults_here(void) {
    struct rusage usage;
    return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_minflt : -1;
}

void *malloc(size_t size) {
    counts.allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    counts.allocations++;
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
    counts.allocations++;
    return __libc_realloc(memory, size);
}

void *memalign(size_t alignment, size_t size) {
    counts.allocations++;
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    counts.allocations++;
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size) {
    counts.allocations++;
    if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0) return EINVAL;
    void *memory = __libc_memalign(alignment, size);
    if (memory == NULL) return ENOMEM;
    *result = memory;
    return 0;
}

#ifdef __x86_64__
// These are plain C functions on this architecture (on others they keep registers that C does not).
// The runtime's own hook for instruments, `_swift_retain`, is of no use: its adapter takes string
// literals for objects and writes a count into them (seen with Swift 6.3).
#define NEXT(name, ...)                                                        \
    static __typeof__(&name) next;                                             \
    if (next == NULL) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name);       \
    return next(__VA_ARGS__)

void *swift_retain(void *object) {
    counts.retains++;
    NEXT(swift_retain, object);
}

void *swift_retain_n(void *object, uint32_t count) {
    counts.retains++;
    NEXT(swift_retain_n, object, count);
}

void *swift_bridgeObjectRetain(void *object) {
    counts.retains++;
    NEXT(swift_bridgeObjectRetain, object);
}

void swift_release(void *object) {
    counts.releases++;
    NEXT(swift_release, object);
}

void swift_release_n(void *object, uint32_t count) {
    counts.releases++;
    NEXT(swift_release_n, object, count);
}

void swift_bridgeObjectRelease(void *object) {
    counts.releases++;
    NEXT(swift_bridgeObjectRelease, object);
}

void swift_beginAccess(void *address, void *scratch, uintptr_t flags, void *caller) {
    counts.accesses++;
    NEXT(swift_beginAccess, address, scratch, flags, caller);
}
#endif
