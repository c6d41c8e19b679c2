/* maildirmake: make Maildirs.
 *
 * usage   maildirmake [-f folder] directory ...
 *         -f  make the folder (Maildir++) of this name inside each directory
 * exit    0 made; 100 bad usage; 111 cannot make it (perhaps because it is there)
 * spec    maildir(5)
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include <skalibs/sgetopt.h>
#include <skalibs/strerr.h>

#include "die.h"
#include "text.h"

static const char usage[] = "maildirmake [-f folder] directory ...";

static void
make_path(stralloc *path, const char *directory, const char *separator, const char *name)
{
    if (!text_copy(path, directory) || !text_append(path, separator) ||
        !text_append(path, name))
        die_temp("name", directory);
}

static void
make_maildir(const char *directory)
{
    static const char *const names[] = {"tmp", "new", "cur"};
    stralloc path = STRALLOC_ZERO;

    if (mkdir(directory, 0700) < 0)
        die_temp("make", directory);
    for (unsigned int i = 0; i < 3; i++) {
        make_path(&path, directory, "/", names[i]);
        if (mkdir(path.s, 0700) < 0)
            die_temp("make", path.s);
    }
    stralloc_free(&path);
}

/* An empty file tells readers of Maildir++ that this is a folder. */
static void
make_folder(const char *directory, const char *folder)
{
    stralloc path = STRALLOC_ZERO;
    stralloc mark = STRALLOC_ZERO;

    make_path(&path, directory, "/.", folder);
    make_maildir(path.s);
    make_path(&mark, path.s, "/", "maildirfolder");
    int fd = open(mark.s, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || close(fd) < 0)
        die_temp("make", mark.s);
    stralloc_free(&path);
    stralloc_free(&mark);
}

int
main(int argc, const char *const *argv)
{
    subgetopt options = SUBGETOPT_ZERO;
    const char *folder = NULL;
    int option;

    PROG = "maildirmake";
    while ((option = subgetopt_r(argc, argv, "f:", &options)) != -1) {
        if (option != 'f')
            die_usage(usage);
        folder = options.arg;
    }
    argv += options.ind;
    if (!argv[0] || (folder && (!*folder || strchr(folder, '/'))))
        die_usage(usage);
    umask(077);
    for (; *argv; argv++)
        if (folder)
            make_folder(*argv, folder);
        else
            make_maildir(*argv);
    return 0;
}
