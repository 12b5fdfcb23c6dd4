#!/usr/bin/env python3
"""How fast `lastconnd -r` reads, against tcpdump and tshark on the same file in the same run, and how
much memory it takes. Needs a release build (preset bench), tcpdump and tshark, and 2 cores that are
idle:

    cmake --preset bench && cmake --build --preset bench
    tests/bench/bench_read.py [--megaoctets 200] [--train 7] [--runs 3] [--memory 100,1000,2000,4000]
        [--build build/bench]

The file is made by capture_write (--train: see there), and is in the page cache. tcpdump copies it to /dev/null, tshark
prints the table of TCP conversations (once, for it is slow), lastconnd writes a new database on the
disk of TMPDIR. Each figure is the best of the runs, which take turns; CPU is that of all threads.
Memory: captures of these sizes through a pipe, the peak of the resident memory of each; give 0 to
leave it out. Prints figures and asserts nothing about them.
"""
import argparse
import os
import shutil
import subprocess
import tempfile
import time

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))


class Figures:
    """The best wall clock and CPU time in seconds, and the peak in MiB, of a command."""

    def __init__(self):
        self.wall = self.cpu = float("inf")
        self.peak = 0

    def add(self, command, stdin=subprocess.DEVNULL):
        start = time.monotonic()
        process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"{command}: exit status {process.returncode}")
        self.wall = min(self.wall, time.monotonic() - start)
        self.cpu = min(self.cpu, usage.ru_utime + usage.ru_stime)
        self.peak = max(self.peak, usage.ru_maxrss / 1024)
        return self


class Bench:

    def __init__(self, build, directory):
        self.lastconnd = os.path.join(build, "src", "daemon", "lastconnd")
        self.capture_write = os.path.join(build, "tests", "bench", "capture_write")
        self.directory = directory
        self.database = os.path.join(directory, "bench.db")

    def read(self, figures, path, **more):
        for suffix in ("", "-wal", "-shm", ".lock"):
            if os.path.exists(self.database + suffix):
                os.unlink(self.database + suffix)
        return figures.add((self.lastconnd, "--config", "/dev/null", "-r", path, "--db",
                            self.database), **more)

    def speed(self, megaoctets, train, runs):
        path = os.path.join(self.directory, "bench.pcap")
        with open(path, "wb") as file:
            subprocess.run((self.capture_write, str(megaoctets), "2000", str(train)), stdout=file,
                           check=True)
        tcpdump, lastconnd, tshark = Figures(), Figures(), Figures()
        for _ in range(runs):
            tcpdump.add(("tcpdump", "-Z", "root", "-r", path, "-w", "/dev/null"))
            self.read(lastconnd, path)
        tshark.add(("tshark", "-n", "-r", path, "-q", "-z", "conv,tcp"))
        os.unlink(path)
        print(f"{megaoctets} MB          wall s   CPU s   MiB   lastconnd takes (wall, CPU)")
        for name, figures in (("lastconnd", lastconnd), ("tcpdump", tcpdump), ("tshark", tshark)):
            print(f"{name:14} {figures.wall:8.2f} {figures.cpu:7.2f} {figures.peak:5.0f}"
                  f"   {lastconnd.wall / figures.wall:.3f}, {lastconnd.cpu / figures.cpu:.3f}")

    def memory(self, megaoctets):
        writer = subprocess.Popen((self.capture_write, str(megaoctets)), stdout=subprocess.PIPE)
        figures = self.read(Figures(), "-", stdin=writer.stdout)
        writer.stdout.close()
        if writer.wait() != 0:
            raise SystemExit("capture_write failed")
        print(f"{megaoctets} MB through a pipe: {figures.peak:.0f} MiB at most,"
              f" {figures.wall:.2f} s, {figures.cpu:.2f} s of CPU", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megaoctets", type=int, default=200)
    parser.add_argument("--train", type=int, default=7)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--memory", default="100,1000,2000,4000")
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "bench"))
    options = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="lastconn-bench-")
    try:
        bench = Bench(options.build, directory)
        bench.speed(options.megaoctets, options.train, options.runs)
        for megaoctets in map(int, options.memory.split(",")):
            if megaoctets:
                bench.memory(megaoctets)
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
