#ifndef HELPER_H
#define HELPER_H

/* What every helper process of qmail-queued does after fork. */

/* Close every descriptor but 2 and these (which are renumbered, in place, from 3 on),
 * take signals as a child does, and die when the parent dies. */
void helper_settle(int *fds, int count);

#endif
