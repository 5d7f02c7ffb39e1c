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
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/udp.h>
#include <linux/veth.h>
#include <linux/virtio_net.h>
// Not <linux/if.h>: Swift's Glibc module has this one, and there may be one struct ifreq only.
#include <net/if.h>
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

// prctl(2) is variadic, which Swift cannot call.
static inline int clinux_set_thread_name(const char *name) {
    return prctl(PR_SET_NAME, name, 0, 0, 0);
}

#endif
