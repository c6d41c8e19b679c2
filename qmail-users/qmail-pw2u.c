/* qmail-pw2u: turn a passwd file into address assignments.
 *
 * usage   qmail-pw2u [-/ohHuUC] [-c char]
 *         -o  (default) leave out users whose home does not exist or is not theirs
 *         -h  stop if a home does not exist; leave out users whose home is not theirs
 *         -H  do not look at homes
 *         -U  (default) leave out users with capitals in their name; -u  do not
 *         -c  the character between user and extension, in place of -
 *         -C  no extensions
 *         -/  use .qmail-/ext in place of .qmail-ext
 * stdin   lines user:password:uid:gid:gecos:home:shell
 * stdout  a users/assign; not to be used unless the exit code is 0
 * env     QMAILHOME: the home
 * files   users/include, exclude, mailnames, subusers, append; control/accounts
 * exit    0 done; 100 bad usage; 111 cannot read or write a file, or no alias user
 * spec    qmail-users(5), qmail-pw2u(8)
 */

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include <skalibs/buffer.h>
#include <skalibs/djbunix.h>
#include <skalibs/sgetopt.h>
#include <skalibs/skamisc.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "account.h"
#include "control.h"
#include "die.h"
#include "home.h"
#include "name_map.h"
#include "text.h"

enum home_check { HOME_SKIP, HOME_STOP, HOME_ANY };

enum { FIELD_NAME, FIELD_UID = 2, FIELD_GID = 3, FIELD_HOME = 5, FIELDS = 6 };

struct options {
    enum home_check home_check;
    bool with_capitals;
    bool with_extensions;
    char separator;
    const char *dash;
};

struct generator {
    struct options options;
    bool has_include;
    struct name_map include;
    struct name_map exclude;
    struct name_map mailnames;
    bool has_alias_account;
    struct account alias;
    bool is_alias_seen;
    stralloc accepted; /* "name:uid:gid:home\0" of each user, for subusers */
};

static void
put(const char *text)
{
    if (buffer_puts(buffer_1, text) < 0)
        die_temp("write to", "descriptor 1");
}

/* Print the line for address, and for what begins with it and the separator. who is
 * "user:uid:gid:home", pre what the extension begins with. */
static void
put_assignment(const struct options *options, const char *address, const char *who,
               const char *pre)
{
    const char separator[2] = {options->separator, '\0'};
    put("="), put(address), put(":"), put(who), put(":");
    put(*pre ? options->dash : ""), put(":"), put(pre), put(":\n");
    if (!options->with_extensions)
        return;
    put("+"), put(address), put(separator), put(":"), put(who), put(":");
    put(options->dash), put(":"), put(pre), put(*pre ? "-" : ""), put(":\n");
}

static bool
has_capitals(const char *name)
{
    for (; *name; name++)
        if (*name >= 'A' && *name <= 'Z')
            return true;
    return false;
}

static bool
is_home_fit(const struct options *options, const char *home, uint32_t uid)
{
    struct stat status;
    if (options->home_check == HOME_ANY)
        return true;
    if (stat(home, &status) == 0)
        return status.st_uid == uid;
    bool is_missing = errno == ENOENT || errno == ENOTDIR || errno == EACCES;
    if (options->home_check == HOME_STOP || !is_missing)
        die_temp("find the home", home);
    return false;
}

/* Is this user one to have mail? fields are those of the passwd line. */
static bool
is_wanted(const struct generator *generator, const char *const *fields)
{
    const char *name = fields[FIELD_NAME];
    uint32_t uid;
    uint32_t gid;
    if (!*name || !*fields[FIELD_HOME] || !uint320_scan(fields[FIELD_UID], &uid) ||
        !uint320_scan(fields[FIELD_GID], &gid)) {
        strerr_warnw("ignored a line that is not of passwd's form: ", name);
        return false;
    }
    if (uid == 0 || (!generator->options.with_capitals && has_capitals(name)))
        return false;
    if (generator->has_include && !name_map_find(&generator->include, name, strlen(name)))
        return false;
    if (name_map_find(&generator->exclude, name, strlen(name)))
        return false;
    return is_home_fit(&generator->options, fields[FIELD_HOME], uid);
}

static bool
is_alias(const struct generator *generator, const char *const *fields)
{
    uint32_t uid;
    if (generator->has_alias_account)
        return uint320_scan(fields[FIELD_UID], &uid) && uid == generator->alias.uid;
    return strcmp(fields[FIELD_NAME], "alias") == 0;
}

/* Cut "a:b:c" after its first field. returns where the next begins; null: none */
static char *
cut_field(char *text)
{
    char *colon = strchr(text, ':');
    if (colon)
        *colon++ = '\0';
    return colon;
}

