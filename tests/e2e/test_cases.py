#!/usr/bin/env python3
"""Every case of tests/support/cases: its traffic beside a recording lastconnd, its truth against the
records. cases.py tells how they are judged.

LASTCONN_CASES: the names of some, separated by spaces (default: all)."""
import json
import os
import subprocess
import unittest

import cases
import harness


class Cases(harness.Case):
    OPTIONS = ()
    BLIND = ()  # (slot, prefix): without the slot's best program nothing is seen of such cases

    def judge(self, daemon, output, names):
        """Stops the daemon; a subtest for each case."""
        daemon.stop()
        degraded = self.degraded_slots()
        unseen = tuple(prefix for slot, prefix in self.BLIND if slot in degraded)
        names = [name for name in names if not name.startswith(unseen)]
        truth = [line for line in cases.load(output.splitlines())
                 if not line["case"].startswith(unseen)]
        verdicts = cases.by_case(
            cases.judge(truth, daemon.rows("SELECT * FROM flows"), degraded))
        self.assertEqual(sorted(verdicts), sorted(names))
        for case, (grade, texts) in verdicts.items():
            with self.subTest(case=case):
                if grade == "skipped":
                    self.skipTest(f"{case}: {texts[0]}")
                self.assertIn(grade, ("right", "degraded" if degraded else "right"),
                              "\n".join(texts))

    def degraded_slots(self):
        """Of a kernel that refuses the best programs."""
        told = json.loads(self.run_daemon("--check", "--json", *self.OPTIONS).stdout)
        return [hook["hook"] for hook in told["hooks"] if hook["costs"]]

    def test_every_case(self):
        daemon = self.start_daemon(*self.OPTIONS)
        names = os.environ.get("LASTCONN_CASES", "").split()
        done = subprocess.run([harness.CASES, *names], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, timeout=300 * harness.SLOW)
        names = names or self.run_program(harness.CASES, "--list").stdout.split()
        self.judge(daemon, done.stdout, names)

    def test_sockets_from_before_the_start(self):
        self.need_kernel()
        program = self.start_program(harness.CASES, "--before", stdin=subprocess.PIPE)
        held = json.loads(self.read_line(program))["held"]
        daemon = self.start_daemon(*self.OPTIONS)
        output, _ = program.communicate("go\n", timeout=60 * harness.SLOW)
        names = {line["case"] for line in cases.load(output.splitlines())}
        self.assertEqual((program.returncode, len(names)), (0, held), output)
        self.judge(daemon, output, names)


class CasesWithoutStorage(Cases):
    """The state of sockets kept as on kernels before 5.12: nothing is known less well,
    but that frames are counted only by slot packet."""
    OPTIONS = ("--disable-program", "sweep_sockets")
    BLIND = (("packet", "packet_"),)


class Judge(unittest.TestCase):
    """The judge itself: nothing slips through."""
    LINE = {"case": "c", "end": "client", "protocol": "tcp", "local_ip": "127.0.0.1",
            "local_port": 1, "remote_ip": "127.0.0.1", "remote_port": 2, "pid": 3,
            "exe": "/a", "argv": ["a", "b c"], "opener_pid": 0, "octets_out": 5,
            "method": ["exact"], "process_start_us": 1000000}
    FLOW = {"protocol": "tcp", "local_ip": "127.0.0.1", "local_port": 1, "remote_ip": "127.0.0.1",
            "remote_port": 2, "pid": 3, "exe": "/a", "cmdline": "a 'b c'", "opener_pid": None,
            "octets_out": 5, "method": "exact", "process_start_us": 1009000, "open": 0}

    def grade(self, *flows, degraded=(), **changed):
        verdicts = cases.judge([{**self.LINE, **changed}], flows, degraded)
        return cases.by_case(verdicts)["c"][0]

    def test_the_same_is_right(self):
        self.assertEqual(self.grade(self.FLOW), "right")

    def test_each_column_that_differs_is_wrong(self):
        for column, value in (("pid", 4), ("exe", "/b"), ("cmdline", "a b c"), ("opener_pid", 9),
                              ("octets_out", 4), ("method", "snapshot"), ("open", 1),
                              ("process_start_us", 2000000), ("protocol", "udp")):
            with self.subTest(column=column):
                self.assertEqual(self.grade({**self.FLOW, column: value}), "wrong")

    def test_no_record_is_missing_and_two_are_wrong(self):
        self.assertEqual(self.grade(), "missing")
        self.assertEqual(self.grade({**self.FLOW, "local_port": 7, "pid": 4}), "missing")
        self.assertEqual(self.grade(self.FLOW, self.FLOW), "wrong")
        self.assertEqual(self.grade(self.FLOW, {**self.FLOW, "remote_port": 9}), "wrong")

    def test_a_degraded_record_knows_less_but_is_never_wrong_and_exact(self):
        for column, value, grade in (("octets_out", 4, "degraded"), ("octets_out", 6, "wrong"),
                                     ("pid", 4, "wrong")):
            self.assertEqual(self.grade({**self.FLOW, column: value}, degraded=["sweep"]), grade)
        for slot in ("connect", "use", "accept"):
            self.assertEqual(self.grade({**self.FLOW, "octets_out": 4}, degraded=[slot]), "wrong")
        other = {**self.FLOW, "pid": 4, "method": "inherited"}
        self.assertEqual(self.grade(other, degraded=["use"]), "degraded")
        self.assertEqual(self.grade(other, degraded=["accept"]), "wrong")
        silent = {"octets_out": 0, "octets_in": 0}
        self.assertEqual(self.grade({**other, **silent}, degraded=["accept"], octets_out=0), "degraded")
        self.assertEqual(self.grade(other), "wrong")

    def test_a_polled_datagram_socket_is_lost_only_where_its_end_is_not_told(self):
        for protocol, outcome, grade in (("udp", "closed", "degraded"), ("udp", "lost", "wrong"),
                                         ("sctp", "lost", "degraded"), ("sctp", "idle", "wrong")):
            with self.subTest(protocol=protocol, outcome=outcome):
                found = {**self.FLOW, "protocol": protocol, "outcome": outcome}
                self.assertEqual(self.grade(found, degraded=["procfs"], protocol=protocol,
                                            outcome="unreachable"), grade)

    def test_octets_that_are_no_text(self):
        line = json.loads('{"exe": "/\\u00ff\\u00c3\\u00a4 (deleted)"}')
        self.assertEqual(cases.expect(line)["exe"], "/\\xffä")


if __name__ == "__main__":
    harness.main()
