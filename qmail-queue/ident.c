#include "ident.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "text.h"

enum {
    PORT_IDENT = 113,
    ANSWER_MAX = 1000, /* RFC 1413 6: bytes of a whole line */
    USER_MAX = 512,    /* RFC 1413 5 */
};

static in_port_t *
port_of(struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET6 ? &((struct sockaddr_in6 *)address)->sin6_port
                                          : &((struct sockaddr_in *)address)->sin_port;
}

/* Connect from the same local address, or the other side cannot find the connection. */
static int
connect_back(struct sockaddr_storage *local, struct sockaddr_storage *remote,
             socklen_t len, int64_t deadline_ms)
{
    int error = 0;
    socklen_t error_len = sizeof error;
    int fd = socket(local->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    *port_of(local) = 0;
    *port_of(remote) = htons(PORT_IDENT);
    if (bind(fd, (struct sockaddr *)local, len) == 0 &&
        (connect(fd, (struct sockaddr *)remote, len) == 0 ||
         (errno == EINPROGRESS && clock_wait_ready(fd, POLLOUT, deadline_ms) &&
          getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len) == 0 && error == 0)))
        return fd;
    close(fd);
    return -1;
}

/* Read until a newline, the end, or ANSWER_MAX. returns the number of bytes */
static size_t
read_answer(int fd, char *answer, int64_t deadline_ms)
{
    size_t len = 0;
    while (len < ANSWER_MAX && !memchr(answer, '\n', len) &&
           clock_wait_ready(fd, POLLIN, deadline_ms)) {
        ssize_t got = read(fd, answer + len, ANSWER_MAX - len);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got <= 0)
            break;
        len += (size_t)got;
    }
    return len;
}

/* "6193, 23 : USERID : UNIX : stjohns": what follows the third colon */
static bool
take_user(stralloc *info, const char *answer)
{
    char *rest = strchr(answer, ':');
    if (!rest)
        return false;
    rest += 1 + strspn(rest + 1, " \t");
    if (strncmp(rest, "USERID", 6) != 0 || !(rest = strchr(rest, ':')) ||
        !(rest = strchr(rest + 1, ':')))
        return false;
    rest += 1 + strspn(rest + 1, " \t");
    info->len = 0;
    for (size_t i = 0; rest[i] && rest[i] != '\n' && info->len < USER_MAX; i++)
        if ((unsigned char)rest[i] > ' ' && rest[i] != 127 &&
            !text_append_bytes(info, rest + i, 1))
            return false;
    return info->len > 0;
}

bool
ident_ask(stralloc *info, const struct sockaddr *local, const struct sockaddr *remote,
          socklen_t len, unsigned int timeout_s)
{
    struct sockaddr_storage here = {0};
    struct sockaddr_storage there = {0};
    char answer[ANSWER_MAX + 1] = {0};
    char question[32];
    int64_t deadline_ms = clock_monotonic_ms() + (int64_t)timeout_s * 1000;

    memcpy(&here, local, len);
    memcpy(&there, remote, len);
    int question_len = snprintf(question, sizeof question, "%u , %u\r\n",
                                ntohs(*port_of(&there)), ntohs(*port_of(&here)));
    int fd = connect_back(&here, &there, len, deadline_ms);
    if (fd < 0)
        return false;
    size_t got = 0;
    if (send(fd, question, (size_t)question_len, MSG_NOSIGNAL) == question_len)
        got = read_answer(fd, answer, deadline_ms);
    close(fd);
    answer[got] = '\0';
    return take_user(info, answer);
}
