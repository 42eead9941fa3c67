/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xl, where `xenwright xl enable` was asked for: what is in verbs.c goes to xenwright, all else to
 * the real xl, with its arguments, environment and descriptors as they are. Scripts run xl often,
 * so this links nothing but libc.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "xl/paths.h"
#include "xl/verbs.h"

enum { STATUS_FAILED = 1, STATUS_CANNOT_RUN = 126, STATUS_NOT_FOUND = 127 };

struct call {
    int word; /* index of the verb in argv */
    int verbose;
    bool dry_run;
};

__attribute__((noreturn, format(printf, 2, 3))) static void die(int status, const char *format, ...)
{
    va_list args;

    fputs("xl: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(status);
}

/* A file of this installation: under the same root as we are, where we are not run from a build. */
static const char *installed(const char *path, char ret[PATH_MAX])
{
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    ssize_t root = length - (ssize_t)strlen(XL_OURS);

    if (root < 0 || memcmp(self + root, XL_OURS, strlen(XL_OURS)) != 0)
        root = 0;
    snprintf(ret, PATH_MAX, "%.*s%s", (int)root, self, path);
    return ret;
}

/* Something is there, and it is known not to be this program again. */
static bool is_other_program(const char *path)
{
    struct stat there, self;

    if (stat("/proc/self/exe", &self) && stat((const char *)getauxval(AT_EXECFN), &self))
        return false;
    return !stat(path, &there) && (there.st_dev != self.st_dev || there.st_ino != self.st_ino);
}

/* Where the real xl is: also while it is only on its way there or back. */
static const char *find_real(char ret[PATH_MAX])
{
    if (is_other_program(installed(XL_REAL, ret)) || is_other_program(installed(XL_NAME, ret)))
        return ret;
    die(STATUS_NOT_FOUND,
        "the real xl is gone from %s: install xen-utils-common (again), or go back by "
        "'xenwright xl disable'",
        installed(XL_REAL, ret));
}

__attribute__((noreturn)) static void run(const char *program, char *const *argv)
{
    execv(program, argv);
    die(errno == ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_RUN, "cannot run %s: %s", program,
        strerror(errno));
}

__attribute__((noreturn)) static void run_real(char *const *argv)
{
    char path[PATH_MAX];

    run(find_real(path), argv);
}

/*
 * xl's global options, as its main() has them in 4.17 and 4.20. With others, or without a verb, the
 * real one is to say what it thinks of that: -1.
 */
static int parse(int argc, char **argv, struct call *ret)
{
    int option;

    opterr = 0;
    while ((option = getopt(argc, argv, "+vftTN")) >= 0) {
        if (option == '?')
            return -1;
        ret->verbose += option == 'v';
        ret->dry_run |= option == 'N';
    }
    ret->word = optind;
    return optind < argc ? 0 : -1;
}

/* `rest` is what stands behind the verb. */
__attribute__((noreturn)) static void
run_xenwright(const struct xl_verb *verb, const struct call *call, char *const *rest, size_t count)
{
    char path[PATH_MAX], name[] = "xenwright", dry_run[] = "--dry-run", verbose[] = "--verbose";
    char **argv = calloc(count + XL_VERB_WORDS + (size_t)call->verbose + 3, sizeof(*argv));
    const char *drop = verb->option;
    size_t n = 0;

    if (call->dry_run && !verb->dry_run)
        die(STATUS_FAILED, "%s does not implement -N (dryrun)", verb->verb);
    if (!argv)
        die(STATUS_FAILED, "not enough memory");
    argv[n++] = name;
    for (size_t i = 0; i < XL_VERB_WORDS && verb->words[i]; i++)
        argv[n++] = strdup(verb->words[i]);
    for (int i = 0; i < call->verbose; i++)
        argv[n++] = verbose;
    if (call->dry_run)
        argv[n++] = dry_run;
    for (size_t i = 0; i < count; i++) {
        /* The option that made it ours means nothing to xenwright. */
        if (drop && !strcmp(rest[i], drop))
            drop = NULL;
        else
            argv[n++] = rest[i];
    }
    run(installed(XL_XENWRIGHT, path), argv);
}

/* As system(3) does it: what is typed at the terminal is for the child. */
static int wait_for_real(char *const *argv)
{
    char path[PATH_MAX];
    const char *real = find_real(path);
    int status;
    pid_t pid = fork();

    if (pid == 0)
        run(real, argv);
    if (pid < 0)
        die(STATUS_FAILED, "cannot start %s: %s", real, strerror(errno));
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            die(STATUS_FAILED, "cannot wait for %s: %s", real, strerror(errno));
    }
    if (WIFSIGNALED(status)) {
        signal(WTERMSIG(status), SIG_DFL);
        raise(WTERMSIG(status));
    }
    return WEXITSTATUS(status);
}

/* In the form of xl's own list, which completion in bash reads. */
static void print_verbs(void)
{
    puts("\nOf xenwright(1):\n");
    for (const struct xl_verb *at = xl_verbs; at->verb; at++) {
        char label[64];

        snprintf(label, sizeof(label), "%s%s%s", at->verb, at->option ? " " : "",
                 at->option ? at->option : "");
        printf(" %-19s %s\n", label, at->help);
    }
}

static void print_option(const struct xl_verb *verb)
{
    printf("Of xenwright(1), see 'xl %s %s --help':\n\n%-23s %s\n", verb->verb, verb->option,
           verb->option, verb->help);
}

/* The real one's help, and ours behind it; or ours alone, of what is ours alone. */
__attribute__((noreturn)) static void help(char *const *argv, const struct call *call)
{
    const char *about = argv[call->word + 1];
    const struct xl_verb *verb = about ? xl_verb_named(about) : NULL;
    char option[] = "--help";
    char *const rest[] = {option};
    int status;

    if (verb && !verb->option)
        run_xenwright(verb, &(struct call){0}, rest, 1);
    if (about && !verb && strcmp(about, "help") != 0)
        run_real(argv);
    status = wait_for_real(argv);
    if (verb)
        print_option(verb);
    else
        print_verbs();
    if (fflush(stdout) && !status)
        die(STATUS_FAILED, "standard output: %s", strerror(errno));
    exit(status);
}

int main(int argc, char **argv)
{
    struct call call = {0};
    const struct xl_verb *verb;

    if (parse(argc, argv, &call))
        run_real(argv);
    if (!strcmp(argv[call.word], "help"))
        help(argv, &call);
    verb = xl_verb_find(argv + call.word);
    if (!verb)
        run_real(argv);
    run_xenwright(verb, &call, argv + call.word + 1, (size_t)(argc - call.word - 1));
}
