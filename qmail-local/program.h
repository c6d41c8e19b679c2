#ifndef PROGRAM_H
#define PROGRAM_H

#include <stdbool.h>

#include "exitcode.h"
#include "local_job.h"
#include "local_result.h"

/* Programs that a .qmail file names. */

enum { PROGRAM_DEADLINE_S = 24 * 3600 };

/* Set the variables that such a program sees, in this process.
 * default_part  DEFAULT, or null: then there is none
 * returns       true, or false with errno (memory) */
bool program_set_environment(const struct local_job *job, const struct local_lines *lines,
                             const char *newsender, const char *default_part);

/* Run "/bin/sh -c command" in the directory home, in a session of its own, with the
 * message at its start on descriptor 0. Its output goes where ours goes. It cannot bring
 * the user above the number of processes that control/maxprocesses says; the current
 * directory is the home of the system. Waits for it, at most PROGRAM_DEADLINE_S;
 * then it is killed. What it leaves running in its process group is killed too,
 * unless it succeeds.
 * returns  what its end means; OUTCOME_TEMPORARY with a text in *result if that is not
 *          the program's own word */
enum exitcode_outcome program_run(struct local_job *job, int home, const char *command,
                                  struct local_result *result);

#endif
