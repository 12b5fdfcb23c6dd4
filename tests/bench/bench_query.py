#!/usr/bin/env python3
"""How long lastconn takes to answer over a large history. Needs a release build (preset bench):

    cmake --preset bench && cmake --build --preset bench
    tests/bench/bench_query.py [--flows 10000000] [--a-day 300000] [--runs 11] [--db FILE]
        [--build build/bench]

The history is made by history_make, unless FILE is there already, and kept if FILE is given. Each
question is asked by a new process, start of the program and printing included. warm: median of the
runs after the first. cold: once, after the pages of the file were dropped from the page cache
(posix_fadvise; the disk's own cache stays). Prints figures and asserts nothing about them.
"""
import argparse
import os
import shutil
import sqlite3
import statistics
import subprocess
import tempfile
import time

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
DAY = 86400


def hosts_by_flows(database):
    """The addresses of the ledger and their names, busiest first, and the end of the history in
    seconds."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    busy = [row[0] for row in connection.execute(
        "SELECT r.ip FROM contact_day c JOIN remote r ON r.id = c.remote"
        " GROUP BY c.remote ORDER BY sum(c.flows) DESC")]
    names = [row[0] for row in connection.execute(
        "SELECT n.name FROM contact_day c JOIN remote r ON r.id = c.remote JOIN name n ON n.id = r.name"
        " WHERE n.name <> '' GROUP BY n.id ORDER BY sum(c.flows) DESC")]
    end = connection.execute("SELECT max(end_us) FROM flow").fetchone()[0] // 10**6
    connection.close()
    return busy, names, end


def questions(database):
    """What is asked, by the name under which it is printed."""
    busy, names, end = hosts_by_flows(database)
    common = next(ip for ip in busy[len(busy) // 10:] if ":" not in ip)
    rare = next(ip for ip in reversed(busy) if ":" not in ip)
    network = common.rsplit(".", 2)[0] + ".0.0/16"
    window = ("--since", f"@{end - 5 * DAY - 4321}", "--until", f"@{end - DAY - 1234}")
    named = {  # histories of bench_store have none
        "who, a rare name": ("who", names[-1]),
        "who, the busiest name": ("who", names[0]),
        "who, a suffix": ("who", "*." + names[len(names) // 10].split(".", 1)[1]),
    } if names else {}
    return {
        "who, a rare address": ("who", rare),
        "who, a common address": ("who", common),
        "who, the busiest address": ("who", busy[0]),
        "who, the busiest, window": ("who", busy[0], *window),
        **named,
        "who, a network (/24)": ("who", common.rsplit(".", 1)[0] + ".0/24"),
        "who, a network (/16)": ("who", network),
        "who, all of IPv4": ("who", "0.0.0.0/0"),
        "flows, newest": ("flows",),
        "flows, a rare address": ("flows", "--host", rare),
        "flows, the busiest address": ("flows", "--host", busy[0]),
        "flows, a program": ("flows", "--exe", "*/program-240/*"),
        "flows, a window": ("flows", *window),
        "top, the last day": ("top", "--since", f"@{end - DAY}"),
        "top, 3 days, a program": ("top", "--since", f"@{end - 3 * DAY}", "--exe", "*/program-240/*"),
        "top, everything": ("top",),
        "new, the last day": ("new", "--since", f"@{end - DAY}", "--until", f"@{end + 1}"),
        "at": ("at", f"@{end - 3 * DAY}"),
        "stats": ("stats",),
    }


class Bench:
    def __init__(self, arguments):
        build = os.path.realpath(arguments.build)
        self.lastconn = os.path.join(build, "src", "query", "lastconn")
        self.history_make = os.path.join(build, "tests", "bench", "history_make")
        self.arguments = arguments
        self.directory = tempfile.mkdtemp(prefix="lastconn-bench-")
        self.database = arguments.db or os.path.join(self.directory, "history.db")

    def make_history(self):
        if os.path.exists(self.database):
            return
        begin = time.monotonic()
        subprocess.run([self.history_make, self.database, str(self.arguments.flows),
                        str(self.arguments.a_day)], check=True)
        print(f"made {self.arguments.flows} flows in {time.monotonic() - begin:.0f} s,"
              f" {os.path.getsize(self.database) / self.arguments.flows:.0f} octets a flow")

    def ask(self, question):
        """Milliseconds, and the rows of the answer."""
        begin = time.perf_counter()
        done = subprocess.run([self.lastconn, *question, "--db", self.database],
                              stdin=subprocess.DEVNULL, capture_output=True, check=False)
        elapsed = (time.perf_counter() - begin) * 1000
        if done.returncode > 1:
            raise SystemExit(done.stderr.decode())
        return elapsed, max(done.stdout.count(b"\n") - 1, 0)

    def drop_cache(self):
        with open(self.database, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def run(self):
        self.make_history()
        print(f"{'question':28} {'rows':>6} {'warm ms':>9} {'least ms':>9} {'cold ms':>9}")
        for name, question in questions(self.database).items():
            self.drop_cache()
            cold, rows = self.ask(question)
            runs = max(3, self.arguments.runs if cold < 1000 else 3)
            warm = [self.ask(question)[0] for _ in range(runs)]
            print(f"{name:28} {rows:6} {statistics.median(warm):9.1f} {min(warm):9.1f}"
                  f" {cold:9.1f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flows", type=int, default=10_000_000)
    parser.add_argument("--a-day", type=int, default=300_000)
    parser.add_argument("--runs", type=int, default=11)
    parser.add_argument("--db", help="kept; used as it is if it exists")
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "bench"))
    bench = Bench(parser.parse_args())
    try:
        bench.run()
    finally:
        shutil.rmtree(bench.directory, ignore_errors=True)


if __name__ == "__main__":
    main()
