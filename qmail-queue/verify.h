#ifndef VERIFY_H
#define VERIFY_H

#include "queue_file.h"

/* Read the whole of an open queue file: is it sound, checksum and all?
 * file  memory to reuse; what is in it then is of no use */
enum queue_file_status verify_queue_file(int fd, struct queue_file *file);

#endif