static void
put_user(struct generator *generator, const char *const *fields)
{
    const char *name = fields[FIELD_NAME];
    stralloc who = STRALLOC_ZERO;
    stralloc names = STRALLOC_ZERO;

    const char *mailnames = name_map_find(&generator->mailnames, name, strlen(name));
    if (!text_copy(&who, name) || !text_append(&who, ":") ||
        !text_append(&who, fields[FIELD_UID]) || !text_append(&who, ":") ||
        !text_append(&who, fields[FIELD_GID]) || !text_append(&who, ":") ||
        !text_append(&who, fields[FIELD_HOME]) ||
        !text_append_bytes(&generator->accepted, who.s, who.len + 1) ||
        !text_copy(&names, mailnames ? mailnames : name))
        die_temp("keep", name);
    if (is_alias(generator, fields)) {
        generator->is_alias_seen = true;
        put("+:"), put(who.s), put(":"), put(generator->options.dash), put("::\n");
    }
    for (char *address = names.s; address;) {
        char *next = cut_field(address);
        if (*address)
            put_assignment(&generator->options, address, who.s, "");
        address = next;
    }
    stralloc_free(&who);
    stralloc_free(&names);
}

static void
read_passwd(struct generator *generator)
{
    stralloc line = STRALLOC_ZERO;
    int status;

    while ((status = skagetln_loose(buffer_0, &line, '\n')) > 0) {
        const char *fields[FIELDS];
        if (status == 1)
            line.len--;
        if (!stralloc_0(&line))
            die_temp("read", "descriptor 0");
        char *at = line.s;
        for (unsigned int i = 0; i < FIELDS; i++) {
            fields[i] = at ? at : "";
            at = at ? cut_field(at) : NULL;
        }
        if (is_wanted(generator, fields))
            put_user(generator, fields);
        line.len = 0;
    }
    if (status < 0)
        die_temp("read", "descriptor 0");
    stralloc_free(&line);
}

/* Print the lines of users/subusers: "sub:user:pre:". */
static void
put_subusers(const struct generator *generator)
{
    struct name_map users = {0};
    stralloc list = STRALLOC_ZERO;
    stralloc who = STRALLOC_ZERO;

    if (control_read_list(&list, "users/subusers") == CONTROL_ERROR)
        die_temp("read", "users/subusers");
    if (!name_map_build(&users, &generator->accepted, ':'))
        die_temp("keep", "the users");
    for (size_t at = 0; at < list.len;) {
        char *sub = list.s + at;
        at += strlen(sub) + 1;
        char *name = cut_field(sub);
        char *pre = name ? cut_field(name) : NULL;
        if (pre)
            (void)cut_field(pre);
        const char *rest = pre ? name_map_find(&users, name, strlen(name)) : NULL;
        if (!rest) {
            strerr_warnw("users/subusers: no such user, or not sub:user:pre: ", sub);
            continue;
        }
        if (!text_copy(&who, name) || !text_append(&who, ":") || !text_append(&who, rest))
            die_temp("keep", name);
        put_assignment(&generator->options, sub, who.s, pre);
    }
    name_map_free(&users);
    stralloc_free(&list);
    stralloc_free(&who);
}

static void
put_appendix(void)
{
    stralloc text = STRALLOC_ZERO;
    if (openslurpclose(&text, "users/append") == 0) {
        if (errno != ENOENT)
            die_temp("read", "users/append");
    } else if (text.len) {
        if (buffer_put(buffer_1, text.s, text.len) < 0)
            die_temp("write to", "descriptor 1");
        if (text.s[text.len - 1] != '\n')
            put("\n");
    }
    stralloc_free(&text);
}

static enum control_status
read_map(struct name_map *map, const char *path, char separator)
{
    stralloc list = STRALLOC_ZERO;
    enum control_status status = control_read_list(&list, path);
    if (status == CONTROL_ERROR || !name_map_build(map, &list, separator))
        die_temp("read", path);
    stralloc_free(&list);
    return status;
}

static void
parse_options(struct options *options, int argc, const char *const *argv)
{
    subgetopt parser = SUBGETOPT_ZERO;
    int letter;
    while ((letter = subgetopt_r(argc, argv, "/ohHuUc:C", &parser)) != -1) {
        if (letter == '/')
            options->dash = "-/";
        else if (letter == 'o')
            options->home_check = HOME_SKIP;
        else if (letter == 'h')
            options->home_check = HOME_STOP;
        else if (letter == 'H')
            options->home_check = HOME_ANY;
        else if (letter == 'u' || letter == 'U')
            options->with_capitals = letter == 'u';
        else if (letter == 'C')
            options->with_extensions = false;
        else if (letter == 'c' && parser.arg[0] && !parser.arg[1] && parser.arg[0] != ':')
            options->separator = parser.arg[0];
        else
            die_usage("qmail-pw2u [-/ohHuUC] [-c char]");
    }
    if (parser.ind != argc)
        die_usage("qmail-pw2u [-/ohHuUC] [-c char]");
}

int
main(int argc, const char *const *argv)
{
    PROG = "qmail-pw2u";
    struct generator generator = {
        .options = {.with_extensions = true, .separator = '-', .dash = "-"}};

    parse_options(&generator.options, argc, argv);
    if (!home_enter())
        die_temp("enter", home_path());
    generator.has_include =
        read_map(&generator.include, "users/include", '\0') == CONTROL_FOUND;
    read_map(&generator.exclude, "users/exclude", '\0');
    read_map(&generator.mailnames, "users/mailnames", ':');
    generator.has_alias_account = account_lookup(&generator.alias, "alias");
    read_passwd(&generator);
    if (!generator.is_alias_seen)
        die_later("the alias user is not among the users");
    put_subusers(&generator);
    put_appendix();
    put(".\n");
    if (!buffer_flush(buffer_1))
        die_temp("write to", "descriptor 1");
    return 0;
}
