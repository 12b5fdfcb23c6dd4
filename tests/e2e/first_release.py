"""A history of the first release, and what of it an upgrade must keep: every fact, as it was."""
import os
import sqlite3
import time

import harness

DUMP = os.path.join(os.path.dirname(os.path.realpath(__file__)), "first_release.sql")
# facts that no migration may lose or change; listeners and open flows end, derived tables are made anew
FACTS = ("boot", "executable", "unit", "actor", "process", "name", "remote", "local", "kind", "flow",
         "coverage_interval")
DAY_S = 86400
BEGIN_S = 1763992800  # about when the flows of the dump happened
SPANS = ("duration_us", "rtt_us", "max_duration_us", "settled_us", "cut_us")  # are no times of day
LOST_AFTER_US = 20_000_000  # the open flow was seen last so long after the last one ended


def move(connection):
    """The history becomes that of last week, for what is too old is forgotten."""
    days = (int(time.time()) - BEGIN_S) // DAY_S - 7
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    for table in tables:
        for _, column, *_ in connection.execute(f"PRAGMA table_info({table})").fetchall():
            if column.endswith("_us") and column not in SPANS:
                connection.execute(f"UPDATE {table} SET {column} = {column} + {days * DAY_S * 1_000_000}")
    connection.execute(f"UPDATE contact_day SET day = day + {days}")
    connection.execute(f"UPDATE flow_hour SET hour = hour + {days * 24}")


def make(path):
    """Writes the history, not open to others; its facts."""
    with open(DUMP, encoding="utf-8") as file, sqlite3.connect(path) as connection:
        connection.executescript(file.read())
        move(connection)
    connection.close()
    os.chmod(path, 0o640)
    return facts(path)


def facts(path):
    """The rows of each table, with their columns by name."""
    return {table: harness.rows(path, f"SELECT * FROM {table}") for table in FACTS}


def assert_kept(case, before, path):
    """Each row is there, with the values that it had, and the newest schema around them."""
    after = facts(path)
    for table, rows in before.items():
        case.assertTrue(rows, table)
        there = [{column: row[column] for column in rows[0]} for row in after[table]]
        for row in rows:
            case.assertIn(row, there, table)
    assert_open_flow_ended(case, path, max(row["end_us"] for row in before["flow"]) + LOST_AFTER_US)
    case.assertEqual(harness.rows(path, "PRAGMA integrity_check"), [{"integrity_check": "ok"}])


def assert_open_flow_ended(case, path, seen_us):
    """What the killed run left open ended as lost, when it was seen last; all is in the views."""
    count = f"(SELECT count(*) FROM flows WHERE end_us <= {seen_us}) AS flows"
    found = harness.rows(path, f"SELECT outcome, end_us, exe, remote_ip, octets_in, {count} FROM flows"
                               " WHERE local_port = 22 AND remote_port = 51000")
    case.assertEqual(found, [{"outcome": "lost", "end_us": seen_us, "exe": "/usr/sbin/sshd",
                              "remote_ip": "203.0.113.9", "octets_in": 20, "flows": 7}])
