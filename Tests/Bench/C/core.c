// Heddle's switching core once more, in C: what the same algorithm costs in the language that such
// things are written in.
//
//     core --macs N --seconds S [--digest-frames N]       (clang -std=gnu17 -O3, no -march)
//
// It is the worker of Sources/Dataplane with the same data structures, the same passes over a burst
// and the same bookkeeping, between eight ports in memory; input, clock and digest are those of
// Tests/Bench/Core, where they are explained (CoreInput.swift, CoreRun.swift). The digest is over
// every verdict, every transmitted byte and every counter, so that both do the same work or the
// comparison is refused.
//
// What the input never contains (super-frames, partial checksums, handing frames to another worker,
// captures, ageing, full tables, a new configuration) is tested for where Heddle tests for it, and
// ends the program: the tests are paid for, the work behind them is not written twice.

#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define inlined static inline __attribute__((always_inline))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define load(object) atomic_load_explicit(&(object), memory_order_relaxed)
#define store(object, value) atomic_store_explicit(&(object), value, memory_order_relaxed)

enum {
    BURST = 64,
    HEADROOM = 128,
    VNET_HEADER = 12,
    MAXIMUM_FRAME = 65535 + 14 + 8,
    SLOT_STRIDE = 17 * 4096 + 192,
    REFERENCES = 4096,
    TAG_HEAD_STRIDE = 32,
    PORTS = 8,
    PORT_CAPACITY = 64,
    DOMAIN_CAPACITY = 16,
    TICK_NANOSECONDS = 100000000,
};

static void never(const char *what) {
    fprintf(stderr, "core: the input must not contain %s\n", what);
    exit(1);
}

static void *zeroed(size_t size) {
    void *memory = aligned_alloc(64, (size + 63) & ~(size_t)63);
    if (memory == NULL) never("more than memory holds");
    return memset(memory, 0, size);
}

// Memory of the large tables, which the switch takes from the kernel in huge pages
// (Sources/Ports/Worker/MappedMemory.swift).
static void *mapped(size_t size) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) never("more than memory holds");
    madvise(memory, size, MADV_HUGEPAGE);
    return memory;
}

inlined uint64_t read64(const void *bytes) {
    uint64_t value;
    memcpy(&value, bytes, 8);
    return __builtin_bswap64(value);
}

inlined uint16_t read16(const void *bytes) {
    uint16_t value;
    memcpy(&value, bytes, 2);
    return __builtin_bswap16(value);
}

inlined void write16(void *bytes, uint16_t value) {
    value = __builtin_bswap16(value);
    memcpy(bytes, &value, 2);
}

// ---- Verdicts and counters ---------------------------------------------------------------------

enum reason {
    NONE, RUNT, INVALID_SOURCE, RESERVED_ADDRESS, RESERVED_VLAN, VLAN_NOT_ALLOWED,
    UNTAGGED_ON_TRUNK, TAG_ON_ACCESS, SOURCE_PINNED, OVERSIZE, INVALID_OFFLOAD, HAIRPIN, ISOLATED,
    NOT_MEMBER, FLOOD_NOWHERE, TRUNCATED_READ, PORT_DOWN, EGRESS_FULL, EGRESS_DOWN, EGRESS_REJECTED,
    EGRESS_HANDOFF_FULL, CANNOT_SEGMENT, REASONS
};

enum action { FORWARD, FLOOD, DROP };
enum learning { LEARN_NOTHING, REFRESH, LEARN, MOVE };

struct verdict {
    uint8_t action, reason, learning;
    uint16_t domain, egress, egress_vid;
    int32_t source_index;
};

enum port_counter {
    P_RECEIVED, P_RECEIVED_BYTES, P_RECEIVED_SEGMENTS, P_FORWARDED, P_FLOODED, P_CONSUMED, P_COPIES,
    P_TRANSMITTED, P_TRANSMITTED_BYTES, P_TRANSMITTED_SEGMENTS, P_SEGMENTED, P_CHECKSUMMED,
    P_COUNTERS
};

enum domain_counter {
    D_RECEIVED, D_RECEIVED_BYTES, D_RECEIVED_SEGMENTS, D_FORWARDED, D_FLOODED, D_COPIES,
    D_TRANSMITTED, D_TRANSMITTED_BYTES, D_TRANSMITTED_SEGMENTS, D_COUNTERS
};

// Written by the worker alone, by a relaxed load and store, and read by any thread.
typedef _Atomic uint64_t counter;
static counter port_counters[PORT_CAPACITY][(int)P_COUNTERS + REASONS];
static counter domain_counters[DOMAIN_CAPACITY][(int)D_COUNTERS + REASONS];

