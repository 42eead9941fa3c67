/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Labs at a switch: a folder of their own, and sockets with the names that QEMU would use. */
#ifndef XENWRIGHT_TEST_HUB_FIXTURE_H
#define XENWRIGHT_TEST_HUB_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

#define HUB_WAIT_MS 10000
#define HUB_GRACE_MS 200

extern int hub_labs_fd;     /* the folder of the labs, which is the current one */
extern char hub_self[4096]; /* this program, which is the switch as well: "__hub net GRACE" */
extern const uint8_t hub_everyone[6];

int hub_set_up(void **state);
int hub_tear_down(void **state);
#define HUB_TEST(name) cmocka_unit_test_setup_teardown(name, hub_set_up, hub_tear_down)

/* First in main: true where the program was started as the switch, and *status is its end. */
bool hub_is_wanted(int argc, char **argv, int *status);

/* The address of member `number`. */
void hub_mac_of(unsigned number, uint8_t mac[6]);

/* A socket as QEMU has it for lab `name`, at an address relative to the labs' folder. */
int hub_join(const char *name, const char *net);

ssize_t hub_send_bytes(int fd, const void *bytes, size_t size);

/* A frame with a text in it, from a member to an address. */
void hub_send_frame(int fd, unsigned from, const uint8_t to[6], const char *text);
void hub_send_to_member(int fd, unsigned from, unsigned to, const char *text);

/* The next frame that comes has this text. */
void hub_expect(int fd, const char *text);

/* The switch in a child; returns when it listens. */
pid_t hub_start(int grace_ms);
void hub_kill(pid_t pid);

#endif
