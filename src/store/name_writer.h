/* Records of names into name_evidence. Internal to store/. Functions return 0, or -1 with the error
 * in the connection; all calls belong to the caller's transaction. */
#ifndef LASTCONN_STORE_NAME_WRITER_H
#define LASTCONN_STORE_NAME_WRITER_H

#include "store/batch.h"
#include "store/dictionary.h"

struct name_writer {
	struct dictionary *dictionary;
	sqlite3_stmt *extend, *add;
};

/* A zeroed writer; name_writer_done also after a failed init. */
int name_writer_init(struct name_writer *writer, sqlite3 *db, struct dictionary *dictionary);
void name_writer_done(struct name_writer *writer);

/* All names of a batch. */
int name_writer_batch(struct name_writer *writer, const struct batch *batch);

#endif