inlined void add(counter *word, uint64_t amount) { store(*word, load(*word) + amount); }

static void count_drop(enum reason reason, uint16_t port, uint16_t domain) {
    add(&port_counters[port][(int)P_COUNTERS + reason], 1);
    add(&domain_counters[domain][(int)D_COUNTERS + reason], 1);
}

// What one domain's frames of a burst come to, gathered before it is added to the counters.
struct tally {
    uint64_t frames, bytes, segments, forwarded;
};

// ---- Configuration -----------------------------------------------------------------------------

enum { EXISTS = 1, UP = 2, ISOLATED_PORT = 4, STICKY = 8, ACCESS = 16, CAPTURED = 32 };

struct port_entry {
    uint16_t untagged_domain;
    uint8_t flags, worker;
    const uint64_t *domains;  // a bit per domain that the port is a member of
};

struct domain_entry {
    uint32_t mtu;
    uint16_t vid;
    bool exists;
    uint32_t flood_start, flood_count;
};

struct member {
    uint16_t port, vid;
};

struct snapshot {
    uint64_t generation;
    uint32_t port_count;
    struct port_entry *ports;
    struct domain_entry *domains;
    struct member *members;
    uint16_t *domain_of_vid;
};

// ---- The forwarding database -------------------------------------------------------------------

enum { DYNAMIC = 0, STICKY_ENTRY = 1, STATIC = 2 };

struct slot {
    _Atomic uint64_t key;       // domain << 48 | address; 0 is an empty place
    _Atomic uint32_t location;  // port in the low 16 bits, kind in the next 8
    _Atomic uint32_t tick;
};

struct link {
    int32_t previous, next;
    uint32_t listed;
};

struct list {
    int32_t head, tail;
    uint32_t count, limit;
};

struct fdb {
    struct slot *slots;
    uint64_t mask, seed;
    uint32_t ageing;
    struct link *links;
    struct list lists[PORT_CAPACITY];
    _Atomic uint32_t sequence;
    _Atomic int64_t learned_count;
    int64_t limit;
    uint64_t sweep_cursor;
    uint32_t sweep_tick;
};

struct location {
    uint16_t port;
    uint8_t kind;
    uint32_t tick;
    int32_t index;  // -1: unknown
};

inlined uint64_t fdb_key(uint16_t domain, uint64_t address) {
    return (uint64_t)domain << 48 | address;
}

inlined uint32_t fdb_home(uint64_t key, uint64_t seed, uint64_t mask) {
    uint64_t hash = key ^ seed;
    hash = (hash ^ (hash >> 32)) * 0xD6E8FEB86659FD93;
    hash = (hash ^ (hash >> 32)) * 0xD6E8FEB86659FD93;
    return (uint32_t)((hash >> 32) & mask);
}

inlined int32_t fdb_find(
    struct slot *slots, uint64_t mask, uint64_t key, uint32_t home) {
    uint64_t index = home;
    for (uint64_t steps = 0; steps <= mask; steps++) {
        uint64_t found = atomic_load_explicit(&slots[index].key, memory_order_acquire);
        if (found == key) return (int32_t)index;
        if (found == 0) return -1;
        index = (index + 1) & mask;
    }
    return -1;
}

inlined bool fdb_is_expired(uint32_t tick, uint32_t now, uint32_t ageing) {
    int32_t age = (int32_t)(now - tick);
    return age > 0 && (uint32_t)age > ageing;
}

inlined struct location fdb_lookup(
    struct slot *slots, uint64_t mask, uint32_t ageing, uint64_t key, uint32_t home, uint32_t now) {
    int32_t index = fdb_find(slots, mask, key, home);
    if (index < 0) return (struct location){.index = -1};
    uint32_t word = load(slots[index].location);
    uint32_t tick = load(slots[index].tick);
    uint8_t kind = (uint8_t)(word >> 16);
    if (kind != STATIC && fdb_is_expired(tick, now, ageing)) return (struct location){.index = -1};
    return (struct location){(uint16_t)word, kind, tick, index};
}

static void fdb_unlink(struct fdb *fdb, int32_t index) {
    struct list *list = &fdb->lists[(uint16_t)load(fdb->slots[index].location)];
    struct link link = fdb->links[index];
    if (link.previous >= 0) fdb->links[link.previous].next = link.next;
    else list->head = link.next;
    if (link.next >= 0) fdb->links[link.next].previous = link.previous;
    else list->tail = link.previous;
    list->count--;
    store(fdb->learned_count, load(fdb->learned_count) - 1);
}

