#include "home.h"

#include <stdlib.h>
#include <unistd.h>

const char *
home_path(void)
{
    const char *chosen = getenv("QMAILHOME");
    return chosen && *chosen ? chosen : HOME_DEFAULT;
}

bool
home_enter(void)
{
    return chdir(home_path()) == 0;
}
