// The guests of the vhost-user rows: one thread that plays the virtual machines' network cards,
// each by DPDK's virtio-user driver, the one that testpmd's net_virtio_user ports are.
//
//   virtio [--packed] [--bulk] [--server] --core N SOCKET…
//
// testpmd itself will not do for a switch: the frames of its flowgen have the same source and the
// same destination address at every port, 00:01:02:03:04:00 and …:01, so that a switch that learns
// sees one host in two places and never the other. This is the same loop, with addresses that mean
// something: take a burst from a port and throw it away, then send a burst of new frames from it;
// what the ring does not take is thrown away as well and sent again. The headers are written anew
// for each frame (Ethernet, IPv4 with its checksum, UDP); the rest of a frame is what its buffer
// has.
//
// Prints "ready" when all ports are connected. Then one command a line, until the input ends, each
// answered by a line of JSON; between commands it sleeps:
//
//   flow SECONDS WARM-UP SIZE PAIRS   frames of SIZE bytes, without FCS, between PAIRS pairs of hosts
//   bulk SECONDS WARM-UP              with --bulk: super-frames of 45 TCP segments, 65,226 bytes
//
// In a bulk run nobody touches a payload but the switch: 64 frames of each port are sent over and
// over, 32 of them under way at a time as in a window of TCP's, and received into mergeable buffers
// of 4 KiB, as a Linux guest has them.
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>
#include <rte_udp.h>

enum {
    PORTS = 16,
    BURST = 32,
    RING = 1024,
    // Of a bulk run: what is sent over and over, and of it on the way at a time. The receive ring
    // holds twice as much, so that nothing is lost; if it were, the window would stay smaller.
    FRAMES = 64,
    WINDOW = 32,
    SEGMENT = 1448,
    PAYLOAD = 45 * SEGMENT,
    HEADERS = 14 + 20 + 32,
};

struct account {
    uint64_t sent, received, bytes;
    // Frames that were not meant for the port that got them, of those that are looked at.
    uint64_t foreign;
};

static unsigned port_count;
static struct rte_mempool *buffers[PORTS];
static struct rte_mbuf *bulk[PORTS][FRAMES];

static void fail(const char *what, int error) {
    fprintf(stderr, "virtio: %s: %s\n", what, strerror(error < 0 ? -error : error));
    exit(1);
}

// The address of a host: which port it is behind, and its number there.
static void write_address(uint8_t *bytes, unsigned port, uint32_t host) {
    bytes[0] = 0x02;
    bytes[1] = 0xd0;
    bytes[2] = port;
    bytes[3] = host >> 16;
    bytes[4] = host >> 8;
    bytes[5] = host;
}

static void write_headers(
    uint8_t *frame, unsigned from, unsigned to, uint32_t host, unsigned ip_size, uint8_t protocol) {
    write_address(frame, to, host);
    write_address(frame + 6, from, host);
    frame[12] = 0x08;
    frame[13] = 0x00;
    struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(frame + 14);
    *ip = (struct rte_ipv4_hdr){
        .version_ihl = 0x45,
        .total_length = rte_cpu_to_be_16(ip_size),
        .time_to_live = 64,
        .next_proto_id = protocol,
        .src_addr = rte_cpu_to_be_32(0x0a000000 | from << 20 | host),
        .dst_addr = rte_cpu_to_be_32(0x0a000000 | to << 20 | host),
    };
    ip->hdr_checksum = rte_ipv4_cksum(ip);
}

static void write_flow_frame(
    struct rte_mbuf *buffer, unsigned from, unsigned to, uint32_t host, unsigned size) {
    uint8_t *frame = rte_pktmbuf_mtod(buffer, uint8_t *);
    write_headers(frame, from, to, host, size - 14, 17);
    struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(frame + 34);
    *udp = (struct rte_udp_hdr){
        .src_port = rte_cpu_to_be_16(1000),
        .dst_port = rte_cpu_to_be_16(1001),
        .dgram_len = rte_cpu_to_be_16(size - 34),
    };
    buffer->data_len = size;
    buffer->pkt_len = size;
}

// Takes what has arrived at a port. Of each burst the first frame is looked at.
static unsigned take(unsigned port, struct account *account) {
    struct rte_mbuf *burst[BURST];
    unsigned count = rte_eth_rx_burst(port, 0, burst, BURST);
    if (!count) return 0;
    const uint8_t *first = rte_pktmbuf_mtod(burst[0], const uint8_t *);
    account->foreign += first[0] != 0x02 || first[1] != 0xd0 || first[2] != port;
    for (unsigned index = 0; index < count; index++) account->bytes += burst[index]->pkt_len;
    account->received += count;
    rte_pktmbuf_free_bulk(burst, count);
    return count;
}

