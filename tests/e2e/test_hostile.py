#!/usr/bin/env python3
"""Bad luck and bad will: names that are no text, processes and namespaces that vanish, kernels and
mounts that lack something. The record stays intact, and what cannot be recorded is said."""
import contextlib
import csv
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import time

import harness

# no UTF-8, line feed, escape sequences, quotes, what CSV and shells care for
EVIL = b"\xff\n\x1b[31m\"',;$("
NO_CGROUP2 = ("while read -r _ where kind _; do\n"
              "  [ $kind != cgroup2 ] || umount -l $where\ndone < /proc/mounts")
SETTINGS = {"/proc/sys/kernel/kptr_restrict": "2", "/proc/sys/kernel/perf_event_paranoid": "3"}

CHILDREN = """
import os, signal, socket, sys
l = socket.create_server(("127.0.0.1", 0), backlog=200)
pairs = []
for _ in range(int(sys.argv[1])):
    c = socket.create_connection(l.getsockname())
    s, _ = l.accept()
    pid = os.fork()
    if pid == 0:
        for sock in (l, s, *(s for _, s in pairs)):
            sock.close()
        c.sendall(b"x"); signal.pause()
    c.close()
    pairs.append((pid, s))
print(l.getsockname()[1], *(pid for pid, _ in pairs), flush=True)
sys.stdin.readline()
for pid, _ in pairs:
    os.kill(pid, signal.SIGKILL)
for pid, _ in pairs:
    os.waitpid(pid, 0)
"""

# Sockets of a network namespace that has no name and no process any more.
LEFT_NAMESPACE = """
import ctypes, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
own, there = (os.open(path, os.O_RDONLY) for path in ("/proc/self/ns/net", sys.argv[1]))
assert libc.setns(there, 0x40000000) == 0
l = socket.create_server(("127.0.0.1", 0))
c = socket.create_connection(l.getsockname())
s, _ = l.accept()
assert libc.setns(own, 0x40000000) == 0
os.close(there)
print(l.getsockname()[1], flush=True)
sys.stdin.readline()
c.sendall(b"12345"); s.recv(10); c.close(); s.close(); l.close()
print("closed", flush=True)
sys.stdin.readline()
"""


def stored(octets):
    """As lastconn keeps what may be no UTF-8."""
    return octets.decode("utf-8", "backslashreplace")


class Hostile(harness.Case):

    def setUp(self):
        super().setUp()
        self.need_kernel()

    def talk(self, address="127.0.0.1", prefix=()):
        """One TCP connection between two programs; its port, and the pid of the client."""
        server = self.start_program(*prefix, harness.PYTHON, harness.TALK, "serve", address, "1")
        port = json.loads(self.read_line(server))["port"]
        client = json.loads(self.run_program(*prefix, harness.PYTHON, harness.TALK, "talk", address,
                                             str(port), "10").stdout)
        self.finish(server)
        return port, client["pid"]

    def check_talk(self, daemon, address="127.0.0.1", prefix=()):
        """It is recorded, both ends of it."""
        port, pid = self.talk(address, prefix)
        flows = {flow["direction"]: flow for flow in daemon.wait_flows(port, 2)}
        self.assertEqual(set(flows), {"in", "out"})
        self.assert_flow(flows["out"], {"pid": pid, "exe": harness.PYTHON, "octets_out": 10,
                                        "octets_in": 21, "method": "exact"})

    def start_without(self, script, *options):
        """A daemon in a mount namespace of its own in which the script has run."""
        unshare = self.need_program("unshare")
        return self.start_daemon(
            *options, prefix=(unshare, "-m", "sh", "-ec", script + '\nexec "$@"', "sh"))


