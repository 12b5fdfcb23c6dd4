/* Helpers that stop the test where they fail. */
#include "support/store_fixture.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

int store_fixture_set_up(void **state)
{
	struct store_fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	strcpy(fixture->dir, "/tmp/lastconn-test-XXXXXX");
	assert_non_null(mkdtemp(fixture->dir));
	snprintf(fixture->path, sizeof(fixture->path), "%s/history.db", fixture->dir);
	fixture->options = (struct store_options){.path = fixture->path,
		.boot_uuid = "boot-1",
		.boot_start_us = FIXTURE_BOOT_US,
		.host_name = "host",
		.version = "1"};
	assert_int_equal(batch_new(5000, &fixture->batch), 0);
	*state = fixture;
	return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
	(void)status;
	(void)type;
	(void)where;
	return remove(path);
}

int store_fixture_tear_down(void **state)
{
	struct store_fixture *fixture = *state;

	store_close(fixture->store);
	batch_free(fixture->batch);
	nftw(fixture->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(fixture);
	return 0;
}

void store_fixture_open(struct store_fixture *fixture)
{
	if (store_open(&fixture->options, &fixture->store, &fixture->error) < 0)
		fail_msg("%s", fixture->error.text);
}

void store_fixture_write(struct store_fixture *fixture)
{
	if (store_write(fixture->store, fixture->batch, &fixture->error) < 0)
		fail_msg("%s", fixture->error.text);
	batch_clear(fixture->batch);
}

void store_fixture_close(struct store_fixture *fixture)
{
	store_close(fixture->store);
	fixture->store = NULL;
}

static void append(char *text, size_t size, const char *more)
{
	size_t used = strlen(text);

	assert_true(used + strlen(more) < size);
	strcpy(text + used, more);
}

const char *store_fixture_sql(const struct store_fixture *fixture, const char *sql)
{
	static char text[65536];
	sqlite3_stmt *stmt;
	sqlite3 *db;
	int code;

	text[0] = '\0';
	assert_int_equal(sqlite3_open_v2(fixture->path, &db, SQLITE_OPEN_READWRITE, NULL), 0);
	sqlite3_busy_timeout(db, 5000);
	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
		if (text[0])
			append(text, sizeof(text), "\n");
		for (int i = 0; i < sqlite3_column_count(stmt); i++) {
			const char *value = (const char *)sqlite3_column_text(stmt, i);

			append(text, sizeof(text), i ? "|" : "");
			append(text, sizeof(text), value ? value : "-");
		}
	}
	if (code != SQLITE_DONE)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return text;
}

int64_t store_fixture_number(const struct store_fixture *fixture, const char *sql)
{
	return strtoll(store_fixture_sql(fixture, sql), NULL, 10);
}

struct process_info store_fixture_process(uint32_t pid, const char *exe)
{
	static char cmdline[256];

	snprintf(cmdline, sizeof(cmdline), "%s --serve", exe);
	return (struct process_info){
		.ref = {.start_ns = pid * UINT64_C(1000000000), .pid = pid, .exec_id = 1},
		.uid = 1000,
		.loginuid = PROCESS_UID_NONE,
		.netns = 7,
		.inner_pid = pid,
		.comm = "comm",
		.exe = exe,
		.cmdline = cmdline,
		.cgroup = "/system.slice/test.service",
	};
}

struct flow_record store_fixture_flow(uint32_t pid, const char *remote, int64_t end_us)
{
	static uint64_t serial;
	struct flow_record record = {
		.key = {.netns = 7, .local_port = 40000, .remote_port = 443, .protocol = 6},
		.counters = {.octets_out = 100,
			.octets_in = 2000,
			.packets_out = 5,
			.packets_in = 6,
			.rtt_us = 300},
		.start_us = end_us - 1000000,
		.end_us = end_us,
		.serial = ++serial,
		.kind = FLOW_RECORD_END,
		.direction = FLOW_DIRECTION_OUT,
		.outcome = FLOW_OUTCOME_CLOSED,
		.method = pid ? FLOW_METHOD_EXACT : FLOW_METHOD_UNKNOWN,
		.source = FLOW_SOURCE_EBPF,
	};

	assert_int_equal(addr_parse("192.0.2.1", &record.key.local), 0);
	assert_int_equal(addr_parse(remote, &record.key.remote), 0);
	record.key.socket_cookie = serial;
	if (pid)
		record.user = (struct process_ref){pid * UINT64_C(1000000000), pid, 1};
	record.opener = record.user;
	return record;
}

uint64_t store_fixture_setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}
