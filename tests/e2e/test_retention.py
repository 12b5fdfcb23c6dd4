#!/usr/bin/env python3
"""What the history forgets, through `lastconnd --retention-now`, and what reports say of it. The
history is of capture files whose packets are as old as the test wants; needs no root."""
import os
import re
import sys
import time

import harness

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "replay"))
import capture_make as make  # noqa: E402

CLIENT, SERVER = "192.0.2.1", "198.51.100.7"
DAY = 86400
DAYS = 40


class Retention(harness.Case):

    def setUp(self):
        super().setUp()
        self.database = self.path("history.db")
        self.now = int(time.time())
        # One datagram a day, half a day from now, to a port of its own.
        self.noon = self.now + DAY // 2
        packets = []
        for day in range(DAYS, 0, -1):
            second = self.noon - day * DAY - make.START
            datagram = make.udp(4000, 9000 + day, b"0123456789")
            packets.append((1000000 * second,
                            make.ethernet(make.ip4(CLIENT, SERVER, make.UDP, datagram))))
        path = self.path("old.pcap")
        with open(path, "wb") as file:
            file.write(make.pcap(make.ETHERNET, packets))
        self.daemon("-r", path, "--local", CLIENT)

    def daemon(self, *options, status=0):
        done = self.run_daemon(*options, "--config", self.config(), "--db", self.database)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def config(self):
        path = self.path("none.conf")
        with open(path, "a", encoding="ascii"):
            return path

    def rows(self, sql):
        return harness.rows(self.database, sql)

    def day(self, ago, hour=12):
        return time.strftime("%Y-%m-%dT%H:%M:%S",
                             time.gmtime(self.noon - ago * DAY + (hour - 12) * 3600))

    def report(self, *words, status=0):
        done = self.run_daemon(*words, "--db", self.database, "--utc", program=harness.LASTCONN)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_a_dry_run_changes_nothing(self):
        before = self.rows("SELECT * FROM flows")
        said = self.daemon("--retention-now", "--dry-run", "--keep-flows", "10d",
                           "--keep-days", "20d")
        self.assertRegex(said, r" 30 of 40 flows, from before ")
        self.assertRegex(said, r" (19|20) of 40 rows of the daily roll-up, from before ")
        self.assertIn("Nothing was changed", said)
        self.assertEqual(self.rows("SELECT * FROM flows"), before)
        said = self.daemon("--retention-now", "--dry-run", "--keep-flows", "0")
        self.assertEqual(said, "There is nothing to forget.\n")

    def test_hours_answer_where_flows_are_forgotten(self):
        self.daemon("--retention-now", "--keep-flows", "10d", "--keep-hours", "30d")
        self.assertEqual(self.rows("SELECT flows FROM contact_hour"), 20 * [{"flows": 1}])
        # The window's edge is in the hour of the flow, before and after it.
        for hour, count in ((11, 20), (12, 20), (14, 19)):
            for command in ("who", "top"):
                words = ("who", SERVER) if command == "who" else ("top", "--host", SERVER)
                row = harness.one(self, self.ask(
                    self.database, *words, "--since", self.day(20, hour), "--utc"))
                self.assertEqual(row["flows"], count, (command, hour))
        row = harness.one(self, self.ask(self.database, "who", SERVER, "--since",
                                         self.day(25, 6), "--until", self.day(21, 6), "--utc"))
        self.assertEqual((row["flows"], row["octets_out"], row["known"]), (4, 40, ["unknown"]))
        said = self.report("who", SERVER)
        self.assertRegex(said, r"single flows before \S+ \S+ were forgotten, whole hours count")
        self.assertRegex(said, r"; hours before \S+ \S+ were forgotten, whole days count there")
        self.assertNotIn("whole days", self.report("who", SERVER, "--since", self.day(25)))
        row = harness.one(self, self.ask(self.database, "stats"))
        self.assertEqual(row["contact_hours"], 20)
        self.assertTrue(row["flows_since"] > row["hours_since"])

    def test_less_than_flows_keeps_no_hours_and_costs_no_answer(self):
        self.daemon("--retention-now", "--keep-flows", "25d", "--keep-hours", "1d")
        self.assertEqual(self.rows("SELECT * FROM contact_hour"), [])
        for ago, hour, count in ((20, 14, 19), (20, 11, 20), (1, 14, 0), (30, 6, 30)):
            rows = self.ask(self.database, "who", SERVER, "--since", self.day(ago, hour),
                            "--utc", status=0 if count else 1)
            self.assertEqual(sum(row["flows"] for row in rows), count, (ago, hour))
        done = self.run_daemon("rebuild", "--db", self.database, program=harness.LASTCONN)
        self.assertEqual(done.returncode, 0, done.stdout)
        row = harness.one(self, self.ask(self.database, "stats"))
        self.assertLessEqual(row["hours_since"], row["flows_since"])

    def test_reports_say_at_which_grain_they_answer(self):
        said = self.daemon("--retention-now", "--keep-flows", "10d", "--keep-hours", "10d")
        self.assertRegex(said, r" 30 flows\n")
        self.assertEqual(len(self.rows("SELECT * FROM flows")), 10)
        self.assertEqual(len(self.rows("SELECT * FROM contacts")), DAYS)
        # By days all are there, also where the window begins in the middle of one.
        row = harness.one(self, self.ask(self.database, "who", SERVER))
        self.assertEqual(row["flows"], DAYS)
        for hour in (0, 6, 12):
            row = harness.one(self, self.ask(
                self.database, "who", SERVER, "--since", self.day(30, hour), "--utc"))
            self.assertEqual(row["flows"], 30, hour)
        self.assertRegex(self.report("who", SERVER),
                         r"single flows before \S+ \S+ were forgotten, whole days count there")
        said = self.report("flows", "--host", SERVER)
        self.assertRegex(said, r"single flows before \S+ \S+ were forgotten")
        self.assertNotIn("whole days", said)
        # Where all flows are there nothing is to be said.
        self.assertNotIn("forgotten", self.report("who", SERVER, "--since", self.day(5)))
        # That nothing was found there is no evidence for single flows.
        self.assertRegex(self.report("flows", "--host", SERVER, "--until", self.day(20),
                                     status=1), "single flows before")

    def test_days_go_and_contacts_stay(self):
        self.daemon("--retention-now", "--keep-flows", "10d", "--keep-days", "20d")
        row = harness.one(self, self.ask(self.database, "who", SERVER))
        self.assertIn(row["flows"], (20, 21))
        self.assertRegex(self.report("who", SERVER), r"days before \S+ \S+ were forgotten")
        self.assertEqual(len(self.rows("SELECT * FROM contacts")), DAYS)
        self.daemon("--retention-now", "--keep-flows", "10d", "--keep-days", "20d",
                    "--keep-contacts", "25d")
        self.assertEqual(len(self.rows("SELECT * FROM contacts")), 25)

    def test_stats_tell_what_went(self):
        self.daemon("--retention-now", "--keep-flows", "10d")
        row = harness.one(self, self.ask(self.database, "stats"))
        self.assertEqual((row["flows"], row["flows_kept"]), (DAYS, 10))
        self.assertIn("flow: 30", row["forgotten"])
        self.assertTrue(re.match(r"\d{4}-", row["flows_since"]))
        self.assertEqual(self.daemon("--retention-now", "--keep-flows", "10d"),
                         "There was nothing to forget.\n")

    def test_it_is_not_done_beside_a_daemon(self):
        daemon = self.start_daemon()
        done = self.run_daemon("--retention-now", "--config", self.config(), "--db", daemon.db)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, rf"pid {daemon.process.pid}\b")
        done = self.run_daemon("--retention-now", "--dry-run", "--config", self.config(),
                               "--db", daemon.db)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_bounds_that_make_no_sense_are_refused(self):
        for option, value in (("--max-size", "4"), ("--max-contacts", "3"),
                              ("--keep-flows", "10ms"), ("--keep-flows", "90")):
            said = self.daemon("--retention-now", option, value, status=2)
            self.assertEqual(said.count("\n"), 1, said)
            self.assertIn(option, said)
        self.assertEqual(len(self.rows("SELECT * FROM flows")), DAYS)


if __name__ == "__main__":
    harness.main()
