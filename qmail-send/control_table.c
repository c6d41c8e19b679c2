#include "control_table.h"

#include <string.h>

static const struct control_file table[] = {
    {"accounts", CONTROL_KIND_LIST, "each role is an account of that name",
     "role:name, accounts with another name than their role"},
    {"badmailfrom", CONTROL_KIND_LIST, "nobody is refused",
     "senders, or @hosts of senders, that qmail-smtpd refuses"},
    {"bouncefrom", CONTROL_KIND_LINE, "MAILER-DAEMON",
     "user part of the sender of bounces"},
    {"bouncehost", CONTROL_KIND_LINE, "me", "host part of the sender of bounces"},
    {"bouncemaxbytes", CONTROL_KIND_LINE, "0",
     "bytes of the message that a bounce returns; 0: all"},
    {"concurrencydestination", CONTROL_KIND_LINE, "20",
     "deliveries at a time to one destination"},
    {"concurrencyincoming", CONTROL_KIND_LINE, "100", "SMTP connections at a time"},
    {"concurrencylocal", CONTROL_KIND_LINE, "10", "local deliveries at a time; 0: hold"},
    {"concurrencyremote", CONTROL_KIND_LINE, "20",
     "remote deliveries at a time; 0: hold"},
    {"databytes", CONTROL_KIND_LINE, "0",
     "largest message from the network; 0: no limit"},
    {"defaultdelivery", CONTROL_KIND_LIST, "./Maildir/",
     "what a user without .qmail gets"},
    {"defaultdomain", CONTROL_KIND_LINE, "me", "appended to a host without a dot"},
    {"defaulthost", CONTROL_KIND_LINE, "me", "appended to an address without a host"},
    {"doublebouncehost", CONTROL_KIND_LINE, "me", "host part of doublebounceto"},
    {"doublebounceto", CONTROL_KIND_LINE, "postmaster", "who gets undeliverable bounces"},
    {"envnoathost", CONTROL_KIND_LINE, "me", "host of a recipient without one"},
    {"flush", CONTROL_KIND_LINE, "shared",
     "shared: one flush of the disk for many messages; file: one for each"},
    {"helohost", CONTROL_KIND_LINE, "me", "the name that qmail-remote says in EHLO"},
    {"idhost", CONTROL_KIND_LINE, "me", "host part of Message-IDs"},
    {"localiphost", CONTROL_KIND_LINE, "me", "replaces an [address] of this host"},
    {"locals", CONTROL_KIND_LIST, "me", "domains that are delivered here"},
    {"maxerrors", CONTROL_KIND_LINE, "100",
     "errors after which an SMTP client is sent away"},
    {"maxprocesses", CONTROL_KIND_LINE, "1000",
     "processes a user may have when a program of a .qmail starts more; 0: no limit"},
    {"maxrecipients", CONTROL_KIND_LINE, "1000", "recipients of one SMTP message"},
    {"maxremoterecipients", CONTROL_KIND_LINE, "100",
     "recipients in one remote delivery"},
    {"me", CONTROL_KIND_LINE, "nothing works", "the full name of this host"},
    {"moreipme", CONTROL_KIND_LIST, "none", "more addresses that are this host's"},
    {"morercpthosts", CONTROL_KIND_LIST, "none",
     "more of rcpthosts; qmail-newmrh compiles it"},
    {"morercpthosts.cdb", CONTROL_KIND_TABLE, "none", "morercpthosts, compiled"},
    {"notipme", CONTROL_KIND_LIST, "none", "addresses that are not this host's"},
    {"outgoingip", CONTROL_KIND_LINE, "the system chooses",
     "the address (IPv4, IPv6, or both) that qmail-remote connects from"},
    {"percenthack", CONTROL_KIND_LIST, "none", "domains where user%host is rewritten"},
    {"plusdomain", CONTROL_KIND_LINE, "me", "appended to a host that ends with +"},
    {"queuelifetime", CONTROL_KIND_LINE, "604800", "seconds until a message bounces"},
    {"rcpthosts", CONTROL_KIND_LIST, "no mail from the network is relayed or taken",
     "domains that qmail-smtpd takes mail for"},
    {"sessionidle", CONTROL_KIND_LINE, "5",
     "seconds that an idle delivery process stays"},
    {"sessions", CONTROL_KIND_LINE, "400/400",
     "delivery processes of one spawner at a time"},
    {"sessionsdestination", CONTROL_KIND_LINE, "10",
     "connections at a time to one destination"},
    {"smtpgreeting", CONTROL_KIND_LINE, "me", "what qmail-smtpd says first"},
    {"smtproutes", CONTROL_KIND_LIST, "none", "domain:relay[:port], ways other than DNS"},
    {"tcp.smtp", CONTROL_KIND_LIST, "/etc/tcp.smtp",
     "who may connect, with which variables; qmailctl cdb compiles it"},
    {"tcp.smtp.cdb", CONTROL_KIND_TABLE, "the SMTP service does not start",
     "tcp.smtp, compiled"},
    {"timeoutconnect", CONTROL_KIND_LINE, "60", "seconds to wait for a connection out"},
    {"timeoutremote", CONTROL_KIND_LINE, "1200", "seconds to wait for a remote reply"},
    {"timeoutsmtpd", CONTROL_KIND_LINE, "1200", "seconds to wait for an SMTP client"},
    {"virtualdomains", CONTROL_KIND_LIST, "none",
     "domain:prepend, or user@domain:prepend"},
};

const struct control_file *
control_table(size_t *count)
{
    *count = sizeof table / sizeof *table;
    return table;
}

const struct control_file *
control_table_find(const char *name)
{
    size_t count = sizeof table / sizeof *table;
    for (size_t i = 0; i < count; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}
