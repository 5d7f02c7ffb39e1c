// Heddle's switching core once more, in C: what the same algorithm costs in the language that such
// things are written in.
//
//     core --macs N --seconds S [--digest-frames N]       (clang -std=gnu17 -O3, no -march)
//
// The core itself is core_switch.h, the input core_input.h; here are its eight ports in memory, the
// run and the clock, which are those of Tests/Bench/Core and explained there (CoreRun.swift). The
// digest is over every verdict, every transmitted byte and every counter, so that both do the same
// work or the comparison is refused.

#define _GNU_SOURCE
#include <time.h>

#include "core_input.h"
#include "core_switch.h"

// ---- Ports in memory ---------------------------------------------------------------------------

enum { BURSTS_PER_CHUNK = 64, ROUND_NANOSECONDS = 6400 };

struct wiring {
    const uint8_t *frames;
    const uint32_t *lengths;
    uint32_t count;
    bool is_recording;
    uint64_t digest;
};

static void port_receive(struct port *port, struct burst *burst) {
    struct wiring *wiring = port->wiring;
    uint32_t room = burst->limit - burst->count;
    uint32_t count = wiring->count < room ? wiring->count : room;
    for (uint32_t place = 0; place < count; place++)
        memcpy(burst->slots[burst->count + place] + HEADROOM - VNET_HEADER,
               wiring->frames + place * STRIDE, VNET_HEADER + FRAME);
    burst_append(burst, wiring->lengths, count);
    wiring->count -= count;
}

static void port_transmit(struct port *port, struct entry *entries, uint32_t count) {
    for (uint32_t place = 0; place < count; place++) entries[place].outcome = NONE;
    struct wiring *wiring = port->wiring;
    if (likely(!wiring->is_recording)) return;
    for (uint32_t place = 0; place < count; place++) {
        const struct entry *entry = &entries[place];
        digest_word(&wiring->digest, port->number);
        for (uint64_t i = 0; i < entry->head_length; i++)
            digest_byte(&wiring->digest, entry->head[i]);
        for (uint64_t i = 0; i < entry->body_length; i++)
            digest_byte(&wiring->digest, entry->body[i]);
    }
}

// As other kinds of port have theirs.
static const struct port_operations memory_operations = {port_receive, port_transmit};

// ---- The run (see CoreRun.swift) ---------------------------------------------------------------

struct run {
    struct worker worker;
    struct input input;
    struct wiring wiring;
    uint64_t time;
};

static void one_round(struct run *run, int port, int place, uint32_t count) {
    run->wiring.frames = run->input.frames + place * STRIDE;
    run->wiring.lengths = run->input.lengths + place;
    run->wiring.count = count;
    run->time += ROUND_NANOSECONDS;
    begin_round(&run->worker, run->time);
    serve(&run->worker, (uint16_t)port);
    end_round(&run->worker);
}

static struct snapshot *make_snapshot(void) {
    struct snapshot *snapshot = zeroed(sizeof *snapshot);
    *snapshot = (struct snapshot){
        1, PORTS, zeroed(PORTS * sizeof(struct port_entry)),
        zeroed(3 * sizeof(struct domain_entry)), zeroed(64 * sizeof(struct member)),
        zeroed(4096 * 2)};
    static const uint64_t sets[4] = {0, 1 << 1, 1 << 2, 1 << 1 | 1 << 2};
    uint32_t position = 0;
    for (uint16_t domain = 1; domain <= 2; domain++) {
        struct domain_entry *entry = &snapshot->domains[domain];
        *entry = (struct domain_entry){1500, (uint16_t)(domain * 10), true, position, 0};
        snapshot->domain_of_vid[domain * 10] = domain;
        for (uint16_t port = 0; port < PORTS; port++) {
            if (port < 6 && domain_of(port, 0) != domain) continue;
            snapshot->members[position++] =
                (struct member){port, port < 6 ? 0 : (uint16_t)(domain * 10)};
            entry->flood_count++;
        }
    }
    for (uint16_t port = 0; port < PORTS; port++) {
        struct port_entry *entry = &snapshot->ports[port];
        if (port < 6) {
            uint16_t domain = domain_of(port, 0);
            *entry = (struct port_entry){domain, EXISTS | UP | ACCESS, 0, &sets[domain]};
        } else {
            *entry = (struct port_entry){0, EXISTS | UP, 0, &sets[3]};
        }
    }
    return snapshot;
}

