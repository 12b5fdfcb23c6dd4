#!/usr/bin/env python3
"""The wall clock is set, or the machine sleeps, while lastconnd records: flows keep their order and
their length, what was recorded by a clock that was wrong is corrected, and the coverage tells.

Only the daemon's clocks are set, by tests/support/clock_shim.c; the test has those of the machine,
which are the right ones."""
import contextlib
import os
import socket
import sqlite3
import struct
import sys
import time

import harness

SHIM = os.path.realpath(os.path.join(harness.BUILD, "tests", "support", "clock_shim.so"))
SECOND, HOUR = 10**6, 3600 * 10**6
NEAR = int(5 * SECOND * harness.SLOW)  # that the test may be slow by
YOUNGEST = 3700  # seconds since the boot: before, every step corrects


def now_us():
    return time.time_ns() // 1000


def uptime_us():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


class Talk:
    """A connection on the loopback, and when it was what."""

    def __init__(self, case):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(60 * harness.SLOW)
            self.port = listener.getsockname()[1]
            self.begin_us = now_us()
            self.client = socket.create_connection(listener.getsockname())
            self.server, _ = listener.accept()
        case.addCleanup(self.end)

    def say(self, octets):
        self.client.sendall(b"x" * octets)
        while octets:
            octets -= len(self.server.recv(octets))

    def end(self):
        self.client.close()
        self.server.close()
        self.end_us = now_us()
        return self


class ClockCase(harness.Case):
    options = ()
    kernel = True

    def setUp(self):
        super().setUp()
        if not os.path.exists(SHIM):
            self.skipTest("this build has no tests/support/clock_shim.so")
        self.shim = self.path("shim")
        self.set_clock(0)

    def set_clock(self, ahead_us, asleep_us=0):
        """The daemon's clock is that far ahead of the right one."""
        values = struct.pack("qq", ahead_us * 1000, asleep_us * 1000)
        mode = "r+b" if os.path.exists(self.shim) else "wb"
        with open(self.shim, mode) as file:
            file.write(values)
        self.ahead_us = ahead_us

    def set_to_1970(self):
        self.set_clock(uptime_us() - now_us())

    def environment(self):
        return {"LD_PRELOAD": SHIM, "CLOCK_SHIM": self.shim,
                "ASAN_OPTIONS": "verify_asan_link_order=0"}

    def start(self):
        return self.start_daemon("--active-timeout", "1s", *self.options, kernel=self.kernel,
                                 environment=self.environment())

    def talk(self, daemon):
        """A flow that is over, and stored."""
        talk = Talk(self)
        talk.say(100)
        talk.end()
        daemon.wait_flows(talk.port, 2, "open = 0")
        return talk

    def check(self, flows, begin_us, end_us):
        for flow in flows:
            self.assertLess(abs(flow["start_us"] - begin_us), NEAR, flow)
            self.assertLess(abs(flow["end_us"] - end_us), NEAR, flow)
            self.assertGreaterEqual(flow["duration_us"], 0, flow)
            self.assertLess(abs(flow["duration_us"] - (end_us - begin_us)), NEAR, flow)

    @staticmethod
    def step_to(daemon, way):
        """The last step this way in the coverage, once it is there."""
        return harness.wait_until(f"a step {way}", lambda: daemon.rows(
            f"SELECT * FROM coverage WHERE what = 'clock step' AND detail LIKE '{way}%'"
            " ORDER BY from_us"))[-1]

    def another_boot(self):
        """What was recorded so far was before a reboot."""
        with contextlib.closing(sqlite3.connect(self.path("history.db"))) as database, database:
            database.execute("UPDATE boot SET boot_uuid = 'another' || id")

    def times(self, daemon):
        """Every time of the history, but 0 and none, and where it is."""
        for table in [row["name"] for row in daemon.rows(
                "SELECT name FROM sqlite_schema WHERE type = 'table'")]:
            for row in daemon.rows(f"SELECT * FROM {table}"):
                for column, value in row.items():
                    if value and column == "day":
                        yield table, column, value * 24 * HOUR
                    elif value and column == "hour":
                        yield table, column, value * HOUR
                    elif value and column.endswith("_us") and column not in (
                            "duration_us", "max_duration_us", "rtt_us", "settled_us", "cut_us"):
                        yield table, column, value