static void fdb_append(struct fdb *fdb, int32_t index, uint16_t port, uint32_t now) {
    struct list *list = &fdb->lists[port];
    fdb->links[index] = (struct link){list->tail, -1, now};
    if (list->tail >= 0) fdb->links[list->tail].next = index;
    else list->head = index;
    list->tail = index;
    list->count++;
    store(fdb->learned_count, load(fdb->learned_count) + 1);
}

static void fdb_set(struct fdb *fdb, int32_t index, uint64_t key, uint32_t location, uint32_t now) {
    // The sequence is odd while the table changes; other threads read again.
    store(fdb->sequence, load(fdb->sequence) + 1);
    atomic_thread_fence(memory_order_release);
    store(fdb->slots[index].location, location);
    store(fdb->slots[index].tick, now);
    atomic_store_explicit(&fdb->slots[index].key, key, memory_order_release);
    atomic_store_explicit(&fdb->sequence, load(fdb->sequence) + 1, memory_order_release);
}

// Learns an address, or moves it.
static void fdb_learn(struct fdb *fdb, uint64_t key, uint16_t port, bool sticky, uint32_t now) {
    uint32_t home = fdb_home(key, fdb->seed, fdb->mask);
    int32_t index = fdb_find(fdb->slots, fdb->mask, key, home);
    struct list *list = &fdb->lists[port];
    if (index >= 0) {
        if ((load(fdb->slots[index].location) >> 16) != DYNAMIC) never("a pinned address");
        if (list->count >= list->limit) never("a full port");
        fdb_unlink(fdb, index);
    } else {
        if (list->count >= list->limit) never("a full port");
        if (load(fdb->learned_count) >= fdb->limit) never("more addresses than the table holds");
        for (index = (int32_t)home; load(fdb->slots[index].key) != 0;)
            index = (int32_t)(((uint32_t)index + 1) & fdb->mask);
    }
    uint32_t kind = sticky ? STICKY_ENTRY : DYNAMIC;
    fdb_set(fdb, index, key, port | kind << 16, now);
    fdb_append(fdb, index, port, now);
}

// Looks for expired entries in a slice of the table, once a second.
static void fdb_sweep(struct fdb *fdb, uint32_t now) {
    if (load(fdb->learned_count) == 0) {
        fdb->sweep_tick = now;
        return;
    }
    uint32_t elapsed = now - fdb->sweep_tick;
    if (likely(elapsed < 10)) return;
    fdb->sweep_tick = now;
    uint64_t capacity = fdb->mask + 1, round = fdb->ageing / 16;
    uint64_t slice = capacity / round * elapsed + 1;
    if (slice > 262144) slice = 262144;
    uint64_t cursor = fdb->sweep_cursor;
    for (; slice > 0; slice--) {
        struct slot *slot = &fdb->slots[cursor];
        if (load(slot->key) != 0 && (load(slot->location) >> 16 & 0xFF) != STATIC
            && fdb_is_expired(load(slot->tick), now, fdb->ageing))
            never("an address that ages");
        cursor = (cursor + 1) & fdb->mask;
    }
    fdb->sweep_cursor = cursor;
}

// ---- Frames and bursts -------------------------------------------------------------------------

enum { NEEDS_CHECKSUM = 1, DATA_VALID = 2 };

struct offload {
    uint8_t flags, gso_type;
    uint16_t header_length, gso_size, checksum_start, checksum_offset;
};

struct frame {
    uint8_t *bytes;
    uint32_t length;
    uint16_t tci, segments;
    uint32_t packet_length;
    struct offload offload;
};

struct burst {
    uint32_t count, limit;
    struct frame frames[BURST];
    uint8_t *slots[BURST];
};

// One copy of a frame on its way out, in one or two pieces.
struct entry {
    uint8_t *head;
    uint64_t head_length;
    uint8_t *body;
    uint64_t body_length;
    uint8_t outcome;
};

struct port;
struct port_operations {
    void (*receive)(struct port *, struct burst *);
    void (*transmit)(struct port *, struct entry *, uint32_t);
};

inlined bool is_pending(struct offload offload) {
    return (offload.flags & NEEDS_CHECKSUM) != 0 || offload.gso_type != 0;
}

inlined struct offload read_offload(const uint8_t *header) {
    struct offload offload;
    memcpy(&offload, header, sizeof offload);
    offload.flags &= NEEDS_CHECKSUM | DATA_VALID;
    return offload;
}