static struct fdb *make_fdb(void) {
    enum { SIZE = 2 * 1048576 };
    struct fdb *fdb = zeroed(sizeof *fdb);
    fdb->slots = mapped(SIZE * sizeof(struct slot));
    fdb->links = mapped(SIZE * sizeof(struct link));
    fdb->mask = SIZE - 1;
    fdb->limit = SIZE / 2;
    fdb->seed = 7;
    fdb->ageing = 3000;
    for (int port = 0; port < PORT_CAPACITY; port++)
        fdb->lists[port] = (struct list){-1, -1, 0, UINT32_MAX};
    return fdb;
}

static struct run *make_run(uint64_t macs) {
    static _Atomic uint64_t published = 1;
    static _Atomic int64_t commands = 0;
    struct run *run = zeroed(sizeof *run);
    struct worker *worker = &run->worker;
    worker->snapshot = make_snapshot();
    worker->published = &published;
    worker->commands = &commands;
    worker->fdb = make_fdb();
    worker->worker_count = 1;
    worker->attachments = zeroed(PORTS * sizeof(struct port *));
    for (uint64_t number = 0; number < PORTS; number++) {
        struct port *port = worker->attachments[number] = zeroed(sizeof *port);
        *port = (struct port){&memory_operations, 0, number, &run->wiring};
    }
    uint8_t *slots = zeroed((size_t)BURST * SLOT_STRIDE);
    worker->burst.limit = BURST;
    for (int place = 0; place < BURST; place++)
        worker->burst.slots[place] = slots + (size_t)place * SLOT_STRIDE;
    for (int port = 0; port < PORT_CAPACITY; port++)
        worker->chains[port] = (struct chain){-1, &worker->chains[port].head};
    run->time = 1000000000000;
    run->wiring.digest = 0xCBF29CE484222325;
    run->input = (struct input){
        macs / PORTS, 0x484544444C45, 0, zeroed((size_t)BURSTS_PER_CHUNK * BURST * STRIDE),
        zeroed(BURSTS_PER_CHUNK * BURST * sizeof(uint32_t))};
    for (uint64_t index = 0; index < macs; index++) {
        int port = (int)(index % PORTS);
        uint64_t row = index / PORTS;
        write_frame(
            &run->input, 0, 0xFFFFFFFFFFFF, address_of(port, row),
            port < 6 ? -1 : domain_of(port, row) * 10);
        run->input.lengths[0] = FRAME;
        one_round(run, port, 0, 1);
    }
    return run;
}

// What the forwarding function says of a frame that is about to be switched.
static void digest_verdict(struct run *run, int place, int port) {
    const struct snapshot *snapshot = run->worker.snapshot;
    const struct fdb *fdb = run->worker.fdb;
    const struct context context = {
        snapshot->ports, snapshot->domains, snapshot->domain_of_vid, snapshot->port_count,
        fdb->slots, fdb->mask, fdb->seed, fdb->ageing,
        (uint32_t)((run->time + ROUND_NANOSECONDS) / TICK_NANOSECONDS)};
    uint8_t copy[STRIDE];
    memcpy(copy, run->input.frames + place * STRIDE, STRIDE);
    struct frame frame = {
        .bytes = copy + VNET_HEADER, .length = run->input.lengths[place], .segments = 1,
        .offload = read_offload(copy)};
    enum reason fault = normalise(&frame);
    if (fault != NONE) {
        digest_word(&run->wiring.digest, fault);
        return;
    }
    struct classified classified;
    classify(&frame, (uint16_t)port, &context, &classified);
    struct verdict verdict = resolve(&classified, (uint16_t)port, &context);
    digest_word(
        &run->wiring.digest,
        (uint64_t)verdict.reason | (uint64_t)verdict.action << 8 | (uint64_t)verdict.learning << 12
            | (uint64_t)verdict.domain << 16 | (uint64_t)verdict.egress << 32
            | (uint64_t)verdict.egress_vid << 48);
}

