/* qmail-getpw: look up the user of a local part among the system's accounts.
 *
 * usage   qmail-getpw local   print user, uid, gid, homedir, dash, ext, a NUL after each
 *         qmail-getpw -S      descriptor 0 is a socket: answer questions until it closes
 * stdin   with -S: packets "lookup", local; answered by "user" and the six strings,
 *         or "error" and a text. Where descriptor 0 is no such socket, -S is a local part
 * stdout  the six strings
 * env     QMAILHOME: the home; alias's home is the folder alias there
 * files   what nsswitch.conf(5) says; control/accounts for another name of alias
 * exit    0 done; 100 bad usage; 111 an account cannot be looked up now
 * libc    glibc
 */

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <sys/socket.h>

#include <skalibs/buffer.h>
#include <skalibs/strerr.h>

#include "die.h"
#include "handoff.h"
#include "home.h"
#include "passwd_user.h"
#include "text.h"

static bool
is_handoff_socket(int fd)
{
    int type;
    socklen_t len = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
           type == SOCK_SEQPACKET;
}

static bool
write_answer(stralloc *answer, const char *local)
{
    answer->len = 0;
    if (text_append_string(answer, "user") && passwd_user_find(answer, local))
        return true;
    const char *reason = strerror(errno);
    answer->len = 0;
    return text_append_string(answer, "error") && text_append_string(answer, reason);
}

static void
answer_questions(void)
{
    struct handoff packet = {0};
    stralloc answer = STRALLOC_ZERO;

    for (;;) {
        enum handoff_status status = handoff_receive(0, &packet);
        if (status == HANDOFF_CLOSED)
            return;
        if (status != HANDOFF_DONE)
            die_temp("receive from", "descriptor 0");
        const char *verb = handoff_string(&packet, 0);
        const char *local = handoff_string(&packet, 1);
        if (!verb || !local || strcmp(verb, "lookup") != 0)
            die_perm("a packet on descriptor 0 is no question");
        if (!write_answer(&answer, local))
            die_temp("answer", "out of memory");
        struct handoff_parts parts = {.strings = answer.s, .strings_len = answer.len};
        status = handoff_send(0, &parts);
        if (status == HANDOFF_CLOSED)
            return;
        if (status != HANDOFF_DONE)
            die_temp("send to", "descriptor 0");
    }
}

int
main(int argc, char **argv)
{
    PROG = "qmail-getpw";
    stralloc answer = STRALLOC_ZERO;

    if (argc != 2)
        die_usage("qmail-getpw local");
    if (!home_enter())
        die_temp("enter", home_path());
    if (strcmp(argv[1], "-S") == 0 && is_handoff_socket(0)) {
        answer_questions();
        return 0;
    }
    if (!passwd_user_find(&answer, argv[1]))
        die_temp("look up", argv[1]);
    if (buffer_put(buffer_1, answer.s, answer.len) < 0 || !buffer_flush(buffer_1))
        die_temp("write to", "descriptor 1");
    return 0;
}
