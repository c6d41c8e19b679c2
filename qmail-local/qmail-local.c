/* qmail-local: deliver a message to a local address as its .qmail file says.
 *
 * usage   qmail-local [-nN] user homedir local dash ext domain sender defaultdelivery
 *         qmail-local -S
 *         -n  tell what would be done, deliver nothing    -N  deliver (the default)
 *         -S  a session: many jobs over the handoff socket on fd 0 (local_session.h)
 * stdin   the message, a seekable file; with -S the socket
 * stdout  the report, after the output of programs; with -n the plan, a line each
 * env     QMAILHOME, QMAILQUEUE (for forwards); programs get those of dot-qmail(5)
 * files   <homedir>/.qmail*; the Maildirs and mboxes that they name; control/maxprocesses
 * exit    0 delivered; 100 failed for good, or bad usage; 111 failed for now
 * exec    /bin/sh -c for "|program" lines
 * spec    dot-qmail(5), maildir(5), mbox(5)
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/sgetopt.h>
#include <skalibs/strerr.h>

#include "die.h"
#include "exitcode.h"
#include "local_deliver.h"
#include "local_session.h"

static const char usage[] =
    "qmail-local [-nN] user homedir local dash ext domain sender defaultdelivery"
    " | qmail-local -S";

/* May fd be mapped into memory? Not if somebody could cut it short meanwhile: only a
 * sealed memfd, or a file without a name, which our spawner has made. */
static bool
is_stable(int fd, const struct stat *status)
{
    int seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 ? (seals & F_SEAL_SHRINK) != 0 : status->st_nlink == 0;
}

/* Map the file on fd, which the message takes over. */
static bool
map_message(struct message *message, int fd)
{
    struct handoff packet = {.fd_count = 1};

    packet.fds[0] = fd;
    return fd >= 0 && message_take(message, &packet);
}

/* Copy the file into memory, or into a file of our own. */
static bool
copy_message(struct message *message, uint64_t len)
{
    if (!message_copy(message, 0, len, "/tmp"))
        return false;
    return message->bytes || map_message(message, message->fd);
}

static bool
read_message(struct message *message, struct local_result *result)
{
    struct stat status;

    if (fstat(0, &status) < 0 || lseek(0, 0, SEEK_SET) < 0)
        return local_result_defer_errno(result, "rewind", "the message", "4.3.0");
    bool ok = is_stable(0, &status) ? map_message(message, fcntl(0, F_DUPFD_CLOEXEC, 3))
                                    : copy_message(message, (uint64_t)status.st_size);
    return ok || local_result_defer_errno(result, "read", "the message", "4.3.0");
}

static int
deliver_one(const char *const *argv, bool rehearse)
{
    struct local_job job = {.user = argv[0],
                            .home = argv[1],
                            .local = argv[2],
                            .dash = argv[3],
                            .ext = argv[4],
                            .domain = argv[5],
                            .sender = argv[6],
                            .defaultdelivery = argv[7],
                            .message = {.bytes = "", .fd = -1}};
    struct local_plan plan = {.home = -1};
    struct local_result result = {0};

    if ((rehearse || read_message(&job.message, &result)) &&
        local_plan_make(&plan, &job, rehearse, &result)) {
        if (rehearse)
            local_rehearse(&plan, &result);
        else
            local_deliver(&job, &plan, false, &result);
    }
    if (allwrite(1, result.text.s, result.text.len) < result.text.len)
        die_temp("write", "the report");
    return (int)result.code;
}

int
main(int argc, const char *const *argv)
{
    subgetopt options = SUBGETOPT_ZERO;
    bool rehearse = false, session = false;
    int option;

    PROG = "qmail-local";
    while ((option = subgetopt_r(argc, argv, "nNS", &options)) != -1)
        switch (option) {
        case 'n':
            rehearse = true;
            break;
        case 'N':
            rehearse = false;
            break;
        case 'S':
            session = true;
            break;
        default:
            die_usage(usage);
        }
    argc -= options.ind;
    argv += options.ind;
    if (argc != (session ? 0 : 8))
        die_usage(usage);
    umask(077);
    if (!session)
        return deliver_one(argv, rehearse);
    if (!local_session_run(0))
        die_temp("serve", "the session");
    return 0;
}
