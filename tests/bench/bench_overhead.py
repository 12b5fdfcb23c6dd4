#!/usr/bin/env python3
"""What lastconnd costs the machine that it watches. Needs root and the bench preset:

    cmake --preset bench && cmake --build --preset bench
    tests/bench/bench_overhead.py [--rounds 9] [--storm 4000] [--loop 20000] [--build build/bench]
                                  [WORKLOAD...]

(a) slow-down of a storm (each connection a new process) and of a single-process connect loop:
    every round runs the workload once without and once with lastconnd, in changing order, and the
    ratio of the two is taken; medians of the rounds. CPU is of all processes of the workload,
    with what the kernel did on their time (softirq and BPF programs among it).
    The same for long conversations, where each packet could cost: one octet there and back (rr),
    bulk data, and a flood of datagrams (udp); and for names (lookup): getaddrinfo of localhost,
    which answers without a packet.
    Loop, rr and udp run on one processor, with warm caches: the harshest view, and a steady one.
    Left free (free-loop, ...), the scheduler puts the two ends now on one and now on two, which
    alone changes the CPU of a connection by more than a factor of two; and each datagram that comes
    a little later lets a receiver that is faster than its sender sleep once more.
(b) CPU of lastconnd for a flow, user and system, from its start-up being over to all flows being
    committed; the storm makes two flows a connection (client and server).
(c) resident memory of lastconnd with 10,000 open flows.
Prints figures and asserts nothing about them: machines differ.
"""
import argparse
import functools
import os
import resource
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
LOOKUP = "import socket, sys\nfor _ in range(int(sys.argv[1])): socket.getaddrinfo('localhost', 1)"
TICKS = os.sysconf("SC_CLK_TCK")
PARALLEL = 4
PINNED = ("taskset", "-c", str(max(os.sched_getaffinity(0))))


