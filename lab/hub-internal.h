/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names and words that both sides of a switch use; for lab/hub*.c only. */
#ifndef XW_LAB_HUB_INTERNAL_H
#define XW_LAB_HUB_INTERNAL_H

#include <stdbool.h>
#include <sys/un.h>
#include <xenwright/error.h>

#define LAB_HUB_FOLDER ".nets"

/* Shorter than any frame, so neither can be mistaken for one. */
#define LAB_HUB_HELLO "hello"
#define LAB_HUB_ANSWER "here"

/* Where the switch of a network listens, relative to the labs' folder. -ENAMETOOLONG. */
int lab_hub_address(const char *net, struct sockaddr_un *ret, struct xw_error *err);

/* Where a lab gets the frames of a network. -ENAMETOOLONG. */
int lab_hub_member_address(const char *lab, const char *net, struct sockaddr_un *ret);

/* Whether a switch answers at the address. Its answer is a promise to stay for a while. */
bool lab_hub_says_hello(const struct sockaddr_un *address);

#endif
