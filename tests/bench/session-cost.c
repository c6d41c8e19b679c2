/* session-cost: what one whole session of an SMTP server program costs, and nothing else.
 *
 * usage   session-cost rounds program ...
 *         Each round starts each program in turn, as tcpserver would, and takes it
 *         through one message of 1 KiB and QUIT: all meet the same moments of the machine
 * stdout  per program: microseconds of a session, median and the tenth of 100
 * files   a new home in /tmp, in which we are qmail-queued: we answer at queue/inject
 * exit    0; 100 bad usage; 111 trouble, or a reply that is no success
 *
 * All runs on one processor in lockstep, so the time is what all of it costs: fork, exec,
 * page faults, system calls, end. Flushing and the other daemons are not in it. Run by
 * `make session-cost`.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "clock.h"
#include "die.h"
#include "handoff.h"
#include "text.h"

enum { PROGRAMS_MAX = 8, ROUNDS_MAX = 20000, LINE_LEN = 72, LINES = 14, WARM_UP = 20 };

struct stage {
    int listener; /* where the program's connection comes from */
    int inject;   /* queue/inject */
    struct sockaddr_in address;
    stralloc message;
};

static int64_t times[PROGRAMS_MAX][ROUNDS_MAX];

static void
write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, text, strlen(text)) < 0 || close(fd) < 0)
        die_temp("write", path);
}

static void
enter_home(void)
{
    static char path[] = "/tmp/session-cost-XXXXXX";
    if (!mkdtemp(path) || chdir(path) < 0 || mkdir("control", 0755) < 0 ||
        mkdir("queue", 0755) < 0)
        die_temp("make", path);
    write_file("control/me", "mta.example\n");
    write_file("control/rcpthosts", "mta.example\n");
    if (clearenv() != 0 || setenv("QMAILHOME", path, 1) < 0 ||
        setenv("TCPREMOTEIP", "127.0.0.1", 1) < 0)
        die_temp("set", "the environment");
}

static void
leave_home(void)
{
    static const char *const files[] = {"control/me", "control/rcpthosts",
                                        "queue/inject"};
    const char *home = getenv("QMAILHOME");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        unlink(files[i]);
    if (rmdir("control") < 0 || rmdir("queue") < 0 || rmdir(home) < 0)
        die_temp("remove", home);
}

static void
set_stage(struct stage *stage)
{
    cpu_set_t one;
    socklen_t len = sizeof stage->address;

    CPU_ZERO(&one);
    CPU_SET(0, &one);
    if (sched_setaffinity(0, sizeof one, &one) < 0)
        die_temp("stay on", "one processor");
    stage->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    stage->address = (struct sockaddr_in){.sin_family = AF_INET,
                                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *address = (struct sockaddr *)&stage->address;
    if (stage->listener < 0 || bind(stage->listener, address, len) < 0 ||
        listen(stage->listener, 1) < 0 || getsockname(stage->listener, address, &len) < 0)
        die_temp("listen on", "the loopback interface");
    stage->inject = handoff_listen("queue/inject", 0600);
    if (stage->inject < 0 || fcntl(stage->inject, F_SETFL, 0) < 0)
        die_temp("listen at", "queue/inject");
    bool ok = text_copy(&stage->message, "Subject: x\r\n\r\n");
    for (int i = 0; ok && i < LINES * LINE_LEN; i++)
        ok = text_append(&stage->message, i % LINE_LEN == LINE_LEN - 1 ? "\r\n" : "y");
    if (!ok || !text_append(&stage->message, ".\r\n"))
        die_temp("allocate", "the message");
}

static pid_t
start(const char *program, int connection)
{
    pid_t pid = fork();
    if (pid < 0)
        die_temp("fork for", program);
    if (pid > 0)
        return pid;
    if (dup2(connection, 0) < 0 || dup2(connection, 1) < 0)
        die_temp("connect", program);
    execl(program, program, (char *)NULL);
    die_temp("run", program);
}

static void
expect(int connection, char digit)
{
    char reply[1000];
    ssize_t got = read(connection, reply, sizeof reply);
    if (got < 3 || reply[0] != digit)
        die_later("the program did not give the reply that was expected");
}

static void
say(int connection, const char *text, size_t len)
{
    if (write(connection, text, len) != (ssize_t)len)
        die_temp("write to", "the program");
}

/* Be qmail-queued for one message. */
static int
queue_message(const struct stage *stage)
{
    static const char answer[] = "0\0001700000000000000\0001234";
    struct handoff packet = {0};
    const struct handoff_parts parts = {.strings = answer, .strings_len = sizeof answer};
    int client = accept4(stage->inject, NULL, NULL, SOCK_CLOEXEC);

    if (client < 0 || handoff_receive(client, &packet) != HANDOFF_DONE ||
        handoff_send(client, &parts) != HANDOFF_DONE)
        die_temp("answer at", "queue/inject");
    handoff_free(&packet);
    return client;
}

static void
converse(const struct stage *stage, int connection)
{
    static const struct {
        const char *command;
        char digit;
    } lines[] = {{"HELO there\r\n", '2'},
                 {"MAIL FROM:<a@b.example>\r\n", '2'},
                 {"RCPT TO:<c@mta.example>\r\n", '2'},
                 {"DATA\r\n", '3'}};

    expect(connection, '2');
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        say(connection, lines[i].command, strlen(lines[i].command));
        expect(connection, lines[i].digit);
    }
    say(connection, stage->message.s, stage->message.len);
    int client = queue_message(stage);
    expect(connection, '2');
    say(connection, "QUIT\r\n", 6);
    expect(connection, '2');
    close(client);
}

/* returns  microseconds */
static int64_t
session(const struct stage *stage, const char *program)
{
    int64_t begin_us = clock_monotonic_us();
    int status;
    int near = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (near < 0 || connect(near, (const struct sockaddr *)&stage->address,
                            sizeof stage->address) < 0)
        die_temp("connect to", "the loopback interface");
    int far = accept4(stage->listener, NULL, NULL, SOCK_CLOEXEC);
    if (far < 0)
        die_temp("accept", "a connection");
    pid_t pid = start(program, far);
    close(far);
    converse(stage, near);
    close(near);
    if (waitpid(pid, &status, 0) < 0 || status != 0)
        die_later("the program did not end well");
    return clock_monotonic_us() - begin_us;
}

static int
compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

int
main(int argc, char **argv)
{
    struct stage stage = {0};
    unsigned int rounds;
    int programs = argc - 2;

    PROG = "session-cost";
    if (programs < 1 || programs > PROGRAMS_MAX || !uint0_scan(argv[1], &rounds) ||
        !rounds || rounds > ROUNDS_MAX)
        die_usage("session-cost rounds program ... (absolute paths)");
    enter_home();
    set_stage(&stage);
    for (unsigned int i = 0; i < rounds + WARM_UP; i++)
        for (int k = 0; k < programs; k++)
            times[k][i < WARM_UP ? 0 : i - WARM_UP] = session(&stage, argv[k + 2]);
    for (int k = 0; k < programs; k++) {
        qsort(times[k], rounds, sizeof *times[k], compare);
        printf("%s: median %lld us, tenth of 100 %lld us\n", argv[k + 2],
               (long long)times[k][rounds / 2], (long long)times[k][rounds / 10]);
    }
    leave_home();
    return 0;
}
