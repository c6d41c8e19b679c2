#ifndef HELPER_H
#define HELPER_H

#include <sys/types.h>

/* Start a helper process of qmail-queued, which dies when its parent dies, even if that
 * happens before the child has run at all. In the child every descriptor is closed but 2
 * and these (which are renumbered, in place, from 3 on), and signals are taken as a child
 * does. returns as fork(): in both, or -1 with errno */
pid_t helper_fork(int *fds, int count);

#endif
