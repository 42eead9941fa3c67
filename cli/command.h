/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commands as data.
 *
 * A command is one `const struct cli_command`; the commands of one noun form one `const struct
 * cli_group`, the last thing in cli/cmd-<noun>.c. Parsing, help, completion, the man page check
 * and the shell completion all read these tables, so nothing about a command is written down
 * twice.
 *
 *     static int run_show(struct cli_call *call, struct xw_error *err)
 *     {
 *         const char *name = cli_argument(call, 0);
 *         ...
 *         return cli_show_json(call, json, err);
 *     }
 *
 *     static const struct cli_command show = {
 *         .verb = "show",
 *         .purpose = "Show everything about one widget",
 *         .arguments = {.usage = "WIDGET", .min = 1, .max = 1,
 *                       .values = {{.kind = CLI_VALUE_CALLBACK, .list = list_widgets}}},
 *         .options = (const struct cli_option[]){
 *             {.name = "all", .letter = 'a', .help = "include the hidden parts"},
 *             {0},
 *         },
 *         .examples = (const struct cli_example[]){
 *             {"xenwright widget show w1", "what is known about w1"},
 *             {0},
 *         },
 *         .flags = CLI_SHOWS,
 *         .run = run_show,
 *     };
 *
 *     const struct cli_group cli_group_widget = {
 *         .noun = "widget",
 *         .purpose = "Widgets of this host",
 *         .commands = (const struct cli_command *const[]){&show, NULL},
 *     };
 *
 * Then name the group in cli/groups.c and the file in cli/meson.build.
 */
#ifndef XENWRIGHT_CLI_COMMAND_H
#define XENWRIGHT_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <xenwright/error.h>

struct cli_call;       /* one use of a command: its options and arguments (cli/call.h) */
struct cli_candidates; /* where completion collects its words (cli/complete.h) */
struct xw_column;      /* base/table.h */
struct xw_progress;    /* base/progress.h */

/* What a command does to the world. Each flag also brings the options that such a command has. */
enum cli_command_flag {
    CLI_SHOWS = 1 << 0,       /* shows something: --json */
    CLI_CHANGES = 1 << 1,     /* changes something: --dry-run, to be read with cli_flag() */
    CLI_LONG = 1 << 2,        /* may take more than two seconds: --progress=auto|json|none */
    CLI_PASSTHROUGH = 1 << 3, /* runs another program: its status is ours, our failures are 125 */
};

/*
 * Which words can stand somewhere. FILE, DIRECTORY, RELEASE and CALLBACK only guide completion.
 */
enum cli_value_kind {
    CLI_VALUE_NONE,      /* anything; nothing is offered */
    CLI_VALUE_FILE,      /* a file name */
    CLI_VALUE_DIRECTORY, /* a directory name */
    CLI_VALUE_RELEASE,   /* the code name of a Debian release; the command itself refuses others */
    CLI_VALUE_WORDS,     /* one of .words; for an option, anything else is refused as misuse */
    CLI_VALUE_CALLBACK,  /* what .list offers */
};

struct cli_value {
    enum cli_value_kind kind;
    const char *const *words; /* WORDS: ends with NULL */
    /*
     * CALLBACK: offers each candidate with cli_candidate(). Called while the user waits for the
     * Tab key: it must be quick, print nothing, and offer nothing where it fails. `call` holds
     * the options and arguments to the left of the cursor; they may be too few, so cli_argument()
     * may return NULL.
     */
    void (*list)(const struct cli_call *call, struct cli_candidates *out);
};

/* Adds one candidate; `help` (one line, may be NULL) stands beside it. Both are copied. */
void cli_candidate(struct cli_candidates *out, const char *word, const char *help);

enum cli_option_flag {
    CLI_REPEAT = 1 << 0, /* may be given several times: cli_strings(); else the last one counts */
};

struct cli_option {
    const char *name;     /* without the dashes; NULL ends the array */
    char letter;          /* the short form, or 0 */
    const char *argument; /* placeholder in capitals ("FILE"); NULL for a switch */
    const char *help;     /* lower case, no full stop */
    unsigned int flags;   /* enum cli_option_flag */
    struct cli_value value;
};

#define CLI_ANY UINT32_MAX /* no upper limit of arguments */
#define CLI_POSITIONS 6    /* positions with words of their own; the last one serves the rest */

struct cli_arguments {
    const char *usage; /* for help and man page: "NAME", "[NAME]", "NAME -- COMMAND [ARG]..." */
    uint32_t min;
    uint32_t max; /* or CLI_ANY */
    /*
     * For CLI_PASSTHROUGH: how many arguments come before the other program's name. The first
     * word after them that is no option, and everything behind it, belongs to that program ("--"
     * is not needed).
     */
    uint32_t fixed;
    struct cli_value values[CLI_POSITIONS];
};

struct cli_example {
    const char *line; /* begins with "xenwright NOUN VERB"; NULL ends the array */
    const char *what; /* what it does: lower case, no full stop */
};

