#!/usr/bin/env python3
"""Listening sockets with the time from which and until which they listened."""
import json
import os
import socket
import subprocess
import sys
import time

import harness

CONTAIN = os.path.join(harness.ROOT, "tests", "support", "contain.py")
SLACK_US = 20_000  # the wall clock is read beside the system call, and lastconnd's offset to it

# Each says what it did and when, waits for a line on standard input, and says when it closed.
PROGRAM = """
import json, os, socket, sys, time
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
began = time.time()
s = socket.socket(family, socket.%s)
s.bind((sys.argv[1], 0))
%s
print(json.dumps({"port": s.getsockname()[1], "pid": os.getpid(), "began": began,
                  "listens": time.time()}), flush=True)
sys.stdin.readline()
closes = time.time()
s.close()
print(json.dumps({"closes": closes, "closed": time.time()}), flush=True)
sys.stdin.readline()
"""

TCP = PROGRAM % ("SOCK_STREAM", "s.listen()")
UDP = PROGRAM % ("SOCK_DGRAM", "")

# The listener goes to a child, which accepts after its parent is gone.
PASSED = """
import json, os, socket, sys, time
s = socket.create_server((sys.argv[1], 0))
near, far = socket.socketpair()
hold, held = os.pipe()
pid = os.fork()
if pid == 0:
    _, fds, _, _ = socket.recv_fds(far, 1, 1)
    s.close()
    own = socket.socket(fileno=fds[0])
    os.read(hold, 1)
    peer, _ = own.accept()
    peer.recv(10); peer.sendall(b"answer"); peer.close()
    sys.stdin.readline()
    own.close()
    print(json.dumps({"closed": time.time()}), flush=True)
    os._exit(0)
socket.send_fds(near, [b"x"], [s.fileno()])
print(json.dumps({"port": s.getsockname()[1], "pid": os.getpid(), "child": pid}), flush=True)
s.close()
os.write(held, b"x")
"""


class Listeners(harness.Case):

    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()

    def start(self, program, address="127.0.0.1", prefix=()):
        process = self.start_program(*prefix, harness.PYTHON, "-c", program, address,
                                     stdin=subprocess.PIPE)
        return process, json.loads(self.read_line(process))

    def go_on(self, process):
        process.stdin.write("\n")
        process.stdin.flush()

    def wait_listener(self, port, where="1", daemon=None):
        """The only row of a port, once it is as wanted."""
        daemon = daemon or self.daemon
        found = harness.wait_until(f"a listener of port {port}, {where}", lambda: daemon.rows(
            f"SELECT * FROM listeners WHERE local_port = ? AND ({where})", port))
        return harness.one(self, found)

    def assert_between(self, first, time_us, last):
        self.assertLessEqual(first * 1e6 - SLACK_US, time_us)
        self.assertLessEqual(time_us, last * 1e6 + SLACK_US)

    def check(self, program, protocol, address="127.0.0.1"):
        """From the first sight to the end; the row and the truth."""
        process, truth = self.start(program, address)
        row = self.wait_listener(truth["port"])
        self.assert_flow(row, {
            "protocol": protocol, "local_ip": address, "pid": truth["pid"], "exe": harness.PYTHON,
            "open": 1, "until_us": None, "method": "exact",
            "uid": os.getuid()})
        self.assert_between(truth["began"], row["from_us"], truth["listens"])
        self.go_on(process)
        truth.update(json.loads(self.read_line(process)))
        closed = self.wait_listener(truth["port"], "NOT open")
        self.assertEqual((closed["from_us"], closed["pid"]), (row["from_us"], row["pid"]))
        self.assert_between(truth["closes"], closed["until_us"], truth["closed"])

    def test_tcp(self):
        self.check(TCP, "tcp")
        self.check(TCP, "tcp", address="::1")

    def test_a_bound_datagram_socket(self):
        self.check(UDP, "udp")

    def test_a_socket_that_is_closed_by_the_death_of_its_process(self):
        process, truth = self.start(TCP)
        self.wait_listener(truth["port"], "open")
        before = time.time()
        process.kill()
        process.wait()
        row = self.wait_listener(truth["port"], "NOT open")
        self.assert_between(before, row["until_us"], time.time())

    def test_a_listener_in_a_container(self):
        self.need_program("ip")
        name = f"lastconn-listen-{os.getpid()}"
        self.run_program("ip", "netns", "add", name)
        self.addCleanup(self.run_program, "ip", "netns", "delete", name)
        self.run_program("ip", "-n", name, "link", "set", "lo", "up")
        inside = (sys.executable, CONTAIN, "--netns", f"/run/netns/{name}")
        process, outside = self.start(TCP, prefix=inside)  # contain.py's line comes first
        truth = json.loads(self.read_line(process))
        self.assertEqual(truth["pid"], 1)
        row = self.wait_listener(truth["port"], "open")
        self.assert_flow(row, {"pid": outside["pid"], "inner_pid": 1, "exe": harness.PYTHON,
                               "netns": os.stat(f"/run/netns/{name}").st_ino})
        self.assert_between(truth["began"], row["from_us"], truth["listens"])
        self.go_on(process)
        self.read_line(process)
        self.wait_listener(truth["port"], "NOT open")

    def test_a_listener_passed_to_another_process(self):
        process, truth = self.start(PASSED)
        row = self.wait_listener(truth["port"], "open")
        self.assertEqual(row["pid"], truth["pid"])
        harness.wait_until("the end of the first owner", lambda: process.poll() is not None)
        with socket.create_connection(("127.0.0.1", truth["port"])) as client:
            client.sendall(b"question")
            self.assertEqual(client.recv(10), b"answer")
        served = harness.one(self, self.daemon.wait_flows(
            truth["port"], 1, "open = 0 AND direction = 'in'"))
        self.assertEqual(served["pid"], truth["child"])
        self.wait_listener(truth["port"], "open")  # its first owner's end does not end it
        self.go_on(process)
        closed = json.loads(self.read_line(process))["closed"]
        row = self.wait_listener(truth["port"], "NOT open")
        self.assert_between(closed - 1, row["until_us"], closed)

    def test_it_goes_on_across_a_restart_of_the_daemon(self):
        process, truth = self.start(TCP)
        first = self.wait_listener(truth["port"], "open")
        self.daemon.stop()
        again = self.start_daemon(database=self.daemon.db)
        row = self.wait_listener(truth["port"], "open", again)
        self.assert_flow(row, {"pid": truth["pid"], "exe": harness.PYTHON})
        # the kernel tells it since boot, and the wall clock is adjusted now and then
        self.assertAlmostEqual(row["from_us"], first["from_us"], delta=10000)
        shown = harness.one(self, self.ask(again.db, "listen", "--port", str(truth["port"])))
        self.assert_flow(shown, {"times": 1, "until_time": None, "flows": 0,
                                 "pid": truth["pid"], "exe": harness.PYTHON})
        self.go_on(process)
        truth.update(json.loads(self.read_line(process)))
        row = self.wait_listener(truth["port"], "NOT open", again)
        self.assert_between(truth["closes"], row["until_us"], truth["closed"])


if __name__ == "__main__":
    harness.main()
