#include "client.h"

#include <stddef.h>

void
client_list_add(struct client_list *list, struct client *client)
{
    client->next = NULL;
    if (list->last)
        list->last->next = client;
    else
        list->first = client;
    list->last = client;
    list->count++;
}

struct client *
client_list_take(struct client_list *list)
{
    struct client *client = list->first;
    if (!client)
        return NULL;
    list->first = client->next;
    if (!list->first)
        list->last = NULL;
    list->count--;
    return client;
}
