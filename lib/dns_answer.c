#include "dns_answer.h"

#include <string.h>

enum {
    HEADER_LEN = 12,
    LABEL_MAX = 63,
    ALIASES_MAX = 16,
    CLASS_IN = 1,
    RCODE_OK = 0,
    RCODE_NO_NAME = 3,
    FLAG_RESPONSE = 0x80,      /* byte 2 */
    FLAG_TRUNCATED = 0x02,     /* byte 2 */
    FLAG_AUTHENTICATED = 0x20, /* byte 3 */
    POINTER = 0xc0,
};

struct packet {
    const unsigned char *bytes;
    size_t len;
    size_t at;
    bool failed; /* sticky: something reached past the end, or makes no sense */
};

struct name {
    unsigned char bytes[DNS_NAME_MAX]; /* wire form, small letters, no compression */
    size_t len;
};

/* The fixed part of a resource record, RFC 1035 4.1.3. */
struct resource {
    struct name owner;
    uint16_t type;
    uint16_t class;
    size_t data; /* offset of RDATA */
    size_t data_len;
};

static uint16_t
read_16(struct packet *packet)
{
    if (packet->failed || packet->len - packet->at < 2) {
        packet->failed = true;
        return 0;
    }
    unsigned int value = packet->bytes[packet->at] * 256U + packet->bytes[packet->at + 1];
    packet->at += 2;
    return (uint16_t)value;
}

static void
skip(struct packet *packet, size_t count)
{
    if (packet->failed || packet->len - packet->at < count)
        packet->failed = true;
    else
        packet->at += count;
}

static unsigned char
lower(unsigned char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (unsigned char)(byte - 'A' + 'a') : byte;
}

static bool
append_label(struct name *name, const unsigned char *label, size_t len)
{
    if (len >= DNS_NAME_MAX - name->len)
        return false;
    name->bytes[name->len++] = (unsigned char)len;
    for (size_t i = 0; i < len; i++)
        name->bytes[name->len++] = lower(label[i]);
    return true;
}

/* Read a name, RFC 1035 4.1.4. A pointer must lead to before the place where the labels
 * that led to it began, so each jump goes strictly backwards and the walk ends. */
static void
read_name(struct packet *packet, struct name *name)
{
    size_t at = packet->at, end = 0;
    size_t limit = at;

    name->len = 0;
    while (!packet->failed) {
        if (at >= packet->len)
            break;
        unsigned int len = packet->bytes[at];
        if ((len & POINTER) == POINTER) {
            if (packet->len - at < 2)
                break;
            size_t target = (len & ~(unsigned int)POINTER) * 256U + packet->bytes[at + 1];
            if (target >= limit)
                break;
            if (!end)
                end = at + 2;
            at = limit = target;
            continue;
        }
        if (len > LABEL_MAX || packet->len - at <= len ||
            !append_label(name, packet->bytes + at + 1, len))
            break;
        at += len + 1;
        if (!len) {
            packet->at = end ? end : at;
            return;
        }
    }
    packet->failed = true;
}

static void
read_resource(struct packet *packet, struct resource *resource)
{
    read_name(packet, &resource->owner);
    resource->type = read_16(packet);
    resource->class = read_16(packet);
    skip(packet, 4); /* TTL */
    resource->data_len = read_16(packet);
    resource->data = packet->at;
    skip(packet, resource->data_len);
}

