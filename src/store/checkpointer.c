/* Everything shared is under the mutex, which is not held while the thread is in SQLite. */
#include "store/checkpointer.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <time.h>

#include "util/clock.h"

enum checkpointer_state { IDLE, ASKED, ENDED };

struct checkpointer {
	sqlite3 *db; /* of the thread alone, once there is one */
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t mutex;
	pthread_cond_t asked, ended;

	/* Under the mutex. */
	enum checkpointer_state state;
	bool stopping;
	int moved;
};

static int move(struct checkpointer *checkpointer)
{
	int frames, moved = 0;

	sqlite3_wal_checkpoint_v2(
		checkpointer->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &moved);
	return moved;
}

static void *work(void *ctx)
{
	struct checkpointer *checkpointer = ctx;

	pthread_mutex_lock(&checkpointer->mutex);
	while (!checkpointer->stopping) {
		int moved;

		if (checkpointer->state != ASKED) {
			pthread_cond_wait(&checkpointer->asked, &checkpointer->mutex);
			continue;
		}
		pthread_mutex_unlock(&checkpointer->mutex);
		moved = move(checkpointer);
		pthread_mutex_lock(&checkpointer->mutex);
		checkpointer->moved = moved;
		checkpointer->state = ENDED;
		pthread_cond_signal(&checkpointer->ended);
	}
	pthread_mutex_unlock(&checkpointer->mutex);
	return NULL;
}

struct checkpointer *checkpointer_new(const char *path)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX;
	struct checkpointer *checkpointer = calloc(1, sizeof(*checkpointer));
	pthread_condattr_t monotonic;

	if (!checkpointer)
		return NULL;
	/* what has read nothing does not know that there is a WAL */
	if (sqlite3_open_v2(path, &checkpointer->db, flags, NULL) != SQLITE_OK ||
		sqlite3_exec(checkpointer->db, "PRAGMA user_version", NULL, NULL, NULL) !=
			SQLITE_OK) {
		sqlite3_close(checkpointer->db);
		free(checkpointer);
		return NULL;
	}
	pthread_mutex_init(&checkpointer->mutex, NULL);
	pthread_cond_init(&checkpointer->asked, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&checkpointer->ended, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return checkpointer;
}

void checkpointer_free(struct checkpointer *checkpointer)
{
	if (!checkpointer)
		return;
	if (checkpointer->has_thread) {
		pthread_mutex_lock(&checkpointer->mutex);
		checkpointer->stopping = true;
		pthread_cond_signal(&checkpointer->asked);
		pthread_mutex_unlock(&checkpointer->mutex);
		pthread_join(checkpointer->thread, NULL);
	}
	pthread_cond_destroy(&checkpointer->asked);
	pthread_cond_destroy(&checkpointer->ended);
	pthread_mutex_destroy(&checkpointer->mutex);
	sqlite3_close(checkpointer->db);
	free(checkpointer);
}

/* Signals are for others. */
static bool begin_thread(struct checkpointer *checkpointer)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	checkpointer->has_thread =
		pthread_create(&checkpointer->thread, NULL, work, checkpointer) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return checkpointer->has_thread;
}

bool checkpointer_ask(struct checkpointer *checkpointer)
{
	if (!checkpointer || (!checkpointer->has_thread && !begin_thread(checkpointer)))
		return false;
	pthread_mutex_lock(&checkpointer->mutex);
	checkpointer->state = ASKED;
	pthread_cond_signal(&checkpointer->asked);
	pthread_mutex_unlock(&checkpointer->mutex);
	return true;
}

void checkpointer_wait(struct checkpointer *checkpointer, int64_t ms)
{
	struct timespec until;
	int64_t until_ns;
	int code = 0;

	if (!checkpointer || !checkpointer->has_thread)
		return;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until_ns = until.tv_nsec + ms * (int64_t)NS_PER_MS;
	until.tv_sec += until_ns / (int64_t)NS_PER_S;
	until.tv_nsec = until_ns % (int64_t)NS_PER_S;
	pthread_mutex_lock(&checkpointer->mutex);
	while (checkpointer->state == ASKED && code == 0)
		code = pthread_cond_timedwait(&checkpointer->ended, &checkpointer->mutex, &until);
	pthread_mutex_unlock(&checkpointer->mutex);
}

int checkpointer_ended(struct checkpointer *checkpointer)
{
	int moved = -1;

	if (!checkpointer || !checkpointer->has_thread)
		return -1;
	pthread_mutex_lock(&checkpointer->mutex);
	if (checkpointer->state == ENDED) {
		checkpointer->state = IDLE;
		moved = checkpointer->moved;
	}
	pthread_mutex_unlock(&checkpointer->mutex);
	return moved;
}
