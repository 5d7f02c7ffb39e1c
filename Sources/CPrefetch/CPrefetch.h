#ifndef HEDDLE_CPREFETCH_H
#define HEDDLE_CPREFETCH_H

/// Asks the processor to bring the cache line of an address near, and does not wait for it.
///
/// Swift has no word for this instruction. It reads nothing: any address will do.
static inline __attribute__((always_inline)) void heddle_prefetch(const void *_Nonnull address) {
    __builtin_prefetch(address);
}

/// As heddle_prefetch, for a line that is to be written: it comes as this processor's own, so that the
/// store need not ask for it again when another one has read it.
static inline __attribute__((always_inline)) void heddle_prefetch_to_write(
    const void *_Nonnull address) {
#if defined(__x86_64__)
    // The compiler takes this instruction for optional; every x86-64 has it, or does nothing for it.
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)address));
#else
    __builtin_prefetch(address, 1);
#endif
}

#endif
