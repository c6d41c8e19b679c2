/* The reader of queue files: whatever lies in queue/mess or queue/drop must not lead it
 * astray, and what it calls sound must be walkable. */
#include "queue_file.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>

#include "drop_file.h"

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len);

static void
walk(const struct queue_file *file, size_t len)
{
    size_t at = 0;
    char letter;
    const char *text;

    if (file->message_len > len)
        abort();
    while (queue_file_next(file, &at, &letter, &text))
        if (at > file->envelope.len || !letter ||
            text + strlen(text) + 1 != file->envelope.s + at)
            abort();
}

int
LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len)
{
    static struct queue_file file;
    static stralloc whole;
    struct drop_file drop;

    if (len >= DROP_FILE_FOOTER_LEN &&
        drop_file_parse(&drop, (const char *)bytes + len - DROP_FILE_FOOTER_LEN, len) &&
        drop.message_len + drop.envelope_len + DROP_FILE_FOOTER_LEN != len)
        abort();
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, bytes, len) != (ssize_t)len)
        abort();
    if (queue_file_read(fd, &file, false) == QUEUE_FILE_OK)
        walk(&file, len);
    enum queue_file_status status = queue_file_read(fd, &file, true);
    if (status == QUEUE_FILE_OK)
        walk(&file, len);
    if (len < QUEUE_FILE_WHOLE_MAX && queue_file_read_whole(fd, &file, &whole) != status)
        abort(); /* both ways must agree */
    close(fd);
    return 0;
}