inlined void write_offload(uint8_t *header, struct offload offload) {
    memcpy(header, &offload, sizeof offload);
    uint16_t buffers = 1;
    memcpy(header + sizeof offload, &buffers, 2);
}

static void burst_append(struct burst *burst, const uint32_t *lengths, uint32_t count) {
    if (count > burst->limit - burst->count) never("more frames than a burst");
    for (uint32_t place = 0; place < count; place++) {
        if (lengths[place] > MAXIMUM_FRAME) never("a frame that is too long");
        uint8_t *bytes = burst->slots[burst->count] + HEADROOM;
        burst->frames[burst->count++] = (struct frame){
            .bytes = bytes, .length = lengths[place], .segments = 1,
            .offload = read_offload(bytes - VNET_HEADER)};
    }
}

// ---- The forwarding function -------------------------------------------------------------------

struct context {
    struct port_entry *ports;
    struct domain_entry *domains;
    uint16_t *domain_of_vid;
    uint32_t port_count;
    struct slot *slots;
    uint64_t mask, seed;
    uint32_t ageing, now;
};

// A frame between the two halves of the forwarding function.
struct classified {
    uint64_t source, destination;  // FDB keys
    uint32_t source_home, destination_home;
    uint16_t domain;
    uint8_t reason;
};

static const uint64_t GROUP = 0x010000000000;

inlined bool is_member(const struct port_entry *entry, uint16_t domain) {
    return (entry->domains[domain >> 6] >> (domain & 63) & 1) != 0;
}

inlined enum reason normalise(struct frame *frame) {
    if (unlikely(frame->length < 14)) return RUNT;
    uint8_t *bytes = frame->bytes;
    if (read16(bytes + 12) == 0x8100) {
        if (unlikely(frame->length < 18)) return RUNT;
        frame->tci = read16(bytes + 14);
        memmove(bytes + 4, bytes, 12);
        frame->bytes = bytes + 4;
        frame->length -= 4;
        if (unlikely(is_pending(frame->offload))) never("offloads");
    }
    frame->packet_length = frame->length - 14;
    if (unlikely(is_pending(frame->offload))) never("offloads");
    frame->offload = (struct offload){.flags = frame->offload.flags & DATA_VALID};
    return NONE;
}

// Addresses, VLAN and MTU: everything that needs no table but the configuration.
inlined void classify(
    const struct frame *frame, uint16_t ingress, const struct context *context,
    struct classified *result) {
    const struct port_entry *entry = &context->ports[ingress];
    uint64_t destination = read64(frame->bytes) >> 16;
    uint64_t source = read64(frame->bytes + 6) >> 16;
    uint16_t vid = frame->tci & 0xFFF, domain = 0;
    enum reason reason = NONE;
    if (unlikely(!(entry->flags & UP))) {
        reason = PORT_DOWN;
    } else if (unlikely((source & GROUP) != 0 || source == 0)) {
        reason = INVALID_SOURCE;
    } else if (unlikely((destination & ~(uint64_t)0xF) == 0x0180C2000000)) {
        reason = RESERVED_ADDRESS;
    } else if (vid == 0) {
        domain = entry->untagged_domain;
        if (unlikely(domain == 0)) reason = UNTAGGED_ON_TRUNK;
    } else if (unlikely(entry->flags & ACCESS)) {
        reason = TAG_ON_ACCESS;
        domain = entry->untagged_domain;
    } else if (unlikely(vid == 0xFFF)) {
        reason = RESERVED_VLAN;
    } else {
        domain = context->domain_of_vid[vid];
        if (unlikely(!is_member(entry, domain))) {
            reason = VLAN_NOT_ALLOWED;
            domain = 0;
        }
    }
    if (unlikely(reason == NONE && frame->packet_length > context->domains[domain].mtu))
        reason = OVERSIZE;
    result->source = fdb_key(domain, source);
    result->destination = fdb_key(domain, destination);
    result->source_home = fdb_home(result->source, context->seed, context->mask);
    result->destination_home = fdb_home(result->destination, context->seed, context->mask);
    result->domain = domain;
    result->reason = (uint8_t)reason;
}

