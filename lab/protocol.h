/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The byte protocol between `xenwright lab exec` and the agent inside a lab (over a virtio-serial
 * port) or inside a test guest (over a vchan).
 *
 * A stream carries frames: one type byte, three zero bytes, a 32-bit little-endian payload length
 * (at most LAB_FRAME_MAX), the payload.  A type byte of 0 is padding: the receiver skips that one
 * byte.  All integers are little-endian.
 *
 * A stream serves one client at a time.  The client opens with HELLO; the agent ends whatever an
 * earlier client left behind and answers with a HELLO that carries the same nonce.  The client
 * throws away every byte before that answer: they were meant for somebody else.  A client that
 * gets no answer sends LAB_FRAME_MAX + 8 bytes of padding and its HELLO again: if a dead client
 * left a half-sent frame, the padding completes it.
 *
 * After HELLO the client makes one request at a time: EXEC, PERSONALISE or PING.
 */
#ifndef LAB_PROTOCOL_H
#define LAB_PROTOCOL_H

#define LAB_PROTOCOL_VERSION 1u
#define LAB_FRAME_HEADER 8u
#define LAB_FRAME_MAX 65536u
#define LAB_NONCE_SIZE 16u

/* Bytes of standard input a client may have sent beyond what CREDIT frames have returned.  The
 * bound keeps room for SIGNAL frames when the program does not read its input. */
#define LAB_STDIN_WINDOW 262144u

enum lab_frame_type {
    LAB_FRAME_PAD = 0,
    /* both ways */
    LAB_FRAME_HELLO = 1,       /* u32 version, nonce[16] */
    /* client to agent */
    LAB_FRAME_EXEC = 2,        /* u32 flags, u16 columns, u16 rows, u32 argc, u32 envc, then
                                  NUL-terminated strings: directory, argv..., NAME=VALUE... */
    LAB_FRAME_STDIN = 3,       /* bytes; an empty frame is end of file */
    LAB_FRAME_SIGNAL = 4,      /* u32 signal number (Linux x86-64), to the process group */
    LAB_FRAME_WINDOW = 5,      /* u16 columns, u16 rows */
    LAB_FRAME_PERSONALISE = 6, /* lines "key=value\n", see lab/agent/personalise.c */
    LAB_FRAME_PING = 7,        /* any bytes */
    /* agent to client */
    LAB_FRAME_STARTED = 16,    /* u32 pid */
    LAB_FRAME_STDOUT = 17,     /* bytes */
    LAB_FRAME_STDERR = 18,     /* bytes */
    LAB_FRAME_CREDIT = 19,     /* u32 bytes of standard input consumed since the last CREDIT */
    LAB_FRAME_EXIT = 20,       /* u32 kind (enum lab_exit_kind), u32 value */
    LAB_FRAME_FAILED = 21,     /* u32 errno, text: the request could not be carried out */
    LAB_FRAME_DONE = 22,       /* PERSONALISE has been carried out */
    LAB_FRAME_PONG = 23,       /* the bytes of the PING */
};

enum lab_exec_flags {
    LAB_EXEC_TTY = 1,          /* run on a new pseudo-terminal; stderr comes as STDOUT */
    LAB_EXEC_NO_STDIN = 2,     /* standard input is /dev/null */
};

enum lab_exit_kind {
    LAB_EXIT_STATUS = 0,       /* value: exit status */
    LAB_EXIT_SIGNAL = 1,       /* value: signal that ended the program */
};

#endif
