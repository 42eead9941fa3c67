/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When to look, when to send the NMI, when to give up. */
#include "lab/hang-watch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

struct lab_hang_watch {
    struct lab_hang_eyes eyes;
    int64_t next_ms;
    bool roused;       /* an NMI was sent */
    int64_t roused_ms; /* when */
    struct lab_hang hang;
    size_t count;
    struct lab_vcpus samples[LAB_HANG_LOOP_SAMPLES]; /* the newest last */
};

int lab_hang_watch_new(const struct lab_hang_eyes *eyes, int64_t now_ms,
                       struct lab_hang_watch **ret, struct xw_error *err)
{
    struct lab_hang_watch *watch = calloc(1, sizeof(*watch));

    if (!watch)
        return xw_error_set(err, ENOMEM, "no memory to watch the lab's processors");
    watch->eyes = *eyes;
    watch->next_ms = now_ms + LAB_HANG_CALM_MS;
    *ret = watch;
    return 0;
}

void lab_hang_watch_free(struct lab_hang_watch *watch)
{
    free(watch);
}

int64_t lab_hang_watch_next(const struct lab_hang_watch *watch)
{
    return watch->next_ms;
}

static void add_sample(struct lab_hang_watch *watch, const struct lab_vcpus *sample)
{
    if (watch->count == LAB_HANG_LOOP_SAMPLES)
        memmove(watch->samples, watch->samples + 1, --watch->count * sizeof(*watch->samples));
    watch->samples[watch->count++] = *sample;
}

static int report(const struct lab_hang_watch *watch, struct xw_error *err)
{
    const struct lab_hang *hang = &watch->hang;

    return xw_error_set(err, EIO,
                        "Xen hangs: processor %u spins between %016" PRIx64 " and %016" PRIx64
                        " with interrupts %s, and does not react to an NMI",
                        hang->vcpu, hang->low, hang->high, hang->interrupts_off ? "off" : "on");
}

void lab_hang_watch_heard(struct lab_hang_watch *watch, int64_t now_ms)
{
    int64_t until = now_ms + LAB_HANG_NMI_MS;

    if (!watch->roused)
        return;
    if (until > watch->roused_ms + LAB_HANG_REPORT_MS)
        until = watch->roused_ms + LAB_HANG_REPORT_MS;
    watch->next_ms = until;
}

static void rouse(struct lab_hang_watch *watch, int64_t now_ms)
{
    xw_log(XW_LOG_DEBUG, "processor %u spins inside Xen: sending an NMI", watch->hang.vcpu);
    watch->roused = watch->eyes.rouse(watch->eyes.opaque) == 0;
    if (!watch->roused)
        return;
    watch->roused_ms = now_ms;
    watch->next_ms = now_ms + LAB_HANG_NMI_MS;
}

int lab_hang_watch_step(struct lab_hang_watch *watch, int64_t now_ms, struct xw_error *err)
{
    struct lab_vcpus sample;

    if (now_ms < watch->next_ms)
        return 0;
    if (watch->roused)
        return report(watch, err);
    if (watch->eyes.look(watch->eyes.opaque, &sample) != 0) {
        watch->count = 0;
        watch->next_ms = now_ms + LAB_HANG_CALM_MS;
        return 0;
    }
    add_sample(watch, &sample);
    watch->next_ms =
        now_ms + (lab_hang_is_suspicious(&sample) ? LAB_HANG_INTERVAL_MS : LAB_HANG_CALM_MS);
    if (lab_hang_judge(watch->samples, watch->count, &watch->hang))
        rouse(watch, now_ms);
    return 0;
}
