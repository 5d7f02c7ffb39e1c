// libpcap, without _GNU_SOURCE: Swift's own Glibc module is built without it, and a second layout
// of fd_set (`fds_bits` for `__fds_bits`) does not compile in a file that sees both.
#include <pcap/pcap.h>
