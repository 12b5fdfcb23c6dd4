#!/usr/bin/env python3
"""lastconnd --selftest: right where the hooks serve, honest where they were taken away."""
import json
import os
import re

import harness

RIGHT, FAILED, INEXACT = 0, 1, 3


class Selftest(harness.Case):

    def selftest(self, *options, prefix=()):
        """Exit status, the verdicts of the conversations, and the counts of the last line."""
        scratch = self.path("scratch")
        os.mkdir(scratch)
        os.chmod(self.directory, 0o711)
        os.chmod(scratch, 0o777)
        done = self.run_daemon("--selftest", *options, prefix=prefix,
                               env={**os.environ, "TMPDIR": scratch})
        self.assertEqual(os.listdir(scratch), [], "the scratch directory is gone")
        rows = re.findall(r"^(right|inexact|unseen|wrong|missing|skipped) +(\S.*?) +(client|server)  ",
                          done.stdout, re.MULTILINE)
        counts = dict((word, int(count)) for count, word in re.findall(
            r"(\d+) (right|inexact|unseen|wrong|missing|skipped)", done.stdout.splitlines()[-1]))
        return done, rows, counts

    def test_every_flow_is_right(self):
        self.need_kernel()
        done, rows, counts = self.selftest()
        self.assertEqual(done.returncode, RIGHT, done.stdout)
        self.assertGreaterEqual(counts["right"], 16, done.stdout)
        self.assertEqual(counts["right"] + counts["skipped"], len(rows), done.stdout)

    def test_without_the_hooks_that_name_users_nothing_is_wrong(self):
        """Who closes a socket is a user too: these conversations stay right."""
        self.need_kernel()
        check = json.loads(self.run_daemon("--check", "--json").stdout)
        users = [h["hook"] for h in check["hooks"] if h["hook"] in ("use", "accept")]
        done, rows, counts = self.selftest("--disable-slot", ",".join(users))
        self.assertIn(done.returncode, (RIGHT, INEXACT), done.stdout)
        self.assertEqual(counts["wrong"] + counts["missing"], 0, done.stdout)
        self.assertEqual(len(rows), sum(counts.values()), done.stdout)

    def test_polling_is_inexact_not_wrong(self):
        done, rows, counts = self.selftest("--source", "procfs")
        self.assertEqual(done.returncode, INEXACT, done.stdout)
        self.assertEqual(counts["wrong"] + counts["missing"], 0, done.stdout)
        self.assertIn(("inexact", "TCP between short-lived processes", "server"), rows)

    def test_an_interrupt_leaves_nothing(self):
        self.need_root()
        scratch = self.path("scratch")
        os.mkdir(scratch)
        test = self.start_program(harness.LASTCONND, "--selftest", "--source", "procfs",
                                  env={**os.environ, "TMPDIR": scratch})
        harness.wait_until("the scratch database", lambda: [
            1 for _, _, files in os.walk(scratch) if "history.db" in files])
        test.terminate()
        self.assertIsNotNone(test.wait(60 * harness.SLOW))
        self.assertEqual(os.listdir(scratch), [])

    def test_a_missing_flow_is_a_failure(self):
        self.need_kernel()
        done, rows, _ = self.selftest("--disable-slot", "datagram")
        self.assertEqual(done.returncode, FAILED, done.stdout)
        self.assertIn(("missing", "UDP question and answer", "client"), rows)

    def test_without_privileges_it_tells_what_the_recorder_said(self):
        self.need_root()
        done, _, counts = self.selftest(prefix=(
            "setpriv", "--reuid", str(harness.NOBODY), "--clear-groups", "--bounding-set", "-all"))
        self.assertNotEqual(done.returncode, RIGHT, done.stdout)
        self.assertEqual(counts["right"], 0)
        built = os.environ.get("LASTCONN_EBPF", "1") != "0"
        self.assertIn("CAP_BPF" if built else "without the kernel source", done.stdout)


if __name__ == "__main__":
    harness.main()