static uint64_t make_digest(struct run *run, uint64_t frames) {
    run->wiring.is_recording = true;
    for (uint64_t burst = 0; burst < frames / BURST; burst++) {
        int port = make_burst(&run->input, 0);
        for (int place = 0; place < BURST; place++) {
            digest_verdict(run, place, port);
            one_round(run, port, place, 1);
        }
    }
    for (uint64_t burst = 0; burst < frames / BURST; burst++) {
        int port = make_burst(&run->input, 0);
        one_round(run, port, 0, BURST);
    }
    run->wiring.is_recording = false;
    for (int port = 0; port < PORTS; port++)
        for (int word = 0; word < (int)P_COUNTERS + REASONS; word++)
            digest_word(&run->wiring.digest, load(port_counters[port][word]));
    for (int domain = 0; domain <= 2; domain++)
        for (int word = 0; word < (int)D_COUNTERS + REASONS; word++)
            digest_word(&run->wiring.digest, load(domain_counters[domain][word]));
    return run->wiring.digest;
}

static uint64_t now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static int compare(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

// The median of the chunks in nanoseconds per frame; `frames` is how many were switched.
static double measure(struct run *run, double seconds, uint64_t *frames) {
    uint64_t *chunks = NULL;
    size_t count = 0, room = 0;
    uint64_t end = now(CLOCK_MONOTONIC) + (uint64_t)(seconds * 1e9);
    while (now(CLOCK_MONOTONIC) < end) {
        int ingress = run->input.ingress;
        for (int burst = 0; burst < BURSTS_PER_CHUNK; burst++)
            make_burst(&run->input, burst * BURST);
        uint64_t start = now(CLOCK_THREAD_CPUTIME_ID);
        for (int burst = 0; burst < BURSTS_PER_CHUNK; burst++) {
            one_round(run, ingress, burst * BURST, BURST);
            ingress = (ingress + 1) % PORTS;
        }
        uint64_t took = now(CLOCK_THREAD_CPUTIME_ID) - start;
        if (count == room) {
            room = room == 0 ? 4096 : 2 * room;
            chunks = realloc(chunks, room * sizeof *chunks);
            if (chunks == NULL) never("more chunks than memory holds");
        }
        chunks[count++] = took;
    }
    *frames = (uint64_t)count * BURSTS_PER_CHUNK * BURST;
    if (count == 0) return 0;
    qsort(chunks, count, sizeof *chunks, compare);
    double result = (double)chunks[count / 2] / (BURSTS_PER_CHUNK * BURST);
    free(chunks);
    return result;
}

int main(int argc, char **argv) {
    uint64_t macs = 0, digest_frames = 1 << 20, frames = 0;
    double seconds = -1;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--macs") == 0) macs = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--seconds") == 0) seconds = strtod(argv[i + 1], NULL);
        else if (strcmp(argv[i], "--digest-frames") == 0)
            digest_frames = strtoull(argv[i + 1], NULL, 10);
        else argc = 0;
    }
    if (argc % 2 == 0 || macs < 16 || macs % 16 != 0 || macs > 1048576 || seconds < 0) {
        fputs("usage: core --macs N --seconds S [--digest-frames N]\n"
              "N addresses are a multiple of 16, 1048576 at most.\n", stderr);
        return 2;
    }
    struct run *run = make_run(macs);
    uint64_t digest = make_digest(run, digest_frames);
    double nanoseconds = measure(run, seconds, &frames);
    printf("{\"nanosecondsPerFrame\":%.2f,\"frames\":%llu,\"digest\":\"%016llx\"}\n", nanoseconds,
           (unsigned long long)frames, (unsigned long long)digest);
    return 0;
}
