"""Runs lastconnd and lastconn for the end-to-end tests. Standard library only.

Every test works in a directory of its own, ends only processes it started, and waits for
conditions with a bound, never for a time. What a test needs and the machine lacks (root, BPF, a
program) makes it a skip with the reason printed; with LASTCONN_EXPECT_EBPF=1, as CI sets it,
such a skip is a failure.

Environment, set by tests/e2e/CMakeLists.txt:
    LASTCONN_BUILD  build directory (default: build/dev of this checkout)
    LASTCONN_EBPF   0 if this build has no kernel source
    LASTCONN_SLOW   multiplies every bound, for slow machines (default 1)
"""
import contextlib
import hashlib
import json
import os
import random
import select
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("LASTCONN_BUILD", os.path.join(ROOT, "build", "dev"))
LASTCONND = os.path.join(BUILD, "src", "daemon", "lastconnd")
LASTCONN = os.path.join(BUILD, "src", "query", "lastconn")
STORM = os.path.realpath(os.path.join(BUILD, "tests", "support", "storm"))
STORM_CLIENT = os.path.realpath(os.path.join(BUILD, "tests", "support", "storm_client"))
CASES = os.path.realpath(os.path.join(BUILD, "tests", "support", "cases"))
TALK = os.path.join(ROOT, "tests", "support", "talk.py")
PYTHON = os.path.realpath(sys.executable)
SLOW = float(os.environ.get("LASTCONN_SLOW", "1"))
NOBODY = 65534
CAP_SYS_ADMIN, CAP_BPF = 21, 39
SKIP_STATUS = 77  # ctest's SKIP_RETURN_CODE

# quick enough for tests, and the values that a user may set
FAST = ("--flush-interval", "200ms", "--sweep-interval", "500ms")


def kernel_reason():
    """Why the kernel source cannot run here, or None."""
    if os.environ.get("LASTCONN_EBPF", "1") == "0":
        return "this build has no kernel source"
    if os.geteuid() != 0:
        return "needs root"
    with open("/proc/self/status", encoding="ascii") as status:
        held = int(next(l for l in status if l.startswith("CapEff")).split()[1], 16)
    if not held & (1 << CAP_BPF | 1 << CAP_SYS_ADMIN):
        return "needs CAP_BPF"
    if not os.path.exists("/sys/kernel/btf/vmlinux"):
        return "this kernel has no BTF"
    return None


def wait_until(what, probe, seconds=30):
    """The first true value of probe(), asked for until the bound is reached."""
    deadline = time.monotonic() + seconds * SLOW
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds * SLOW:.0f} s")
        time.sleep(0.05)


