"""What tests of lastconn share: a history of known content, and lastconn on it.

LASTCONN_BIN names the program to test; else that of LASTCONN_BUILD."""
import datetime
import json
import os
import subprocess

import harness
from query_history import SECOND, History

LASTCONN = os.environ.get("LASTCONN_BIN", harness.LASTCONN)
T0 = 1763510400 * SECOND  # 2025-11-19T00:00:00Z, a Wednesday


def at(time_us):
    """As --since takes it, to the microsecond."""
    return f"@{time_us // SECOND}.{time_us % SECOND:06}"


def iso(time_us):
    when = datetime.datetime.fromtimestamp(time_us // SECOND, datetime.timezone.utc)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{time_us % SECOND:06}Z"


class QueryCase(harness.Case):
    """One small history a test, and lastconn on it."""

    def history(self, name="history.db", **more):
        return History(self.path(name), **more)

    def run_lastconn(self, *arguments, database=None, environment=None, **more):
        base = {key: value for key, value in os.environ.items()
                if key not in ("LASTCONN_DB", "NO_COLOR", "COLUMNS")}
        base.update({"HOME": self.directory, "XDG_CONFIG_HOME": self.path("config"),
                     "LC_ALL": "C.UTF-8", "TZ": "UTC",
                     "LASTCONN_DB": database or self.path("history.db"), **(environment or {})})
        return subprocess.run([LASTCONN, *arguments], stdin=subprocess.DEVNULL,
                              capture_output=True, env=base, timeout=60 * harness.SLOW,
                              check=False, **more)

    def answer(self, *arguments, status=0, **more):
        """Rows, as JSON has them."""
        done = self.run_lastconn("--utc", "--format", "json", *arguments, **more)
        self.assertEqual(done.returncode, status, f"{arguments}: {done.stderr.decode()}")
        return json.loads(done.stdout)

    def table(self, *arguments, status=0, **more):
        done = self.run_lastconn(*arguments, **more)
        self.assertEqual(done.returncode, status, f"{arguments}: {done.stderr.decode()}")
        return done.stdout.decode()

    def refused(self, *arguments, words=(), **more):
        """One line on stderr, status 2, nothing on stdout."""
        done = self.run_lastconn(*arguments, **more)
        error = done.stderr.decode()
        self.assertEqual(done.returncode, 2, f"{arguments}: {error}")
        self.assertEqual(done.stdout, b"", arguments)
        self.assertTrue(error.startswith("lastconn: ") and error.endswith("\n"), error)
        self.assertEqual(error.count("\n"), 1, error)
        for word in words:
            self.assertIn(word, error)
