#include "verify.h"

enum { ENVELOPE_KEEP = 1024 * 1024 /* memory that is not given back between files */ };

enum queue_file_status
verify_queue_file(int fd, struct queue_file *file)
{
    enum queue_file_status status = queue_file_read(fd, file, true);
    if (file->envelope.a > ENVELOPE_KEEP)
        stralloc_free(&file->envelope);
    return status;
}