static void send_flow(
    unsigned port, unsigned size, uint32_t pairs, uint32_t *next, struct account *account) {
    struct rte_mbuf *burst[BURST];
    if (rte_pktmbuf_alloc_bulk(buffers[port], burst, BURST)) return;
    uint32_t host = *next;
    for (unsigned index = 0; index < BURST; index++) {
        write_flow_frame(burst[index], port, port ^ 1, host, size);
        if (++host == pairs) host = 0;
    }
    unsigned count = rte_eth_tx_burst(port, 0, burst, BURST);
    account->sent += count;
    *next = (*next + count) % pairs;
    if (count < BURST) rte_pktmbuf_free_bulk(burst + count, BURST - count);
}

// Sends the next frames, unless too many are on their way already. They may have been sent before and
// not be back: nobody changes them. The driver gives back the reference that it is given, and writes
// no header into what has two.
static void send_bulk(unsigned port, uint32_t on_their_way, uint32_t *next, struct account *account) {
    struct rte_mbuf *burst[WINDOW];
    unsigned room = on_their_way < WINDOW ? WINDOW - on_their_way : 0;
    for (unsigned index = 0; index < room; index++) {
        burst[index] = bulk[port][(*next + index) % FRAMES];
        rte_mbuf_refcnt_update(burst[index], 1);
    }
    unsigned count = rte_eth_tx_burst(port, 0, burst, room);
    for (unsigned index = count; index < room; index++) rte_mbuf_refcnt_update(burst[index], -1);
    account->sent += count;
    *next += count;
}

static void run(double seconds, double warm_up, unsigned size, uint32_t pairs) {
    struct account total[PORTS] = {0}, none[PORTS] = {0}, *account = none;
    uint32_t next[PORTS] = {0}, arrived[PORTS] = {0};
    const double hertz = rte_get_tsc_hz();
    uint64_t start = rte_rdtsc() + (uint64_t)(warm_up * hertz);
    uint64_t end = start + (uint64_t)(seconds * hertz), now;
    while ((now = rte_rdtsc()) < end) {
        if (account == none && now >= start) {
            account = total;
            start = now;
        }
        for (unsigned port = 0; port < port_count; port++) {
            if (size) {
                take(port, &account[port]);
                send_flow(port, size, pairs, &next[port], &account[port]);
            } else {
                for (unsigned count; (count = take(port, &account[port]));)
                    arrived[port ^ 1] += count;
                send_bulk(port, next[port] - arrived[port], &next[port], &account[port]);
            }
        }
    }
    double elapsed = (now - start) / hertz;

    // What is under way arrives, so that the next run begins with empty rings.
    struct account rest = {0};
    for (unsigned quiet = 0; quiet < 20;) {
        unsigned count = 0;
        for (unsigned port = 0; port < port_count; port++) count += take(port, &rest);
        quiet = count ? 0 : quiet + 1;
        if (!count) rte_delay_us_sleep(500);
    }

    struct account sum = {0};
    printf("{\"seconds\":%.6f,\"receivedPerPort\":[", elapsed);
    for (unsigned port = 0; port < port_count; port++) {
        printf("%s%" PRIu64, port ? "," : "", total[port].received);
        sum.sent += total[port].sent;
        sum.received += total[port].received;
        sum.bytes += total[port].bytes;
        sum.foreign += total[port].foreign;
    }
    printf(
        "],\"sent\":%" PRIu64 ",\"received\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"foreign\":%" PRIu64
        "}\n",
        sum.sent, sum.received, sum.bytes, sum.foreign);
    fflush(stdout);
}

static void make_bulk(unsigned port) {
    struct rte_mempool *pool = rte_pktmbuf_pool_create(
        port ? "bulk1" : "bulk0", FRAMES, 0, 0, RTE_PKTMBUF_HEADROOM + HEADERS + PAYLOAD, 0);
    if (!pool) fail("make buffers for super-frames", rte_errno);
    for (unsigned index = 0; index < FRAMES; index++) {
        struct rte_mbuf *frame = rte_pktmbuf_alloc(pool);
        uint8_t *bytes = rte_pktmbuf_mtod(frame, uint8_t *);
        memset(bytes, index, HEADERS + PAYLOAD);
        write_headers(bytes, port, port ^ 1, 0, HEADERS - 14 + PAYLOAD, 6);
        struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(bytes + 14);
        struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(bytes + 34);
        *tcp = (struct rte_tcp_hdr){
            .src_port = rte_cpu_to_be_16(1000),
            .dst_port = rte_cpu_to_be_16(1001),
            .data_off = 8 << 4,
            .tcp_flags = RTE_TCP_ACK_FLAG,
            .rx_win = 0xffff,
        };
        // Twelve bytes of options, all of them "no operation".
        memset(tcp + 1, 1, 12);
        tcp->cksum = rte_ipv4_phdr_cksum(ip, 0);
        frame->data_len = HEADERS + PAYLOAD;
        frame->pkt_len = HEADERS + PAYLOAD;
        frame->ol_flags = RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV4
            | RTE_MBUF_F_TX_IP_CKSUM;
        frame->l2_len = 14;
        frame->l3_len = 20;
        frame->l4_len = 32;
        frame->tso_segsz = SEGMENT;
        bulk[port][index] = frame;
    }
}

