#include "aside.h"

#include <errno.h>
#include <stdio.h>

#include "report.h"

enum {
    NAME_KEEP = 240, /* of a name; the prefix comes before it, and 255 is the most */
    TARGET_BYTES = sizeof "queue/bad/drop-" + NAME_KEEP,
};

bool
aside_move(const char *path, const char *prefix, const char *name)
{
    char target[TARGET_BYTES];

    snprintf(target, sizeof target, "queue/bad/%s%.*s", prefix, NAME_KEEP, name);
    if (rename(path, target) == 0) {
        report_file("set aside in queue/bad: not a complete message:", path);
        return true;
    }
    if (errno != ENOENT)
        report_error("unable to set aside", path);
    return errno == ENOENT;
}