struct cli_command {
    const char *verb;
    const char *purpose;     /* one line, capital first letter, no full stop */
    const char *description; /* paragraphs between empty lines, wrapped when shown; may be NULL */
    struct cli_arguments arguments;
    const struct cli_option *options; /* may be NULL */
    const struct cli_example *examples;
    unsigned int flags; /* enum cli_command_flag */
    /*
     * Called once, after the options and the number of arguments proved right. 0 leads to exit
     * status 0; a negative errno, with *err filled, to one line on stderr and to status 1 (2
     * after cli_misuse(), 3 after cli_partly(), 125 for CLI_PASSTHROUGH). Output to stdout is
     * flushed and checked by the caller.
     */
    int (*run)(struct cli_call *call, struct xw_error *err);
};

struct cli_group {
    const char *noun;
    const char *purpose;                       /* one line, capital first letter, no full stop */
    const char *description;                   /* as in cli_command; may be NULL */
    const struct cli_command *const *commands; /* in the order of help; ends with NULL */
};

/* The groups of this program, in the order of help; ends with NULL (cli/groups.c). */
extern const struct cli_group *const cli_groups[];

/*
 * Programs that this program starts of itself, apart from the user: "xenwright NAME ARGUMENT". The
 * end is an entry with name NULL (cli/groups.c). run: 0, or a negative errno with *err filled.
 */
struct cli_service {
    const char *name; /* begins with "__" */
    int (*run)(const char *argument, struct xw_error *err);
};
extern const struct cli_service cli_services[];

/*
 * Options of a call. `name` is one of the command's own options or one that its flags bring;
 * asking for another is a mistake in the program and aborts. Strings belong to the call.
 */

/* Was the switch, or the option with a value, given? */
bool cli_flag(const struct cli_call *call, const char *name);

/* How often a CLI_REPEAT option was given. */
size_t cli_count(const struct cli_call *call, const char *name);

/* The (last) value given, or NULL. */
const char *cli_string(const struct cli_call *call, const char *name);

/* The index-th value of a CLI_REPEAT option, in the order given; NULL behind the last. */
const char *cli_strings(const struct cli_call *call, const char *name, size_t index);

/*
 * Numbers. Each leaves *ret as it is where the option was not given, so that the caller sets its
 * default before. Misuse (no number, out of bounds) returns -EINVAL with *err naming the option:
 * return it from run.
 */
int cli_number(struct cli_call *call, const char *name, uint64_t min, uint64_t max, uint64_t *ret,
               struct xw_error *err);

/*
 * A size in bytes: "512", "64K", "1.5G": suffixes b k K M G T P E in powers of 1024, as qemu-img
 * takes them.
 */
int cli_size(struct cli_call *call, const char *name, uint64_t *ret_bytes, struct xw_error *err);

/* The same where a bare number means MiB, as in xl: "--memory 512". Returns bytes. */
int cli_memory(struct cli_call *call, const char *name, uint64_t *ret_bytes, struct xw_error *err);

/*
 * Arguments, without the options: cli_argument() returns NULL behind the last. cli_arguments()
 * returns those from `first` on as an argv array that ends with NULL; it belongs to the call.
 */
size_t cli_argument_count(const struct cli_call *call);
const char *cli_argument(const struct cli_call *call, size_t index);
char *const *cli_arguments(const struct cli_call *call, size_t first);

/*
 * The outcome. cli_misuse(): the command was asked for something that makes no sense ("--all and
 * NAME exclude each other"); fills *err, returns -EINVAL, and the exit status becomes 2.
 * cli_partly(): from here on a failure means that some of the work was done; the exit status of a
 * failure becomes 3. cli_exit_status(): the status of the other program (CLI_PASSTHROUGH), used
 * when run returns 0.
 */
int cli_misuse(struct cli_call *call, struct xw_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void cli_partly(struct cli_call *call);
void cli_exit_status(struct cli_call *call, int status);

/*
 * Output to stdout; both take over the reference to the JSON, also on failure, and return 0 or a
 * negative errno with *err filled. cli_show_json() prints it indented. cli_show_rows() takes an
 * array of objects: with --json it prints the array, else a table of the columns (base/table.h). A
 * failure to write is found when the program ends, so a command may use stdio as it likes.
 */
int cli_show_json(struct cli_call *call, json_t *json, struct xw_error *err);
int cli_show_rows(struct cli_call *call, const struct xw_column *columns, size_t column_count,
                  json_t *rows, struct xw_error *err);

/*
 * Progress of a CLI_LONG command, as --progress and --color ask for it: use it and end it with the
 * functions of base/progress.h. NULL (out of memory) is fine for them.
 */
struct xw_progress *cli_progress(const struct cli_call *call, const char *task, uint64_t total);

/* May stdout carry colour? (--color, NO_COLOR, TERM, and whether it is a terminal) */
bool cli_color(const struct cli_call *call);

#endif
