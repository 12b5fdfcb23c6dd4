#!/usr/bin/env python3
"""The history beside a bare table and a column store, in one run. Needs a release build (preset
bench), sqlite3, and for DuckDB node and npm, which fetch it into a temporary folder:

    cmake --preset bench && cmake --build --preset bench
    tests/bench/bench_beside.py [--flows 2000000] [--a-day 300000] [--runs 5] [--no-duckdb]
        [--directory DIR] [--build build/bench]

Writing: bench_store (roll-ups, ledger, then the same with retention) prints its own figures; then
the flows that it kept are written by `sqlite3 .import` into a table without any index, once as the
narrow rows of the table flow, once wide, with the texts of the view flows; and by DuckDB from the
same two CSV files. CPU is of the whole process, reading of CSV included. Asking: lastconn, and the
same question in SQL to the wide tables. Prints figures and asserts nothing about them.
"""
import argparse
import csv
import os
import re
import resource
import shutil
import sqlite3
import statistics
import subprocess
import tempfile
import time

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
NARROW = ("end_us", "duration_us", "actor", "process", "opener", "remote", "local", "remote_port",
          "local_port", "kind", "octets_out", "octets_in", "packets_out", "packets_in",
          "retransmits", "rtt_us")
WIDE = ("start_us", "end_us", "protocol", "direction", "outcome", "local_ip", "local_port",
        "remote_ip", "remote_port", "remote_name", "octets_out", "octets_in", "packets_out",
        "packets_in", "retransmits", "rtt_us", "pid", "comm", "exe", "cmdline", "uid", "parent_exe",
        "unit", "method")
TEXTS = ("protocol", "direction", "outcome", "local_ip", "remote_ip", "remote_name", "comm", "exe",
         "cmdline", "parent_exe", "unit", "method")
WHO = ("SELECT exe, count(*), min(start_us), max(end_us), sum(octets_out), sum(octets_in)"
       " FROM wide WHERE remote_ip = '{ip}' GROUP BY exe")
TOP = ("SELECT exe, sum(octets_out) + sum(octets_in) AS octets, count(*) FROM wide"
       " WHERE end_us >= {since} GROUP BY exe ORDER BY octets DESC")
DUCK = r"""
const {DuckDBInstance} = require('@duckdb/node-api');
(async () => {
    const [path, ...statements] = process.argv.slice(1);
    const connection = await (await DuckDBInstance.create(path)).connect();
    for (const statement of statements) {
        const begin = process.hrtime.bigint();
        const result = await connection.runAndReadAll(statement);
        const ms = Number(process.hrtime.bigint() - begin) / 1e6;
        console.log(ms.toFixed(2), result.getRows().length);
    }
})();
"""


def columns(names):
    return ", ".join(f"{name} {'TEXT' if name in TEXTS else 'BIGINT'}" for name in names)


