#include "aside.h"

#include <errno.h>
#include <stdio.h>

#include "report.h"

enum { TARGET_BYTES = 332 /* "queue/bad/drop-" and a name of at most 255 */ };

bool
aside_move(const char *path, const char *prefix, const char *name)
{
    char target[TARGET_BYTES];

    snprintf(target, sizeof target, "queue/bad/%s%s", prefix, name);
    if (rename(path, target) == 0) {
        report_file("set aside in queue/bad: not a complete message:", path);
        return true;
    }
    if (errno != ENOENT)
        report_error("unable to set aside", path);
    return errno == ENOENT;
}