static void start_port(unsigned port, bool is_bulk) {
    char name[16];
    snprintf(name, sizeof name, "buffers%u", port);
    // Twice the rings and what lies in the cache. Of a cache the buffer that was used last is given
    // out first, so that no more are in use than have to be.
    buffers[port] = rte_pktmbuf_pool_create(
        name, 2 * RING + 1024, is_bulk ? 512 : 4 * BURST, 0,
        is_bulk ? 4096 + RTE_PKTMBUF_HEADROOM : RTE_MBUF_DEFAULT_BUF_SIZE, 0);
    if (!buffers[port]) fail("make buffers", rte_errno);
    struct rte_eth_conf configuration = {0};
    if (is_bulk) {
        configuration.rxmode.offloads = RTE_ETH_RX_OFFLOAD_TCP_LRO | RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
        configuration.txmode.offloads = RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
    }
    int error = rte_eth_dev_configure(port, 1, 1, &configuration);
    if (error) fail("configure a port", error);
    error = rte_eth_rx_queue_setup(port, 0, RING, SOCKET_ID_ANY, NULL, buffers[port]);
    if (error) fail("set up a receive queue", error);
    error = rte_eth_tx_queue_setup(port, 0, RING, SOCKET_ID_ANY, NULL);
    if (error) fail("set up a transmit queue", error);
    error = rte_eth_dev_start(port);
    if (error) fail("start a port", error);
    if (is_bulk) make_bulk(port);
}

int main(int count, char **arguments) {
    const char *packed = "0", *server = "";
    const char *core = "0";
    bool is_bulk = false;
    int index = 1;
    for (; index < count && arguments[index][0] == '-'; index++) {
        if (!strcmp(arguments[index], "--packed"))
            packed = "1";
        else if (!strcmp(arguments[index], "--server"))
            server = ",server=1";
        else if (!strcmp(arguments[index], "--bulk"))
            is_bulk = true;
        else if (!strcmp(arguments[index], "--core") && index + 1 < count)
            core = arguments[++index];
        else
            break;
    }
    unsigned sockets = count - index;
    if (sockets < 1 || sockets > PORTS || arguments[index][0] == '-') {
        fprintf(stderr, "usage: virtio [--packed] [--bulk] [--server] --core N SOCKET...\n");
        return 2;
    }

    char lcores[64], prefix[64], devices[PORTS][512];
    snprintf(lcores, sizeof lcores, "0@%s", core);
    snprintf(prefix, sizeof prefix, "virtio%d", (int)getpid());
    char *eal[16 + PORTS] = {
        arguments[0], "--lcores", lcores, "--no-huge", "-m", "192", "--no-pci",
        "--no-telemetry", "--log-level=3", "--file-prefix", prefix,
    };
    int eal_count = 11;
    for (unsigned port = 0; port < sockets; port++) {
        snprintf(
            devices[port], sizeof devices[port],
            "--vdev=net_virtio_user%u,path=%s,mac=02:d0:%02x:00:00:00,queue_size=%d,packed_vq=%s%s",
            port, arguments[index + port], port, RING, packed, server);
        eal[eal_count++] = devices[port];
    }
    if (rte_eal_init(eal_count, eal) < 0) fail("start DPDK", rte_errno);
    port_count = rte_eth_dev_count_avail();
    if (port_count != sockets) fail("connect every port", ENOTCONN);
    for (unsigned port = 0; port < port_count; port++) start_port(port, is_bulk);
    printf("ready\n");
    fflush(stdout);

    char line[256];
    while (fgets(line, sizeof line, stdin)) {
        double seconds, warm_up;
        unsigned size, pairs;
        if (sscanf(line, "flow %lf %lf %u %u", &seconds, &warm_up, &size, &pairs) == 4 && size >= 60
            && size <= 1518 && pairs > 0 && pairs <= 1 << 20 && port_count == 2)
            run(seconds, warm_up, size, pairs);
        else if (is_bulk && port_count == 2
                 && sscanf(line, "bulk %lf %lf", &seconds, &warm_up) == 2)
            run(seconds, warm_up, 0, 0);
        else
            fprintf(stderr, "virtio: what is '%s'?\n", line);
    }
    for (unsigned port = 0; port < port_count; port++) rte_eth_dev_stop(port);
    rte_eal_cleanup();
    return 0;
}
