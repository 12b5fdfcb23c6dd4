#!/usr/bin/env python3
"""`lastconn rebuild`: the roll-ups are what the flows give, or are made so. The history is of a
capture file; needs no root."""
import os
import sqlite3
import sys
import time

import harness

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "replay"))
import capture_make as make  # noqa: E402

CLIENT = "192.0.2.1"
DAY = 86400
DAYS, FLOWS = 20, 5


class Rebuild(harness.Case):

    def setUp(self):
        super().setUp()
        self.database = self.path("history.db")
        noon = int(time.time()) // DAY * DAY + DAY // 2
        packets = []
        for day in range(DAYS, 0, -1):
            for flow in range(FLOWS):
                second = noon - day * DAY - make.START + flow * 1800
                datagram = make.udp(4000, 9000 + day % 3, b"0123456789")
                packets.append((1000000 * second, make.ethernet(make.ip4(
                    CLIENT, f"198.51.100.{1 + flow}", make.UDP, datagram))))
        path = self.path("old.pcap")
        with open(path, "wb") as file:
            file.write(make.pcap(make.ETHERNET, packets))
        self.daemon("-r", path, "--local", CLIENT)

    def daemon(self, *options):
        with open(self.path("none.conf"), "a", encoding="ascii"):
            pass
        done = self.run_daemon(*options, "--config", self.path("none.conf"), "--db", self.database)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def rebuild(self, status, *words):
        done = self.run_daemon("rebuild", *words, "--db", self.database, program=harness.LASTCONN)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def tables(self):
        return [harness.rows(self.database, f"SELECT * FROM {table}")
                for table in ("contact_day", "flow_hour", "executable_flows")]

    def damage(self, *statements):
        with sqlite3.connect(self.database) as connection:
            for statement in statements:
                self.assertGreater(connection.execute(statement).rowcount, 0, statement)
        connection.close()

    def test_what_is_equal_is_proved_and_left_alone(self):
        before = self.tables()
        said = self.rebuild(0)
        self.assertRegex(said, rf"contact_day +{DAYS * FLOWS} rows equal what the flows")
        self.assertRegex(said, rf"flow_hour +{DAYS * 3} rows equal")
        self.assertRegex(said, r"executable_flows +1 rows equal")
        self.assertEqual(self.tables(), before)

    def test_what_differs_is_made_anew(self):
        before = self.tables()
        for statement, table in (
                ("UPDATE contact_day SET octets_out = 11 WHERE port = 9001", "contact_day"),
                ("UPDATE contact_day SET methods = 2, hours = 1", "contact_day"),
                ("DELETE FROM contact_day", "contact_day"),
                ("INSERT INTO contact_day SELECT day, 99, actor, protocol_id, port, direction, 1,"
                 " 0, 0, 0, 0, 0, 1, 1 FROM contact_day LIMIT 1", "contact_day"),
                ("UPDATE flow_hour SET max_duration_us = 1", "flow_hour"),
                ("DELETE FROM flow_hour WHERE hour % 2", "flow_hour"),
                ("INSERT INTO flow_hour SELECT hour + 9, 1, 1, 1, 1, 1 FROM flow_hour LIMIT 1",
                 "flow_hour"),
                ("UPDATE executable_flows SET flows = flows + 1", "executable_flows"),
                ("INSERT INTO executable_flows VALUES (77777, 1)", "executable_flows")):
            with self.subTest(statement):
                self.damage(statement)
                self.assertNotEqual(self.tables(), before)
                said = self.rebuild(1)
                self.assertRegex(said, rf"{table} +\d+ of \d+ rows differ from")
                self.assertIn("made anew", said)
                self.assertEqual(self.tables(), before)
                self.assertNotIn("differ", self.rebuild(0))

    def test_hours_are_facts_where_flows_are_forgotten(self):
        self.daemon("--retention-now", "--keep-flows", "5d")
        before = self.tables()
        self.assertRegex(self.rebuild(0), rf"contact_day +{DAYS * FLOWS} rows equal")
        self.damage("UPDATE contact_day SET flows = 7", "DELETE FROM flow_hour WHERE hour % 2")
        self.rebuild(1)
        self.assertEqual(self.tables(), before)

    def test_days_without_facts_are_left_alone(self):
        self.daemon("--retention-now", "--keep-flows", "5d", "--keep-hours", "10d")
        before = self.tables()
        said = self.rebuild(0)
        self.assertRegex(said, r"contact_day +(45|50) rows equal")
        self.assertIn("without their hours", said)
        self.assertEqual(self.tables(), before)

    def test_nothing_is_written_beside_a_daemon(self):
        daemon = self.start_daemon()
        self.database = daemon.db
        self.assertNotIn("differ", self.rebuild(0))
        self.damage("INSERT INTO executable_flows VALUES (77777, 1)")
        said = self.rebuild(2)
        self.assertRegex(said, rf"nothing was made anew: .*pid {daemon.process.pid}\b")

    def test_words_that_mean_nothing_are_refused(self):
        for words in (("flows",), ("--host", "192.0.2.1"), ("--last", "1h")):
            said = self.rebuild(2, *words)
            self.assertEqual(said.count("\n"), 1, said)


if __name__ == "__main__":
    harness.main()
