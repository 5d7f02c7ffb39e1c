// Linux UAPI headers that Swift's Glibc module lacks, and what of them Swift cannot import:
// function-like macros become constants or static inline functions. No logic lives here.
#ifndef CLINUX_H
#define CLINUX_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

// _GNU_SOURCE implies X/Open, under which glibc calls the member of fd_set differently; Swift's own
// modules see it without. One program may not have both, so this one header is read as they read it.
#include <features.h>
#ifdef __USE_XOPEN
#undef __USE_XOPEN
#include <sys/select.h>
#define __USE_XOPEN 1
#endif

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/if_addr.h>
#include <linux/magic.h>
#include <linux/net_namespace.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/udp.h>
#include <linux/veth.h>
#include <linux/virtio_net.h>
// Not <linux/if.h>: Swift's Glibc module has this one, and there may be one struct ifreq only.
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

// Only <linux/if.h> has it: the driver reports a carrier.
#define CLINUX_IFF_LOWER_UP (1 << 16)

// -- Missing from the UAPI headers of Debian 12 (Linux 6.1); probed at run time, never assumed.

// Linux 6.2: a TAP reader that accepts UDP super-frames (UDP_SEGMENT) over IPv4 and IPv6.
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#endif
#ifndef TUN_F_USO6
#define TUN_F_USO6 0x40
#endif

// Linux 6.2: the gso_type of such a frame.
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

// Linux 5.14: have the pages of a range now, as if each had been written to.
#define CLINUX_MADV_POPULATE_WRITE 23

// -- Request codes: _IOW and _IOR are beyond Swift's importer.

static const unsigned long CLINUX_TUNSETIFF = TUNSETIFF;
static const unsigned long CLINUX_TUNGETIFF = TUNGETIFF;
static const unsigned long CLINUX_TUNSETPERSIST = TUNSETPERSIST;
static const unsigned long CLINUX_TUNGETFEATURES = TUNGETFEATURES;
static const unsigned long CLINUX_TUNSETOFFLOAD = TUNSETOFFLOAD;
static const unsigned long CLINUX_TUNSETVNETHDRSZ = TUNSETVNETHDRSZ;
static const unsigned long CLINUX_TUNGETVNETHDRSZ = TUNGETVNETHDRSZ;
static const unsigned long CLINUX_TUNSETVNETLE = TUNSETVNETLE;

// -- Variadic functions. Each returns what the call returns: -1 and errno on failure.

static inline int clinux_ioctl_pointer(int fd, unsigned long request, void *argument) {
    return ioctl(fd, request, argument);
}

static inline int clinux_ioctl_value(int fd, unsigned long request, unsigned long argument) {
    return ioctl(fd, request, argument);
}

static inline int clinux_fcntl_value(int fd, int command, long argument) {
    return fcntl(fd, command, argument);
}

static inline int clinux_open(const char *path, int flags) { return open(path, flags); }

static inline int clinux_open_mode(const char *path, int flags, unsigned int mode) {
    return open(path, flags, mode);
}

// -- The frame path's system calls, for descriptors that never block. glibc's own are cancellation
// points: with a second thread in the process each enters and leaves asynchronous cancellation, which
// took 2.5 % of a forwarding thread's time at 64 bytes.

static inline ssize_t clinux_read(int fd, void *bytes, size_t count) {
    return syscall(SYS_read, fd, bytes, count);
}
static inline ssize_t clinux_write(int fd, const void *bytes, size_t count) {
    return syscall(SYS_write, fd, bytes, count);
}
static inline ssize_t clinux_writev(int fd, const struct iovec *pieces, int count) {
    return syscall(SYS_writev, fd, pieces, count);
}
static inline int clinux_sendmmsg(
    int fd, struct mmsghdr *messages, unsigned int count, int flags) {
    return syscall(SYS_sendmmsg, fd, messages, count, flags);
}
// Without a time to wait: these sockets are asked, or polled together with others.
static inline int clinux_recvmmsg(
    int fd, struct mmsghdr *messages, unsigned int count, int flags) {
    return syscall(SYS_recvmmsg, fd, messages, count, flags, NULL);
}

// -- A parameter of a transparent union type (glibc's __SOCKADDR_ARG) takes no NULL from Swift.

