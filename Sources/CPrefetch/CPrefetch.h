#ifndef HEDDLE_CPREFETCH_H
#define HEDDLE_CPREFETCH_H

/// Asks the processor to bring the cache line of an address near, and does not wait for it.
///
/// Swift has no word for this instruction. It reads nothing: any address will do.
static inline __attribute__((always_inline)) void heddle_prefetch(const void *_Nonnull address) {
    __builtin_prefetch(address);
}

#endif
