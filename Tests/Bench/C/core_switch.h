// Heddle's switching core in C: the worker of Sources/Dataplane with the same data structures, the
// same passes over a burst and the same bookkeeping. core.c runs it.
//
// What the input never contains (super-frames, partial checksums, handing frames to another worker,
// captures, ageing, full tables, a new configuration) is tested for where Heddle tests for it, and
// ends the program: the tests are paid for, the work behind them is not written twice.

#ifndef CORE_SWITCH_H
#define CORE_SWITCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

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
    UNTAGGED_ON_TRUNK, TAG_ON_ACCESS, SECOND_TAG, SOURCE_PINNED, OVERSIZE, INVALID_OFFLOAD, HAIRPIN,
    ISOLATED, NOT_MEMBER, FLOOD_NOWHERE, TRUNCATED_READ, PORT_DOWN,
    // Of tunnels, of which there are none here.
    UNKNOWN_VTEP, OWN_PACKET, MALFORMED_TUNNEL, CRITICAL_OPTION, UNKNOWN_VNI, TAG_IN_TUNNEL,
    SPLIT_HORIZON, NO_FRAME_SLOT,
    EGRESS_FULL, EGRESS_DOWN, EGRESS_REJECTED, EGRESS_HANDOFF_FULL, CANNOT_SEGMENT, TUNNEL_DOWN,
    OVERLAY_MTU, REASONS
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
    D_TRANSMITTED, D_TRANSMITTED_BYTES, D_TRANSMITTED_SEGMENTS, D_CONSUMED, D_COUNTERS
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
        if (unlikely(read16(frame->bytes + 12) == 0x8100)) return SECOND_TAG;
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
    // Where access and trunk ports mix, which of the two it is cannot be predicted: no branch. All
    // ones unless the two are equal.
    uint32_t tagged = (0 - (uint32_t)(egress->untagged_domain ^ verdict.domain)) >> 16;
    verdict.egress_vid = context->domains[verdict.domain].vid & (uint16_t)tagged;
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

#endif
