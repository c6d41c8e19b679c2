#include "trigger.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <skalibs/types.h>

#include "send.h"
#include "work.h"

enum { PACKETS_PER_TURN = 64 };

static const char path[] = "queue/trigger";

int
trigger_listen(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, sizeof path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    mode_t saved = umask(0177);
    bool ok = (unlink(path) == 0 || errno == ENOENT) &&
              bind(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    umask(saved);
    if (ok)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static void
take_word(struct send *send, char *word)
{
    uint64_t id;
    if (strcmp(word, "scan") == 0)
        send->scan.is_wanted = true;
    else if (uint640_scan(word, &id))
        work_add_fresh(send, id);
}

void
trigger_receive(struct send *send)
{
    char packet[TRIGGER_PACKET_MAX + 1];
    for (int i = 0; i < PACKETS_PER_TURN; i++) {
        ssize_t got;
        do
            got = recv(send->trigger, packet, TRIGGER_PACKET_MAX, 0);
        while (got < 0 && errno == EINTR);
        if (got < 0)
            return;
        packet[got] = '\0';
        char *rest = packet;
        for (char *word; (word = strsep(&rest, "\n"));)
            if (*word)
                take_word(send, word);
    }
}
