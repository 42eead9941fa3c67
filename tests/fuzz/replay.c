/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The driver of the normal test run: every saved case of a fuzz target, then a fixed number of
 * small changes to each, the same ones in every run. A crash, a complaint of a sanitizer or ten
 * seconds in one input fail the test; the input is left in fuzz.crash.
 *
 * usage: TARGET FOLDER [CHANGES]      (also single files: TARGET FILE)
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LARGEST ((size_t)1 << 20)
#define PATIENCE 10 /* seconds for one input */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What runs now, for the handler below. */
static const char *running;
static const uint8_t *running_data;
static size_t running_size;

static void say(const char *text)
{
    if (write(STDOUT_FILENO, text, strlen(text)) < 0)
        _exit(2);
}

/* Only what signal-safety(7) allows. */
static void on_end(int number)
{
    int fd = open("fuzz.crash", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd >= 0 && write(fd, running_data, running_size) >= 0)
        say("# the input is in fuzz.crash of the folder the test ran in\n");
    say(number == SIGALRM ? "not ok 1 - too slow: " : "not ok 1 - ended by a signal: ");
    say(running);
    say("\n");
    _exit(1);
}

/* A copy of exactly its size, so that a sanitizer sees a read beyond the end. */
static void run_one(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);

    if (!copy)
        exit(2);
    memcpy(copy, data, size);
    running_data = copy;
    running_size = size;
    alarm(PATIENCE);
    LLVMFuzzerTestOneInput(copy, size);
    alarm(0);
    free(copy);
}

/* xorshift64 (Marsaglia): the same numbers everywhere. */
static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* One to four small changes: a bit, a byte, a piece taken out or doubled, the end cut off. */
static size_t change(uint8_t *data, size_t size, uint64_t *random)
{
    static const uint8_t telling[] = {0,   0xff, 0x7f, 0x80, '"', '\\',
                                      '{', '[',  '\n', '-',  '0', ' '};

    for (uint64_t n = next(random) % 4 + 1; n > 0 && size > 0; n--) {
        size_t at = next(random) % size, piece = next(random) % 16 % (size - at + 1);

        switch (next(random) % 5) {
        case 0:
            data[at] ^= (uint8_t)(1u << next(random) % 8);
            break;
        case 1:
            data[at] = telling[next(random) % sizeof(telling)];
            break;
        case 2:
            memmove(data + at, data + at + piece, size - at - piece);
            size -= piece;
            break;
        case 3:
            if (size + piece > LARGEST)
                break;
            memmove(data + at + piece, data + at, size - at);
            size += piece;
            break;
        case 4:
            if (next(random) % 8 == 0)
                size = at;
            break;
        }
    }
    return size;
}

static int run_file(int folder, const char *name, unsigned long changes)
{
    static uint8_t data[LARGEST], changed[LARGEST];
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
    uint64_t random = 0x9e3779b97f4a7c15;
    ssize_t size;

    running = name;
    if (fd < 0 || (size = read(fd, data, sizeof(data))) < 0) {
        printf("not ok 1 - cannot read %s: %s\n", name, strerror(errno));
        return -1;
    }
    close(fd);
    run_one(data, (size_t)size);
    for (unsigned long i = 0; i < changes; i++) {
        memcpy(changed, data, (size_t)size);
        run_one(changed, change(changed, (size_t)size, &random));
    }
    return 0;
}

static int run_folder(const char *path, unsigned long changes)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    int count = 0;

    if (!dir) {
        printf("not ok 1 - cannot open %s: %s\n", path, strerror(errno));
        return 1;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        if (run_file(dirfd(dir), entry->d_name, changes) < 0)
            return 1;
        count++;
    }
    closedir(dir);
    if (count == 0) {
        printf("not ok 1 - no saved case in %s\n", path);
        return 1;
    }
    printf("ok 1 - %d saved cases, %lu changes of each\n", count, changes);
    return 0;
}

int main(int argc, char **argv)
{
    unsigned long changes = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    struct stat st;

    if (argc < 2) {
        fprintf(stderr, "usage: %s FOLDER|FILE [CHANGES]\n", argv[0]);
        return 2;
    }
    signal(SIGALRM, on_end);
    signal(SIGSEGV, on_end);
    signal(SIGBUS, on_end);
    signal(SIGFPE, on_end);
    signal(SIGABRT, on_end);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("1..1\n");
    if (stat(argv[1], &st) == 0 && S_ISREG(st.st_mode))
        return run_file(AT_FDCWD, argv[1], changes) < 0;
    return run_folder(argv[1], changes);
}
