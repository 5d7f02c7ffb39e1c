// Counts what a thread allocates, retains and releases. Linked into the gate only.
#ifndef GATE_HOOKS_H
#define GATE_HOOKS_H

#include <stdint.h>

/// What one thread has done since it began.
struct gate_counts {
    /// Calls of malloc, calloc, realloc, memalign and their kin.
    uint64_t allocations;
    /// Calls of swift_retain, swift_release and their kin; 0 where they cannot be counted.
    uint64_t retains;
    uint64_t releases;
    /// Exclusivity checks, calls of swift_beginAccess; 0 where they cannot be counted.
    uint64_t accesses;
};

/// The calling thread's counts.
struct gate_counts gate_counts_here(void);

/// Page faults of the calling thread that needed no disk.
long gate_page_faults_here(void);

#endif