// Source and destination in the FDB.
inlined struct verdict resolve(
    const struct classified *classified, uint16_t ingress, const struct context *context) {
    struct verdict verdict = {
        .action = DROP, .reason = classified->reason, .domain = classified->domain,
        .source_index = -1};
    if (unlikely(verdict.reason != NONE)) return verdict;
    struct location known = fdb_lookup(
        context->slots, context->mask, context->ageing, classified->source, classified->source_home,
        context->now);
    if (unlikely(known.index < 0)) {
        verdict.learning = LEARN;
    } else if (likely(known.port == ingress)) {
        verdict.learning =
            known.kind == STATIC || known.tick == context->now ? LEARN_NOTHING : REFRESH;
        verdict.source_index = known.index;
    } else if (known.kind == DYNAMIC) {
        verdict.learning = MOVE;
    } else {
        verdict.reason = SOURCE_PINNED;
        return verdict;
    }
    struct location target = {.index = -1};
    if (likely((classified->destination & GROUP) == 0))
        target = fdb_lookup(
            context->slots, context->mask, context->ageing, classified->destination,
            classified->destination_home, context->now);
    if (unlikely(target.index < 0)) {
        verdict.action = FLOOD;
        return verdict;
    }
    if (unlikely(target.port == ingress)) {
        verdict.reason = HAIRPIN;
        return verdict;
    }
    verdict.reason = NOT_MEMBER;
    if (unlikely(target.port >= context->port_count)) return verdict;
    const struct port_entry *egress = &context->ports[target.port];
    if (unlikely(context->ports[ingress].flags & egress->flags & ISOLATED_PORT)) {
        verdict.reason = ISOLATED;
        return verdict;
    }
    if (unlikely(!(egress->flags & UP) || !is_member(egress, verdict.domain))) return verdict;
    // Where access and trunk ports mix, which of the two it is cannot be predicted: a select.
    uint16_t vid = context->domains[verdict.domain].vid;
    verdict.egress_vid = egress->untagged_domain == verdict.domain ? 0 : vid;
    verdict.action = FORWARD;
    verdict.reason = NONE;
    verdict.egress = target.port;
    return verdict;
}

// ---- The worker --------------------------------------------------------------------------------

struct port {
    const struct port_operations *operations;
    uint8_t offloads;
    uint64_t number;
    struct wiring *wiring;
};

struct reference {
    struct frame *frame;
    int32_t next;
    uint16_t vid, domain;
};

struct chain {
    int32_t head;   // -1: empty
    int32_t *tail;  // where the next copy's place is written
};

struct entry_info {
    uint16_t domain, segments;
};

struct worker {
    struct snapshot *snapshot;
    _Atomic uint64_t *published;
    _Atomic int64_t *commands;
    struct port **attachments;
    struct fdb *fdb;
    uint64_t time;
    uint32_t tick;
    uint8_t index;
    uint32_t worker_count;
    _Atomic uint64_t bursts;
    struct burst burst;
    struct classified classified[BURST];
    struct reference references[REFERENCES];
    uint32_t reference_count;
    struct chain chains[PORT_CAPACITY];
    uint16_t active_ports[PORT_CAPACITY + 1];
    uint32_t active_count;
    struct entry entries[BURST];
    struct entry_info info[BURST];
    uint8_t tag_heads[BURST * TAG_HEAD_STRIDE];
};

// Fills an entry with a copy of a frame, tagged unless `vid` is 0.
inlined void build_entry(
    struct worker *worker, uint32_t place, const struct frame *frame, uint16_t vid) {
    if (vid == 0) {
        write_offload(frame->bytes - VNET_HEADER, frame->offload);
        worker->entries[place] = (struct entry){
            .head = frame->bytes - VNET_HEADER, .head_length = frame->length + VNET_HEADER,
            .body = frame->bytes, .body_length = 0, .outcome = NONE};
        return;
    }
    uint8_t *head = worker->tag_heads + place * TAG_HEAD_STRIDE;
    if (unlikely(is_pending(frame->offload))) never("offloads");
    write_offload(head, frame->offload);
    memcpy(head + VNET_HEADER, frame->bytes, 12);
    write16(head + VNET_HEADER + 12, 0x8100);
    write16(head + VNET_HEADER + 14, (frame->tci & 0xF000) | vid);
    worker->entries[place] = (struct entry){
        .head = head, .head_length = VNET_HEADER + 16, .body = frame->bytes + 12,
        .body_length = frame->length - 12, .outcome = NONE};
}

static void count_transmitted(uint16_t domain, const struct tally *tally) {
    counter *counters = domain_counters[domain];
    add(&counters[D_TRANSMITTED], tally->frames);
    add(&counters[D_TRANSMITTED_BYTES], tally->bytes);
    add(&counters[D_TRANSMITTED_SEGMENTS], tally->segments);
}

