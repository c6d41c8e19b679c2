/* sendmail: what programs call to send mail; runs qmail-inject, qmail-smtpd, qmail-qread.
 *
 * usage   sendmail [-t] [-f sender] [-F name] [-bm|-bp|-bs] [option ...] [recipient ...]
 *         mailq        is sendmail -bp
 *         newaliases   refuses
 * stdin   the message; with -bs SMTP commands
 * stdout  with -bp the queue; with -bs SMTP replies
 * env     sets QMAILUSER, QMAILHOST (-f), QMAILNAME (-F); with -bs what qmail-smtpd
 *         reads: without PROTO the sender is this host
 * runs    bin/qmail-inject, bin/qmail-smtpd (in the home) or bin/qmail-qread in its place
 * exit    100 wrong usage, or a mode that does not exist here; 111 cannot run the
 *         program; else as that program
 * spec    the sendmail command of the Linux Standard Base 5, and what others accept
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>

#include "die.h"
#include "home.h"
#include "text.h"

static const char USAGE[] =
    "sendmail [-t] [-f sender] [-F name] [-bm|-bp|-bs] [option ...] [recipient ...]";

struct request {
    char mode; /* the letter of -b */
    bool runs_queue;
    bool takes_header; /* -t */
    const char *sender;
    const char *name;
};

static void
set(const char *name, const char *value)
{
    if (setenv(name, value, 1) < 0)
        die_temp("set variable", name);
}

static void
unset(const char *name)
{
    if (unsetenv(name) < 0)
        die_temp("unset variable", name);
}

/* Become bin/program of the home. The current directory stays: the program may read files
 * that the environment names. */
static _Noreturn void
become(const char *program, char *const *arguments)
{
    stralloc path = STRALLOC_ZERO;
    if (!text_copy(&path, home_path()) || !text_append(&path, "/bin/") ||
        !text_append(&path, program))
        die_temp("allocate", "memory");
    execv(path.s, arguments);
    die_temp("run", path.s);
}

static _Noreturn void
show_queue(void)
{
    char name[] = "qmail-qread";
    become(name, (char *[]){name, NULL});
}

/* Speak SMTP with a local program: it may relay, and send messages of any length. */
static _Noreturn void
speak_smtp(void)
{
    static const char *const connection[][2] = {
        {"PROTO", "TCP"},
        {"TCPLOCALIP", "127.0.0.1"},
        {"TCPLOCALHOST", "localhost"},
        {"TCPREMOTEIP", "127.0.0.1"},
        {"TCPREMOTEHOST", "localhost"},
        {"TCPREMOTEINFO", "sendmail-bs"},
    };
    char name[] = "qmail-smtpd";

    set("RELAYCLIENT", "");
    set("DATABYTES", "0");
    if (!getenv("PROTO"))
        for (size_t i = 0; i < sizeof connection / sizeof *connection; i++)
            set(connection[i][0], connection[i][1]);
    if (!home_enter())
        die_temp("enter", home_path());
    become(name, (char *[]){name, NULL});
}

/* "-f 'Joe <joe@host>'" and "-f '<>'" are common; qmail-inject wants the bare address. */
static const char *
bare_sender(char *sender)
{
    char *open = strrchr(sender, '<');
    size_t len = strlen(sender);
    if (!open || sender[len - 1] != '>')
        return sender;
    sender[len - 1] = '\0';
    return open + 1;
}

/* The sender is also who the message is from, unless it says so itself. */
static void
set_user(const char *sender)
{
    const char *at = strrchr(sender, '@');
    if (!*sender)
        return;
    unset("QMAILNAME");
    unset("MAILNAME");
    unset("NAME");
    if (!at) {
        set("QMAILUSER", sender);
        return;
    }
    char *user = strndup(sender, (size_t)(at - sender));
    if (!user)
        die_temp("allocate", "memory");
    set("QMAILUSER", user);
    set("QMAILHOST", at + 1);
    free(user);
}

static const char **
allocate(size_t count)
{
    const char **arguments = calloc(count, sizeof *arguments);
    if (arguments)
        return arguments;
    die_temp("allocate", "memory");
}

static _Noreturn void
inject(const struct request *request, char **recipients)
{
    size_t count = 0;
    while (recipients[count])
        count++;
    if (!count && !request->takes_header)
        die_perm("no recipients: name them, or use -t to take them from the header");
    const char **arguments = allocate(count + 6);
    size_t used = 0;
    arguments[used++] = "qmail-inject";
    arguments[used++] = request->takes_header ? "-H" : "-a";
    if (request->sender) {
        set_user(request->sender);
        arguments[used++] = "-f";
        arguments[used++] = request->sender;
    }
    if (request->name)
        set("QMAILNAME", request->name);
    arguments[used++] = "--";
    memcpy(arguments + used, recipients, count * sizeof *recipients);
    become("qmail-inject", (char *const *)(uintptr_t)arguments);
}

/* Options that only make sense to other mailers are accepted: DSN (-N -R -V),
 * submission (-A -G -U), dots (-i), what to do with errors (-e, -o), debugging and files
 * (-d -C -L -O -X) ... */
static void
read_options(struct request *request, int argc, char **argv)
{
    int option;
    opterr = 0;
    while ((option = getopt(argc, argv,
                            "+A:B:C:D:EF:GIJL:N:O:R:TUV:X:b:d::e:f:h:imno:p:q::r:tvx")) !=
           -1)
        switch (option) {
        case 'b':
            request->mode = *optarg;
            break;
        case 'f':
        case 'r':
            request->sender = bare_sender(optarg);
            break;
        case 'F':
            request->name = optarg;
            break;
        case 't':
            request->takes_header = true;
            break;
        case 'q':
            request->runs_queue = true;
            break;
        case '?':
            die_usage(USAGE);
        }
}

static void
refuse_mode(char mode)
{
    switch (mode) {
    case 'd':
    case 'D':
        die_perm("mail from the network is taken in by the service qmail-smtpd");
    case 'v':
    case 't':
        die_perm("addresses are not tested here: see qmail-getpw(8), qmail-local(8) -n");
    case 'h':
    case 'H':
        die_perm("there is no host status to show: see qmail-tcpto(8)");
    case 'i':
    case 'I':
        die_perm("there is no table of aliases: see dot-qmail(5) and ~alias/.qmail-name");
    default:
        die_usage(USAGE);
    }
}

static char
mode_of_name(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    const char *name = slash ? slash + 1 : path;
    if (name && strcmp(name, "mailq") == 0)
        return 'p';
    return name && strcmp(name, "newaliases") == 0 ? 'i' : 'm';
}

int
main(int argc, char **argv)
{
    struct request request = {.mode = mode_of_name(argv[0])};
    PROG = request.mode == 'i' ? "newaliases" : "sendmail";

    read_options(&request, argc, argv);
    if (request.mode == 'p')
        show_queue();
    if (request.mode == 's')
        speak_smtp();
    if (request.mode != 'm')
        refuse_mode(request.mode);
    if (request.runs_queue && !request.takes_header && optind == argc) {
        strerr_warn(PROG, ": the queue is worked through all the time; "
                          "qmailctl flush tries everything now");
        return 0;
    }
    inject(&request, argv + optind);
}
