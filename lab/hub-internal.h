/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names and words that both sides of a switch use; for lab/hub*.c only. */
#ifndef XW_LAB_HUB_INTERNAL_H
#define XW_LAB_HUB_INTERNAL_H

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

enum lab_hub_hello {
    LAB_HUB_NOBODY,   /* no process has that socket */
    LAB_HUB_SILENT,   /* one has, and is too busy to answer, or about to end */
    LAB_HUB_ANSWERED, /* a promise to stay for a while */
};

/* Ask for the switch at the address. */
enum lab_hub_hello lab_hub_says_hello(const struct sockaddr_un *address);

#endif
