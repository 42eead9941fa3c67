/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/progress.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#define SILENT_MS 2000
#define REDRAW_MS 100
#define BAR_WIDTH 24
#define LINE_SIZE 512

struct progress_state {
    char *step; /* NULL: done counts in the operation's own unit */
    uint64_t done, total;
};

struct xw_progress {
    enum xw_progress_mode mode; /* AUTO: a bar */
    int fd;
    bool plain;
    int64_t (*clock)(void);
    char *task;
    int64_t started, drawn; /* ms */
    bool unsaid;            /* the state has changed since it was shown */
    struct progress_state now;
};

/* The one whose bar is on the screen: what hides it need not know whose it is. */
static struct xw_progress *shown;

/* Nothing can be done about an output that does not take the progress. */
static void put(const struct xw_progress *progress, const char *text, size_t length)
{
    ssize_t n;

    do {
        n = write(progress->fd, text, length);
    } while (n < 0 && errno == EINTR);
}

struct xw_progress *xw_progress_begin(const struct xw_progress_setup *setup, const char *task,
                                      uint64_t total)
{
    static const struct xw_progress_setup automatic = {0};
    struct xw_progress *progress = calloc(1, sizeof(*progress));
    const char *no_color = getenv("NO_COLOR");

    if (!progress)
        return NULL;
    if (!setup)
        setup = &automatic;
    progress->fd = setup->fd > 0 ? setup->fd : STDERR_FILENO;
    progress->mode = setup->mode;
    if (progress->mode == XW_PROGRESS_AUTO && !isatty(progress->fd))
        progress->mode = XW_PROGRESS_NONE;
    progress->plain = setup->plain || (no_color && *no_color);
    progress->clock = setup->clock ? setup->clock : xw_clock_ms;
    progress->task = strdup(task);
    progress->now.total = total;
    progress->started = progress->clock();
    progress->drawn = progress->started - REDRAW_MS;
    if (!progress->task) {
        free(progress);
        return NULL;
    }
    return progress;
}

static void say_json(struct xw_progress *progress)
{
    const struct progress_state *now = &progress->now;
    json_t *line = json_pack("{s:s, s:s*, s:I, s:I}", "task", progress->task, "step", now->step,
                             "done", (json_int_t)now->done, "total", (json_int_t)now->total);
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    char *whole = NULL;

    if (text && asprintf(&whole, "%s\n", text) > 0) {
        put(progress, whole, strlen(whole));
        free(whole);
    }
    free(text);
    json_decref(line);
}

/* "[########----------------] " and the share in percent; nothing where the total is not known. */
static int format_share(const struct progress_state *now, char *out, size_t size)
{
    char bar[BAR_WIDTH + 1];
    uint64_t done = now->done < now->total ? now->done : now->total;
    int full;

    if (now->total == 0) {
        out[0] = '\0';
        return 0;
    }
    full = (int)((unsigned __int128)done * BAR_WIDTH / now->total);
    for (int i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < full ? '#' : '-';
    bar[BAR_WIDTH] = '\0';
    return snprintf(out, size, " [%s] %3d%%", bar,
                    (int)((unsigned __int128)done * 100 / now->total));
}

static size_t width_of(int fd)
{
    struct winsize window;

    return ioctl(fd, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 ? window.ws_col : 80;
}

/* The line is cut at the terminal's width, so that it can be rewritten in place. */
static void draw(struct xw_progress *progress)
{
    const struct progress_state *now = &progress->now;
    char raw[LINE_SIZE], name[LINE_SIZE], share[64], line[2 * LINE_SIZE];
    size_t width = width_of(progress->fd), room, share_width;
    int n;

    share_width = (size_t)format_share(now, share, sizeof(share));
    room = width > share_width + 8 ? width - share_width : 8;
    if (room > sizeof(name))
        room = sizeof(name);
    n = snprintf(raw, sizeof(raw), "%s%s%s", progress->task, now->step ? ": " : "",
                 now->step ? now->step : "");
    xw_text_printable(name, room, raw, strnlen(raw, n > 0 ? sizeof(raw) : 0));
    n = snprintf(line, sizeof(line), "\r\033[K%s%s%s%s", progress->plain ? "" : "\033[36m", name,
                 progress->plain ? "" : "\033[0m", share);
    put(progress, line, (size_t)n);
    shown = progress;
}

static void show(struct xw_progress *progress)
{
    int64_t now = progress->clock();

    if (progress->mode == XW_PROGRESS_NONE || now - progress->drawn < REDRAW_MS ||
        (progress->mode == XW_PROGRESS_AUTO && now - progress->started < SILENT_MS))
        return;
    progress->drawn = now;
    progress->unsaid = false;
    if (progress->mode == XW_PROGRESS_JSON)
        say_json(progress);
    else
        draw(progress);
}

void xw_progress_update(void *opaque, uint64_t done, uint64_t total)
{
    struct xw_progress *progress = opaque;

    if (!progress || (!progress->now.step && progress->now.done == done &&
                      progress->now.total == total))
        return;
    free(progress->now.step);
    progress->now = (struct progress_state){.done = done, .total = total};
    progress->unsaid = true;
    show(progress);
}

void xw_progress_step(struct xw_progress *progress, const char *step, int percent)
{
    struct progress_state now = {.total = percent < 0 ? 0 : 100};
    bool same;

    if (!progress)
        return;
    now.done = percent < 0 ? 0 : (uint64_t)(percent > 100 ? 100 : percent);
    same = progress->now.step && strcmp(progress->now.step, step) == 0;
    if (same && progress->now.done == now.done && progress->now.total == now.total)
        return;
    now.step = same ? progress->now.step : strdup(step);
    if (!same)
        free(progress->now.step);
    progress->now = now;
    progress->unsaid = true;
    /* A new step is news at once, however short ago the last line was. */
    if (!same && progress->mode == XW_PROGRESS_JSON)
        progress->drawn -= REDRAW_MS;
    show(progress);
}

void xw_progress_hide(void)
{
    if (shown)
        put(shown, "\r\033[K", strlen("\r\033[K"));
    shown = NULL;
}

void xw_progress_end(struct xw_progress *progress)
{
    if (!progress)
        return;
    if (shown == progress)
        xw_progress_hide();
    if (progress->mode == XW_PROGRESS_JSON && progress->unsaid)
        say_json(progress);
    free(progress->now.step);
    free(progress->task);
    free(progress);
}
