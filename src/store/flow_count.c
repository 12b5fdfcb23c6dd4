/* Sorted and summed first: a batch has thousands of flows and some dozen executables. */
#include "store/flow_count.h"

#include <errno.h>
#include <stdlib.h>

#include "store/sql.h"

static const char add_text[] = "INSERT INTO executable_flows (executable, flows) VALUES (?1, ?2)"
			       " ON CONFLICT DO UPDATE SET flows = flows + ?2";

int flow_count_init(struct flow_count *count, sqlite3 *db)
{
	return sql_prepare(db, add_text, &count->add);
}

void flow_count_done(struct flow_count *count)
{
	sqlite3_finalize(count->add);
	free(count->executables);
}

int flow_count_begin(struct flow_count *count, size_t flows)
{
	int32_t *executables;

	count->count = 0;
	if (flows <= count->capacity)
		return 0;
	executables = realloc(count->executables, flows * sizeof(*executables));
	if (!executables)
		return -ENOMEM;
	count->executables = executables;
	count->capacity = flows;
	return 0;
}

void flow_count_note(struct flow_count *count, int32_t executable)
{
	count->executables[count->count++] = executable;
}

static int compare(const void *left, const void *right)
{
	int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;

	return (a > b) - (a < b);
}

int flow_count_write(struct flow_count *count, int sign)
{
	size_t end;

	if (count->count > 0)
		qsort(count->executables, count->count, sizeof(count->executables[0]), compare);
	for (size_t i = 0; i < count->count; i = end) {
		int64_t row[2] = {count->executables[i]};

		for (end = i; end < count->count && count->executables[end] == row[0]; end++)
			row[1] += sign;
		sql_bind_integers(count->add, 1, row, 2);
		if (sql_run(count->add) < 0)
			return -1;
	}
	return 0;
}
