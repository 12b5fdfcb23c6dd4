#!/usr/bin/env python3
"""The Debian package through its life: built from this tree, judged by lintian, installed into a
throw-away root (throwaway_root.py), upgraded while it records, removed, purged.

It is skipped where root, the tools or mount namespaces are missing; with LASTCONN_EXPECT_EBPF=1, as
CI sets it, that is a failure. Where the package comes from: package_file.py."""
import glob
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
import first_release  # noqa: E402  pylint: disable=wrong-import-position
import harness  # noqa: E402  pylint: disable=wrong-import-position
import package_file  # noqa: E402  pylint: disable=wrong-import-position
import throwaway_root  # noqa: E402  pylint: disable=wrong-import-position

DENY = "#!/bin/sh\nexit 101\n"
HISTORY = "/var/lib/lastconn/history.db"
CONFFILES = {"/etc/conf.d/lastconnd", "/etc/init.d/lastconnd", "/etc/lastconn/lastconn.conf"}
PROGRAMS = {"/usr/bin/lastconn", "/usr/sbin/lastconnd", "/etc/init.d/lastconnd"}
FILES = CONFFILES | PROGRAMS | {
    "/lib/systemd/system/lastconnd.service", "/usr/lib/sysusers.d/lastconn.conf",
    "/usr/lib/tmpfiles.d/lastconn.conf", "/usr/share/bash-completion/completions/lastconn",
    "/usr/share/man/man1/lastconn.1.gz", "/usr/share/man/man5/lastconn.conf.5.gz",
    "/usr/share/man/man8/lastconnd.8.gz", "/usr/share/lastconn/queries/who.sql",
    "/usr/share/doc/lastconn/copyright", "/usr/share/doc/lastconn/README.md.gz"}
LIBRARIES = {"libbpf1", "libc6", "libinih1", "libpcap0.8", "libsqlite3-0", "libssl3", "libsystemd0",
             "libuv1"}


