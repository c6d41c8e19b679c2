/* splogger: hand each line to syslog.
 *
 * usage   splogger [tag [facility]]
 *         tag stands before each entry, "splogger" by default; facility is a number or
 *         a word of syslog(3): mail (2) by default
 * stdin   lines; empty ones are left out
 * files   /dev/log
 * exit    0 at the end of the input; 100 wrong usage; 111 cannot read
 * spec    qmail's: entries begin with the time to the microsecond; lines that begin
 *         with "alert:" or "warning:" get that priority, others "info"; bytes that
 *         cannot be printed become '?'; what is longer than 800 bytes continues
 *         in an entry with '+'
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include <skalibs/buffer.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "die.h"

enum { PIECE_MAX = 800 };

struct entry {
    char text[PIECE_MAX + 1];
    size_t len;
    int priority;
    bool continues; /* it goes on where the entry before was cut */
    char stamp[40];
};

static int
facility_of(const char *text)
{
    static const struct {
        const char *name;
        int facility;
    } names[] = {
        {"auth", LOG_AUTH},     {"authpriv", LOG_AUTHPRIV}, {"cron", LOG_CRON},
        {"daemon", LOG_DAEMON}, {"kern", LOG_KERN},         {"lpr", LOG_LPR},
        {"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1},     {"local2", LOG_LOCAL2},
        {"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4},     {"local5", LOG_LOCAL5},
        {"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7},     {"mail", LOG_MAIL},
        {"news", LOG_NEWS},     {"syslog", LOG_SYSLOG},     {"user", LOG_USER},
        {"uucp", LOG_UUCP},
    };
    unsigned int number;
    if (uint0_scan(text, &number) && number < LOG_NFACILITIES)
        return (int)(number << 3);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(text, names[i].name) == 0)
            return names[i].facility;
    die_perm("no such facility: use a number from 0 to 23, or mail, daemon, local0 ...");
}

static void
begin_entry(struct entry *entry)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(entry->stamp, sizeof entry->stamp, "%lld.%06ld", (long long)now.tv_sec,
             now.tv_nsec / 1000);
}

static int
priority_of(const char *text)
{
    if (strncmp(text, "alert:", 6) == 0)
        return LOG_ALERT;
    return strncmp(text, "warning:", 8) == 0 ? LOG_WARNING : LOG_INFO;
}

/* The pieces of a long line share the priority of its beginning. */
static void
send_entry(struct entry *entry)
{
    if (!entry->len)
        return;
    entry->text[entry->len] = '\0';
    if (!entry->continues)
        entry->priority = priority_of(entry->text);
    syslog(entry->priority, "%s%c%s", entry->stamp, entry->continues ? '+' : ' ',
           entry->text);
    entry->len = 0;
}

static void
take(struct entry *entry, char byte)
{
    if (byte == '\n') {
        send_entry(entry);
        entry->continues = false;
        return;
    }
    if (entry->len == PIECE_MAX) {
        send_entry(entry);
        entry->continues = true;
    }
    if (!entry->len)
        begin_entry(entry);
    entry->text[entry->len++] = byte < ' ' || byte > '~' ? '?' : byte;
}

int
main(int argc, char **argv)
{
    static struct entry entry;
    char byte;
    ssize_t got;
    PROG = "splogger";

    if (argc > 3)
        die_usage("splogger [tag [facility]]");
    openlog(argc > 1 ? argv[1] : "splogger", 0,
            argc > 2 ? facility_of(argv[2]) : LOG_MAIL);
    while ((got = buffer_get(buffer_0, &byte, 1)) > 0)
        take(&entry, byte);
    if (got < 0)
        die_temp("read", "input");
    send_entry(&entry);
    return 0;
}
