#!/usr/bin/env python3
"""A day of traffic in twenty minutes: does lastconnd stay as small as it is? Needs root and the
bench preset:

    cmake --preset bench && cmake --build --preset bench
    tests/bench/soak.py [--minutes 20] [--processes 20] [--remotes 100] [--build build/bench]

In a network namespace of its own: each second so many new processes with a TCP connection each
(two flows), datagrams to so many addresses that were never seen before (nobody listens there), and
one connection that stays and moves data. Retention runs all the time: flows are kept for a minute,
the file has at most 16 MiB, and the table of processes is small, so that it is full soon. Every 15 seconds one line: memory of lastconnd, its descriptors, the
file, what it recorded. The last line compares the second quarter of the time with the last one, by
which memory may not have grown; the first one fills caches and tables. Prints figures and asserts
nothing about them.
"""
import argparse
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import traceback

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
SAMPLE_S = 15
NETNS = f"lastconn-soak-{os.getpid()}"


class Traffic:
    """Runs inside the namespace."""

    def __init__(self, arguments, build):
        self.arguments = arguments
        self.storm = os.path.join(build, "tests", "support", "storm")
        self.client = os.path.join(build, "tests", "support", "storm_client")
        self.end = time.monotonic() + arguments.minutes * 60

    def processes(self):
        while time.monotonic() < self.end:
            second = time.monotonic()
            count = str(self.arguments.processes * 5)
            server = subprocess.Popen([self.storm, "serve", count, "/dev/null"],
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            port = server.stdout.readline().decode().strip()
            subprocess.run([self.storm, "spawn", "tcp", "127.0.0.1", port, count, "2",
                            "/dev/null", self.client], check=True, stdin=subprocess.DEVNULL)
            server.wait(30)
            time.sleep(max(0, second + 5 - time.monotonic()))

    def remotes(self):
        sequence = random.Random(1)
        while time.monotonic() < self.end:
            second = time.monotonic()
            for _ in range(self.arguments.remotes):
                address = (f"127.{sequence.randrange(1, 250)}.{sequence.randrange(256)}"
                           f".{sequence.randrange(256)}")
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                    sock.sendto(b"x", (address, sequence.randrange(1024, 1224)))
            time.sleep(max(0, second + 1 - time.monotonic()))

    def steady(self):
        listener = socket.create_server(("127.0.0.1", 0))
        client = socket.create_connection(listener.getsockname())
        server = listener.accept()[0]
        while time.monotonic() < self.end:
            client.sendall(bytes(65536))
            left = 65536
            while left:
                left -= len(server.recv(left))
            time.sleep(0.2)

    def run(self):
        threads = [threading.Thread(target=work)
                   for work in (self.processes, self.remotes, self.steady)]
        threading.excepthook = lambda failure: (
            traceback.print_exception(failure.exc_value), os._exit(1))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


class Soak:
    def __init__(self, arguments):
        self.arguments = arguments
        self.build = os.path.realpath(arguments.build)
        self.directory = tempfile.mkdtemp(prefix="lastconn-soak-")
        self.database = os.path.join(self.directory, "history.db")
        self.metrics = os.path.join(self.directory, "lastconnd.prom")
        self.samples = []

    def start_daemon(self):
        config = os.path.join(self.directory, "empty.conf")
        with open(config, "w", encoding="ascii"):
            pass
        return subprocess.Popen(
            ["ip", "netns", "exec", NETNS,
             os.path.join(self.build, "src", "daemon", "lastconnd"), "--config", config,
             "--db", self.database, "--metrics-file", self.metrics, "--log-level", "warning",
             "--keep-flows", "1m", "--keep-hours", "2m", "--max-size", "16M",
             "--max-contacts", "20000", "--max-processes", "4096"], stdin=subprocess.DEVNULL)

    @staticmethod
    def memory_of(pid):
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            fields = dict(line.split(":", 1) for line in file)
        return {key: int(fields[key].split()[0]) for key in ("VmRSS", "RssAnon")}

    def metric(self, name):
        try:
            with open(self.metrics, encoding="ascii") as file:
                return sum(float(line.split()[-1]) for line in file
                           if line.startswith(name) and not line.startswith("#"))
        except OSError:
            return 0

    def sample(self, pid, second):
        memory = self.memory_of(pid)
        size = sum(os.path.getsize(self.database + end) for end in ("", "-wal")
                   if os.path.exists(self.database + end))
        self.samples.append((second, memory["RssAnon"]))
        print(f"{second:6.0f} s  VmRSS {memory['VmRSS']:7} KiB  RssAnon {memory['RssAnon']:7} KiB"
              f"  {len(os.listdir(f'/proc/{pid}/fd')):4} descriptors  file {size / 2**20:6.1f} MiB"
              f"  {self.metric('lastconn_store_flows_total'):9.0f} flows", flush=True)

    def watch(self, daemon, traffic):
        begin = time.monotonic()
        end = begin + self.arguments.minutes * 60
        while time.monotonic() < end:
            time.sleep(SAMPLE_S)
            if daemon.poll() is not None:
                sys.exit(f"lastconnd ended with {daemon.returncode}")
            if traffic.poll() is not None and time.monotonic() < end - SAMPLE_S:
                sys.exit(f"the traffic ended with {traffic.returncode}")
            self.sample(daemon.pid, time.monotonic() - begin)

    def print_result(self):
        quarter = max(1, len(self.samples) // 4)
        parts = [[memory for _, memory in self.samples[begin:begin + quarter]]
                 for begin in (quarter, len(self.samples) - quarter)]
        before, after = map(statistics.median, parts)
        print(f"RssAnon in the second quarter {before:.0f} KiB, in the last {after:.0f} KiB:"
              f" x{after / before:.3f}")

    def run(self):
        subprocess.run(["ip", "netns", "add", NETNS], check=True)
        daemon = traffic = None
        try:
            subprocess.run(["ip", "-n", NETNS, "link", "set", "lo", "up"], check=True)
            daemon = self.start_daemon()
            time.sleep(5)
            traffic = subprocess.Popen(
                ["ip", "netns", "exec", NETNS, sys.executable, __file__, "--inside",
                 "--minutes", str(self.arguments.minutes), "--build", self.build,
                 "--processes", str(self.arguments.processes),
                 "--remotes", str(self.arguments.remotes)])
            self.watch(daemon, traffic)
            traffic.wait(60)
            self.print_result()
        finally:
            for process in (traffic, daemon):
                if process and process.poll() is None:
                    process.send_signal(signal.SIGTERM)
                    process.wait(60)
            subprocess.run(["ip", "netns", "delete", NETNS], check=False)
            shutil.rmtree(self.directory, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--processes", type=int, default=20)
    parser.add_argument("--remotes", type=int, default=100)
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "bench"))
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.minutes < 1:
        sys.exit("--minutes: at least 1")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if arguments.inside:
        Traffic(arguments, os.path.realpath(arguments.build)).run()
    else:
        Soak(arguments).run()


if __name__ == "__main__":
    main()
