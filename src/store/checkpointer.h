/* Moves the WAL into the file beside the writer: by a connection and a thread of its own, for some
 * hundred ms of writing and waiting for the disk, while batches go on. What is written meanwhile is
 * left for the next time. Internal to store/.
 *
 * The thread is begun when it is asked first, so that it has the limits that its maker has then
 * (Landlock, seccomp). What fails is not told: the WAL stays as it is, and the writer, who has to
 * do with the same disk, will see. */
#ifndef LASTCONN_STORE_CHECKPOINTER_H
#define LASTCONN_STORE_CHECKPOINTER_H

#include <stdbool.h>
#include <stdint.h>

struct checkpointer;

/* NULL: there is none, for want of memory or descriptors. */
struct checkpointer *checkpointer_new(const char *path);
void checkpointer_free(struct checkpointer *checkpointer); /* waits for the thread; NULL is fine */

/* To move what is in the WAL now, unless it is at it. False: nobody is there to do it. */
bool checkpointer_ask(struct checkpointer *checkpointer);

/* Until it is done, but not longer: for a writer that is faster than the disk. */
void checkpointer_wait(struct checkpointer *checkpointer, int64_t ms);

/* Once for each time that it is done: how many frames of the WAL are in the file, -1 after an
 * error; else -1. */
int checkpointer_ended(struct checkpointer *checkpointer);

#endif
