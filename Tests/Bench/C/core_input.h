// The input of the core benchmark, bit by bit that of Tests/Bench/Core/CoreInput.swift, where it is
// explained, and the digest that both programs have to agree on (CoreDigest.swift): 64-bit FNV-1a.
// None of this is timed.

#ifndef CORE_INPUT_H
#define CORE_INPUT_H

#include "core_switch.h"

// Bytes of a frame, and of its place: frame and vnet header, rounded up.
enum { FRAME = 64, STRIDE = 80 };

static void digest_byte(uint64_t *digest, uint8_t byte) {
    *digest = (*digest ^ byte) * 0x100000001B3;
}

static void digest_word(uint64_t *digest, uint64_t word) {
    for (int shift = 0; shift < 64; shift += 8) digest_byte(digest, (uint8_t)(word >> shift));
}

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

#endif