static void send_entries(struct worker *worker, uint32_t count, uint16_t port) {
    if (count == 0) return;
    struct port *attachment = worker->attachments[port];
    attachment->operations->transmit(attachment, worker->entries, count);
    if (unlikely(worker->snapshot->ports[port].flags & CAPTURED)) never("captures");
    struct tally total = {0}, run = {0};
    uint16_t domain = worker->info[0].domain;
    add(&port_counters[port][P_COPIES], count);
    uint64_t copies = 0;
    for (uint32_t place = 0; place < count; place++) {
        const struct entry *entry = &worker->entries[place];
        struct entry_info info = worker->info[place];
        if (info.domain != domain) {
            add(&domain_counters[domain][D_COPIES], copies);
            count_transmitted(domain, &run);
            total.frames += run.frames;
            total.bytes += run.bytes;
            total.segments += run.segments;
            run = (struct tally){0};
            copies = 0;
            domain = info.domain;
        }
        copies++;
        if (likely(entry->outcome == NONE)) {
            run.frames++;
            run.bytes += entry->head_length - VNET_HEADER + entry->body_length;
            run.segments += info.segments;
        } else {
            count_drop(entry->outcome, port, info.domain);
        }
    }
    add(&domain_counters[domain][D_COPIES], copies);
    count_transmitted(domain, &run);
    add(&port_counters[port][P_TRANSMITTED], total.frames + run.frames);
    add(&port_counters[port][P_TRANSMITTED_BYTES], total.bytes + run.bytes);
    add(&port_counters[port][P_TRANSMITTED_SEGMENTS], total.segments + run.segments);
}

static void transmit_all(struct worker *worker) {
    for (uint32_t position = 0; position < worker->active_count; position++) {
        uint16_t port = worker->active_ports[position];
        int32_t next = worker->chains[port].head;
        worker->chains[port] = (struct chain){-1, &worker->chains[port].head};
        if (unlikely(worker->attachments[port] == NULL)) never("ports without a device");
        uint32_t count = 0;
        while (next >= 0) {
            const struct reference *reference = &worker->references[next];
            next = reference->next;
            const struct frame *frame = reference->frame;
            if (unlikely(is_pending(frame->offload))) never("offloads");
            worker->info[count] = (struct entry_info){reference->domain, 1};
            build_entry(worker, count, frame, reference->vid);
            if (++count == BURST) {
                send_entries(worker, count, port);
                count = 0;
            }
        }
        send_entries(worker, count, port);
    }
    worker->active_count = 0;
    worker->reference_count = 0;
}

inlined void chain(
    struct worker *worker, struct frame *frame, uint16_t egress, uint16_t vid, uint16_t domain) {
    if (unlikely(worker->reference_count == REFERENCES)) transmit_all(worker);
    int32_t place = (int32_t)worker->reference_count++;
    worker->references[place] = (struct reference){frame, -1, vid, domain};
    // Egress ports come in any order: no branch for the first copy of a port.
    struct chain *list = &worker->chains[egress];
    worker->active_ports[worker->active_count] = egress;
    worker->active_count += list->head < 0;
    *list->tail = place;
    list->tail = &worker->references[place].next;
}

static bool flood(
    struct worker *worker, struct frame *frame, uint16_t ingress, uint16_t domain) {
    const struct snapshot *snapshot = worker->snapshot;
    const struct domain_entry *entry = &snapshot->domains[domain];
    bool is_isolated = (snapshot->ports[ingress].flags & ISOLATED_PORT) != 0, reached = false;
    for (uint32_t position = 0; position < entry->flood_count; position++) {
        struct member member = snapshot->members[entry->flood_start + position];
        if (member.port == ingress) continue;
        const struct port_entry *egress = &snapshot->ports[member.port];
        if (is_isolated && (egress->flags & ISOLATED_PORT)) continue;
        reached = true;
        if (unlikely(egress->worker != worker->index)) never("ports of other workers");
        chain(worker, frame, member.port, member.vid, domain);
    }
    return reached;
}

