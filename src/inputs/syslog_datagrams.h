/*
 * Between the syslog inputs over datagrams only (UDP, Unix): one datagram, one message. Datagrams
 * are received many at a time (recvmmsg). Nobody waits for room: what journals have no room for is
 * dropped and counted.
 */
#ifndef INPUTS_SYSLOG_DATAGRAMS_H
#define INPUTS_SYSLOG_DATAGRAMS_H

#include <sys/socket.h>

#include "inputs/journals.h"
#include "inputs/syslog.h"
#include "inputs/syslog_parse.h"

#define DATAGRAMS_AT_ONCE 32
#define DATAGRAM_CONTROL 64 /* bytes of control messages with each */

struct datagrams {
    struct input base;
    int fd; /* owned; -1 = none */
    struct loop_fd *watch;
    struct journal_source *source;
    struct input_counters counters;
    struct syslog_parser parser;
    struct journal_entry entry; /* scratch: the parsed message */
    struct syslog_peer peer;    /* the sender of the last one */
    struct buf element;         /* peer.element */
    size_t max_line;
    bool forgeable; /* anybody can send in another's name */
    /* Sets peer and element by the address and control messages. */
    void (*set_peer)(struct datagrams *d, const struct msghdr *m);
    char *bytes; /* a datagram each; unused pages are never allocated */
    struct mmsghdr msgs[DATAGRAMS_AT_ONCE];
    struct iovec iov[DATAGRAMS_AT_ONCE];
    struct sockaddr_storage from[DATAGRAMS_AT_ONCE];
    _Alignas(struct cmsghdr) char control[DATAGRAMS_AT_ONCE][DATAGRAM_CONTROL];
};

/* <most>: bytes of a datagram; a longer one is cut. -1 with <e>; release it in any case. */
int datagrams_init(struct datagrams *d, const struct input_env *env,
                   const struct syslog_config *cfg, size_t most, struct err *e);
/* Receives from <fd>, which it takes over, from now on; the rest of the one before is taken. */
int datagrams_receive(struct datagrams *d, int fd, struct err *e);
/* Takes what the kernel has received. */
void datagrams_release(struct datagrams *d);

#endif