def rows(path, sql, *parameters):
    """The rows of a read-only look into the database, as dictionaries."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
    try:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(sql, parameters)]
    finally:
        connection.close()


def lines(*paths):
    """Of these files, one after the other."""
    for path in paths:
        with open(path, encoding="ascii") as file:
            yield from file


def digest(path):
    """What a file or a directory of files holds, to show that it was left alone."""
    if os.path.isdir(path):
        return {name: digest(os.path.join(path, name)) for name in sorted(os.listdir(path))}
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


class Daemon:
    """One lastconnd in the foreground."""

    def __init__(self, case, options, database, prefix=(), environment=None,
                 program=LASTCONND):
        self.case = case
        self.db = database
        self.log_path = os.path.join(case.directory, f"lastconnd-{len(case.daemons)}.log")
        notify_path = self.log_path + ".notify"
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(notify_path)
        os.chmod(notify_path, 0o777)  # as the service manager's is
        config = os.path.join(case.directory, "empty.conf")
        with open(config, "a", encoding="ascii"):
            pass
        arguments = [*prefix, program, "--db", database]
        if "--config" not in options:
            arguments += ["--config", config]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [*arguments, *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "NOTIFY_SOCKET": notify_path, **(environment or {})})
        self.pid = self.process.pid

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def wait_notified(self, word, seconds=30):
        """Until the daemon has told its service manager this word."""
        deadline = time.monotonic() + seconds * SLOW
        while time.monotonic() < deadline:
            if select.select([self.notify], [], [], 0.05)[0]:
                if word in self.notify.recv(4096).decode().split("\n"):
                    return self
            elif self.process.poll() is not None:
                break
        state = self.process.poll()
        raise AssertionError(f"lastconnd did not say {word} (exit status {state}):\n{self.log()}")

    def rows(self, sql, *parameters):
        return rows(self.db, sql, *parameters)

    def flows(self, port, where="1"):
        """The flows that have this port at either end, oldest first."""
        return self.rows(
            f"SELECT * FROM flows WHERE (local_port = ?1 OR remote_port = ?1) AND ({where})"
            " ORDER BY end_us", port)

    def wait_flows(self, port, count, where="open = 0", seconds=30):
        """Those flows, as soon as there are at least count of them."""
        def probe():
            found = self.flows(port, where)
            if len(found) < count and self.process.poll() is not None:
                raise AssertionError(f"lastconnd ended with {self.process.returncode}")
            return found if len(found) >= count else None
        try:
            return wait_until(f"{count} flows of port {port}", probe, seconds)
        except AssertionError as error:
            found = self.flows(port)
            seen = "\n".join(str(flow) for flow in found[:10])
            raise AssertionError(f"{error}\nthere are {len(found)}:\n{seen}\nlog:\n{self.log()[-4000:]}") from None

    def signal(self, number):
        os.kill(self.pid, number)

    def stop(self, seconds=60):
        """SIGTERM; everything is on disk afterwards."""
        if self.process.poll() is None:
            self.process.terminate()
        status = self.process.wait(seconds * SLOW)
        self.case.assertEqual(status, 0, f"lastconnd's exit status; its log:\n{self.log()[-6000:]}")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def discard(self):
        if self.process.poll() is None:
            self.kill()
        self.notify.close()


class Case(unittest.TestCase):
    """A test with a directory, and with processes that are gone after it."""
    maxDiff = 4000

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="lastconn-e2e-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.daemons = []

    def path(self, name):
        return os.path.join(self.directory, name)

    # -- what the machine offers

    def lack(self, reason):
        if os.environ.get("LASTCONN_EXPECT_EBPF") == "1":
            self.fail(f"this machine should be able to run the test: {reason}")
        print(f"skipped: {reason}", file=sys.stderr)
        self.skipTest(reason)

    def need_kernel(self):
        reason = kernel_reason()
        if reason and os.environ.get("LASTCONN_EBPF", "1") == "0":
            self.skipTest(reason)
        if reason:
            self.lack(reason)

    def need_root(self):
        if os.geteuid() != 0:
            self.lack("needs root")

    def need_program(self, name):
        found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
        if not found:
            self.lack(f"needs the program {name}")
        return os.path.realpath(found)

    # -- lastconn's two programs

    def start_daemon(self, *options, database=None, fast=True, kernel=True, **more):
        """A lastconnd that records; returns when it says that it is ready. kernel: the test is
        about the kernel source."""
        if kernel:
            self.need_kernel()
        given = (*FAST, *options) if fast else options
        daemon = Daemon(self, given, database or self.path("history.db"), **more)
        self.daemons.append(daemon)
        self.addCleanup(daemon.discard)
        return daemon.wait_notified("READY=1")

    def run_daemon(self, *options, prefix=(), seconds=60, program=LASTCONND, **more):
        """lastconnd to its end; its completed process."""
        return subprocess.run([*prefix, program, *options], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=seconds * SLOW,
                              check=False, **more)

    def read_capture(self, capture, *options, database=None):
        """lastconnd -r; the path of the database."""
        database = database or self.path("capture.db")
        done = self.run_daemon("-r", capture, "--db", database, *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return database

    def ask(self, database, *arguments, status=0):
        """What lastconn answers, from its JSON."""
        done = subprocess.run([LASTCONN, *arguments, "--db", database, "--format", "json"],
                              capture_output=True, text=True, timeout=60 * SLOW, check=False)
        self.assertEqual(done.returncode, status, f"{done.args}: {done.stdout} {done.stderr}")
        return json.loads(done.stdout) if done.stdout.strip() else []

    # -- other programs

    def run_program(self, *command, seconds=60, **more):
        """A program to its end, which must be good."""
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=seconds * SLOW, check=False, **more)
        self.assertEqual(done.returncode, 0, f"{command}: {done.stdout} {done.stderr}")
        return done

    def start_program(self, *command, **more):
        """A program that is ended after the test at the latest."""
        more.setdefault("stdout", subprocess.PIPE)
        more.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen(command, text=True, **more)

        def discard():
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    stream.close()
        self.addCleanup(discard)
        return process

    @contextlib.contextmanager
    def namespace(self):
        """The path of a network namespace with a loopback."""
        self.need_program("ip")
        name = f"lastconn-{type(self).__name__.lower()}-{os.getpid()}"
        self.run_program("ip", "netns", "add", name)
        try:
            self.run_program("ip", "-n", name, "link", "set", "lo", "up")
            yield f"/run/netns/{name}"
        finally:
            subprocess.run(("ip", "netns", "delete", name), stderr=subprocess.DEVNULL, check=False)

    def read_line(self, process, stream=None, seconds=30):
        """The next line that a started program prints. Octet by octet: what Python has buffered,
        select(2) does not see."""
        fd = (stream or process.stdout).fileno()
        line = b""
        while not line.endswith(b"\n"):
            if not select.select([fd], [], [], seconds * SLOW)[0]:
                self.fail(f"{process.args}: said nothing within {seconds} s")
            octet = os.read(fd, 1)
            if not octet:
                self.fail(f"{process.args}: ended without a word, status {process.wait(10)}")
            line += octet
        return line.decode().strip()

    def finish(self, process, seconds=60):
        """Waits for the good end of a started program; what it printed."""
        output, _ = process.communicate(timeout=seconds * SLOW)
        self.assertEqual(process.returncode, 0, f"{process.args}: {output}")
        return output

    @staticmethod
    def free_port():
        """A port that is free for TCP and UDP, below the ephemeral ones: between this look and
        its use no client's own port can take it."""
        with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
            first_ephemeral = int(file.read().split()[0])
        for _ in range(200):
            port = random.randrange(10000, max(first_ephemeral, 11000))
            try:
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    with socket.socket(socket.AF_INET, kind) as probe:
                        probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
        raise AssertionError("no free port in 200 tries")

    def assert_flow(self, flow, expected):
        """Every expected column has its value."""
        found = {column: flow[column] for column in expected}
        self.assertEqual(found, expected, f"in {flow}")


def one(case, found, what="row"):
    """The only element."""
    case.assertEqual(len(found), 1, f"{what}: {found}")
    return found[0]


def main():
    """unittest.main, with ctest's status for "nothing could be run here"."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    if result.testsRun and len(result.skipped) == result.testsRun:
        sys.exit(SKIP_STATUS)