static void forward(struct worker *worker, uint16_t ingress) {
    const struct snapshot *snapshot = worker->snapshot;
    struct fdb *fdb = worker->fdb;
    const struct context context = {
        snapshot->ports, snapshot->domains, snapshot->domain_of_vid, snapshot->port_count,
        fdb->slots, fdb->mask, fdb->seed, fdb->ageing, worker->tick};
    bool is_sticky = (snapshot->ports[ingress].flags & STICKY) != 0;
    uint32_t count = worker->burst.count;
    uint64_t bytes = 0, segments = 0, forwarded = 0, flooded = 0;
    // First pass: everything up to the table, whose places are on their way before they are needed.
    for (uint32_t place = 0; place < count; place++) {
        struct frame *frame = &worker->burst.frames[place];
        bytes += frame->length;
        enum reason fault = normalise(frame);
        segments += frame->segments;
        if (unlikely(fault != NONE)) {
            worker->classified[place] = (struct classified){.reason = (uint8_t)fault};
            continue;
        }
        struct classified *classified = &worker->classified[place];
        classify(frame, ingress, &context, classified);
        __builtin_prefetch(&context.slots[classified->source_home]);
        __builtin_prefetch(&context.slots[classified->destination_home]);
    }
    // Second pass. Frames of an access port are all of one domain and counted together.
    uint16_t home = snapshot->ports[ingress].untagged_domain;
    struct tally tally = {0};
    for (uint32_t place = 0; place < count; place++) {
        struct frame *frame = &worker->burst.frames[place];
        const struct classified *classified = &worker->classified[place];
        struct verdict verdict = resolve(classified, ingress, &context);
        if (verdict.domain == home) {
            tally.frames++;
            tally.bytes += frame->length;
            tally.segments += frame->segments;
            tally.forwarded += verdict.action == FORWARD;
        } else if (verdict.domain != 0) {
            counter *counters = domain_counters[verdict.domain];
            add(&counters[D_RECEIVED], 1);
            add(&counters[D_RECEIVED_BYTES], frame->length);
            add(&counters[D_RECEIVED_SEGMENTS], frame->segments);
            add(&counters[D_FORWARDED], verdict.action == FORWARD);
        }
        if (verdict.learning == REFRESH)
            store(fdb->slots[verdict.source_index].tick, worker->tick);
        else if (unlikely(verdict.learning != LEARN_NOTHING))
            fdb_learn(fdb, classified->source, ingress, is_sticky, worker->tick);
        if (likely(verdict.action == FORWARD)) {
            forwarded++;
            if (unlikely(snapshot->ports[verdict.egress].worker != worker->index))
                never("ports of other workers");
            chain(worker, frame, verdict.egress, verdict.egress_vid, verdict.domain);
        } else if (verdict.action == DROP) {
            count_drop(verdict.reason, ingress, verdict.domain);
        } else if (flood(worker, frame, ingress, verdict.domain)) {
            flooded++;
            add(&domain_counters[verdict.domain][D_FLOODED], 1);
        } else {
            count_drop(FLOOD_NOWHERE, ingress, verdict.domain);
        }
    }
    if (home != 0) {
        counter *counters = domain_counters[home];
        add(&counters[D_RECEIVED], tally.frames);
        add(&counters[D_RECEIVED_BYTES], tally.bytes);
        add(&counters[D_RECEIVED_SEGMENTS], tally.segments);
        add(&counters[D_FORWARDED], tally.forwarded);
    }
    counter *counters = port_counters[ingress];
    add(&counters[P_RECEIVED], count);
    add(&counters[P_RECEIVED_BYTES], bytes);
    add(&counters[P_RECEIVED_SEGMENTS], segments);
    add(&counters[P_FORWARDED], forwarded);
    add(&counters[P_FLOODED], flooded);
}

static void begin_round(struct worker *worker, uint64_t time) {
    worker->time = time;
    worker->tick = (uint32_t)(time / TICK_NANOSECONDS);
    if (unlikely(atomic_load_explicit(worker->published, memory_order_acquire)
                 != worker->snapshot->generation))
        never("a new configuration");
    if (unlikely(atomic_load_explicit(worker->commands, memory_order_acquire) > 0))
        never("commands");
    fdb_sweep(worker->fdb, worker->tick);
}

static void serve(struct worker *worker, uint16_t port) {
    const struct snapshot *snapshot = worker->snapshot;
    if (unlikely(port >= snapshot->port_count || snapshot->ports[port].worker != worker->index))
        return;
    struct port *attachment = worker->attachments[port];
    if (unlikely(attachment == NULL)) return;
    if (unlikely(worker->worker_count > 1)) never("other workers");
    attachment->operations->receive(attachment, &worker->burst);
    if (worker->burst.count > 0) {
        store(worker->bursts, load(worker->bursts) + 1);
        if (unlikely(snapshot->ports[port].flags & CAPTURED)) never("captures");
        forward(worker, port);
        transmit_all(worker);
    }
    worker->burst.count = 0;
}

static void end_round(struct worker *worker) {
    if (unlikely(worker->worker_count > 1)) never("other workers");
}

// ---- Ports in memory ---------------------------------------------------------------------------

enum { FRAME = 64, STRIDE = 80, BURSTS_PER_CHUNK = 64, ROUND_NANOSECONDS = 6400 };

struct wiring {
    const uint8_t *frames;
    const uint32_t *lengths;
    uint32_t count;
    bool is_recording;
    uint64_t digest;
};

