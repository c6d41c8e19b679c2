#ifndef CONDITION_H
#define CONDITION_H

/* A program whose exit code answers a question: condredirect, bouncesaying, except. */

enum condition {
    CONDITION_YES,   /* it ended with 0 */
    CONDITION_NO,    /* with any other code */
    CONDITION_LATER, /* with 111, or by a signal, or it could not be run */
};

/* Run argv, found by PATH, with our descriptors, and wait for it. */
enum condition condition_ask(const char *const *argv);

#endif