static bool
same_name(const struct name *a, const struct name *b)
{
    return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

static bool
append_text_byte(stralloc *out, unsigned char byte)
{
    char escape[4] = {'\\', (char)('0' + byte / 100), (char)('0' + byte / 10 % 10),
                      (char)('0' + byte % 10)};
    bool plain = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') ||
                 byte == '-' || byte == '_';
    return plain ? stralloc_append(out, (char)byte) : stralloc_catb(out, escape, 4);
}

static bool
append_name_text(stralloc *out, const struct name *name)
{
    for (size_t at = 0; name->bytes[at];) {
        if (at && !stralloc_append(out, '.'))
            return false;
        size_t end = at + 1 + name->bytes[at];
        for (at++; at < end; at++)
            if (!append_text_byte(out, name->bytes[at]))
                return false;
    }
    return stralloc_0(out);
}

/* Read a name in RDATA; it may point back into the packet, not end beyond the data. */
static bool
read_data_name(const struct packet *packet, size_t at, const struct resource *resource,
               struct name *name)
{
    struct packet view = *packet;
    view.at = at;
    read_name(&view, name);
    return !view.failed && view.at == resource->data + resource->data_len;
}

static bool
take_record(struct dns_answer *answer, const struct packet *packet,
            const struct resource *resource)
{
    struct dns_record record = {.at = answer->data.len};
    const char *bytes = (const char *)packet->bytes + resource->data;
    struct name target;

    switch (resource->type) {
    case DNS_TYPE_A:
    case DNS_TYPE_AAAA:
        if (resource->data_len != (resource->type == DNS_TYPE_A ? 4 : 16) ||
            !stralloc_catb(&answer->data, bytes, resource->data_len))
            return false;
        break;
    case DNS_TYPE_MX:
        if (resource->data_len < 3 ||
            !read_data_name(packet, resource->data + 2, resource, &target) ||
            !append_name_text(&answer->data, &target))
            return false;
        record.preference = (uint16_t)(packet->bytes[resource->data] * 256U +
                                       packet->bytes[resource->data + 1]);
        break;
    default:
        return false;
    }
    answer->records[answer->count++] = record;
    return true;
}

/* One walk through the answer section: take the records of name, or find its alias. */
static bool
collect(struct dns_answer *answer, struct packet packet, unsigned int records,
        uint16_t type, struct name *name)
{
    const struct name wanted = *name;
    struct name target;
    bool has_alias = false;

    while (records-- && !packet.failed) {
        struct resource resource;
        read_resource(&packet, &resource);
        if (packet.failed || resource.class != CLASS_IN ||
            !same_name(&resource.owner, &wanted))
            continue;
        if (resource.type == type && answer->count < DNS_RECORDS_MAX)
            packet.failed = !take_record(answer, &packet, &resource);
        if (resource.type != DNS_TYPE_CNAME || type == DNS_TYPE_CNAME)
            continue;
        packet.failed = !read_data_name(&packet, resource.data, &resource, &target);
        if (!packet.failed)
            *name = target;
        has_alias = true;
    }
    if (packet.failed)
        name->len = 0; /* no name is that short: says "failed" to the caller */
    return has_alias && !answer->count && !packet.failed;
}

static enum dns_status
read_records(struct dns_answer *answer, struct packet *packet, unsigned int records,
             uint16_t type)
{
    struct name name;

    read_name(packet, &name);
    if (read_16(packet) != type || read_16(packet) != CLASS_IN || packet->failed)
        return DNS_TEMPORARY;
    for (unsigned int aliases = 0; aliases < ALIASES_MAX; aliases++) {
        if (collect(answer, *packet, records, type, &name))
            continue;
        if (!name.len)
            return DNS_TEMPORARY;
        if (answer->count)
            return DNS_FOUND;
        answer->has_alias = aliases > 0;
        answer->data.len = 0;
        return append_name_text(&answer->data, &name) ? DNS_NO_DATA : DNS_TEMPORARY;
    }
    return DNS_TEMPORARY; /* a chain without end */
}

enum dns_status
dns_answer_parse(struct dns_answer *answer, const unsigned char *bytes, size_t len,
                 uint16_t type)
{
    struct packet packet = {.bytes = bytes, .len = len, .at = 4};

    answer->data.len = answer->count = 0;
    answer->authenticated = answer->truncated = answer->has_alias = false;
    if (len < HEADER_LEN || !(bytes[2] & FLAG_RESPONSE))
        return DNS_TEMPORARY;
    answer->truncated = (bytes[2] & FLAG_TRUNCATED) != 0;
    answer->authenticated = (bytes[3] & FLAG_AUTHENTICATED) != 0;
    unsigned int rcode = bytes[3] & 0x0fU;
    if (rcode == RCODE_NO_NAME)
        return DNS_NO_NAME;
    unsigned int questions = read_16(&packet);
    unsigned int records = read_16(&packet);
    packet.at = HEADER_LEN;
    if (rcode != RCODE_OK || questions != 1 || answer->truncated)
        return DNS_TEMPORARY;
    enum dns_status status = read_records(answer, &packet, records, type);
    if (status != DNS_FOUND)
        answer->count = 0;
    return status;
}

bool
dns_name_is_possible(const char *name)
{
    size_t len = strlen(name), label = 0;

    if (len && name[len - 1] == '.')
        len--;
    if (!len || len > DNS_NAME_MAX - 2 || strchr(name, '\\'))
        return false;
    for (size_t i = 0; i < len; i++) {
        label = name[i] == '.' ? 0 : label + 1;
        if (label > LABEL_MAX || (name[i] == '.' && (i == 0 || name[i - 1] == '.')))
            return false;
    }
    return true;
}

void
dns_answer_free(struct dns_answer *answer)
{
    stralloc_free(&answer->data);
    memset(answer, 0, sizeof *answer);
}
