#!/usr/bin/env python3
"""The cases of attribution on stock Debian kernels (run_vm.py): on each with the best that it
offers, then with the best rung of every hook taken away, with the two best, with fewer privileges,
and locked down; on one kernel, for what the others do then is the same on all, with hooks gone
altogether. The traffic and its truth are made inside (suite.sh), the judgement here, by what judges
the cases on this machine's own kernel.

Prints a line for each run, and one for each case that is not as it must be. A case that a run's
hooks cannot see may be missing, what they see less of may be degraded; nothing may be wrong. Runs
that are not as they must be are made once more: emulation is so slow that tasks are preempted in
the middle of a hook now and then, which the kernel skips then for others. No case may be bad twice in a
run, nor in more than two runs of a kernel, and no more than AGAIN_MAX of a run once.

LASTCONN_VM: the kernels to test, names of the file "kernels" or "all" (default: 6.1 newest).
LASTCONN_VM_RUNS: only these runs, or "all", also of hooks that are gone.
LASTCONN_VM_BUILD: where lastconnd was built without sanitizers, too slow in here (build/release).
LASTCONN_EXPECT_VM=1: what keeps a kernel from being tested is a failure, not a skip."""
import collections
import json
import os
import re
import shlex
import sys
import time

import run_vm

sys.path.insert(0, os.path.join(run_vm.HERE, "..", "e2e"))
import cases  # noqa: E402  pylint: disable=wrong-import-position
import harness  # noqa: E402  pylint: disable=wrong-import-position
import storm  # noqa: E402  pylint: disable=wrong-import-position

BUILD = os.environ.get("LASTCONN_VM_BUILD", os.path.join(harness.ROOT, "build", "release"))
LASTCONND = os.path.join(BUILD, "src", "daemon", "lastconnd")
STORM_COUNT = 60
BOOT_SECONDS, RUN_SECONDS = 60, 120  # a limit: a run takes about 65 here, and machines are shared
WORST = 8  # so many cases of a run are printed
AGAIN_MAX = 3
GONE_KERNEL = "6.1"  # where hooks are gone

# Of each hook: a program of each of its rungs, from the best on; and the traffic that only it sees.
RUNGS = {
    "use": ("socket_send", "inet_send", "probe_send"),
    "splice": ("tcp_splice", "probe_splice"),
    "accept": ("socket_accept", "probe_accept"),
    "datagram": ("datagram_out",),
    "bind": ("bind_v4",),
    "release": ("socket_release",),
    "process": ("process_exec",),
    "snapshot": ("snapshot_processes",),
    "sweep": ("sweep_sockets", "sweep_hash", "sweep_files"),
}
# Gone together, to save time: hooks that do not stand in for each other.
GONE = (("use", "snapshot"), ("splice", "process"), ("accept", "release"), ("datagram", "bind"),
        ("sweep",))
SEES = {"datagram": lambda line: line["protocol"] != "tcp",
        "release": lambda line: line["protocol"] != "tcp"}

USER = "setpriv --reuid nobody --regid nogroup --clear-groups --no-new-privs"
Run = collections.namedtuple("Run", "name options prefix before after how",
                             defaults=("", "", "", "", "run"))


def unit_capabilities():
    """What the unit file grants, as setpriv(1) wants it."""
    with open(os.path.join(harness.ROOT, "contrib", "lastconnd.service"), encoding="ascii") as unit:
        words = re.search(r"^AmbientCapabilities=(.*)$", unit.read(), re.MULTILINE)[1].split()
    return ",".join(["-all", *("+" + word.removeprefix("CAP_").lower() for word in words)])


def options_off(programs):
    return " ".join(f"--disable-program {name}" for name in programs)


def rungs_off():
    """Every hook on its second rung, if it has one, then on its third; then some without any."""
    for count in (1, 2):
        off = (name for programs in RUNGS.values() if len(programs) > count
               for name in programs[:count])
        yield Run(f"rung-{count + 1}", options_off(off), how="rung")
    for hooks in GONE:
        off = (name for hook in hooks for name in RUNGS[hook])
        yield Run(gone_name(hooks), options_off(off), how="rung")


def gone_name(hooks):
    return f"no-{'-'.join(hooks)}"


def runs(kernel):
    """Those that are asked for on this kernel."""
    asked = os.environ.get("LASTCONN_VM_RUNS", "").split()
    if not asked:
        return [run for run in all_runs() if kernel == GONE_KERNEL or not run.name.startswith("no-")]
    return [run for run in all_runs() if "all" in asked or run.name in asked]


