#ifndef PASSWD_SOURCES_H
#define PASSWD_SOURCES_H

#include <pwd.h>

/* As getpwnam(3), but null with errno 0 means that there is no such account: errno
 * is set when any of the services that nsswitch.conf(5) names could not be asked.
 * By getpwnam() alone the last service decides: when /etc/passwd cannot be opened
 * ("files", no descriptor is left) and the next one does not know the name, then it
 * says that there is nobody.
 * returns  static memory of the C library */
const struct passwd *passwd_sources_find(const char *name);

#endif