class Stepped(ClockCase):

    def step(self, ahead_us):
        if uptime_us() < YOUNGEST * SECOND:
            self.skipTest("this machine has not been up for an hour")
        daemon = self.start()
        before = self.talk(daemon)
        open_talk = Talk(self)
        open_talk.say(10)
        daemon.wait_flows(open_talk.port, 2, "open = 1")
        self.set_clock(ahead_us)
        step = self.step_to(daemon, "forward" if ahead_us > 0 else "backward")
        self.assertLess(abs(step["count"] - abs(ahead_us) // 1000), 100)
        self.assertEqual(step["missed"], "some")
        self.assertLessEqual(step["from_us"], now_us() + min(0, ahead_us))
        self.assertGreater(step["until_us"], before.end_us + max(0, ahead_us))
        self.check(daemon.flows(open_talk.port, "open = 1"), open_talk.begin_us + ahead_us, now_us() + ahead_us)
        open_talk.say(1000)
        after = self.talk(daemon)
        open_talk.end()
        daemon.wait_flows(open_talk.port, 2, "open = 0")
        self.check(daemon.flows(open_talk.port), open_talk.begin_us + ahead_us,
                   open_talk.end_us + ahead_us)
        self.check(daemon.flows(after.port), after.begin_us + ahead_us, after.end_us + ahead_us)
        self.check(daemon.flows(before.port), before.begin_us, before.end_us)
        daemon.stop()
        self.assertEqual(daemon.rows("SELECT * FROM flows WHERE duration_us < 0"), [])
        self.assertEqual(daemon.rows("SELECT * FROM coverage WHERE until_us < from_us"), [])
        return daemon, step

    def test_a_step_forward_moves_what_goes_on(self):
        daemon, step = self.step(HOUR)
        self.assertEqual(step["detail"], "forward")
        self.assertIn("clock step: 36", daemon.log())

    def test_a_step_backward_moves_what_goes_on(self):
        _, step = self.step(-HOUR)
        self.assertEqual(step["detail"], "backward")

    def test_reports_say_that_times_are_in_doubt(self):
        daemon, step = self.step(-HOUR)
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(step["from_us"] // SECOND - 1))
        done = self.run_program(harness.LASTCONN, "flows", "--since", since, "--db", daemon.db)
        self.assertRegex(done.stdout.splitlines()[-1], r"the clock was set by 3(600|599\.\d) s")
        rows = self.ask(daemon.db, "coverage", "--since", since)
        told = harness.one(self, [row for row in rows if row["what"] == "clock step"])
        self.assertIn("the wall clock was set", told["means"])
        self.assertIn("(backward)", told["means"])


class Corrected(ClockCase):
    """A start in 1970."""

    def check_corrected(self, daemon, since_us):
        def wrong():
            return [(table, column, value) for table, column, value in self.times(daemon)
                    if not since_us - 2 * uptime_us() - 48 * HOUR < value < now_us() + HOUR]

        harness.wait_until("the times are right", lambda: not wrong())  # of a busy machine in slices
        daemon.stop()
        done = self.run_daemon("rebuild", "--db", daemon.db, program=harness.LASTCONN)
        self.assertEqual((done.returncode, "differ" in done.stdout), (0, False), done.stdout)
        self.assertEqual(daemon.rows("SELECT sum(flows) AS n FROM ledger"),
                         daemon.rows("SELECT count(*) AS n FROM flow"))

    def test_when_the_clock_becomes_right_all_of_it_is_corrected(self):
        begin_us = now_us()
        self.set_to_1970()
        daemon = self.start()
        before = self.talk(daemon)
        self.assertLess(daemon.flows(before.port)[0]["end_us"], uptime_us() + HOUR)
        wrong = self.step_to(daemon, "not set yet: ")
        self.assertEqual((wrong["open"], wrong["count"]), (1, 0))
        self.assertIn("times are corrected when it is set", daemon.log())
        open_talk = Talk(self)
        open_talk.say(10)
        daemon.wait_flows(open_talk.port, 2, "open = 1")
        self.set_clock(0)
        step = self.step_to(daemon, "forward")
        self.assertEqual(step["detail"], "forward; the times from before it were corrected")
        self.assertLess(abs(step["until_us"] - now_us()), 10 * NEAR)
        self.assertLess(step["until_us"] - step["from_us"], NEAR)
        self.check(daemon.flows(before.port), before.begin_us, before.end_us)
        after = self.talk(daemon)
        open_talk.end()
        daemon.wait_flows(open_talk.port, 2, "open = 0")
        daemon.stop()
        self.check(daemon.flows(before.port), before.begin_us, before.end_us)
        self.check(daemon.flows(after.port), after.begin_us, after.end_us)
        self.check(daemon.flows(open_talk.port), open_talk.begin_us, open_talk.end_us)
        order = [row["remote_port"] for row in daemon.rows(
            "SELECT remote_port FROM flows WHERE direction = 'out' ORDER BY end_us")
                 if row["remote_port"] in (before.port, after.port)]
        self.assertEqual(order, [before.port, after.port])
        mine = daemon.rows(f"SELECT DISTINCT process_start_us FROM flows WHERE pid = {os.getpid()}")
        self.assertGreater(harness.one(self, mine)["process_start_us"], begin_us - uptime_us())
        self.check_corrected(daemon, begin_us)

    def test_the_gap_before_it_is_told_then(self):
        daemon = self.start()
        first = self.talk(daemon)
        daemon.stop()
        self.another_boot()
        self.set_to_1970()
        daemon = self.start()
        again = Talk(self)
        again.end()
        daemon.wait_flows(again.port, 2)
        self.set_clock(0)
        self.step_to(daemon, "forward")
        down = daemon.rows("SELECT * FROM coverage WHERE what = 'down' ORDER BY from_us")
        self.assertTrue(down)
        self.assertGreaterEqual(down[0]["from_us"], first.end_us - NEAR)
        self.assertLess(abs(down[-1]["until_us"] - again.begin_us), NEAR)
        self.check_corrected(daemon, first.begin_us)

    def test_a_daemon_that_was_killed_before_is_corrected_by_the_next(self):
        begin_us = now_us()
        self.set_to_1970()
        daemon = self.start()
        before = self.talk(daemon)
        open_talk = Talk(self)
        open_talk.say(10)
        daemon.wait_flows(open_talk.port, 2, "open = 1")
        daemon.kill()
        self.set_clock(0)
        again = self.start()
        self.check(again.flows(before.port), before.begin_us, before.end_us)
        open_talk.say(10)
        open_talk.end()
        again.wait_flows(open_talk.port, 2, "open = 0")
        again.stop()
        self.check(again.flows(open_talk.port), open_talk.begin_us, open_talk.end_us)
        self.check_corrected(again, begin_us)

    def test_a_clock_that_goes_wrong_later_and_right_again(self):
        daemon = self.start()
        before = self.talk(daemon)
        self.set_to_1970()
        self.step_to(daemon, "backward")
        amid = self.talk(daemon)
        self.set_clock(0)
        self.step_to(daemon, "forward")
        after = self.talk(daemon)
        daemon.stop()
        for talk in (before, amid, after):
            self.check(daemon.flows(talk.port), talk.begin_us, talk.end_us)
        self.assertEqual(daemon.rows(
            "SELECT * FROM coverage WHERE what = 'clock step'"
            f" AND (until_us - from_us > {NEAR} OR detail LIKE 'not set%')"), [])


class Asleep(ClockCase):
    """Polled: the kernel's own stamps do not know of a suspend that is none."""
    options = ("--source", "procfs")
    kernel = False

    def test_a_flow_that_is_open_over_a_suspend_goes_on(self):
        self.need_root()
        daemon = self.start()
        talk = Talk(self)
        daemon.wait_flows(talk.port, 2, "open = 1")
        self.set_clock(0, 2 * HOUR)
        row = harness.wait_until("the suspend in the coverage", lambda: daemon.rows(
            "SELECT * FROM coverage WHERE what = 'suspend'"))
        suspend = harness.one(self, row)
        self.assertLess(abs(suspend["count"] - 2 * HOUR // 1000), 2000)
        self.assertEqual(suspend["missed"], "none")
        self.assertGreaterEqual(suspend["until_us"] - suspend["from_us"], 2 * HOUR - SECOND)
        self.assertEqual(daemon.rows("SELECT * FROM coverage WHERE what = 'clock step'"), [])
        self.assertEqual(daemon.flows(talk.port, "open = 0"), [])
        talk.end()
        flows = daemon.wait_flows(talk.port, 2, "open = 0")
        for flow in flows:
            self.assertGreater(flow["duration_us"], 2 * HOUR)
        daemon.stop()
        done = self.run_program(harness.LASTCONN, "flows", "--db", daemon.db,
                                env={**os.environ, **self.environment()})
        self.assertIn("the machine slept 72", done.stdout.splitlines()[-1])


if __name__ == "__main__":
    harness.main()