def all_runs():
    unit = unit_capabilities()
    return (
        Run("best"),
        *rungs_off(),
        # and LimitMEMLOCK=infinity, which matters before 5.11
        Run("unit", prefix=f"prlimit --memlock=unlimited {USER} --bounding-set {unit}"
                           f" --inh-caps {unit} --ambient-caps {unit}"),
        Run("user", prefix=f"{USER} --bounding-set -all --inh-caps -all"),
        Run("hidden", before="echo 2 >/proc/sys/kernel/kptr_restrict\n"
                             "echo 3 >/proc/sys/kernel/perf_event_paranoid",
            after="echo 0 >/proc/sys/kernel/kptr_restrict\n"
                  "echo 2 >/proc/sys/kernel/perf_event_paranoid"),
        Run("cgroup1", before="umount /sys/fs/cgroup",
            after="mount -t cgroup2 cgroup /sys/fs/cgroup"),
        # for good, so it is the last one
        Run("lockdown", before="echo confidentiality >/sys/kernel/security/lockdown"),
    )


def job(table):
    lines = [f"{name}={shlex.quote(value)}" for name, value in (
        ("LASTCONND", LASTCONND), ("CASES", harness.CASES), ("STORM", harness.STORM),
        ("STORM_CLIENT", harness.STORM_CLIENT), ("STORM_COUNT", str(STORM_COUNT)))]
    lines += [f". {shlex.quote(os.path.join(run_vm.HERE, 'suite.sh'))}", "modprobe -q sctp"]
    for run in table:
        lines += [run.before, f"PREFIX={shlex.quote(run.prefix)}",
                  f"{run.how} {run.name} {run.options}", run.after]
    return "\n".join(lines)


class Record:
    """What one run left."""

    def __init__(self, directory):
        self.directory = directory
        self.check = json.loads(self.read("check.json"))
        self.hooks = {hook["hook"]: hook["serving"] for hook in self.check["hooks"]}
        self.degraded = [hook["hook"] for hook in self.check["hooks"] if hook["costs"]]
        if self.check["source"] != "ebpf":
            self.degraded.append(self.check["source"])
        self.lines = cases.load(self.read("truth").splitlines())

    def read(self, name):
        path = os.path.join(self.directory, name)
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8") as file:
            return file.read()

    def flows(self):
        return harness.rows(os.path.join(self.directory, "history.db"), "SELECT * FROM flows")

    def may_miss(self, case):
        """Whether only hooks that do not serve here could have seen a flow of the case."""
        blind = [sees for hook, sees in SEES.items() if not self.hooks.get(hook)]
        return self.check["source"] != "ebpf" or any(
            sees(line) for sees in blind for line in self.lines
            if line["case"] == case and "protocol" in line)

    def bad_cases(self):
        """(case, grade, text) of what is not as it must be, and the number of each grade."""
        verdicts = cases.by_case(cases.judge(self.lines, self.flows(), self.degraded))
        bad = [(case, grade, texts[0]) for case, (grade, texts) in sorted(verdicts.items())
               if grade in cases.BAD and not (grade == "missing" and self.may_miss(case))]
        return bad, collections.Counter(grade for grade, _ in verdicts.values())

    def skips(self):
        """What the history says of hooks that the kernel ran past."""
        return harness.rows(os.path.join(self.directory, "history.db"),
                            "SELECT what, detail, count FROM coverage WHERE detail LIKE ?",
                            "%: skipped while it was interrupted")

    def check_storm(self, case):
        """Every connection of it, with its process: a hook that is missing changes nothing here."""
        truth = [os.path.join(self.directory, name) for name in ("server.tsv", "clients.tsv")]
        port = int(self.read("port"))
        flows = [f for f in self.flows() if port in (f["local_port"], f["remote_port"])]
        storm.check_ends(case, flows, port, truth, STORM_COUNT)


