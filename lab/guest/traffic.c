/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* xw-test send and receive: blocks of a pattern over TCP, each looked at where it arrives. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lab/guest/xw-test.h"

/* Reads a port number.  Returns false if it is none. */
static bool set_port(struct sockaddr_in *address, const char *text)
{
    char *end;
    unsigned long port = strtoul(text, &end, 10);

    address->sin_family = AF_INET;
    address->sin_port = htons((uint16_t)port);
    return *text && !*end && port > 0 && port <= 65535;
}

int test_send(int argc, char **argv, const struct options *options)
{
    struct sockaddr_in address = {0};
    struct block block;
    uint64_t blocks = (options->has_size ? options->size : 1024 * 1024) / BLOCK_BYTES;

    if (argc != 2 || inet_pton(AF_INET, argv[0], &address.sin_addr) != 1 ||
        !set_port(&address, argv[1])) {
        dprintf(2, "xw-test: send: name an address and a port\n");
        return 2;
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return test_failed(argv[0]);
    for (uint64_t i = 0; i < blocks; i++) {
        block_make(&block, options->seed, i);
        if (test_write_all(fd, &block, BLOCK_BYTES) < 0)
            return test_failed(argv[0]);
    }
    /* The other side answers with one byte when all was right. */
    char answer;
    shutdown(fd, SHUT_WR);
    if (read(fd, &answer, 1) != 1) {
        dprintf(2, "xw-test: %s: what arrived was wrong\n", argv[0]);
        return 1;
    }
    close(fd);
    printf("%" PRIu64 " bytes sent and received\n", blocks * BLOCK_BYTES);
    return 0;
}

static int receive(int fd, const struct options *options)
{
    struct block block;
    char text[160];
    uint64_t at = 0;

    while (test_read_all(fd, &block, BLOCK_BYTES) == 0) {
        if (!block_is(&block, options->seed, at)) {
            block_describe(&block, text);
            printf("block %" PRIu64 " is wrong: %s\n", at, text);
            return 1;
        }
        at++;
    }
    if (errno != EPIPE)
        return test_failed("receive");
    if (options->has_size && at != options->size / BLOCK_BYTES) {
        printf("%" PRIu64 " bytes came, not %" PRIu64 "\n", at * BLOCK_BYTES, options->size);
        return 1;
    }
    if (write(fd, "y", 1) != 1)
        return test_failed("receive");
    printf("%" PRIu64 " bytes received, all right\n", at * BLOCK_BYTES);
    return 0;
}

int test_receive(int argc, char **argv, const struct options *options)
{
    struct sockaddr_in address = {0};
    int yes = 1;

    if (argc != 1 || !set_port(&address, argv[0])) {
        dprintf(2, "xw-test: receive: name a port\n");
        return 2;
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
        return test_failed(argv[0]);
    printf("listening on port %s\n", argv[0]);
    fflush(stdout);
    int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    if (peer < 0)
        return test_failed("receive");
    int status = receive(peer, options);
    close(peer);
    close(fd);
    return status;
}
