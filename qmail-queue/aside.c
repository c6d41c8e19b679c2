#include "aside.h"

#include <errno.h>
#include <stdio.h>

#include <sys/stat.h>

#include "report.h"

enum {
    NAME_KEEP =
        240, /* of a name; prefix and number stand around it, and 255 is the most */
    SAME_NAME_MAX = 999,
    TARGET_BYTES = sizeof "queue/bad/drop-.999" + NAME_KEEP,
};

static bool
is_there(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

/* Find a name in queue/bad that nothing has: but for us only qmail-send puts files there,
 * which are those of queue/mess. returns false when there are too many */
static bool
find_free(char *target, const char *prefix, const char *name)
{
    int len = snprintf(target, TARGET_BYTES, "queue/bad/%s%.*s", prefix, NAME_KEEP, name);
    for (int number = 2; is_there(target); number++) {
        if (number > SAME_NAME_MAX) {
            errno = EEXIST;
            return false;
        }
        snprintf(target + len, TARGET_BYTES - (size_t)len, ".%d", number);
    }
    return true;
}

bool
aside_move(const char *path, const char *prefix, const char *name)
{
    char target[TARGET_BYTES];

    if (find_free(target, prefix, name) && rename(path, target) == 0) {
        report_file("set aside in queue/bad: not a complete message:", path);
        return true;
    }
    if (errno == ENOENT && !is_there(path))
        return true;
    report_error("unable to set aside", path);
    return false;
}