class Names(Hostile):

    def evil_program(self):
        """A program whose path, and so whose short name, are no text."""
        folder = self.directory.encode() + b"/d" + EVIL
        os.mkdir(folder)
        path = folder + b"/p" + EVIL
        shutil.copy(harness.STORM_CLIENT, path)
        return path

    def connect(self, path, argument, cgroup=None):
        def join():
            if cgroup:
                with open(os.path.join(cgroup, b"cgroup.procs"), "w", encoding="ascii") as file:
                    file.write("0")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            client = subprocess.Popen([argument, b"tcp", b"127.0.0.1", str(port).encode(), b"0"],
                                      executable=path, preexec_fn=join)
            accepted, _ = listener.accept()
            with accepted:
                accepted.recv(10)
                self.assertEqual(client.wait(60), 0)
        return port, client.pid

    def test_path_name_and_arguments_that_are_no_text(self):
        daemon = self.start_daemon()
        path = self.evil_program()
        argument = b"\xfe\n\x1b]0;x\x07\"$("
        port, pid = self.connect(path, argument)
        flow = harness.one(self, daemon.wait_flows(port, 1, "open = 0 AND direction = 'out'"))
        name = os.path.basename(path)
        self.assert_flow(flow, {"pid": pid, "exe": stored(path), "comm": stored(name[:15])})
        self.assertIn(stored(argument), flow["cmdline"])
        self.assertTrue(flow["cmdline"].endswith(f" tcp 127.0.0.1 {port} 0"), flow["cmdline"])
        self.check_reports(daemon.db, port, pid, stored(path))

    def check_reports(self, database, port, pid, exe):
        """Every format of every report: no octet of the names is obeyed by whoever reads it."""
        for report in (("flows", "--port", str(port)), ("ps", str(pid)), ("who", "127.0.0.1"),
                       ("top",), ("at", "now"), ("sql", "SELECT * FROM processes")):
            for form in ("table", "csv", "json", "jsonl"):
                done = subprocess.run(
                    (harness.LASTCONN, *report, "--db", database, "--format", form),
                    capture_output=True, timeout=60 * harness.SLOW, check=False)
                self.assertIn(done.returncode, (0, 1), done.stderr)
                text = done.stdout.decode("utf-8")
                allowed = "\r\n" if form == "csv" else "\n"
                bad = [c for c in text if ord(c) < 0x20 and c not in allowed or c == "\x7f"]
                self.assertEqual(bad, [], (report, form))
                if report[0] == "flows":
                    self.check_flows(text, form, exe)

    def check_flows(self, text, form, exe):
        if form == "csv":
            row = next(r for r in csv.DictReader(io.StringIO(text, newline=""))
                       if r["direction"] == "out")
            self.assertEqual(row["exe"].count('"'), exe.count('"'))
            self.assertTrue(row["exe"].startswith(self.directory), row["exe"])
        elif form != "table":
            rows = json.loads(text) if form == "json" else map(json.loads, text.splitlines())
            self.assertIn(exe, [row["exe"] for row in rows])

    def test_a_cgroup_whose_name_is_no_text(self):
        where = next((line.split()[1] for line in harness.lines("/proc/mounts")
                      if line.split()[2] == "cgroup2"), None)
        if not where:
            self.lack("cgroup v2 is not mounted")
        name = f"lastconn-{os.getpid()}-".encode() + EVIL.replace(b"\n", b"") + b".service"
        cgroup = os.path.join(where.encode(), name)
        daemon = self.start_daemon()
        os.mkdir(cgroup)
        try:
            port, pid = self.connect(harness.STORM_CLIENT, b"client", cgroup)
        finally:
            harness.wait_until("an empty cgroup", lambda: not self.remove(cgroup))
        flow = harness.one(self, daemon.wait_flows(port, 1, "open = 0 AND direction = 'out'"))
        self.assert_flow(flow, {"pid": pid, "unit": None, "container": None})
        process = harness.one(self, daemon.rows("SELECT * FROM processes WHERE pid = ?"
                                                " AND exe = ?", pid, harness.STORM_CLIENT))
        self.assertEqual(process["cgroup"], "/" + stored(name))

    @staticmethod
    def remove(path):
        with contextlib.suppress(OSError):
            os.rmdir(path)
        return os.path.exists(path)


class Vanishing(Hostile):

    def test_processes_that_die_while_the_daemon_looks_at_them(self):
        """Their sockets are older than it: their command lines it must read from /proc."""
        count = 150
        parent = self.start_program(harness.PYTHON, "-c", CHILDREN, str(count),
                                    stdin=subprocess.PIPE)
        port, *pids = (int(word) for word in self.read_line(parent).split())
        with open(f"/proc/{pids[0]}/cmdline", encoding="utf-8") as file:
            program = file.read().split("\0")[0]
        daemon = harness.Daemon(self, harness.FAST, self.path("history.db"))
        self.addCleanup(daemon.discard)
        harness.wait_until("the first words of lastconnd",
                           lambda: daemon.log() or daemon.process.poll() is not None)
        for pid in pids[::2]:
            os.kill(pid, signal.SIGKILL)
        daemon.wait_notified("READY=1")
        parent.stdin.write("\n")
        parent.stdin.flush()
        self.finish(parent)
        daemon.stop()
        seen = daemon.flows(port, "direction = 'out'")
        self.assertLessEqual({*pids[1::2]}, {flow["pid"] for flow in seen})  # nobody killed them
        for flow in seen:
            self.assertIn(flow["pid"], pids)
            self.assertEqual(flow["exe"], harness.PYTHON)
            self.assertIn((flow["cmdline"] or program).split(" ")[0], program)
        served = daemon.flows(port, "direction = 'in'")
        self.assertEqual((len(served), {flow["pid"] for flow in served}), (count, {parent.pid}))

    def test_a_network_namespace_that_vanishes_before_its_sockets(self):
        daemon = self.start_daemon()
        with self.namespace() as path:
            inode = os.stat(path).st_ino
            process = self.start_program(harness.PYTHON, "-c", LEFT_NAMESPACE, path,
                                         stdin=subprocess.PIPE)
            port = int(self.read_line(process))
        self.assertFalse(os.path.exists(path))
        process.stdin.write("\n")
        process.stdin.flush()
        self.assertEqual(self.read_line(process), "closed")
        for flow in daemon.wait_flows(port, 2):
            self.assert_flow(flow, {"netns": inode, "pid": process.pid, "outcome": "closed"})
            self.assertEqual(flow["octets_out"] + flow["octets_in"], 5)
        listener = harness.one(self, daemon.rows(
            "SELECT * FROM listeners WHERE local_port = ? AND NOT open", port))
        self.assert_flow(listener, {"netns": inode, "pid": process.pid})
        daemon.stop()


