#!/usr/bin/env python3
"""What could have been missed is written down, with the right bounds and numbers, and shown: by
`lastconn coverage`, and by the line that who, flows and top end with.

Clock steps and suspends have a test of their own, test_clock.py."""
import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time

import harness
from query_history import DAY, HOUR, SECOND, History

sys.path.insert(0, os.path.join(harness.ROOT, "tests", "replay"))
import capture_make  # pylint: disable=wrong-import-position

T0 = 1763510400 * SECOND  # 2025-11-19T00:00:00Z
HEARTBEAT_S = 20          # at most, from one to the next
STORM = int(os.environ.get("LASTCONN_STORM", "3000"))
OWN_NETWORK = ("unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
FULL = "what IN ('ring full', 'map full', 'table full', 'queue full')"


def now_us():
    return time.time_ns() // 1000


def refused_connect():
    """A flow that is over at once; its remote port."""
    port = harness.Case.free_port()
    with socket.socket() as sock:
        try:
            sock.connect(("127.0.0.1", port))
        except ConnectionRefusedError:
            return port
    raise AssertionError(f"somebody listens on port {port}")


class Recorded(harness.Case):

    def gaps(self, daemon, where):
        return daemon.rows(f"SELECT * FROM coverage WHERE {where} ORDER BY from_us")

    def test_a_killed_daemon_leaves_a_gap_that_holds_what_was_lost(self):
        daemon = self.start_daemon()
        harness.wait_until("a heartbeat", lambda: daemon.rows(
            "SELECT 1 FROM run WHERE heartbeat_us > start_us"))
        daemon.wait_flows(refused_connect(), 1)
        before = now_us()
        port = refused_connect()
        daemon.kill()
        killed = now_us()
        self.assertEqual(daemon.flows(port), [], "it was killed before it could write")
        missed = refused_connect()
        started = now_us()
        again = self.start_daemon()
        down = harness.one(self, self.gaps(again, "what = 'down'"))
        self.assertLess(down["from_us"], before)
        self.assertGreater(down["from_us"], killed - HEARTBEAT_S * harness.SLOW * SECOND)
        self.assertGreater(down["until_us"], started)
        self.assertLessEqual(down["until_us"], now_us())
        self.assertEqual((down["detail"], down["missed"]), ("killed", "all"))
        self.assertEqual(again.flows(missed), [])

    def test_a_stopped_daemon_leaves_a_gap_from_its_last_look_to_the_next_start(self):
        daemon = self.start_daemon()
        port = refused_connect()
        stopping = now_us()
        daemon.stop()
        stopped = now_us()
        self.assertEqual(len(daemon.flows(port)), 1)
        again = self.start_daemon()
        down = harness.one(self, self.gaps(again, "what = 'down'"))
        self.assertTrue(stopping <= down["from_us"] <= stopped, down)
        self.assertGreater(down["until_us"], stopped)
        self.assertEqual(down["detail"], "stopped")

    def test_a_missing_hook_is_one_interval_as_long_as_the_run(self):
        begin = now_us()
        daemon = self.start_daemon("--disable-slot", "datagram", "--disable-slot", "use")
        ready = now_us()
        daemon.stop()
        stopped = now_us()
        gap = harness.one(self, self.gaps(daemon, "what = 'slot missing' AND detail LIKE 'datagram:%'"))
        self.assertTrue(begin <= gap["from_us"] <= ready, gap)
        self.assertTrue(ready <= gap["until_us"] <= stopped, gap)
        self.assertTrue(gap["detail"].startswith("datagram: "), gap)
        unsure = self.gaps(daemon, "missed = 'owners' AND detail LIKE 'use: %'")
        self.assertEqual(len(unsure), 1)

    def test_what_was_open_before_the_start_is_counted(self):
        listener = socket.create_server(("127.0.0.1", 0))
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        for sock in (listener, client, server):
            self.addCleanup(sock.close)
        daemon = self.start_daemon()
        port = listener.getsockname()[1]
        self.assertEqual(len(daemon.wait_flows(port, 2, "open = 1 AND method = 'snapshot'")), 2)
        snapshot = harness.one(self, self.gaps(daemon, "what = 'snapshot'"))
        self.assertGreaterEqual(snapshot["count"], 2)
        self.assertEqual(snapshot["missed"], "none")

    def test_a_full_ring_tells_when_and_how_much_it_lost(self):
        daemon = self.start_daemon("--ring-size", "64K")
        truth = self.path("truth")
        server = self.start_program(harness.STORM, "serve", str(STORM), truth)
        port = int(self.read_line(server))
        daemon.signal(signal.SIGSTOP)
        begin = now_us()
        self.run_program(harness.STORM, "spawn", "tcp", "127.0.0.1", str(port), str(STORM), "4",
                         "-", harness.STORM_CLIENT, seconds=120)
        self.finish(server)
        end = now_us()
        daemon.signal(signal.SIGCONT)
        daemon.stop()
        happened = 2 * sum(1 for _ in harness.lines(truth))
        self.assertEqual(happened, 2 * STORM)
        flows = len(daemon.flows(port))
        gap = harness.one(self, self.gaps(daemon, "what = 'ring full'"))
        self.assertLess(flows, happened)
        self.assertGreaterEqual(flows + gap["count"], happened)
        self.assertLessEqual(gap["from_us"], begin)
        self.assertGreaterEqual(gap["until_us"], end)

    def test_peers_without_room_in_the_kernel_are_counted(self):
        peers = 100
        daemon = self.start_daemon("--max-peers", "16", "--sweep-interval", "1h")
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with receiver, sender:
            receiver.bind(("127.0.0.1", 0))
            port = receiver.getsockname()[1]
            for number in range(peers):
                sender.sendto(b"x", (f"127.0.1.{number + 1}", port))
            daemon.stop()
        flows = [flow for flow in daemon.flows(port) if flow["remote_port"] == port]
        lost = daemon.rows("SELECT sum(count) AS lost FROM coverage WHERE what = 'map full'")
        self.assertLess(len(flows), peers)
        self.assertGreaterEqual(len(flows) + (lost[0]["lost"] or 0), peers)

    def test_a_full_table_is_counted(self):
        daemon = self.start_daemon("--max-flows", "16", "--active-timeout", "1h")
        sink = self.start_program(harness.STORM, "sink")
        port = int(self.read_line(sink))
        hold = self.start_program(harness.STORM, "hold", "127.0.0.1", str(port), "40",
                                  stdin=subprocess.PIPE)
        harness.wait_until("a full table", lambda: self.gaps(daemon, "what = 'table full'"))
        hold.stdin.close()
        hold.wait(30)
        daemon.stop()
        early = len(daemon.flows(port, "outcome = 'lost'"))
        told = daemon.rows("SELECT sum(count) AS told FROM coverage WHERE what = 'table full'")
        self.assertGreater(early, 0)
        self.assertGreaterEqual(told[0]["told"] + 16, early)  # 16 were open at the end


class Reconciled(harness.Case):
    """In a network namespace of the daemon's own, so that nobody else's traffic is compared."""

    def flood(self, daemon, kind, over):
        """talk until over() is true; in the daemon's network."""
        flood = self.start_program(
            "nsenter", f"--net=/proc/{daemon.pid}/ns/net", harness.PYTHON, __file__, kind,
            stdin=subprocess.PIPE)
        harness.wait_until("the end of the flood", over)
        flood.stdin.close()
        return int(self.read_line(flood))

    def start(self, *options):
        self.need_kernel()
        self.need_program("nsenter")
        return self.start_daemon("--reconcile-interval", "1s", *options, prefix=OWN_NETWORK)

    def test_a_hook_that_sees_nothing_is_found_out(self):
        daemon = self.start("--disable-slot", "datagram")
        begin = now_us()
        unaccounted = "SELECT * FROM coverage WHERE what = 'unaccounted'"
        sent = self.flood(daemon, "datagrams", lambda: daemon.rows(unaccounted))
        end = now_us()
        daemon.stop()
        row = harness.one(self, daemon.rows(unaccounted))
        self.assertEqual((row["detail"], row["missed"]), ("UDP datagrams sent", "some"))
        self.assertTrue(10000 <= row["count"] <= sent, f"{row} of {sent}")
        self.assertTrue(row["from_us"] < end and row["until_us"] > begin, row)
        self.assertEqual(daemon.log().count("may be blind"), 1)

    def test_hooks_that_see_are_not_suspected(self):
        daemon = self.start()
        for kind in ("datagrams", "stream"):
            enough = time.monotonic() + 5  # intervals
            packets = self.flood(daemon, kind, lambda end=enough: time.monotonic() > end)
            self.assertGreater(packets, 50000, "not enough to be judged")
        daemon.stop()
        self.assertEqual(daemon.rows("SELECT * FROM coverage WHERE what = 'unaccounted'"), [])


class Shown(harness.Case):
    """What lastconn says of histories whose coverage is known."""

    def lastconn(self, *arguments, status=0, database=None):
        done = subprocess.run(
            [harness.LASTCONN, *arguments, "--utc", "--db", database or self.path("history.db")],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60 * harness.SLOW,
            check=False)
        self.assertEqual(done.returncode, status, f"{arguments}: {done.stdout} {done.stderr}")
        return done

    def history(self, *gaps, until=T0 + DAY, alive=False):
        """A day of lastconnd, with a flow in its second hour."""
        history = History(self.path("history.db"))
        curl = history.process(7, "/usr/bin/curl")
        history.flow(curl, "192.0.2.1", T0 + HOUR, T0 + HOUR + SECOND)
        last = self.last = now_us() - 20 * SECOND if alive else until
        history.db.execute("UPDATE run SET start_us = ?, heartbeat_us = ?, end_us = ?",
                           (T0, last, None if alive else last))
        for begin, end, what, count, detail in gaps:
            history.insert("coverage_interval", run=history.run, from_us=T0 + begin,
                           until_us=T0 + end, source="ebpf", what=what, count=count,
                           detail=detail)
        history.close()

    @staticmethod
    def moment(time_us):
        return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time_us // SECOND))

    def set_run(self, **values):
        with contextlib.closing(sqlite3.connect(self.path("history.db"))) as database, database:
            for column, value in values.items():
                database.execute(f"UPDATE run SET {column} = ?", (value,))

    def test_a_window_ends_with_what_is_stored(self):
        self.history(alive=True)
        self.assertIn(f" to {self.moment(self.last)}: that is evidence",
                      self.nothing("flows", "--since", "2025-11-20"))
        self.assertIn("no evidence; coverage: the window is not stored yet",
                      self.nothing("flows", "--since", self.moment(now_us() - 2 * SECOND)))
        begin = now_us() - 2 * SECOND
        self.set_run(start_us=begin, heartbeat_us=begin)
        self.assertIn("no evidence; coverage: the window is not stored yet",
                      self.nothing("flows", "--exe", "nobody"))
        self.assertIn("before the first record", self.nothing("flows", "--until", "2025-11-01"))
        self.set_run(start_us=T0, heartbeat_us=now_us() - 120 * SECOND)
        error = self.nothing("flows", "--since", "2025-11-20")
        self.assertIn("no evidence; coverage: ", error)
        self.assertIn("a gap of 2m (no sign of life ", error)

    def test_a_history_from_after_now_is_no_evidence(self):
        self.history(alive=True)
        for end in (None, now_us() + HOUR):
            self.set_run(heartbeat_us=now_us() + HOUR, end_us=end)
            self.assertIn("no evidence; coverage: the history goes on after now",
                          self.nothing("flows", "--since", "2025-11-20"))

    def test_times_in_doubt_and_names_are_no_evidence(self):
        self.history((2 * HOUR, 3 * HOUR, "clock step", 3600000, "forward"), alive=True)
        self.assertIn("no evidence; coverage: recorded from 2025-11-19 02:10:00 to 2025-11-19"
                      " 02:20:00; the clock was set by 3600 s\n",
                      self.nothing("flows", "--since", "2025-11-19 02:10",
                                   "--until", "2025-11-19 02:20"))
        good = ("--since", "2025-11-19 03:30", "--until", "2025-11-19 04:30")
        for more in ((), ("--resolve",)):
            done = self.lastconn("who", "localhost", *good, *more, status=1)
            self.assertNotIn("that is evidence", done.stderr)

    def line(self, *arguments):
        return self.lastconn(*arguments).stdout.splitlines()[-1]

    def test_tables_end_with_the_coverage_of_their_window(self):
        self.history(alive=True)
        for command in (("who", "192.0.2.1"), ("flows",), ("top",)):
            self.assertEqual(self.line(*command), "coverage: complete from 2025-11-19 00:00:00 to "
                             + self.moment(self.last))
        self.assertEqual(self.line("flows", "--since", "2025-11-19 00:30", "--until", "2025-11-20"),
                         "coverage: complete from 2025-11-19 00:30:00 to 2025-11-20 00:00:00")

    def test_gaps_and_losses_are_in_the_line(self):
        self.history((2 * HOUR, 3 * HOUR, "down", 0, "killed"),
                     (5 * HOUR, 5 * HOUR + 90 * SECOND, "down", 0, "stopped"),
                     (3 * HOUR, 4 * HOUR, "ring full", 142, "x"),
                     (6 * HOUR, 7 * HOUR, "ring full", 3, "x"),
                     (0, 24 * HOUR, "slot missing", 0, "datagram: no UDP"),
                     (0, 24 * HOUR, "owners unsure", 0, "use: less"),
                     (4 * HOUR, 5 * HOUR, "suspend", 3600000, ""))
        day = ("--until", "2025-11-20")
        self.assertEqual(
            self.line("flows", *day),
            "coverage: 95.72 % of the time from 2025-11-19 00:00:00 to 2025-11-20 00:00:00; 2 gaps,"
            " the longest 1h (down, killed 2025-11-19 02:00:00 - 2025-11-19 03:00:00); 145 events"
            " lost in the ring; hooks missing: datagram; owners less sure: use; the machine slept 3600 s")
        self.assertIn("; a gap of 1.5m (down, stopped 2025-11-19 05:00:00",
                      self.lastconn("flows", "--since", "2025-11-19 04:00", *day,
                                    status=1).stderr)

    def test_gaps_that_overlap_or_touch_are_one(self):
        self.history((HOUR, 3 * HOUR, "down", 0, "killed, then a reboot"),
                     (3 * HOUR, 4 * HOUR, "down", 0, "not yet started after the boot"),
                     (2 * HOUR, 5 * HOUR, "down", 0, "again"))
        self.assertIn("coverage: 83.33 % of the time", self.line("flows", "--until", "2025-11-20"))
        self.assertIn("; a gap of 4h (down, killed, then a reboot and more 2025-11-19 01:00:00 -"
                      " 2025-11-19 05:00:00)",
                      self.line("flows", "--until", "2025-11-20"))

    def nothing(self, *arguments):
        done = self.lastconn(*arguments, status=1)
        self.assertNotIn("coverage", done.stdout)
        self.assertEqual(done.stderr.count("\n"), 1)
        return done.stderr

    def test_nothing_found_says_whether_that_is_evidence(self):
        self.history((2 * HOUR, 3 * HOUR, "down", 0, "killed"),
                     (5 * HOUR, 6 * HOUR, "map full", 9, "x"),
                     (7 * HOUR, 8 * HOUR, "owners unsure", 0, "use: less"), alive=True)
        who = ("who", "198.51.100.9")
        good = ("--since", "2025-11-19 03:30", "--until", "2025-11-19 04:30")
        for more in ((), ("--format", "json"), ("--exe", "curl")):
            self.assertEqual(
                self.nothing(*who, *good, *more),
                "lastconn: nothing found; the history is complete from 2025-11-19 03:30:00 to"
                " 2025-11-19 04:30:00: that is evidence\n")
        self.assertIn("no evidence; coverage: ", self.nothing(*who))
        self.assertIn("9 losses in full kernel maps",
                      self.nothing(*who, "--since", "2025-11-19 05:30"))
        owners = ("--since", "2025-11-19 07:10", "--until", "2025-11-19 07:20")
        self.assertIn("that is evidence", self.nothing(*who, *owners))
        self.assertIn("no evidence", self.nothing(*who, *owners, "--exe", "curl"))

    def test_outside_of_the_recorded_time_nothing_is_evidence(self):
        self.history()
        error = self.nothing("flows", "--exe", "nobody")
        self.assertIn("no evidence; coverage: ", error)
        self.assertIn(" (down 2025-11-20 00:00:00 - ", error)
        error = self.nothing("flows", "--until", "2025-11-19 00:00:00",
                             "--since", "2025-11-18 00:00:00")
        self.assertIn("0.00 % of the time", error)
        self.assertIn("(not begun 2025-11-18 00:00:00 - 2025-11-19 00:00:00)", error)
        self.assertIn("still to come", self.nothing("flows", "--since", "2100-01-01"))
        self.assertIn("before the first record", self.nothing("flows", "--until", "2025-11-01"))

    def test_scripts_get_rows_and_no_line(self):
        self.history((2 * HOUR, 3 * HOUR, "down", 0, "killed"))
        for form in ("csv", "json", "jsonl"):
            done = self.lastconn("flows", "--format", form)
            self.assertNotIn("coverage", done.stdout + done.stderr)
        line = json.loads(self.lastconn("report", "coverage", "line=1", "until=2025-11-20",
                                        "--format", "json").stdout)
        self.assertEqual(harness.one(self, line)["evidence"], 0)
        rows = json.loads(self.lastconn("coverage", "--until", "2025-11-20",
                                        "--format", "json").stdout)
        self.assertEqual([row["what"] for row in rows], ["window", "down", "recorded"])
        window, down, run = rows
        self.assertEqual((window["share"], window["duration_us"]), (95.83, DAY))
        self.assertEqual((down["missed"], down["duration_us"], down["detail"], down["source"]),
                         ("all", HOUR, "killed", "ebpf"))
        self.assertTrue(down["from_time"].startswith("2025-11-19T02:00:00"))
        self.assertIn("nothing was recorded", down["means"])
        self.assertEqual((run["missed"], run["duration_us"]), ("none", DAY))
        table = self.lastconn("coverage", "--limit", "1").stdout
        self.assertIn("window", table)
        self.assertNotIn("recorded (", table)

    def test_a_window_that_ends_before_it_begins_holds_no_gap(self):
        self.history((2 * HOUR, 9 * HOUR, "down", 0, "killed"), (HOUR, 10 * HOUR, "suspend", 5, ""))
        for since, until, whats in (("03:00", "08:00", ["window", "suspend", "down", "recorded"]),
                                    ("08:00", "03:00", ["window", "recorded"])):
            rows = json.loads(self.lastconn("coverage", "--since", f"2025-11-19 {since}", "--until",
                                            f"2025-11-19 {until}", "--format", "json").stdout)
            self.assertEqual(sorted(row["what"] for row in rows), sorted(whats))
        self.assertEqual(rows[0]["means"], "the window is empty")

    def test_the_own_report_of_a_user_can_do_without_the_line(self):
        self.history()
        queries = self.path("queries")
        os.mkdir(queries)
        with open(os.path.join(queries, "coverage.sql"), "w", encoding="ascii") as file:
            file.write("-- Mine.\nSELECT 1 AS one\n")
        done = self.lastconn("flows", "--queries", queries)
        self.assertNotIn("coverage", done.stdout + done.stderr)

    def test_a_capture_file_speaks_of_its_own_span(self):
        first = T0 - capture_make.START * SECOND
        packets = [(first + seconds * SECOND, capture_make.ethernet(capture_make.ip4(
            "192.0.2.10", "192.0.2.53", 17, capture_make.udp(5000, 53, b"x"))))
                   for seconds in (0, 30, 90)]
        path = self.path("traffic.pcap")
        with open(path, "wb") as file:
            file.write(capture_make.pcap(1, packets))
        database = self.read_capture(path)
        span = "from 2025-11-19 00:00:00 to 2025-11-19 00:01:30"
        done = self.lastconn("flows", database=database)
        self.assertEqual(done.stdout.splitlines()[-1],
                         f"coverage: complete {span}; owners less sure: capture file")
        done = self.lastconn("who", "203.0.113.9", database=database, status=1)
        self.assertIn(f"the history is complete {span}; owners less sure: capture file:"
                      " that is evidence", done.stderr)
        done = self.lastconn("who", "192.0.2.53", "--exe", "curl", database=database, status=1)
        self.assertIn("no evidence; coverage: ", done.stderr)
        done = self.lastconn("who", "203.0.113.9", "--until", "2025-11-19 00:03",
                             database=database, status=1)
        self.assertIn("50.00 % of the time", done.stderr)
        self.assertIn("(not in the file 2025-11-19 00:01:30 - 2025-11-19 00:03:00)", done.stderr)
        rows = json.loads(self.lastconn("coverage", "--format", "json",
                                        database=database).stdout)
        self.assertEqual([row["what"] for row in rows], ["window", "file", "owners unsure"])

    def test_a_capture_file_with_packets_that_cannot_be_read_is_no_evidence(self):
        datagram = capture_make.ip4("192.0.2.10", "192.0.2.53", 17, capture_make.udp(5000, 53, b"x"))
        path = self.path("traffic.pcap")
        with open(path, "wb") as file:
            file.write(capture_make.pcap(1, [
                (0, capture_make.ethernet(datagram)),
                (SECOND, capture_make.ethernet(datagram[:21]))]))
        done = self.lastconn("who", "203.0.113.9", database=self.read_capture(path), status=1)
        self.assertIn("no evidence; coverage: recorded from ", done.stderr)
        self.assertIn("; packets that could not be read: 1;", done.stderr)


def flood(kind):
    """Talks to itself on the loopback until standard input ends; prints how many packets, or for a
    stream pieces of a segment's size, were sent."""
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    os.set_blocking(0, False)
    sent = 0
    if kind == "datagrams":
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        while still_wanted():
            for _ in range(1000):
                sender.sendto(b"x" * 100, receiver.getsockname())
            sent += 1000
    else:
        listener = socket.create_server(("127.0.0.1", 0))
        client = socket.create_connection(listener.getsockname())
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server, _ = listener.accept()
        while still_wanted():
            for _ in range(1000):
                client.sendall(b"x" * 100)
                server.recv(65536)
            sent += 1000
    print(sent)


def still_wanted():
    """Is standard input still open?"""
    try:
        return os.read(0, 1) != b""
    except BlockingIOError:
        return True


if __name__ == "__main__":
    if sys.argv[1:] in (["datagrams"], ["stream"]):
        flood(sys.argv[1])
    else:
        harness.main()
