// What a copy costs: memcpy of super-frames between two areas, as fast as it goes.
//
//   copy SECONDS SIZE COUNT
//
// COUNT buffers of SIZE bytes are copied to as many others, round and round, on one thread. Both
// areas are shared memory in pages of 4 KiB, as the guests' memory of the vhost rows is, and have
// been written to before. Prints {"bytesPerSecond": …}.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static uint8_t *area(size_t size) {
    int file = memfd_create("copy", MFD_CLOEXEC);
    if (file < 0 || ftruncate(file, size)) return NULL;
    void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (bytes == MAP_FAILED) return NULL;
    memset(bytes, 1, size);
    return bytes;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int count, char **arguments) {
    double seconds = count == 4 ? atof(arguments[1]) : 0;
    size_t size = count == 4 ? atol(arguments[2]) : 0;
    size_t buffers = count == 4 ? atol(arguments[3]) : 0;
    if (seconds <= 0 || !size || !buffers) {
        fprintf(stderr, "usage: copy SECONDS SIZE COUNT\n");
        return 2;
    }
    // A buffer begins where a page does.
    size_t step = (size + 4095) & ~(size_t)4095;
    uint8_t *from = area(step * buffers), *to = area(step * buffers);
    if (!from || !to) {
        perror("copy: shared memory");
        return 1;
    }
    double start = now(), elapsed;
    uint64_t copies = 0;
    do {
        for (size_t index = 0; index < buffers; index++) {
            memcpy(to + index * step, from + index * step, size);
            __asm__ volatile("" ::: "memory");
        }
        copies += buffers;
        elapsed = now() - start;
    } while (elapsed < seconds);
    printf("{\"bytesPerSecond\": %.0f}\n", copies * (double)size / elapsed);
    return 0;
}
