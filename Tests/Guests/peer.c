/* What busybox cannot do in a guest: numbered datagrams, and a TCP stream whose every byte is checked.
 *
 *     peer udp-send ADDRESS PORT RATE SECONDS    peer udp-receive PORT SECONDS
 *     peer tcp-send ADDRESS PORT BYTES           peer tcp-receive PORT
 *
 * It speaks with Tests/TestPeer, which does the same on a host, and prints the same JSON. The receivers
 * say when they are ready; they end after so many seconds or on SIGTERM, and after one connection.
 * Static, for the guest has no libraries.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { period = 1 << 16, chunk = 128 << 10, numbers = 1 << 20, datagram = 64 };

static unsigned char pattern[period + chunk], buffer[chunk], seen[numbers];
static volatile sig_atomic_t ending;

static void end(int number) { ending = number; }

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static int fail(const char *what) {
    fprintf(stderr, "peer: %s: %s\n", what, strerror(errno));
    return 1;
}

static struct sockaddr_in address(const char *text, const char *port) {
    struct sockaddr_in result = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
    if (inet_pton(AF_INET, text, &result.sin_addr) != 1) exit(fail(text));
    return result;
}

/* Sends at a steady rate; the number is the first eight bytes, in network order. */
static int udp_send(char **arguments) {
    struct sockaddr_in to = address(arguments[0], arguments[1]);
    double rate = atof(arguments[2]), seconds = atof(arguments[3]), begin = now();
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    if (connect(s, (struct sockaddr *)&to, sizeof to)) return fail("connect");
    uint64_t sent = 0;
    unsigned refused = 0;
    while (!ending && now() - begin < seconds) {
        double wait = begin + sent / rate - now();
        if (wait > 0) {
            usleep(wait * 1e6 + 1);
            continue;
        }
        uint64_t number = htobe64(sent);
        memcpy(buffer, &number, 8);
        /* ECONNREFUSED is an answer to an earlier datagram: this one has not been sent. */
        if (send(s, buffer, datagram, 0) < 0) {
            refused++;
            if (errno == ECONNREFUSED) continue;
            if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR) return fail("send");
        }
        sent++;
    }
    printf("{\"sent\":%llu,\"refused\":%u}\n", (unsigned long long)sent, refused);
    return 0;
}

static int udp_receive(char **arguments) {
    struct sockaddr_in own = address("0.0.0.0", arguments[0]);
    double until = now() + atof(arguments[1]), last = 0, gap = 0;
    int s = socket(AF_INET, SOCK_DGRAM, 0), size = 4 << 20;
    setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    if (bind(s, (struct sockaddr *)&own, sizeof own)) return fail("bind");
    puts("{\"ready\":true}");
    uint64_t received = 0, duplicates = 0, reordered = 0, distinct = 0, first = 0, highest = 0;
    struct pollfd polled = {.fd = s, .events = POLLIN};
    while (now() < until) {
        /* After the signal, what is in the socket already is still taken. */
        if (poll(&polled, 1, ending ? 0 : 100) <= 0) {
            if (ending) break;
            continue;
        }
        uint64_t number;
        if (recv(s, buffer, sizeof buffer, 0) < 8) continue;
        memcpy(&number, buffer, 8);
        number = be64toh(number);
        if (number >= numbers) continue;
        double time = now();
        if (last && time - last > gap) gap = time - last;
        last = time;
        received++;
        if (seen[number]++) {
            duplicates++;
            continue;
        }
        if (!distinct++ || number < first) first = number;
        if (number < highest) reordered++;
        else highest = number;
    }
    uint64_t missing = distinct ? highest - first + 1 - distinct : 0;
    printf("{\"received\":%llu,\"first\":%llu,\"last\":%llu,\"missing\":%llu,\"duplicates\":%llu,"
        "\"reordered\":%llu,\"overflow\":0,\"longest_gap_ms\":%d}\n",
        (unsigned long long)received, (unsigned long long)first, (unsigned long long)highest,
        (unsigned long long)missing, (unsigned long long)duplicates,
        (unsigned long long)reordered, (int)(gap * 1000));
    return 0;
}

/* Sends the pattern, half-closes, and waits for the count of bytes that came right. */
static int tcp_send(char **arguments) {
    struct sockaddr_in to = address(arguments[0], arguments[1]);
    int64_t count = atoll(arguments[2]), sent = 0;
    uint64_t answer = 0;
    int s = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(s, (struct sockaddr *)&to, sizeof to)) return fail("connect");
    double begin = now();
    while (sent < count) {
        size_t unit = count - sent < chunk ? count - sent : chunk;
        ssize_t written = write(s, pattern + sent % period, unit);
        if (written <= 0) return fail("send");
        sent += written;
    }
    shutdown(s, SHUT_WR);
    if (read(s, &answer, 8) != 8) return fail("wait for the end");
    printf("{\"sent\":%lld,\"acknowledged\":%llu,\"seconds\":%.3f}\n", (long long)sent,
        (unsigned long long)answer, now() - begin);
    return (uint64_t)sent != answer;
}

static int tcp_receive(char **arguments) {
    struct sockaddr_in own = address("0.0.0.0", arguments[0]);
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&own, sizeof own) || listen(listener, 4))
        return fail("listen");
    puts("{\"ready\":true}");
    int s = accept(listener, NULL, NULL);
    if (s < 0) return fail("accept");
    uint64_t right = 0, offset = 0;
    ssize_t count;
    while ((count = read(s, buffer, sizeof buffer)) > 0) {
        if (!memcmp(pattern + offset % period, buffer, count)) right += count;
        offset += count;
    }
    if (write(s, &right, 8) != 8) return fail("answer");
    printf("{\"received\":%llu,\"right\":%llu}\n", (unsigned long long)offset,
        (unsigned long long)right);
    return right != offset;
}

int main(int count, char **arguments) {
    static const struct {
        const char *name;
        int count;
        int (*run)(char **);
    } modes[] = {{"udp-send", 4, udp_send}, {"udp-receive", 2, udp_receive},
        {"tcp-send", 3, tcp_send}, {"tcp-receive", 1, tcp_receive}};
    for (int i = 0; i < (int)sizeof pattern; i++) pattern[i] = i * 31 + (i >> 8);
    struct sigaction action = {.sa_handler = end};
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (count == modes[i].count + 2 && !strcmp(arguments[1], modes[i].name))
            return modes[i].run(arguments + 2);
    fprintf(stderr, "peer: see peer.c for its arguments\n");
    return 2;
}