static void digest_byte(uint64_t *digest, uint8_t byte) { *digest = (*digest ^ byte) * 0x100000001B3; }

static void digest_word(uint64_t *digest, uint64_t word) {
    for (int shift = 0; shift < 64; shift += 8) digest_byte(digest, (uint8_t)(word >> shift));
}

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

// ---- Input (see CoreInput.swift) ---------------------------------------------------------------

struct input {
    uint64_t rows, state;
    int ingress;
    uint8_t *frames;
    uint32_t *lengths;
};

static uint64_t next_random(struct input *input) {
    uint64_t word = input->state += 0x9E3779B97F4A7C15;
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9;
    word = (word ^ (word >> 27)) * 0x94D049BB133111EB;
    return word ^ (word >> 31);
}

static uint16_t domain_of(int port, uint64_t row) {
    return port < 4 ? 1 : port < 6 ? 2 : (uint16_t)(1 + (row & 1));
}

static uint64_t address_of(int port, uint64_t row) {
    return 0x020000000000 | (row * PORTS + (uint64_t)port);
}

static uint64_t row_of(uint64_t random, uint64_t rows, int port, uint16_t domain) {
    uint64_t row = ((random >> 32) * rows) >> 32;
    return port < 6 ? row : (row & ~(uint64_t)1) | (uint64_t)(domain - 1);
}

static void write_big_endian(uint8_t *bytes, uint64_t value, int count) {
    for (int place = 0; place < count; place++)
        bytes[place] = (uint8_t)(value >> (8 * (count - 1 - place)));
}

static void write_frame(
    struct input *input, int place, uint64_t destination, uint64_t source, int tci) {
    uint8_t *frame = input->frames + place * STRIDE + VNET_HEADER;
    write_big_endian(frame, destination, 6);
    write_big_endian(frame + 6, source, 6);
    if (tci >= 0) {
        write_big_endian(frame + 12, 0x81000000 | (uint64_t)tci, 4);
        write_big_endian(frame + 16, 0x88B5, 2);
    } else {
        write_big_endian(frame + 12, 0x88B50000, 4);
        write_big_endian(frame + 16, 0, 2);
    }
}

static void make_frame(struct input *input, int place, int port) {
    static const int peers[3][6] = {{0}, {0, 1, 2, 3, 6, 7}, {4, 5, 6, 7}};
    uint64_t first = next_random(input), second = next_random(input);
    uint64_t row = ((first >> 32) * input->rows) >> 32;
    uint16_t domain = domain_of(port, row);
    int peer_count = domain == 1 ? 6 : 4, own = 0;
    while (peers[domain][own] != port) own++;
    int step = 1 + (int)(((second & 0xFFFF) * (uint64_t)(peer_count - 1)) >> 16);
    int peer = peers[domain][(own + step) % peer_count];
    uint64_t source = address_of(port, row);
    uint64_t destination = address_of(peer, row_of(second, input->rows, peer, domain));
    int vid = port < 6 ? 0 : domain * 10;
    uint32_t length = FRAME;
    uint64_t kind = first & 1023;
    if (kind <= 3) {
        destination = 0xFFFFFFFFFFFF;
    } else if (kind <= 7) {
        destination = address_of(port, row_of(second, input->rows, port, domain));
    } else if (kind <= 9) {
        destination = 0x02FF00000000 | row;
    } else if (kind <= 11) {
        vid = 999;
    } else if (kind == 12) {
        source = 0x01005E000001;
    } else if (kind == 13) {
        destination = 0x0180C2000000;
    } else if (kind == 14) {
        uint64_t moved = source;
        source = destination;
        destination = moved;
    } else if (kind == 15) {
        length = 13;
    }
    write_frame(
        input, place, destination, source,
        vid == 0 ? -1 : (int)(((second >> 16) & 7) << 13) | vid);
    input->lengths[place] = length;
}

static int make_burst(struct input *input, int place) {
    int port = input->ingress;
    input->ingress = (input->ingress + 1) % PORTS;
    for (int number = place; number < place + BURST; number++) make_frame(input, number, port);
    return port;
}

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
            *entry = (struct port_entry){domain_of(port, 0), EXISTS | UP | ACCESS, 0, &sets[domain_of(port, 0)]};
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
    for (int port = 0; port < PORT_CAPACITY; port++) worker->chains[port] = (struct chain){-1, &worker->chains[port].head};
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
        for (int burst = 0; burst < BURSTS_PER_CHUNK; burst++) make_burst(&run->input, burst * BURST);
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
