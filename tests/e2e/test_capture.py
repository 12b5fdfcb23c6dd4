#!/usr/bin/env python3
"""`lastconnd -r` on captures of the test's own traffic agrees with the kernel source's records of
the same traffic: same ends, same octets of payload."""
import collections
import json
import os
import signal
import socket
import subprocess

import harness

MARKER = b"lastconn-end-of-capture"


class Capture(harness.Case):

    def start_capture(self, *options):
        """tcpdump into a file; returns when it captures."""
        tcpdump = self.need_program("tcpdump")
        path = self.path("traffic.pcap")
        process = self.start_program(
            tcpdump, *options, "-Z", "root", "-n", "-U", "--immediate-mode", "-s", "256",
            "-w", path, stderr=subprocess.PIPE)
        for _ in range(20):
            if "listening on" in self.read_line(process, process.stderr):
                return process, path
        self.fail("tcpdump does not listen")

    def stop_capture(self, process, path):
        """When a marked datagram is in the file, everything before it is."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            own = sock.getsockname()

            def written():
                sock.sendto(MARKER, own)
                with open(path, "rb") as file:
                    return MARKER in file.read()
            harness.wait_until("the end of the capture", written)
        process.send_signal(signal.SIGINT)
        process.wait(30)

    def make_traffic(self):
        """TCP and UDP over IPv4 and IPv6; the two ports of each conversation."""
        pairs = []
        for address, flags in (("127.0.0.1", ()), ("::1", ()), ("127.0.0.1", ("--mapped",)),
                               ("127.0.0.1", ("--abort",))):
            for octets in (1, 1460) if "--abort" in flags else (0, 1, 1460, 70000):
                server = self.start_program(
                    harness.PYTHON, harness.TALK, "serve", address, "1",
                    *(flag for flag in flags if flag == "--abort"))
                port = json.loads(self.read_line(server))["port"]
                client = json.loads(self.run_program(
                    harness.PYTHON, harness.TALK, "talk", address, str(port), str(octets),
                    *flags).stdout)
                self.finish(server)
                pairs.append({port, client["port"]})
        for address in ("127.0.0.1", "::1"):
            echo = self.start_program(harness.PYTHON, harness.TALK, "echo", address, "20")
            peers = json.loads(self.read_line(echo))["ports"]
            client = json.loads(self.run_program(
                harness.PYTHON, harness.TALK, "peers", address, *map(str, peers)).stdout)
            self.finish(echo)
            pairs.extend({port, client["port"]} for port in peers)
        return pairs

    def record(self, *options, database=None):
        """The same traffic by tcpdump and by the kernel source: capture file, daemon, port pairs."""
        daemon = self.start_daemon(database=database)
        process, path = self.start_capture(*options)
        pairs = self.make_traffic()
        harness.wait_until("the kernel's records", lambda: len(self.kernel_flows(daemon, pairs))
                           >= 2 * len(pairs))
        self.stop_capture(process, path)
        daemon.stop()
        return path, daemon, pairs

    @staticmethod
    def of_ours(flows, pairs):
        """Without what else goes on on the machine."""
        return [flow for flow in flows if {flow["local_port"], flow["remote_port"]} in pairs]

    @staticmethod
    def kernel_flows(daemon, pairs):
        return Capture.of_ours(daemon.rows("SELECT * FROM flows WHERE open = 0"), pairs)

    @staticmethod
    def ends(flow, turned=False):
        ends = [(flow["local_ip"], flow["local_port"], flow["octets_out"]),
                (flow["remote_ip"], flow["remote_port"], flow["octets_in"])]
        return (flow["protocol"], *ends[::-1 if turned else 1])

    def compare(self, path, daemon, pairs, database=None):
        """Every conversation of the kernel source is in the capture, once, and the same."""
        database = self.read_capture(path, database=database)
        captured = self.of_ours(harness.rows(database, "SELECT * FROM flows"), pairs)
        flows = self.kernel_flows(daemon, pairs)
        outgoing = collections.Counter(self.ends(f) for f in flows if f["direction"] == "out")
        incoming = collections.Counter(self.ends(f, True) for f in flows
                                       if f["direction"] == "in")
        self.assertEqual(outgoing, incoming, "the kernel source's two sides")
        self.assertEqual(sum(outgoing.values()), len(pairs))
        seen = collections.Counter(
            self.ends(f, f["direction"] == "in") for f in captured)
        self.assertEqual(sorted(seen.items()), sorted(outgoing.items()))
        for flow in captured:
            self.assert_flow(flow, {"pid": None, "exe": None, "open": 0, "method": "unknown",
                                    "source": "file"})
        return captured, flows

    def test_loopback_capture_agrees_with_the_kernel_source(self):
        path, daemon, pairs = self.record("-i", "lo")
        captured, flows = self.compare(path, daemon, pairs)
        self.assertEqual({f["direction"] for f in captured}, {"out"})
        by_ends = {self.ends(f): f for f in flows if f["direction"] == "out"}
        for flow in captured:
            twin = by_ends[self.ends(flow)]
            self.assertLess(abs(flow["start_us"] - twin["start_us"]), 100000, flow)
            if flow["protocol"] == "tcp":
                self.assertEqual(flow["outcome"], twin["outcome"])

    def test_reading_twice_and_reading_standard_input_say_the_same(self):
        path, daemon, pairs = self.record("-i", "lo")
        first, _ = self.compare(path, daemon, pairs)
        database = self.path("stdin.db")
        with open(path, "rb") as file:
            done = subprocess.run([harness.LASTCONND, "-r", "-", "--db", database], stdin=file,
                                  capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        second = self.of_ours(harness.rows(database, "SELECT * FROM flows"), pairs)
        self.assertEqual(first, second)

    def test_cooked_captures_of_any_device(self):
        for link_type in ("LINUX_SLL2", "LINUX_SLL"):
            with self.subTest(link_type):
                os.mkdir(self.path(link_type))
                path, daemon, pairs = self.record(
                    "-i", "any", "-y", link_type, database=self.path(f"{link_type}/history.db"))
                self.compare(path, daemon, pairs, database=self.path(f"{link_type}/capture.db"))

    def test_a_capture_into_the_database_of_the_machine(self):
        path, daemon, pairs = self.record("-i", "lo")
        before = self.kernel_flows(daemon, pairs)
        self.read_capture(path, database=daemon.db)
        after = self.kernel_flows(daemon, pairs)
        self.assertEqual(len(after), len(before) + len(pairs))
        sources = collections.Counter(flow["source"] for flow in after)
        self.assertEqual(dict(sources), {"ebpf": len(before), "file": len(pairs)})


if __name__ == "__main__":
    harness.main()
