/* tcp-env: tell a program that inetd started about its TCP connection, as tcpserver does.
 *
 * usage   tcp-env [-rR] [-t timeout] program [argument ...]
 *         -r ask the other host who is calling (RFC 1413; default), -R do not ask,
 *         -t give that up after so many seconds (default 30)
 * stdin   the connection; if it is none, no variable but PROTO stays set
 * env     sets PROTO=TCP, TCPLOCALIP, TCPLOCALPORT, TCPLOCALHOST, TCPREMOTEIP,
 *         TCPREMOTEPORT, TCPREMOTEHOST, TCPREMOTEINFO; what is unknown is unset; PATH
 * runs    program, in its place
 * exit    100 wrong usage; 111 the program cannot be run; else as the program
 * libc    glibc (the names of hosts)
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "die.h"
#include "ident.h"

enum { TIMEOUT_S = 30, TIMEOUT_MAX_S = 86400 };

static const char USAGE[] = "tcp-env [-rR] [-t timeout] program [argument ...]";

struct options {
    bool asks_user;
    unsigned int timeout_s;
};

static void
read_options(struct options *options, int argc, char **argv)
{
    int option;
    opterr = 0;
    while ((option = getopt(argc, argv, "+rRt:")) != -1)
        switch (option) {
        case 'r':
        case 'R':
            options->asks_user = option == 'r';
            break;
        case 't':
            if (!uint0_scan(optarg, &options->timeout_s) || !options->timeout_s ||
                options->timeout_s > TIMEOUT_MAX_S)
                die_usage(USAGE);
            break;
        default:
            die_usage(USAGE);
        }
    if (optind == argc)
        die_usage(USAGE);
}

/* value null: unset */
static void
set(const char *name, const char *value)
{
    if ((value ? setenv(name, value, 1) : unsetenv(name)) < 0)
        die_temp("set variable", name);
}

/* An IPv4 connection to an IPv6 socket is an IPv4 connection. */
static socklen_t
unmap(struct sockaddr_storage *address, socklen_t len)
{
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
    struct sockaddr_in four = {.sin_family = AF_INET};
    if (address->ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
        return len;
    four.sin_port = six->sin6_port;
    memcpy(&four.sin_addr, six->sin6_addr.s6_addr + 12, 4);
    memcpy(address, &four, sizeof four);
    return sizeof four;
}

static void
set_end(const struct sockaddr_storage *address, socklen_t len, const char *const names[3])
{
    const struct sockaddr *any = (const struct sockaddr *)address;
    char ip[NI_MAXHOST];
    char port[NI_MAXSERV];
    char host[NI_MAXHOST];

    bool is_known = getnameinfo(any, len, ip, sizeof ip, port, sizeof port,
                                NI_NUMERICHOST | NI_NUMERICSERV) == 0;
    bool has_name =
        is_known && getnameinfo(any, len, host, sizeof host, NULL, 0, NI_NAMEREQD) == 0;
    set(names[0], is_known ? ip : NULL);
    set(names[1], is_known ? port : NULL);
    set(names[2], has_name ? host : NULL);
}

static void
describe_connection(const struct options *options)
{
    static const char *const local_names[] = {"TCPLOCALIP", "TCPLOCALPORT",
                                              "TCPLOCALHOST"};
    static const char *const remote_names[] = {"TCPREMOTEIP", "TCPREMOTEPORT",
                                               "TCPREMOTEHOST"};
    struct sockaddr_storage local = {0};
    struct sockaddr_storage remote = {0};
    socklen_t local_len = sizeof local;
    socklen_t remote_len = sizeof remote;
    stralloc info = STRALLOC_ZERO;

    bool is_connection = getsockname(0, (struct sockaddr *)&local, &local_len) == 0 &&
                         getpeername(0, (struct sockaddr *)&remote, &remote_len) == 0 &&
                         (local.ss_family == AF_INET || local.ss_family == AF_INET6);
    if (is_connection) {
        local_len = unmap(&local, local_len);
        remote_len = unmap(&remote, remote_len);
    } else {
        local.ss_family = remote.ss_family = AF_UNSPEC; /* nothing has a name */
    }
    set("PROTO", "TCP");
    set_end(&local, local_len, local_names);
    set_end(&remote, remote_len, remote_names);
    bool has_info = is_connection && options->asks_user && local_len == remote_len &&
                    ident_ask(&info, (struct sockaddr *)&local,
                              (struct sockaddr *)&remote, local_len, options->timeout_s);
    set("TCPREMOTEINFO", has_info ? info.s : NULL);
    stralloc_free(&info);
}

int
main(int argc, char **argv)
{
    struct options options = {.asks_user = true, .timeout_s = TIMEOUT_S};
    PROG = "tcp-env";

    read_options(&options, argc, argv);
    describe_connection(&options);
    execvp(argv[optind], argv + optind);
    die_temp("run", argv[optind]);
}
