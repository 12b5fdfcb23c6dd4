"""The machine's own root file system with a memory file system over it, in a mount namespace: a
place to install into that is gone with the process that holds it. Processes, network and kernel are
the machine's; /run, /tmp and the BPF file system are its own.

A service manager does not run in there. Where a test wants one, systemctl (fake_systemctl.py) does
what the package's scripts ask for.
"""
import os
import shutil
import subprocess
import sys

import harness

HERE = os.path.dirname(os.path.realpath(__file__))
SETUP = r"""
set -e
mount -t tmpfs -o mode=0755 tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root" "$1/shared"
mount -t overlay -o lowerdir=/,upperdir="$1/upper",workdir="$1/work" overlay "$1/root"
for tree in dev proc sys; do mount --rbind "/$tree" "$1/root/$tree"; done
mount -t bpf -o mode=0700 bpf "$1/root/sys/fs/bpf"
mount -t tmpfs -o mode=0755 tmpfs "$1/root/run"
mount -t tmpfs -o mode=1777 tmpfs "$1/root/tmp"
rm -f "$1/root/usr/sbin/policy-rc.d"
echo ready
exec cat
"""


class Root:

    def __init__(self, case):
        self.case = case
        self.directory = case.path("root")
        os.mkdir(self.directory)
        self.keeper = case.start_program(
            "unshare", "--mount", "--propagation", "private", "sh", "-c", SETUP, "sh", self.directory,
            stdin=subprocess.PIPE)
        case.assertEqual(case.read_line(self.keeper), "ready")
        self.path = f"/proc/{self.keeper.pid}/root{self.directory}/root"
        self.inside = os.path.join(self.directory, "root")
        case.addCleanup(self.end_service)

    def command(self, *command):
        return ("nsenter", f"--mount=/proc/{self.keeper.pid}/ns/mnt", "chroot", self.inside,
                "/usr/bin/env", "DEBIAN_FRONTEND=noninteractive",
                "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *command)

    def try_run(self, *command, seconds=120):
        return subprocess.run(self.command(*command), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=seconds * harness.SLOW, check=False)

    def run(self, *command, seconds=120):
        """A command in there to its end, which must be good; what it printed."""
        done = self.try_run(*command, seconds=seconds)
        self.case.assertEqual(done.returncode, 0, f"{command}: {done.stdout} {done.stderr}")
        return done.stdout

    def file(self, path):
        return self.path + path

    def put(self, source, path, mode=0o644):
        """A copy of a file; never into a link's target, for links lead out of here."""
        shutil.copyfile(source, self.file(path))
        os.chmod(self.file(path), mode)

    def write(self, path, text, mode=0o644):
        with open(self.file(path), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.file(path), mode)

    def read(self, path):
        with open(self.file(path), encoding="utf-8") as file:
            return file.read()

    def run_systemd(self):
        """From now on systemd seems to run."""
        os.makedirs(self.file("/run/systemd/system"))
        with open(os.path.join(HERE, "fake_systemctl.py"), encoding="utf-8") as file:
            text = file.read()
        os.rename(self.file("/usr/bin/systemctl"), self.file("/usr/bin/systemctl.machine"))
        self.write("/usr/bin/systemctl", text.replace("#!/usr/bin/env python3", "#!" + sys.executable, 1),
                   0o755)

    def asked(self):
        """What systemctl was asked for since the last call."""
        path = self.file("/run/systemctl.log")
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as file:
            asked = file.read().splitlines()
        os.unlink(path)
        return asked

    def service_pid(self):
        """Of the recording lastconnd in there, None if there is none."""
        try:
            return int(self.read("/run/lastconnd.pid"))
        except FileNotFoundError:
            return None

    def end_service(self):
        if os.path.exists(self.file("/run/lastconnd.pid")):
            self.try_run("/usr/bin/systemctl", "stop", "lastconnd.service")

    def left(self, word):
        """Paths that are there over the machine's own, and have this word in them."""
        top = f"/proc/{self.keeper.pid}/root{self.directory}/upper"
        found = []
        for path, directories, names in os.walk(top):
            found += [os.path.join(path, name)[len(top):] for name in directories + names
                      if word in name and os.path.lexists(self.file(os.path.join(path, name)[len(top):]))]
        return sorted(found)