class Bench:
    def __init__(self, arguments):
        self.arguments = arguments
        self.build = os.path.realpath(arguments.build)
        self.directory = os.path.realpath(
            tempfile.mkdtemp(prefix="lastconn-bench-", dir=arguments.directory))
        self.history = None
        self.flows = 0

    def path(self, name):
        return os.path.join(self.directory, name)

    @staticmethod
    def measured(command, allowed=(0,), **how):
        """CPU seconds and octets written of a command, and what it printed."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, check=False, capture_output=True, text=True, **how)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode not in allowed:
            raise SystemExit(f"{command[0]}: {done.stdout}{done.stderr}")
        cpu = sum(getattr(after, part) - getattr(before, part) for part in ("ru_utime", "ru_stime"))
        return cpu, 512 * (after.ru_oublock - before.ru_oublock), done.stdout

    def print_write(self, what, cpu, written, path):
        size = os.path.getsize(path)
        print(f"{what:28} {1e6 * cpu / self.flows:7.3f} us CPU {size / self.flows:7.1f} octets in"
              f" the file {written / self.flows:7.1f} octets written a flow", flush=True)

    def write_history(self):
        _, _, said = self.measured(
            [os.path.join(self.build, "tests", "bench", "bench_store"), str(self.arguments.flows),
             self.directory, str(self.arguments.a_day)], (0, 1), env={**os.environ, "BENCH_KEEP": "1"})
        print(said, end="")
        self.history = self.path(next(name for name in os.listdir(self.directory)
                                      if re.fullmatch(r"bench_store_\d+\.db", name)))

    def export(self):
        connection = sqlite3.connect(f"file:{self.history}?mode=ro", uri=True)
        for name, names, table in (("narrow", NARROW, "flow"), ("wide", WIDE, "flows")):
            with open(self.path(f"{name}.csv"), "w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                rows = connection.execute(f"SELECT {', '.join(names)} FROM {table}")
                while part := rows.fetchmany(10000):
                    writer.writerows(part)
        self.flows = connection.execute("SELECT count(*) FROM flow").fetchone()[0]
        connection.close()
        print(f"{self.flows} flows are kept; the same rows:")

    def import_sqlite(self, name, names):
        path = self.path(f"sqlite-{name}.db")
        cpu, written, _ = self.measured(
            ["sqlite3", path, "PRAGMA page_size = 2048", "PRAGMA journal_mode = WAL",
             f"CREATE TABLE {name} ({columns(names)})", ".mode csv",
             f".import {self.path(name)}.csv {name}"])
        self.print_write(f"sqlite3 .import, {name}", cpu, written, path)

    def duck(self, path, *statements):
        cpu, written, said = self.measured(["node", "-e", DUCK, path, *statements],
                                           cwd=self.directory)
        return cpu, written, [line.split() for line in said.splitlines()]

    def import_duckdb(self, name, names):
        path = self.path(f"duckdb-{name}.db")
        cpu, written, _ = self.duck(
            path, f"CREATE TABLE {name} ({columns(names)})",
            f"COPY {name} FROM '{self.path(name)}.csv' (HEADER FALSE)", "CHECKPOINT")
        self.print_write(f"DuckDB COPY, {name}", cpu, written, path)

    def has_duckdb(self):
        if self.arguments.no_duckdb or not shutil.which("npm"):
            return False
        done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "@duckdb/node-api"],
                              cwd=self.directory, capture_output=True, check=False)
        if done.returncode:
            print("DuckDB could not be installed: it is left out")
        return done.returncode == 0

    def timed(self, command):
        times = []
        for _ in range(self.arguments.runs):
            begin = time.perf_counter()
            self.measured(command)
            times.append((time.perf_counter() - begin) * 1000)
        return statistics.median(times)

    def ask(self, duckdb):
        connection = sqlite3.connect(f"file:{self.history}?mode=ro", uri=True)
        busy = connection.execute(
            "SELECT r.ip FROM contact_day AS c JOIN remote AS r ON r.id = c.remote"
            " GROUP BY c.remote ORDER BY sum(c.flows) DESC LIMIT 1 OFFSET 100").fetchone()[0]
        since = connection.execute("SELECT max(end_us) FROM flow").fetchone()[0] - 86400 * 10**6
        connection.close()
        lastconn = [os.path.join(self.build, "src", "query", "lastconn"), "--db", self.history]
        for name, words, sql in (
                ("who talked to an address", ("who", busy), WHO.format(ip=busy)),
                ("top of the last day", ("top", "--since", f"@{since // 10**6}"),
                 TOP.format(since=since))):
            print(f"{name}, warm: lastconn {self.timed([*lastconn, *words]):.1f} ms, sqlite3 on the"
                  f" wide table"
                  f" {self.timed(['sqlite3', self.path('sqlite-wide.db'), sql]):.1f} ms", end="")
            if duckdb:
                _, _, said = self.duck(self.path("duckdb-wide.db"),
                                       *[sql] * (self.arguments.runs + 1))
                median = statistics.median(float(line[0]) for line in said[1:])
                print(f", DuckDB without its start {median:.1f} ms", end="")
            print(flush=True)

    def run(self):
        self.write_history()
        self.export()
        duckdb = self.has_duckdb()
        for name, names in (("narrow", NARROW), ("wide", WIDE)):
            self.import_sqlite(name, names)
            if duckdb:
                self.import_duckdb(name, names)
        self.ask(duckdb)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flows", type=int, default=2_000_000)
    parser.add_argument("--a-day", type=int, default=300_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--no-duckdb", action="store_true")
    parser.add_argument("--directory", default=".", help="where files are made for a while")
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "bench"))
    bench = Bench(parser.parse_args())
    try:
        bench.run()
    finally:
        shutil.rmtree(bench.directory, ignore_errors=True)


if __name__ == "__main__":
    main()