class Lacking(Hostile):

    def test_hidden_kernel_addresses_and_paranoid_perf_events(self):
        for path, value in SETTINGS.items():
            with open(path, encoding="ascii") as file:
                before = file.read()
            with contextlib.suppress(OSError), open(path, "w", encoding="ascii") as file:
                file.write(value)
                self.addCleanup(self.restore, path, before)
        daemon = self.start_daemon()
        for address in ("127.0.0.1", "::1"):
            self.check_talk(daemon, address)
        daemon.stop()

    @staticmethod
    def restore(path, value):
        with open(path, "w", encoding="ascii") as file:
            file.write(value)

    def test_ipv6_disabled(self):
        with self.namespace() as path:
            inside = ("nsenter", f"--net={path}")
            self.run_program(*inside, "sh", "-c",
                             "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6")
            daemon = self.start_daemon(prefix=inside)
            self.check_talk(daemon, prefix=inside)
            self.check_talk(daemon)
            daemon.stop()

    def test_without_cgroup_v2_it_mounts_one_that_nobody_sees(self):
        daemon = self.start_without(NO_CGROUP2)
        self.check_talk(daemon)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            server.bind(("127.0.0.1", 0))
            port = server.getsockname()[1]
            client.sendto(b"datagram", server.getsockname())
        flow = daemon.wait_flows(port, 1, "direction = 'out'")[0]
        self.assert_flow(flow, {"protocol": "udp", "octets_out": 8, "pid": os.getpid()})
        self.assertFalse(self.cgroup_gaps(daemon), daemon.log())
        with open(f"/proc/{daemon.process.pid}/mounts", encoding="ascii") as mounts:
            self.assertNotIn("cgroup2", mounts.read())
        daemon.stop()

    def test_without_cgroup_v2_and_the_right_to_mount_one_udp_is_said_to_be_missing(self):
        started = time.time_ns() // 1000
        daemon = self.start_without(
            NO_CGROUP2 + "\nset -- setpriv --bounding-set -sys_admin --inh-caps -sys_admin \"$@\"")
        self.check_talk(daemon)
        told = self.cgroup_gaps(daemon)
        self.assertEqual(len(told), 1, daemon.log())
        self.assertIn("UDP", told[0])
        missing = harness.one(self, daemon.rows(
            "SELECT * FROM coverage WHERE what = 'slot missing' AND detail LIKE 'datagram:%'"))
        self.assertGreaterEqual(missing["from_us"], started)
        daemon.stop()

    @staticmethod
    def cgroup_gaps(daemon):
        """What it says of datagrams that it cannot see."""
        return [line for line in daemon.log().splitlines()
                if "'datagram'" in line and "cgroup v2 is not mounted" in line]

    def test_without_bpffs_and_tracefs(self):
        daemon = self.start_without(
            "while read -r _ where kind _; do\n"
            "  case $kind in bpf | tracefs | debugfs) umount -l $where || : ;; esac\n"
            "done < /proc/mounts")
        self.check_talk(daemon)
        daemon.stop()

    def test_without_type_information_it_polls_and_says_so(self):
        daemon = self.start_without("mount --bind /dev/null /sys/kernel/btf/vmlinux")
        told = [line for line in daemon.log().splitlines() if "BTF" in line]
        self.assertEqual(len(told), 1, daemon.log())
        self.assertIn("polling instead", told[0])
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            with socket.create_connection(listener.getsockname()):
                flow = daemon.wait_flows(port, 1, "open = 1 AND pid IS NOT NULL")[0]
        self.assert_flow(flow, {"pid": os.getpid(), "exe": harness.PYTHON, "method": "procfs"})
        daemon.stop()


if __name__ == "__main__":
    harness.main()
