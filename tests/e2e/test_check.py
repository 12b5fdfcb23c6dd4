#!/usr/bin/env python3
"""lastconnd --check against what the kernel is seen to do: a hook that it calls served must record,
and one that is taken away must be missed, with words and exit status."""
import json

import harness

FULL, NONE, DEGRADED = 0, 1, 3


class Check(harness.Case):

    def check(self, *options, prefix=()):
        done = self.run_daemon("--check", "--json", *options, prefix=prefix)
        return done.returncode, json.loads(done.stdout)

    def test_the_hooks_are_those_that_a_recording_daemon_has(self):
        daemon = self.start_daemon()
        status, answer = self.check()
        served = [hook["hook"] for hook in answer["hooks"] if hook["serving"]]
        self.assertIn("serves " + " ".join(served) + "\n", daemon.log() + "\n")
        self.assertEqual(answer["source"], "ebpf")
        costs = [hook["hook"] for hook in answer["hooks"] if hook["costs"]]
        self.assertEqual((status, answer["status"]),
                         (DEGRADED, "degraded") if costs else (FULL, "full"))
        daemon.stop()

    def test_a_missing_hook_is_a_cost(self):
        self.need_kernel()
        status, answer = self.check("--disable-slot", "datagram")
        hook = harness.one(self, [h for h in answer["hooks"] if h["hook"] == "datagram"])
        self.assertEqual((status, answer["status"]), (DEGRADED, "degraded"))
        self.assertIsNone(hook["serving"])
        self.assertTrue(hook["costs"])
        self.assertEqual({r["reason"] for r in hook["refused"]}, {"disabled"})

    def test_a_refused_program_gives_way_to_the_next(self):
        self.need_kernel()
        _, before = self.check()
        _, after = self.check("--disable-program", "socket_send")
        names = [[h["serving"] for h in answer["hooks"] if h["hook"] == "use"]
                 for answer in (before, after)]
        self.assertNotEqual(*names)

    def test_without_privileges_it_says_which_are_missing(self):
        self.need_root()
        done = self.run_daemon("--check", prefix=(
            "setpriv", "--reuid", str(harness.NOBODY), "--clear-groups", "--bounding-set", "-all"))
        self.assertNotEqual(done.returncode, FULL, done.stderr)
        self.assertIn("CAP_BPF", done.stdout)

    def test_json_alone_is_refused(self):
        done = self.run_daemon("--json", "--db", self.path("x.db"))
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertIn("--check", done.stderr)


if __name__ == "__main__":
    harness.main()
