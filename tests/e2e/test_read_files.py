#!/usr/bin/env python3
"""`lastconnd -r` with several files, a filter, a pipe, a terminal and Ctrl-C. Needs no root, but for
tcpdump, which writes the pipe."""
import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time

import harness

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "replay"))
import capture_make as make  # noqa: E402

CLIENT, SERVER = "192.0.2.1", "198.51.100.7"
SECOND = 1000000


def datagrams(first, count, port=4000, wrap=make.ethernet):
    """One a second, of ten octets, from this second on."""
    packet = make.ip4(CLIENT, SERVER, make.UDP, make.udp(port, 9999, b"0123456789"))
    return [(SECOND * second, wrap(packet)) for second in range(first, first + count)]


class Files(harness.Case):

    def setUp(self):
        super().setUp()
        self.database = self.path("read.db")

    def write(self, name, data):
        path = self.path(name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def pcap(self, name, packets, link_type=make.ETHERNET):
        return self.write(name, make.pcap(link_type, packets))

    def read(self, *options, status=0, **more):
        done = self.run_daemon(*options, "--db", self.database, **more)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stderr

    def flows(self):
        return harness.rows(self.database, "SELECT * FROM flows ORDER BY end_us")

    def gaps(self, what):
        return harness.rows(self.database, "SELECT * FROM coverage WHERE what = ?", what)

    def span(self):
        """Begin and end of what the run read, in seconds of the test."""
        run = harness.one(self, harness.rows(self.database, "SELECT * FROM run"))
        return [run[column] / SECOND - make.START for column in ("file_from_us", "file_until_us")]

    def parts(self):
        """The datagrams of nine seconds in three files of three kinds."""
        return [self.pcap("a.pcap", datagrams(0, 3)),
                self.write("b.pcapng", make.pcapng([make.RAW], datagrams(3, 3, wrap=bytes))),
                self.pcap("c.pcap", [(us, make.sll2(frame, 4)) for us, frame in
                                     datagrams(6, 3, wrap=bytes)], make.SLL2)]


class Several(Files):

    def test_a_flow_goes_on_in_the_next_file(self):
        parts = self.parts()
        for number, options in enumerate((["-r", parts[0], "-r", parts[1], "-r", parts[2]],
                                          ["-r", *parts])):
            with self.subTest(options):
                self.database = self.path(f"{number}.db")
                self.assertIn("3 files: 9 packets, 1 flows", self.read(*options))
                self.assert_flow(harness.one(self, self.flows()), {
                    "packets_out": 9, "octets_out": 90, "duration_us": 8 * SECOND})
                self.assertEqual(self.span(), [0, 8])
                self.assertEqual(self.gaps("not in the file"), [])

    def test_a_file_with_a_comma_in_its_name(self):
        self.read("-r", self.pcap("a,b.pcap", datagrams(0, 1)))
        self.assertEqual(len(self.flows()), 1)

    def test_files_that_go_back_in_time_end_the_flows(self):
        first, second = self.pcap("a", datagrams(0, 5)), self.pcap("b", datagrams(500, 5))
        said = self.read("-r", second, first)
        self.assertIn(f"{first} begins 504 s before the end of {second}", said)
        self.assertEqual(said.count("\n"), 2, said)
        self.assertEqual([(flow["start_us"] // SECOND - make.START, flow["duration_us"],
                           flow["packets_out"]) for flow in self.flows()],
                         [(0, 4 * SECOND, 5), (500, 4 * SECOND, 5)])
        self.assertEqual(self.span(), [0, 504])

    def test_a_long_flow_in_a_file_out_of_order_is_one_flow(self):
        """And does not time out packet by packet, by a clock that is ahead of it."""
        late, early = self.pcap("late", datagrams(5000, 1)), self.pcap("early", datagrams(0, 4200))
        self.read("-r", late, early, "--active-timeout", "1h")
        self.assertEqual([flow["packets_out"] for flow in self.flows()], [4200, 1])

    def test_packets_a_little_out_of_order_end_nothing(self):
        early = [(us - 1500000, frame) for us, frame in datagrams(4, 1)]
        first, second = self.pcap("a", datagrams(0, 4)), self.pcap("b", early + datagrams(4, 2))
        self.assertIn("begins 0.5 s before", self.read("-r", first, second))
        self.assertEqual(harness.one(self, self.flows())["packets_out"], 7)

    def test_nobody_looked_between_two_files(self):
        first, second = self.pcap("a", datagrams(0, 2)), self.pcap("b", datagrams(3600, 2))
        self.read("-r", first, second)
        gap = harness.one(self, self.gaps("not in the file"))
        self.assertEqual((gap["from_us"], gap["until_us"], gap["missed"]),
                         ((make.START + 1) * SECOND, (make.START + 3600) * SECOND, "all"))
        window = self.ask(self.database, "coverage")[0]
        self.assertLess(window["share"], 1)

    def test_a_truncated_file_in_the_middle(self):
        first, second, third = self.parts()
        with open(second, "r+b") as file:
            file.truncate(os.path.getsize(second) - 9)
        said = self.read("-r", first, second, third, status=1)
        self.assertEqual(said.count("\n"), 2, said)
        self.assertIn(f"lastconnd: {second}: damaged after 2 packets", said)
        self.assertEqual(harness.one(self, self.flows())["packets_out"], 8)
        gap = harness.one(self, self.gaps("file truncated"))
        self.assertEqual(gap["from_us"], (make.START + 4) * SECOND)

    def test_a_file_that_is_no_capture_is_named_and_left_out(self):
        first, _, third = self.parts()
        bad = self.write("bad", b"this is not a capture\n" * 10)
        for order in ([bad, first, third], [first, bad, third]):
            with self.subTest(order):
                self.database = self.path(f"{order.index(bad)}.db")
                said = self.read("-r", *order, status=1)
                self.assertIn(f"lastconnd: {bad}: is no capture file", said)
                self.assertEqual(harness.one(self, self.flows())["packets_out"], 6)

    def test_a_file_without_packets_behind_one_that_cannot_be_read(self):
        bad = self.write("bad", make.pcapng([147], datagrams(50, 3)))
        empty, good = self.pcap("empty", []), self.pcap("good", datagrams(0, 3))
        for number, order in enumerate(([bad, empty], [bad, empty, good], [good, bad, empty])):
            with self.subTest(order):
                self.database = self.path(f"{number}.db")
                self.assertIn("link type", self.read("-r", *order, status=1))
                self.assertEqual(len(self.flows()), int(good in order))
                self.assertEqual(self.gaps("not in the file"), [])

    def test_a_missing_file_stops_before_anything_is_read(self):
        said = self.read("-r", self.pcap("a", datagrams(0, 1)), "tcp", status=1)
        self.assertIn("lastconnd: tcp: No such file", said)
        self.assertIn("--filter", said)
        self.assertFalse(os.path.exists(self.database))

    def test_standard_input_is_read_once(self):
        first, second, third = self.parts()
        with open(second, "rb") as file:
            done = subprocess.run(
                [harness.LASTCONND, "-r", first, "-", third, "--db", self.database], stdin=file,
                capture_output=True, text=True, timeout=60 * harness.SLOW, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(harness.one(self, self.flows())["packets_out"], 9)
        self.assertIn("only once", self.read("-r", "-", "-", status=2))


class Filter(Files):

    def test_packets_that_do_not_match_are_counted(self):
        capture = self.pcap("a", datagrams(0, 3) + datagrams(3, 4, port=5000))
        self.assertIn("7 packets, 1 flows", said := self.read(
            "-r", capture, "--filter", "udp port 5000 and not host 192.0.2.77"))
        self.assertIn(", 3 filtered)", said)
        self.assertEqual(harness.one(self, self.flows())["packets_out"], 4)
        gap = harness.one(self, self.gaps("filtered"))
        self.assertEqual((gap["count"], gap["missed"]), (3, "some"))
        self.assertIn("udp port 5000", gap["detail"])
        self.assertEqual(self.span(), [0, 6])

    def test_a_wrong_filter_is_told_in_one_line_and_writes_nothing(self):
        packet = datagrams(0, 1, wrap=bytes)[0][1]
        captures = [self.pcap("a", datagrams(0, 1)),
                    self.write("b", make.pcapng([make.RAW], datagrams(0, 1, wrap=bytes))),
                    self.pcap("c", [(0, make.pktap2(make.RAW, packet, 1, b"x", make.OUT))],
                              make.PKTAP)]
        for capture in captures:
            with self.subTest(capture):
                said = self.read("-r", capture, "--filter", "tcp prot 80", status=2)
                self.assertTrue(said.startswith(f"lastconnd: {capture}: the filter"), said)
                self.assertIn("syntax error", said)
                self.assertEqual(said.count("\n"), 1, said)
                self.assertFalse(os.path.exists(self.database))

    def test_one_expression_for_interfaces_of_two_link_types(self):
        packets = [(us, frame, number) for number, wrap in enumerate((make.ethernet, bytes))
                   for port in (4000, 5000)
                   for us, frame in datagrams(4 * number, 2, port=port, wrap=wrap)]
        self.read("-r", self.write("a", make.pcapng([make.ETHERNET, make.RAW], packets)),
                  "--filter", "port 5000")
        flow = harness.one(self, self.flows())
        self.assertEqual((flow["local_port"], flow["packets_out"]), (5000, 4))

    def test_a_link_type_that_the_filter_does_not_know(self):
        packets = [(us, frame, number) for number, wrap in enumerate((make.ethernet, bytes))
                   for us, frame in datagrams(2 * number, 2, wrap=wrap)]
        said = self.read("-r", self.write("a", make.pcapng([make.ETHERNET, make.RAW], packets)),
                         "--filter", "ether host 02:00:00:00:00:01", status=1)
        self.assertIn("could not be applied to 2 packets", said)
        self.assertIn("link type RAW", said)
        self.assertEqual(harness.one(self, self.flows())["packets_out"], 2)
        self.assertEqual(harness.one(self, self.gaps("filtered"))["count"], 2)

    def test_the_filter_looks_below_the_header_of_pktap(self):
        packets = [(us, make.pktap2(make.RAW, packet, 7, b"dig", make.OUT))
                   for port in (4000, 5000) for us, packet in datagrams(0, 2, port, bytes)]
        self.read("-r", self.pcap("a", packets, make.PKTAP), "--filter", "port 5000")
        self.assert_flow(harness.one(self, self.flows()), {"local_port": 5000, "pid": 7})

    def test_the_same_packets_as_tcpdump(self):
        tcpdump = self.need_program("tcpdump")
        capture = self.pcap("a", [packet for port in range(4000, 4020)
                                  for packet in datagrams(port - 4000, 3, port)])
        chosen = self.path("chosen.pcap")
        for expression in ("udp src port 4007", "portrange 4003-4009", "not port 4001",
                           "ip[8] = 64 and udp[0:2] & 1 = 1", "tcp"):
            with self.subTest(expression):
                self.run_program(tcpdump, "-Z", "root", "-r", capture, "-w", chosen, expression)
                found = []
                for options in (["-r", capture, "--filter", expression], ["-r", chosen]):
                    self.database = self.path("x.db")
                    self.read(*options)
                    found.append([(flow["local_port"], flow["packets_out"], flow["start_us"])
                                  for flow in self.flows()])
                    os.unlink(self.database)
                self.assertEqual(*found)


class Watched(Files):

    def test_a_pipe_from_tcpdump(self):
        tcpdump = self.need_program("tcpdump")
        capture = self.pcap("a", datagrams(0, 9))
        writer = self.start_program(tcpdump, "-Z", "root", "-U", "-r", capture, "-w", "-",
                                    stderr=subprocess.DEVNULL)
        done = subprocess.run([harness.LASTCONND, "-r", "-", "--db", self.database],
                              stdin=writer.stdout, capture_output=True, text=True,
                              timeout=60 * harness.SLOW, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(harness.one(self, self.flows())["packets_out"], 9)

    def start_reader(self, stderr, *options):
        """lastconnd at the end of a pipe; it, and the pipe."""
        process = self.start_program(harness.LASTCONND, "-r", "-", *options, "--db",
                                     self.database, stdin=subprocess.PIPE, stderr=stderr)
        return process, process.stdin.buffer

    def feed(self, pipe, first, count):
        data = make.pcap(make.ETHERNET, datagrams(first, count))
        pipe.write(data if first == 0 else data[24:])
        pipe.flush()

    def test_ctrl_c_keeps_what_was_read(self):
        process, pipe = self.start_reader(subprocess.PIPE, "--log-level", "info")
        self.feed(pipe, 0, 9000)
        harness.wait_until("the database", lambda: os.path.exists(self.database)
                           and os.path.getsize(self.database) > 0)
        # it has read two slices, and waits for the third
        harness.wait_until("the reader", lambda: self.waits_for_input(process))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60 * harness.SLOW)
        self.assertEqual(process.returncode, 1, said)
        self.assertIn("interrupted after", said)
        self.assertEqual(said.count("\n"), 1, said)
        packets = int(said.split("interrupted after ")[1].split()[0])
        self.assertGreater(packets, 8000)
        self.assertEqual(sum(flow["packets_out"] for flow in self.flows()), packets)

    @staticmethod
    def waits_for_input(process):
        """All that was written is read, and the process sleeps."""
        left = fcntl.ioctl(process.stdin.fileno(), termios.FIONREAD, bytes(4))
        with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
            return left == bytes(4) and file.read().rsplit(")", 1)[1].split()[0] == "S"

    def read_terminal(self, master, wanted, seconds=30):
        said = b""
        deadline = time.monotonic() + seconds * harness.SLOW
        while wanted not in said and time.monotonic() < deadline:
            if select.select([master], [], [], 0.1)[0]:
                said += os.read(master, 65536)
            else:
                yield said
        yield said

    def test_progress_on_a_terminal(self):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        process, pipe = self.start_reader(slave)
        os.close(slave)
        sent = 0
        for said in self.read_terminal(master, b"packets/s"):
            self.feed(pipe, sent, 5000)
            sent += 5000
        self.assertIn(b" flows, ", said)
        self.assertIn(b"\r", said)
        self.assertNotIn(b"%", said)  # of a pipe
        pipe.close()
        for said in self.read_terminal(master, b" not IP)"):
            pass
        self.assertIn(b"\033[Klastconnd: -: ", said)
        self.assertEqual(process.wait(60 * harness.SLOW), 0)

    def test_no_progress_without_a_terminal(self):
        said = self.read("-r", self.pcap("a", datagrams(0, 20000)))
        self.assertNotIn("\r", said)
        self.assertEqual(said.count("\n"), 1, said)


if __name__ == "__main__":
    harness.main()