class Package(harness.Case):
    """The package is built once for all tests."""
    built = None

    @classmethod
    def tearDownClass(cls):
        if cls.built:
            shutil.rmtree(cls.built)

    def setUp(self):
        super().setUp()
        self.ports = []
        self.need_kernel()
        for name in ("dpkg-buildpackage", "dh", "lintian", "unshare", "nsenter", "setpriv", "git"):
            self.need_program(name)
        Package.built = Package.built or tempfile.mkdtemp(prefix="lastconn-deb-")
        self.deb = package_file.find(self, Package.built)

    def version(self):
        with open(os.path.join(harness.ROOT, "CMakeLists.txt"), encoding="utf-8") as file:
            return re.search(r"^project\(lastconn VERSION ([\d.]+)", file.read(), re.MULTILINE)[1]

    def with_version(self, version):
        """The same package under another version."""
        tree, path = self.path("tree"), self.path(f"lastconn_{version}.deb")
        self.run_program("dpkg-deb", "-R", self.deb, tree)
        control = os.path.join(tree, "DEBIAN", "control")
        with open(control, encoding="utf-8") as file:
            text = file.read()
        with open(control, "w", encoding="utf-8") as file:
            file.write(re.sub("^Version: .*$", f"Version: {version}", text, flags=re.MULTILINE))
        self.run_program("dpkg-deb", "--root-owner-group", "-b", tree, path)
        shutil.rmtree(tree)
        return path

    def root(self):
        root = throwaway_root.Root(self)
        if root.try_run("dpkg-query", "-W", "lastconn").returncode == 0:
            root.run("dpkg", "--purge", "lastconn")  # the machine has one of its own
        return root

    def install(self, root, deb):
        root.put(deb, "/tmp/lastconn.deb")
        # images of containers leave out documentation
        return root.run("dpkg", "--path-include=/usr/share/*", "-i", "/tmp/lastconn.deb")

    def owner(self, root, path):
        """'lastconn:lastconn 0750'"""
        return root.run("stat", "-c", "%U:%G 0%a", path).strip()

    def connect(self):
        """A connection that is refused, to a port of its own."""
        port = self.free_port()
        while port in self.ports:
            port = self.free_port()
        self.ports.append(port)
        with socket.socket() as client:
            self.assertRaises(ConnectionRefusedError, client.connect, ("127.0.0.1", port))

    def wait_recorded(self, root):
        """Each of the connections, once."""
        ports = ", ".join(map(str, self.ports))
        def asked():
            done = root.try_run("lastconn", "sql", "SELECT remote_port, outcome FROM flows"
                                f" WHERE pid = {os.getpid()} AND remote_port IN ({ports})", "--format", "csv")
            return done.stdout.split()[1:]
        harness.wait_until("the connections", lambda: len(asked()) >= len(self.ports), seconds=60)
        self.assertEqual(sorted(asked()), sorted(f"{port},refused" for port in self.ports))

    # -- the package

    def test_it_depends_on_what_it_links_and_holds_what_belongs_to_it(self):
        depends = self.run_program("dpkg-deb", "-f", self.deb, "Depends").stdout
        self.assertLessEqual(LIBRARIES, set(re.findall(r"[a-z][\w.+-]+", depends)))
        self.assertEqual(self.run_program("dpkg-deb", "-f", self.deb, "Version").stdout.strip(),
                         self.version())
        for line in self.run_program("dpkg-deb", "-c", self.deb).stdout.splitlines():
            mode, owner, *_, path = line.split()
            program = path[1:] in PROGRAMS or mode.startswith("d")
            self.assertEqual((mode[1:], owner), ("rwxr-xr-x" if program else "rw-r--r--", "root/root"), path)
        held = set(self.run_program("sh", "-c", 'dpkg-deb --fsys-tarfile "$0" | tar -t', self.deb).stdout.split())
        self.assertLessEqual({"." + path for path in FILES}, held)

    def test_lintian_is_content(self):
        changes = harness.one(self, glob.glob(os.path.join(os.path.dirname(self.deb), "*.changes")))
        done = subprocess.run(("lintian", "--allow-root", "--display-info", "--fail-on",
                               "error,warning,info", changes), capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)

    def test_it_is_built_with_what_contrib_packages_lists(self):
        with open(os.path.join(harness.ROOT, "contrib", "packages"), encoding="utf-8") as file:
            listed = set(re.findall(r"^build (\S+)$", file.read(), re.MULTILINE)) - {"build-essential"}
        with open(os.path.join(harness.ROOT, "debian", "control"), encoding="utf-8") as file:
            wanted = re.search(r"^Build-Depends:((?:.*,\n)*.*)$", file.read(), re.MULTILINE)[1]
        names = set(re.findall(r"(?:^|,)\s*([\w+.-]+)", wanted))
        self.assertEqual({name for name in names if not re.match("debhelper-|dh-", name)}, listed)

    # -- its life

    def test_without_systemd_it_installs_and_can_be_used_by_hand(self):
        root = self.root()
        self.install(root, self.deb)
        self.assertEqual(root.asked(), [])
        self.assertEqual(self.owner(root, "/var/lib/lastconn"), "lastconn:lastconn 0750")
        for path in FILES:
            self.assertEqual(self.owner(root, path),
                             "root:root 0755" if path in PROGRAMS else "root:root 0644", path)
        user = root.run("getent", "passwd", "lastconn").strip().split(":")
        self.assertEqual(user[5:], ["/var/lib/lastconn", "/usr/sbin/nologin"])
        self.assertIn(f"lastconnd {self.version()}\n", root.run("lastconnd", "--version"))
        self.assertIn(root.try_run("lastconnd", "--check").returncode, (0, 3))
        root.run("sh", "-n", "/etc/init.d/lastconnd")

    def test_a_policy_that_forbids_it_keeps_the_service_from_starting(self):
        root = self.root()
        root.run_systemd()
        root.write("/usr/sbin/policy-rc.d", DENY, 0o755)
        self.install(root, self.deb)
        self.assertEqual([line for line in root.asked() if re.search(r"\b(re)?start\b", line)], [])
        self.assertIsNone(root.service_pid())

    def test_a_history_of_the_first_release_is_upgraded(self):
        root = self.root()
        root.run_systemd()
        root.write("/usr/sbin/policy-rc.d", DENY, 0o755)
        self.install(root, self.with_version("0.0.1"))
        before = first_release.make(self.path("old.db"))
        root.put(self.path("old.db"), HISTORY, 0o640)
        root.run("chown", "lastconn:lastconn", HISTORY)
        os.unlink(root.file("/usr/sbin/policy-rc.d"))
        self.install(root, self.deb)
        self.connect()
        self.wait_recorded(root)
        self.assertEqual(self.owner(root, HISTORY), "lastconn:lastconn 0640")
        root.run("/usr/bin/systemctl", "stop", "lastconnd.service")
        shutil.copyfile(root.file(HISTORY), self.path("new.db"))
        first_release.assert_kept(self, before, self.path("new.db"))

    def test_it_records_through_an_upgrade_and_leaves_nothing_behind(self):
        root = self.root()
        root.run_systemd()
        self.install(root, self.with_version("0.0.1"))
        first = root.service_pid()
        self.assertIsNotNone(first, root.asked())
        self.connect()
        self.wait_recorded(root)
        self.upgrade_while_connecting(root)
        self.assertNotIn(root.service_pid(), (None, first))
        self.wait_recorded(root)
        self.assertIn("goes on with the programs of the last run", root.read("/run/lastconnd.log"))
        self.assertNotIn("down", root.run("lastconn", "sql", "SELECT what FROM coverage"))
        self.assertGreater(len(self.ports), 3)
        self.remove_and_purge(root)

    def upgrade_while_connecting(self, root):
        """A connection after the other while dpkg works, at least one while no daemon runs."""
        root.put(self.deb, "/tmp/lastconn.deb")
        root.write("/etc/lastconn/lastconn.conf", "log-level = debug\n")
        dpkg = self.start_program(*root.command("dpkg", "--force-confold", "-i", "/tmp/lastconn.deb"),
                                  stderr=subprocess.STDOUT)
        while dpkg.poll() is None:
            self.connect()
            try:
                dpkg.wait(0.1)
            except subprocess.TimeoutExpired:
                pass
        self.finish(dpkg)
        self.assertEqual(root.read("/etc/lastconn/lastconn.conf"), "log-level = debug\n")

    def remove_and_purge(self, root):
        pins = root.file("/sys/fs/bpf/lastconn")
        self.assertTrue(os.listdir(pins))
        root.run("dpkg", "--remove", "lastconn")
        self.assertIsNone(root.service_pid())
        self.assertFalse(os.path.exists(pins), "the programs are still in the kernel")
        self.assertTrue(stat.S_ISREG(os.stat(root.file(HISTORY)).st_mode))
        self.assertTrue(os.path.exists(root.file("/etc/lastconn/lastconn.conf")))
        root.run("dpkg", "--purge", "lastconn")
        self.assertEqual(root.left("lastconn"), [])
        self.assertEqual(root.run("find", "/var", "/etc", "/usr", "-xdev", "-user", "lastconn"), "")
        self.assertEqual(root.try_run("dpkg-query", "-W", "lastconn").returncode, 1)


if __name__ == "__main__":
    harness.main()
