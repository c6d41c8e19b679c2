#ifndef QUEUE_FOLDERS_H
#define QUEUE_FOLDERS_H

#include <stdbool.h>

/* Make those of queue/mess, queue/mess/0 ... 22, queue/bad, queue/drop and queue/taking
 * that are missing; they are all on the disk then. Current directory: the home; queue/
 * must be there.
 * returns  true, or false with errno */
bool queue_folders_make(void);

/* Have the entries of the folder path on the disk. returns  true, or false with errno */
bool queue_folders_flush(const char *path);

#endif