class Vm(harness.Case):

    def lack(self, reason):
        if os.environ.get("LASTCONN_EXPECT_VM") == "1":
            self.fail(f"no virtual machine here: {reason}")
        print(f"skipped: {reason}", file=sys.stderr)
        self.skipTest(reason)

    def need_vm(self, name):
        asked = os.environ.get("LASTCONN_VM", "6.1 newest").split()
        if "all" not in asked and name not in asked:
            self.skipTest(f"LASTCONN_VM={' '.join(asked)} does not ask for it")
        if run_vm.missing():
            self.lack(run_vm.missing())
        if not os.path.exists(LASTCONND):
            self.lack(f"no {LASTCONND}: cmake --preset release && cmake --build --preset release")
        try:
            return run_vm.fetch(name)
        except run_vm.VmError as error:
            return self.lack(str(error))

    def boot(self, kernel, table, folder):
        """These runs on this kernel, as {run: its record}."""
        os.mkdir(self.path(folder))
        begin = time.monotonic()
        status, results = run_vm.run(kernel, job(table), BOOT_SECONDS + RUN_SECONDS * len(table))
        with results.fileobj, results:
            results.extractall(self.path(folder))
        print(f"\n{kernel.release}: {time.monotonic() - begin:.0f} s")
        self.assertEqual(status, 0)
        return {run.name: Record(self.path(os.path.join(folder, run.name))) for run in table}

    def report(self, name, record, bad, grades):
        begin, end = map(float, record.read("seconds").split())
        lacking = [hook for hook, serving in record.hooks.items() if not serving]
        print(f"{name:<12} {end - begin:3.0f} s  {record.check['source']}"
              f"{' without ' if lacking else ''}{' '.join(lacking)}: "
              + ", ".join(f"{count} {grade}" for grade, count in sorted(grades.items())))
        for case, _, text in bad[:WORST]:
            print(f"    {case:<28} {text[:400]}")
        if bad[WORST:]:
            print(f"    and {len(bad) - WORST} more")
        for skip in record.skips():
            print(f"    {skip['what']}: {skip['count']} {skip['detail']}")

    def judge(self, name, record):
        """The cases that are not as they must be; the storm is one of them."""
        if not record.read("seconds"):
            return set()  # the same hooks as another run
        self.assertEqual(record.read("status"), "0\n", record.read("log")[-2000:])
        bad, grades = record.bad_cases()
        if record.check["source"] == "ebpf":
            try:
                record.check_storm(self)
            except AssertionError as error:
                bad.append(("storm", "wrong", str(error)))
        self.report(name, record, bad, grades)
        return {case for case, _, _ in bad}

    def judge_all(self, records):
        """{run: its bad cases}, without those that are as they must be."""
        verdicts = {}
        for name, record in records.items():
            with self.subTest(run=name):
                verdicts[name] = self.judge(name, record)
        return {name: bad for name, bad in verdicts.items() if bad}

    def check_words(self, records):
        """What lastconnd says about each run."""
        best = records["best"].hooks
        self.assertEqual([hook for hook, serving in best.items() if not serving], [],
                         "every hook has a rung for this kernel")
        self.assertEqual(best["names"], "cgroup", "and names do not need the second best")
        if "unit" in records:
            hooks = records["unit"].hooks
            self.assertIn(hooks["resolve"], (best["resolve"], None))  # before 6.6 of root only
            self.assertEqual({**hooks, "resolve": best["resolve"]}, best, "as the unit runs it")
        if "hidden" in records:
            self.assertEqual(records["hidden"].hooks, best, "kptr_restrict, perf_event_paranoid")
        for hook, programs in RUNGS.items():
            self.check_rungs(hook, programs, records)
        for run, word in (("user", "CAP_BPF"), ("lockdown", "locked down")):
            if run in records:
                self.assertIn(word, records[run].read("log"))

    def check_rungs(self, hook, programs, records):
        for name in (gone_name(hooks) for hooks in GONE if hook in hooks):
            if name in records:
                self.assertIsNone(records[name].hooks[hook], "RUNGS does not know all rungs")
        for count in range(1, len(programs)):
            if f"rung-{count + 1}" in records:
                self.assertIsNotNone(records[f"rung-{count + 1}"].hooks[hook])

    def check_kernel(self, name):
        kernel = self.need_vm(name)
        table = runs(name)
        records = self.boot(kernel, table, "first")
        bad = self.judge_all(records)
        if bad:
            table = [run for run in table if run.name in bad]
            again = self.judge_all(self.boot(kernel, table, "again"))
            for run, cases_once in bad.items():
                with self.subTest(kernel=name, run=run):
                    self.assertEqual(cases_once & again.get(run, set()), set(), "twice")
                    self.assertLessEqual(len(cases_once), AGAIN_MAX, "at once")
            often = collections.Counter(case for found in bad.values() for case in found)
            self.assertFalse([case for case, count in often.items() if count > 2],
                             "again and again")
        self.check_words(records)

    def test_5_10(self):
        self.check_kernel("5.10")

    def test_6_1(self):
        self.check_kernel("6.1")

    def test_6_12(self):
        self.check_kernel("6.12")

    def test_newest(self):
        self.check_kernel("newest")

    def test_nat(self):
        """Where conntrack is a module: it comes with the rules, and lastconnd need not wait."""
        kernel = self.need_vm("6.1")
        command = shlex.join((
            "env", f"LASTCONN_BUILD={BUILD}", "LASTCONN_EXPECT_EBPF=1", "LASTCONN_SLOW=4",
            "/usr/bin/python3", os.path.join(run_vm.HERE, "..", "e2e", "test_nat.py"),
            "Nat.test_a_published_port_and_who_came_to_it"))
        status, results = run_vm.run(kernel, command, BOOT_SECONDS + 2 * RUN_SECONDS, "",
                                     sys.stdout.buffer)
        with results.fileobj, results:
            self.assertEqual(status, 0)


if __name__ == "__main__":
    harness.main()
