// The C twin: what a careful C programmer writes when the task is "move frames between two TAPs".
//
// One thread, two TAPs in the namespaces given, non-blocking read and write, the same virtio-net
// header and the same offloads (checksum, TSO4, TSO6, USO4, USO6) that Heddle's ports offer, so that
// super-frames of up to 64 KiB cross whole. Up to 64 frames are moved in one direction before the
// other has its turn; poll(2) is called only when both are empty. No look-up, no learning, no
// counters, no parsing: every frame of the one goes to the other, through one buffer that stays in
// the cache.
//
//   twin NAMESPACE:DEVICE NAMESPACE:DEVICE      NAMESPACE is a path such as /run/netns/a
//
// Prints "ready" when both devices exist; ends on SIGTERM. The devices end with it.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

// Linux 6.2; older headers lack them.
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

enum { BURST = 64 };

static void fail(const char *what, const char *object) {
    fprintf(stderr, "twin: %s %s: %s\n", what, object, strerror(errno));
    exit(1);
}

// A TAP in the namespace of "PATH:DEVICE": opened there, for a TAP comes up where its descriptor
// was made.
static int open_tap(const char *port) {
    const char *colon = strrchr(port, ':');
    if (!colon || strlen(colon + 1) >= IFNAMSIZ) {
        fprintf(stderr, "twin: '%s' is not NAMESPACE:DEVICE\n", port);
        exit(2);
    }
    char path[4096];
    snprintf(path, sizeof path, "%.*s", (int)(colon - port), port);
    int namespace = open(path, O_RDONLY | O_CLOEXEC);
    if (namespace < 0 || setns(namespace, CLONE_NEWNET)) fail("enter", path);
    close(namespace);

    int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (tap < 0) fail("open", "/dev/net/tun");
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    strcpy(request.ifr_name, colon + 1);
    if (ioctl(tap, TUNSETIFF, &request)) fail("make", port);
    int header = sizeof(struct virtio_net_hdr_v1);
    if (ioctl(tap, TUNSETVNETHDRSZ, &header)) fail("set the header size of", port);
    unsigned long offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
    // Without USO on a kernel before 6.2.
    if (ioctl(tap, TUNSETOFFLOAD, offloads | TUN_F_USO4 | TUN_F_USO6) &&
        ioctl(tap, TUNSETOFFLOAD, offloads))
        fail("set the offloads of", port);
    return tap;
}

// Moves up to a burst; the number of frames moved. What the other device refuses (it is down) is
// dropped.
static int move(int from, int to) {
    static uint8_t frame[sizeof(struct virtio_net_hdr_v1) + 65536 + 64];
    int count = 0;
    while (count < BURST) {
        ssize_t length = read(from, frame, sizeof frame);
        if (length <= 0) break;
        (void)!write(to, frame, (size_t)length);
        count++;
    }
    return count;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: twin NAMESPACE:DEVICE NAMESPACE:DEVICE\n");
        return 2;
    }
    int left = open_tap(argv[1]);
    int right = open_tap(argv[2]);
    puts("ready");
    fflush(stdout);
    struct pollfd both[2] = {{.fd = left, .events = POLLIN}, {.fd = right, .events = POLLIN}};
    for (;;) {
        int count = move(left, right) + move(right, left);
        if (!count && poll(both, 2, -1) < 0 && errno != EINTR) fail("poll", "the TAPs");
    }
}
