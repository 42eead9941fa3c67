/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is known of one lab: labs/NAME/lab.json (format 1), written when the lab is whole.
 *
 * Beside it in labs/NAME: disk-N.qcow2 (overlays of dom0's disk; the one with the highest N is
 * written to), alive (locked by QEMU as long as it lives), console.log, qemu.log, the
 * sockets qmp, watch, console, agent.0 …, saves/TAG/.
 */
#ifndef LAB_RECORD_H
#define LAB_RECORD_H

#include <jansson.h>
#include <stdint.h>
#include <sys/types.h>

#include "lab/image.h"
#include "lab/machine.h"

#define LAB_NUMBER_MAX 200

struct lab_record {
    char name[LAB_NAME_MAX + 1];
    int number; /* 1…LAB_NUMBER_MAX, each used once: last part of its addresses */
    char release[16];
    char image[LAB_KEY_MAX];
    char state[LAB_KEY_MAX]; /* what it was restored from; "" when it was booted */
    char tag[LAB_NAME_MAX + 1]; /* saved state it was restored from; "" for none */
    struct lab_qemu qemu;
    struct lab_machine machine;
    bool gdb;
    char mac[18];
    pid_t pid;       /* QEMU; 0 when the lab is down */
    int64_t started; /* seconds since 1970 */
    int disk;        /* N of disk-N.qcow2, the overlay that is written to */
    json_t *chain;   /* array of the N of all overlays of its own that it needs, disk last; owned */
    json_t *disks;   /* arrays, see lab/plug.c; owned */
    json_t *links;
};

/* An empty record. Give it back with lab_record_free. */
void lab_record_init(struct lab_record *record, const char *name);
void lab_record_free(struct lab_record *record);

/* -ENOENT: there is no such lab (the message says so). */
int lab_record_read(const struct lab_place *place, const char *name, struct lab_record *ret,
                    struct xw_error *err);
int lab_record_write(const struct lab_place *place, const struct lab_record *record,
                     struct xw_error *err);

/* The same to and from JSON; `where` is for messages. */
json_t *lab_record_json(const struct lab_record *record);
int lab_record_parse(const json_t *json, const char *where, struct lab_record *ret,
                     struct xw_error *err);

enum lab_status {
    LAB_STATUS_DOWN,     /* not running; only saved states are kept */
    LAB_STATUS_STARTING, /* somebody is bringing it up */
    LAB_STATUS_RUNNING,
    LAB_STATUS_CRASHED,  /* Xen is dead (crash.json tells), QEMU holds the remains */
    LAB_STATUS_DEAD,     /* QEMU is gone though nobody asked it to go */
};
const char *lab_status_name(enum lab_status status);
enum lab_status lab_record_status(const struct lab_place *place, const struct lab_record *record);

/* Whether a command changes the lab at this moment. */
bool lab_is_held(const struct lab_place *place, const char *name);

/* Whether the QEMU of a lab lives. */
bool lab_is_alive(const struct lab_place *place, const char *name);

/*
 * The names of all labs, sorted, each allocated; ends in NULL. Those half made and without a record
 * are among them. Free with lab_names_free.
 */
int lab_names(const struct lab_place *place, char ***ret, struct xw_error *err);

/* The same of those that have a journal; a killed command may have left nothing else of them. */
int lab_names_of_journals(const struct lab_place *place, char ***ret, struct xw_error *err);
void lab_names_free(char **names);

/*
 * The same of a folder below labs/: the names in it that begin with the prefix, without it; "" for
 * all that do not begin with a dot. -ENOENT where there is no such folder.
 */
int lab_names_in(const struct lab_place *place, const char *path, const char *prefix, char ***ret,
                 struct xw_error *err);

/* Whether there is a lab of this name, whatever its record is like. -ENOENT, -EINVAL. */
int lab_check_known(const struct lab_place *place, const char *name, struct xw_error *err);

/*
 * The number that the lab `own` has, or else one that no other lab has, running, down or in a saved
 * state; to be called with the lock of all labs held (labs/.lock).
 */
int lab_number_choose(const struct lab_place *place, const char *own, int *ret,
                      struct xw_error *err);

#endif
