#include "CLinux.h"

#include <linux/bpf.h>
#include <stdatomic.h>

// The one piece of logic in C: what a signal handler runs may not allocate, lock, or enter the Swift
// runtime, and compiled Swift does not promise that of itself. Its theory is with
// SharedMemoryGuard.swift.

struct clinux_guarded {
    // 0 while the entry is free; written last and cleared first.
    _Atomic uintptr_t start;
    _Atomic uintptr_t end;
    _Atomic size_t page;
    _Atomic int notify;
};

static struct clinux_guarded clinux_guarded[CLINUX_GUARD_LIMIT];
// One more than the last entry that was ever used.
static _Atomic int clinux_guarded_count;
static pthread_mutex_t clinux_guard_mutex = PTHREAD_MUTEX_INITIALIZER;
static bool clinux_guard_installed;
static struct sigaction clinux_guard_former;

static void clinux_guard_handle(int number, siginfo_t *info, void *context) {
    (void)context;
    int error = errno;
    uintptr_t address = (uintptr_t)info->si_addr;
    // Not above 0: sent by a process, which has no address.
    bool faulted = info->si_code > 0;
    int count = faulted ? atomic_load_explicit(&clinux_guarded_count, memory_order_acquire) : 0;
    for (int slot = 0; slot < count; slot++) {
        struct clinux_guarded *entry = &clinux_guarded[slot];
        uintptr_t start = atomic_load_explicit(&entry->start, memory_order_acquire);
        if (start == 0 || address < start) continue;
        if (address >= atomic_load_explicit(&entry->end, memory_order_acquire)) continue;
        size_t page = atomic_load_explicit(&entry->page, memory_order_acquire);
        void *place = (void *)(address & ~(page - 1));
        if (mmap(place, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                 0) == MAP_FAILED)
            break;
        uint64_t one = 1;
        ssize_t written =
            write(atomic_load_explicit(&entry->notify, memory_order_acquire), &one, sizeof one);
        (void)written;
        errno = error;
        return;
    }
    // Not ours: as if this handler had never been. A fault happens again on return.
    sigaction(number, &clinux_guard_former, NULL);
    if (!faulted) raise(number);
    errno = error;
}

int clinux_guard_add(void *start, size_t byteCount, size_t page, int notify) {
    int slot = -1;
    pthread_mutex_lock(&clinux_guard_mutex);
    if (!clinux_guard_installed) {
        struct sigaction action = {.sa_sigaction = clinux_guard_handle,
                                   .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
        sigemptyset(&action.sa_mask);
        clinux_guard_installed = sigaction(SIGBUS, &action, &clinux_guard_former) == 0;
    }
    for (int place = 0; clinux_guard_installed && place < CLINUX_GUARD_LIMIT; place++) {
        struct clinux_guarded *entry = &clinux_guarded[place];
        if (atomic_load_explicit(&entry->start, memory_order_relaxed) != 0) continue;
        atomic_store_explicit(&entry->end, (uintptr_t)start + byteCount, memory_order_release);
        atomic_store_explicit(&entry->page, page, memory_order_release);
        atomic_store_explicit(&entry->notify, notify, memory_order_release);
        atomic_store_explicit(&entry->start, (uintptr_t)start, memory_order_release);
        if (place >= atomic_load_explicit(&clinux_guarded_count, memory_order_relaxed))
            atomic_store_explicit(&clinux_guarded_count, place + 1, memory_order_release);
        slot = place;
        break;
    }
    pthread_mutex_unlock(&clinux_guard_mutex);
    return slot;
}

void clinux_guard_remove(int slot) {
    pthread_mutex_lock(&clinux_guard_mutex);
    atomic_store_explicit(&clinux_guarded[slot].start, 0, memory_order_release);
    pthread_mutex_unlock(&clinux_guard_mutex);
}

// bpf(2): its attributes are a union, and it has no wrapper.

int clinux_bpf_load_classifier(const uint64_t *instructions, uint32_t count, const char *name) {
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.prog_type = BPF_PROG_TYPE_SCHED_CLS;
    attributes.insns = (uintptr_t)instructions;
    attributes.insn_cnt = count;
    attributes.license = (uintptr_t) "Apache-2.0";
    strncpy(attributes.prog_name, name, sizeof attributes.prog_name - 1);
    return syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes);
}

int clinux_bpf_link_to_device(int program, int index, uint32_t place) {
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.link_create.prog_fd = program;
    attributes.link_create.target_ifindex = index;
    attributes.link_create.attach_type = place;
    attributes.link_create.flags = 1 << 3; // BPF_F_BEFORE (Linux 6.6), and all others
    return syscall(SYS_bpf, BPF_LINK_CREATE, &attributes, sizeof attributes);
}
