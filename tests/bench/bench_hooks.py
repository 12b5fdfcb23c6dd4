#!/usr/bin/env python3
"""What each BPF program of lastconnd costs a run, and the largest rate of events without a loss.
Needs root, the bench preset and no other lastconnd on the machine:

    cmake --preset bench && cmake --build --preset bench
    tests/bench/bench_hooks.py [--build build/bench] [--option OPTION...] [hooks] [rate]

hooks: kernel.bpf_stats_enabled is switched on for the time of each workload (and put back); printed
    are each program's runs, nanoseconds a run, and nanoseconds for each unit of the workload. The
    statistics themselves cost some 20 ns a run, which is in the figures.
rate: connect loops as fast as the machine can, with the default ring and with one that is far too
    small. Every flow must be a record or be counted as lost: both are printed, and the rate.
"""
import argparse
import json
import os
import shutil
import subprocess
import time

import bench_overhead

STATS = "/proc/sys/kernel/bpf_stats_enabled"


def all_programs():
    return json.loads(subprocess.run(["bpftool", "-j", "prog", "show"], check=True,
                                     capture_output=True).stdout)


def programs(last_id):
    """Runs and nanoseconds by name, of those loaded next: ids rise."""
    return {p["name"]: (p.get("run_cnt", 0), p.get("run_time_ns", 0))
            for p in sorted(all_programs(), key=lambda p: -p["id"])
            if p["id"] > last_id and "name" in p}


def hooks(bench, name, workload, count, unit):
    last_id = max((p["id"] for p in all_programs()), default=0)
    process, _ = bench.start_daemon(f"hooks-{name}")
    before = programs(last_id)
    workload(count)
    after = programs(last_id)
    bench.stop_daemon(process)
    print(f"{name}, {count} times one {unit}:")
    total = 0
    for program, (runs, spent) in sorted(after.items(), key=lambda item: -item[1][1]):
        runs, spent = (now - then for now, then in zip((runs, spent), before.get(program, (0, 0))))
        if runs and runs >= count / 100:
            total += spent
            print(f"  {program:24} {runs:9} runs  {spent / runs:6.0f} ns a run"
                  f"  {spent / count:7.0f} ns a {unit}")
    print(f"  {'all':24} {'':14}  {'':15}  {total / count:7.0f} ns a {unit}", flush=True)


def all_hooks(bench):
    with open(STATS, encoding="ascii") as file:
        old = file.read()
    try:
        with open(STATS, "w", encoding="ascii") as file:
            file.write("1")
        hooks(bench, "loop", bench.run_loop, 20000, "connection")
        hooks(bench, "storm", bench.run_storm, 2000, "process")
        hooks(bench, "rr", bench.run_exchange("rr"), 100000, "round trip")
        hooks(bench, "bulk", bench.run_exchange("bulk"), 2048, "MiB")
        hooks(bench, "udp", bench.run_exchange("udp"), 200000, "datagram")
    finally:
        with open(STATS, "w", encoding="ascii") as file:
            file.write(old)


def rate(bench, ring, count=100000):
    """Two loops at a time; each connection is two flows."""
    bench.arguments.option = ["--ring-size", ring, "--max-flows", "1048576"]
    process, database = bench.start_daemon(f"rate-{ring}")
    loops = []
    start = time.monotonic()
    for _ in range(2):
        server = subprocess.Popen([bench.storm, "serve", str(count), "-"],
                                  stdout=subprocess.PIPE, text=True)
        port = server.stdout.readline().strip()
        loops += [server, subprocess.Popen([bench.storm, "loop", "127.0.0.1", port, str(count)])]
    for loop in loops:
        loop.communicate()
    seconds = time.monotonic() - start
    bench.stop_daemon(process)
    flows = bench.count(database, "SELECT count(*) FROM flow")
    lost = bench.count(database, "SELECT coalesce(sum(count), 0) FROM coverage_interval"
                                 " WHERE what = 'ring full'")
    print(f"rate, ring of {ring}: {4 * count / seconds:.0f} flows/s for {seconds:.1f} s: {flows} of"
          f" {4 * count} recorded, {lost} events counted as lost", flush=True)


def main():
    parser = argparse.ArgumentParser(description="what each hook costs")
    parser.add_argument("--build", default=os.path.join(bench_overhead.ROOT, "build", "bench"))
    parser.add_argument("--option", action="append", default=[],
                        help="of lastconnd, for hooks; repeatable")
    parser.add_argument("only", nargs="*", metavar="hooks|rate")
    arguments = parser.parse_args()
    bench = bench_overhead.Bench(arguments)
    try:
        if "hooks" in (arguments.only or ["hooks"]):
            all_hooks(bench)
        if "rate" in (arguments.only or ["rate"]):
            for ring in ("8M", "64K"):
                rate(bench, ring)
    finally:
        shutil.rmtree(bench.directory)


if __name__ == "__main__":
    main()
