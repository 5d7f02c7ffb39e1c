// libmnl. _GNU_SOURCE first, so that every shim agrees on the layout of fd_set.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <libmnl/libmnl.h>