class Bench:
    def __init__(self, arguments):
        build = os.path.realpath(arguments.build)
        self.lastconnd = os.path.join(build, "src", "daemon", "lastconnd")
        self.storm = os.path.join(build, "tests", "support", "storm")
        self.client = os.path.join(build, "tests", "support", "storm_client")
        self.exchange = os.path.join(build, "tests", "support", "exchange")
        self.arguments = arguments
        self.directory = tempfile.mkdtemp(prefix="lastconn-bench-")

    # -- lastconnd

    def start_daemon(self, name):
        """Started and ready; its process and database."""
        database = os.path.join(self.directory, f"{name}.db")
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = os.path.join(self.directory, f"{name}.notify")
        notify.bind(path)
        notify.settimeout(30)
        config = os.path.join(self.directory, "empty.conf")
        with open(config, "w", encoding="ascii"):
            pass
        process = subprocess.Popen(
            [self.lastconnd, "--config", config, "--db", database, "--log-level", "warning",
             *self.arguments.option],
            stdin=subprocess.DEVNULL, env={**os.environ, "NOTIFY_SOCKET": path})
        while b"READY=1" not in notify.recv(4096).split(b"\n"):
            pass
        notify.close()
        return process, database

    @staticmethod
    def stop_daemon(process):
        process.send_signal(signal.SIGTERM)
        if process.wait(60):
            sys.exit(f"lastconnd ended with {process.returncode}")

    @staticmethod
    def cpu_of(pid):
        """Seconds of CPU of all threads: user, system."""
        total = [0, 0]
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
                total[0] += int(file.read().split()[0])
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            words = file.read().rsplit(")", 1)[1].split()
        return total[0] / 1e9, int(words[11]) / TICKS, int(words[12]) / TICKS

    @staticmethod
    def memory_of(pid):
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            fields = dict(line.split(":", 1) for line in file)
        return {key: int(fields[key].split()[0]) for key in ("VmRSS", "VmHWM", "RssAnon")}

    @staticmethod
    def count(database, sql):
        connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)
        try:
            return connection.execute(sql).fetchone()[0]
        finally:
            connection.close()

    def wait_count(self, database, sql, wanted, seconds=60):
        deadline = time.monotonic() + seconds
        while (found := self.count(database, sql)) < wanted:
            if time.monotonic() > deadline:
                print(f"only {found} of {wanted}: {sql}")
                break
            time.sleep(0.1)
        return found

    # -- workloads: each returns CPU and wall seconds

    @staticmethod
    def measured(work):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.monotonic()
        work()
        wall = time.monotonic() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return cpu, wall

    def talk(self, server_command, client_command):
        server = subprocess.Popen(server_command, stdout=subprocess.PIPE, text=True)
        port = server.stdout.readline().strip()

        def work():
            subprocess.run([port if word == "PORT" else word for word in client_command],
                           check=True)
            if server.wait(60):
                sys.exit("the server failed")
        with server.stdout:
            return self.measured(work)

    def run_storm(self, count):
        return self.talk(
            [self.storm, "serve", str(count), "-"],
            [self.storm, "spawn", "tcp", "127.0.0.1", "PORT", str(count), str(PARALLEL), "-",
             self.client])

    def run_loop(self, *prefix):
        return lambda count: self.talk(
            [*prefix, self.storm, "serve", str(count), "-"],
            [*prefix, self.storm, "loop", "127.0.0.1", "PORT", str(count)])

    def run_exchange(self, mode, *prefix):
        return lambda count: self.talk(
            [*prefix, self.exchange, "serve", mode, str(count)],
            [*prefix, self.exchange, "talk", mode, "PORT", str(count)])

    def run_lookup(self, count):
        return self.measured(lambda: subprocess.run([sys.executable, "-c", LOOKUP, str(count)],
                                                    check=True))

    # -- figures

    def one_with(self, name, workload, count, expected):
        """The workload with a lastconnd: (cpu, wall), CPU of lastconnd a flow in us, flows."""
        process, database = self.start_daemon(name)
        before = self.cpu_of(process.pid)
        result = workload(count)
        flows = self.wait_count(database, "SELECT count(*) FROM flow", expected)
        after = self.cpu_of(process.pid)
        self.stop_daemon(process)
        gaps = self.count(database, "SELECT count(*) FROM coverage_interval WHERE what LIKE '%full'")
        if gaps:
            print(f"{name}: {gaps} gaps in the coverage table")
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(database + suffix):
                os.unlink(database + suffix)
        return result, [(b - a) * 1e6 / max(flows, 1) for a, b in zip(before, after)], flows

    def slow_down(self, name, workload, count, expected=None, unit="connection"):
        cpu, wall, own, plain = [], [], [], []
        workload(count // 4)  # warms up
        for turn in range(self.arguments.rounds):
            without = workload(count) if turn % 2 else None
            with_it, per_flow, flows = self.one_with(f"{name}-{turn}", workload, count,
                                                      2 * count if expected is None else expected)
            without = without or workload(count)
            cpu.append(with_it[0] / without[0])
            wall.append(with_it[1] / without[1])
            own.append(per_flow)
            plain.append(without)
            print(f"{name} round {turn + 1}: CPU x{cpu[-1]:.3f} wall x{wall[-1]:.3f}"
                  f" lastconnd {per_flow[0]:.1f} us a flow, {flows} flows", flush=True)
        middle = statistics.median
        spread = sorted(cpu)
        print(f"{name}, {count} {unit}s, {self.arguments.rounds} rounds: CPU of the workload"
              f" x{middle(cpu):.3f} ({spread[0]:.3f} to {spread[-1]:.3f}), wall x{middle(wall):.3f};"
              f" without: {middle(p[0] for p in plain) * 1e6 / count:.1f} us CPU"
              f" and {middle(p[1] for p in plain) * 1e6 / count:.1f} us wall a {unit}")
        if expected is None:
            print(f"{name}: lastconnd {middle(o[0] for o in own):.1f} us CPU a flow (user"
                  f" {middle(o[1] for o in own):.1f}, system {middle(o[2] for o in own):.1f})")

    def memory(self, flows=10000):
        process, database = self.start_daemon("memory")
        idle = self.memory_of(process.pid)
        sink = subprocess.Popen([self.storm, "sink"], stdout=subprocess.PIPE, text=True)
        hold = None
        try:
            port = sink.stdout.readline().strip()
            hold = subprocess.Popen([self.storm, "hold", "127.0.0.1", port, str(flows // 2)],
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            hold.stdout.readline()
            seen = self.wait_count(database, "SELECT count(*) FROM open_flow", flows, 120)
            full = self.memory_of(process.pid)
        finally:
            for child in (hold, sink):
                if child:
                    child.kill()
                    child.communicate()
        self.stop_daemon(process)
        print(f"memory: {idle['VmRSS'] / 1024:.1f} MB idle, {full['VmRSS'] / 1024:.1f} MB with"
              f" {seen} open flows (anonymous {full['RssAnon'] / 1024:.1f},"
              f" peak {full['VmHWM'] / 1024:.1f})")


def main():
    parser = argparse.ArgumentParser(description="what lastconnd costs")
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "bench"))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--storm", type=int, default=4000)
    parser.add_argument("--loop", type=int, default=20000)
    parser.add_argument("--option", action="append", default=[], help="one more for lastconnd")
    parser.add_argument("only", nargs="*", metavar="WORKLOAD",
                        help="storm, bulk, lookup, memory; on one processor loop, rr, udp; on "
                             "all free-loop, free-rr, free-udp (default: all)")
    bench = Bench(parser.parse_args())
    storm, loop = bench.arguments.storm, bench.arguments.loop
    figures = {
        "storm": lambda: bench.slow_down("storm", bench.run_storm, storm),
        "loop": lambda: bench.slow_down("loop", bench.run_loop(*PINNED), loop),
        "free-loop": lambda: bench.slow_down("free-loop", bench.run_loop(), loop),
        "bulk": lambda: bench.slow_down("bulk", bench.run_exchange("bulk"), 4096, 2, "MiB"),
        "lookup": lambda: bench.slow_down("lookup", bench.run_lookup, 20000, 0, "call"),
        "memory": bench.memory,
    }
    for mode, count, unit in (("rr", 100000, "round trip"), ("udp", 500032, "datagram")):
        for name, prefix in ((mode, PINNED), (f"free-{mode}", ())):
            figures[name] = functools.partial(
                bench.slow_down, name, bench.run_exchange(mode, *prefix), count, 2, unit)
    try:
        for name in bench.arguments.only or figures:
            figures[name]()
    finally:
        shutil.rmtree(bench.directory)


if __name__ == "__main__":
    main()
