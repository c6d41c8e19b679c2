/* Fuzz a whole SMTP session: the input is all that the client says. The code is
 * the real one from the first read to the packet for qmail-queued, which we receive
 * and judge: no message may hold a CR, and there may be no more messages than
 * CRLF.CRLF in the input. */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "handoff.h"
#include "smtp_session.h"

enum { ANSWERS = 3 }; /* so many messages are accepted, then the queue is gone */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static int start_folder;
static int home_folder;

static void
check(bool holds)
{
    if (!holds)
        abort();
}

static void
write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    check(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static char folder[] = "/tmp/smtp_session_fuzz-XXXXXX";
    (void)argc;
    (void)argv;
    start_folder = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    check(start_folder >= 0 && mkdtemp(folder) && chdir(folder) == 0);
    check(mkdir("control", 0700) == 0);
    write_file("control/me", "mx.example\n");
    write_file("control/rcpthosts", "here.example\n.sub.example\n");
    write_file("control/badmailfrom", "@bad.example\n");
    write_file("control/databytes", "2000\n");
    write_file("control/maxrecipients", "5\n");
    home_folder = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    check(home_folder >= 0 && fchdir(start_folder) == 0);
    return 0;
}

/* A queue that has said yes ANSWERS times already. */
static void
answer_in_advance(int peer)
{
    static const char strings[] = "0\0"
                                  "123\0"
                                  "45";
    const struct handoff_parts parts = {.strings = strings,
                                        .strings_len = sizeof strings};
    for (int i = 0; i < ANSWERS; i++)
        check(handoff_send(peer, &parts) == HANDOFF_DONE);
    check(shutdown(peer, SHUT_WR) == 0);
}

static size_t
count_ends(const uint8_t *bytes, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i + 5 <= len; i++)
        count += memcmp(bytes + i, "\r\n.\r\n", 5) == 0;
    return count;
}

/* What reached the queue. */
static size_t
judge_messages(int peer)
{
    struct handoff packet = {0};
    size_t count = 0;
    while (handoff_receive(peer, &packet) == HANDOFF_DONE) {
        const char *message_len = handoff_string(&packet, 1);
        check(message_len && packet.body_len >= strtoul(message_len, NULL, 10));
        check(!memchr(packet.body, '\r', strtoul(message_len, NULL, 10)));
        check(memcmp(packet.body, "Received: from ", 15) == 0);
        check(packet.body[packet.body_len - 1] == '\0');
        count++;
    }
    handoff_free(&packet);
    return count;
}

/* Every reply line is three digits, a blank or '-', printable text, CRLF. */
static void
judge_replies(int fd)
{
    char *at, *replies;
    off_t len = lseek(fd, 0, SEEK_END);
    check(len > 0);
    replies = malloc((size_t)len + 1);
    check(replies && pread(fd, replies, (size_t)len, 0) == len);
    replies[len] = '\0';
    for (at = replies; *at;) {
        char *end = strstr(at, "\r\n");
        check(end && end - at >= 5 && strspn(at, "0123456789") == 3);
        check(at[3] == ' ' || at[3] == '-');
        for (; at < end; at++)
            check(*at >= 32 && *at < 127);
        at = end + 2;
    }
    check(at == replies + len);
    free(replies);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct smtp_session session;
    int queue[2];
    int in = memfd_create("in", MFD_CLOEXEC);
    int out = memfd_create("out", MFD_CLOEXEC);

    check(in >= 0 && out >= 0 && handoff_pair(queue));
    check(write(in, bytes, len) == (ssize_t)len && lseek(in, 0, SEEK_SET) == 0);
    check(fchdir(home_folder) == 0);
    answer_in_advance(queue[1]);
    check(smtp_session_init(&session, in, out, -1));
    session.injection.socket = queue[0];
    smtp_session_run(&session);
    smtp_session_free(&session);
    check(fchdir(start_folder) == 0);

    judge_replies(out);
    check(judge_messages(queue[1]) <= count_ends(bytes, len));
    close(queue[1]);
    close(in);
    close(out);
    return 0;
}
