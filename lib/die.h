#ifndef DIE_H
#define DIE_H

/* The last words of a program. Only a file with a main() calls these; set skalibs' PROG
 * first. Exit codes are qmail's: 111 if trying again later can work, 100 if it cannot. */

/* Print "PROG: fatal: unable to ACTION OBJECT: strerror(errno)" on stderr, exit 111. */
_Noreturn void die_temp(const char *action, const char *object);

/* Print "PROG: fatal: REASON" on stderr and exit 100. */
_Noreturn void die_perm(const char *reason);

/* The same, and exit 111: a failure whose reason errno does not tell. */
_Noreturn void die_later(const char *reason);

/* Print "PROG: usage: SYNOPSIS" on stderr and exit 100. */
_Noreturn void die_usage(const char *synopsis);

#endif
