#include "scan.h"

#include <errno.h>
#include <stdio.h>

#include "clock.h"
#include "next_entry.h"
#include "queue_list.h"
#include "send.h"

static void
warn(struct send *send, const char *name)
{
    struct scan *scan = &send->scan;
    if (scan->warnings++ >= SCAN_WARNINGS_MAX)
        return;
    event_log_text(&send->log,
                   "warning: no message of the queue, left alone: queue/mess/");
    event_log_number(&send->log, scan->split);
    event_log_text(&send->log, "/");
    event_log_safe(&send->log, name);
    event_log_end(&send->log);
}

/* A message that came after the scan began is told by the trigger. One from the future
 * came before the clock was set back, perhaps while nobody listened to the trigger. */
static bool
is_for_trigger(const struct send *send, uint64_t id)
{
    return id > send->scan.begun_us && id <= clock_real_us();
}

static void
take_name(struct send *send, const char *name)
{
    uint64_t id = queue_list_id(send->scan.split, name);
    if (!id) {
        if (name[0] != '.')
            warn(send, name);
        return;
    }
    if (id_set_has(&send->known, id) || is_for_trigger(send, id))
        return;
    enum schedule_mark mark = send->scan.is_due ? SCHEDULE_UNSEEN_DUE : SCHEDULE_UNSEEN;
    uint64_t born_s = id / 1000000;
    if (born_s > send->now_s)
        born_s = send->now_s;
    if (!id_set_add(&send->known, id) || !schedule_add(&send->due, id, born_s, mark))
        send_fail(send, "unable to remember the queue", errno);
    send->unseen++;
}

static void
begin(struct send *send)
{
    struct scan *scan = &send->scan;
    scan->begun_us = clock_real_us();
    scan->is_running = true;
    scan->is_wanted = false;
    scan->is_partial = false;
    scan->is_due = scan->is_next_due;
    scan->is_next_due = false;
    scan->split = 0;
    scan->warnings = 0;
}

/* Go on with the next folder. error: why the rest of this one is unknown, or 0 */
static void
end_folder(struct send *send, int error)
{
    struct scan *scan = &send->scan;
    if (error) {
        event_log_text(&send->log, "warning: unable to read queue/mess/");
        event_log_number(&send->log, scan->split);
        event_log_line(&send->log, "", error);
        scan->is_partial = true;
    }
    if (scan->directory)
        closedir(scan->directory);
    scan->directory = NULL;
    scan->split++;
}

static void
open_folder(struct send *send)
{
    char path[QUEUE_FILE_PATH_MAX];
    snprintf(path, sizeof path, "queue/mess/%u", send->scan.split);
    send->scan.directory = opendir(path);
    if (!send->scan.directory)
        end_folder(send, errno);
}

/* Has a scan to be begun? */
static bool
is_wanted(const struct send *send)
{
    return send->scan.is_wanted || send->now_s >= send->scan.next_s;
}

void
scan_all_due(struct send *send)
{
    struct scan *scan = &send->scan;
    if (scan->is_running)
        scan->is_due = true;
    /* also one that is to read what the last one could not */
    if (is_wanted(send) || scan->is_partial)
        scan->is_next_due = true;
}

void
scan_slice(struct send *send)
{
    struct scan *scan = &send->scan;
    if (!scan->is_running) {
        if (!is_wanted(send))
            return;
        begin(send);
    }
    for (unsigned int names = 0; names < SCAN_SLICE && scan->split < QUEUE_FILE_SPLIT;) {
        if (!scan->directory) {
            open_folder(send);
            continue;
        }
        const struct dirent *entry = next_entry(scan->directory);
        if (entry) {
            take_name(send, entry->d_name);
            names++;
        } else {
            end_folder(send, errno);
        }
    }
    if (scan->split == QUEUE_FILE_SPLIT) {
        scan->is_running = false;
        scan->is_next_due |= scan->is_partial && scan->is_due;
        scan->next_s = send->now_s + (scan->is_partial ? SCAN_AGAIN_S : SCAN_INTERVAL_S);
    }
}
