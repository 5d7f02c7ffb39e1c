// libmnl. Without _GNU_SOURCE: with it, struct fd_set would have another member name here than in
// Swift's Glibc module.
#include <libmnl/libmnl.h>