static inline int clinux_accept(int fd) { return accept4(fd, NULL, NULL, SOCK_CLOEXEC); }
static inline int clinux_accept_nonblocking(int fd) {
    return accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

// -- A global variable, which Swift 6 takes for shared mutable state; read it before threads start
// or leave setenv alone, as Heddle does.

static inline char *const *clinux_environment(void) { return environ; }

// -- Arithmetic that the headers offer as macros only.

static inline size_t clinux_cmsg_space(size_t byteCount) { return CMSG_SPACE(byteCount); }
static inline size_t clinux_cmsg_len(size_t byteCount) { return CMSG_LEN(byteCount); }
static inline struct cmsghdr *clinux_cmsg_first(struct msghdr *message) {
    return CMSG_FIRSTHDR(message);
}
static inline struct cmsghdr *clinux_cmsg_next(struct msghdr *message, struct cmsghdr *header) {
    return CMSG_NXTHDR(message, header);
}
static inline unsigned char *clinux_cmsg_data(struct cmsghdr *header) {
    return CMSG_DATA(header);
}

static inline bool clinux_exited(int status) { return WIFEXITED(status); }
static inline int clinux_exit_code(int status) { return WEXITSTATUS(status); }
static inline int clinux_signal(int status) { return WTERMSIG(status); }

// -- The members of struct ifreq, which are macros and a fixed array.

static inline void clinux_ifreq_set_name(struct ifreq *request, const char *name) {
    strncpy(request->ifr_name, name, IFNAMSIZ - 1);
    request->ifr_name[IFNAMSIZ - 1] = 0;
}
static inline void clinux_ifreq_set_flags(struct ifreq *request, int flags) {
    request->ifr_flags = (short)flags;
}
static inline int clinux_ifreq_flags(const struct ifreq *request) {
    return (unsigned short)request->ifr_flags;
}
static inline int clinux_ifreq_index(const struct ifreq *request) { return request->ifr_ifindex; }

// -- Memory whose file another process may cut short; see SharedMemoryGuard.swift.

#define CLINUX_GUARD_LIMIT 4096

// Guards a range of pages of the given size (a power of two); an eventfd is told of a fault in it.
// Returns its number, or -1 when there are too many.
int clinux_guard_add(void *start, size_t byteCount, size_t page, int notify);
// No thread may use the range any more.
void clinux_guard_remove(int slot);

// prctl(2) is variadic, which Swift cannot call.
static inline int clinux_set_thread_name(const char *name) {
    return prctl(PR_SET_NAME, name, 0, 0, 0);
}

// -- Packet sockets and their rings, whose slots the kernel and this process hand to each other by a
// status word at their start: what lies behind it is read after an acquire and left before a release.

static inline uint32_t clinux_packet_status(const void *slot) {
    return __atomic_load_n((const uint32_t *)slot, __ATOMIC_ACQUIRE);
}
static inline void clinux_packet_release(void *slot) {
    __atomic_store_n((uint32_t *)slot, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
}

// -- nf_tables. <linux/netfilter.h> has these, and clashes with glibc's <netinet/in.h>.

#define CLINUX_NFPROTO_NETDEV 5
#define CLINUX_NF_NETDEV_INGRESS 0
#define CLINUX_NF_NETDEV_EGRESS 1
#define CLINUX_NF_DROP 0
#define CLINUX_NF_ACCEPT 1

// -- bpf(2), which glibc lacks, for the one kind of program that is used: a classifier at a device. Each
// returns a descriptor, or -1 and errno. They are in clinux.c because <linux/bpf.h> and libpcap have each
// a struct bpf_insn; here an instruction is its eight bytes.

// Linux 6.6: where such a program is linked to (BPF_TCX_INGRESS and BPF_TCX_EGRESS), and what it returns.
#define CLINUX_BPF_TCX_INGRESS 46
#define CLINUX_BPF_TCX_EGRESS 47
#define CLINUX_TCX_NEXT (-1)
#define CLINUX_TCX_DROP 2

int clinux_bpf_load_classifier(const uint64_t *instructions, uint32_t count, const char *name);
// In front of programs that are there.
int clinux_bpf_link_to_device(int program, int index, uint32_t place);

#endif
