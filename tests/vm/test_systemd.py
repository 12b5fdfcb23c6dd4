#!/usr/bin/env python3
"""The package under a real systemd, in a virtual machine (run_vm.py): installed, it records within
its sandbox; a connection while it is restarted is not lost; the watchdog ends one that hangs; removed,
it leaves its history, purged nothing. What is done inside is in systemd.sh.

Where the package comes from: ../package/package_file.py. LASTCONN_EXPECT_VM=1: what keeps it from
being tested is a failure, not a skip."""
import json
import os
import shlex
import shutil
import sys
import tempfile
import time

import run_vm

sys.path[:0] = [os.path.join(run_vm.HERE, "..", name) for name in ("e2e", "package")]
import harness  # noqa: E402  pylint: disable=wrong-import-position
import package_file  # noqa: E402  pylint: disable=wrong-import-position
import test_vm  # noqa: E402  pylint: disable=wrong-import-position

KERNEL = "6.1"
SECONDS = 900
CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13, "CAP_SYS_PTRACE": 19, "CAP_PERFMON": 38,
                "CAP_BPF": 39}
EXPOSURE_MAX = 2.5


class Systemd(harness.Case):

    lack = test_vm.Vm.lack
    need_vm = test_vm.Vm.need_vm

    def package(self):
        for name in ("dpkg-buildpackage", "dh", "git"):
            if not shutil.which(name):
                self.lack(f"no {name} to build the package with")
        # the machine has a /tmp of its own
        place = tempfile.TemporaryDirectory(dir=harness.BUILD)  # pylint: disable=consider-using-with
        self.addCleanup(place.cleanup)
        return shutil.copy(package_file.find(self, self.path("package")), place.name)

    def boot(self):
        kernel = self.need_vm(KERNEL)
        job = f"DEB={shlex.quote(self.package())}\n. {shlex.quote(os.path.join(run_vm.HERE, 'systemd.sh'))}"
        begin = time.monotonic()
        status, results = run_vm.run(kernel, job, SECONDS, "", sys.stdout.buffer, systemd=True)
        with results.fileobj, results:
            results.extractall(self.path("results"))
        print(f"\n{kernel.release}: {time.monotonic() - begin:.0f} s")
        self.assertEqual(status, 0)

    def read(self, step, name):
        with open(self.path(os.path.join("results", step, name)), encoding="utf-8") as file:
            return file.read()

    def show(self, step):
        return dict(line.split("=", 1) for line in self.read(step, "show").splitlines() if "=" in line)

    def assert_active(self, step, restarts):
        shown = self.show(step)
        self.assertEqual((shown["ActiveState"], shown["SubState"], shown["NRestarts"]),
                         ("active", "running", str(restarts)), self.read(step, "journal"))

    def test_the_life_of_the_service(self):
        self.boot()
        self.check_installed()
        self.check_recorded()
        self.check_watchdog()
        self.assertEqual(self.show("removed")["ActiveState"], "inactive")
        self.assertNotIn("lastconn", self.read("removed", "pins"))
        self.assertIn("history.db", self.read("removed", "history").split())
        self.assertNotIn("lastconn", self.read("removed", "purged"))

    def check_installed(self):
        self.assert_active("installed", 0)
        said = self.read("installed", "journal")
        for word in (" records to /var/lib/lastconn/history.db; ", "capabilities CAP_NET_ADMIN, no others",
                     "seccomp on"):
            self.assertIn(word, said)
        self.assertNotIn("cannot", said)
        shown = self.show("installed")
        self.assertEqual((shown["Type"], shown["User"]), ("notify", "lastconn"))
        status = dict(line.split(":", 1) for line in self.read("installed", "status").splitlines())
        self.assertNotIn("0", status["Uid"].split())
        self.assertEqual(int(status["CapEff"], 16), 1 << CAPABILITIES["CAP_NET_ADMIN"])
        self.assertEqual((status["NoNewPrivs"].strip(), status["Seccomp"].strip()), ("1", "2"))
        allowed = sum(1 << number for number in CAPABILITIES.values())
        self.assertEqual(int(status["CapBnd"], 16) & ~allowed, 0)
        self.assertLess(float(self.read("installed", "exposure").split(":")[1].split()[0]), EXPOSURE_MAX)

    def check_recorded(self):
        self.assert_active("traffic", 0)
        self.assert_active("restarted", 0)
        self.assertIn("goes on with the programs of the last run", self.read("restarted", "journal"))
        flows = json.loads(self.read("restarted", "flows"))
        self.assertEqual(sorted((f["remote_port"], f["exe"], f["outcome"], f["method"]) for f in flows),
                         [(port, os.path.realpath("/usr/bin/curl"), "refused", "exact") for port in (9, 10)])
        self.assertNotIn("down", [row["what"] for row in json.loads(self.read("restarted", "coverage"))])

    def check_watchdog(self):
        self.assert_active("hung", 1)
        self.assertIn("Watchdog timeout", self.read("hung", "journal"))
        self.assertIn("goes on with the programs of the last run", self.read("hung", "journal"))


if __name__ == "__main__":
    harness.main()
