#include "parallel_fsync.h"

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#include <linux/aio_abi.h>
#include <sys/syscall.h>

enum { TOGETHER = 64 }; /* at the same time */

static bool
flush_one(int fd)
{
    int result;
    do
        result = fsync(fd);
    while (result < 0 && errno == EINTR);
    return result == 0;
}

bool
serial_fsync(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!flush_one(fds[i]))
            return false;
    return true;
}

/* The kernel's asynchronous requests, which libc does not wrap. Not there: before Linux
 * 4.18, in some sandboxes, and when /proc/sys/fs/aio-max-nr is reached. */
static bool
has_context(struct parallel_fsync *parallel)
{
    if (!parallel->context && !parallel->is_missing)
        parallel->is_missing = syscall(SYS_io_setup, TOGETHER, &parallel->context) < 0;
    return !parallel->is_missing;
}

/* returns how many of them have begun */
static size_t
submit(struct parallel_fsync *parallel, const int *fds, size_t count)
{
    struct iocb requests[TOGETHER] = {{0}};
    struct iocb *list[TOGETHER];

    for (size_t i = 0; i < count; i++) {
        requests[i].aio_lio_opcode = IOCB_CMD_FSYNC;
        requests[i].aio_fildes = (uint32_t)fds[i];
        list[i] = &requests[i];
    }
    long begun = syscall(SYS_io_submit, parallel->context, (long)count, list);
    if (begun < 0)
        parallel->is_missing = errno == EINVAL || errno == ENOSYS;
    return begun > 0 ? (size_t)begun : 0;
}

/* The answers cannot be had. What is still on its way must not be taken for one of the
 * next time, and what has failed meanwhile is not told again: all of it counts as failed,
 * and the next ones are flushed one after the other. */
static bool
give_up(struct parallel_fsync *parallel)
{
    int error = errno;
    syscall(SYS_io_destroy, parallel->context); /* waits for them */
    parallel->context = 0;
    parallel->is_missing = true;
    errno = error;
    return false;
}

/* Wait for the end of them all. returns false with errno when one has failed */
static bool
collect(struct parallel_fsync *parallel, size_t count)
{
    struct io_event events[TOGETHER];
    int error = 0;

    while (count) {
        long got = syscall(SYS_io_getevents, parallel->context, (long)count, (long)count,
                           events, NULL);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return give_up(parallel);
        count -= (size_t)got;
        for (long i = 0; i < got; i++)
            if (events[i].res != 0)
                error = (int)-events[i].res;
    }
    errno = error;
    return error == 0;
}

static bool
flush_together(struct parallel_fsync *parallel, const int *fds, size_t count)
{
    if (count < 2 || !has_context(parallel))
        return serial_fsync(fds, count);
    size_t begun = submit(parallel, fds, count);
    bool ok = collect(parallel, begun);
    return ok && serial_fsync(fds + begun, count - begun);
}

bool
parallel_fsync(struct parallel_fsync *parallel, const int *fds, size_t count)
{
    for (size_t done = 0; done < count; done += TOGETHER) {
        size_t rest = count - done;
        if (!flush_together(parallel, fds + done, rest < TOGETHER ? rest : TOGETHER))
            return false;
    }
    return true;
}
