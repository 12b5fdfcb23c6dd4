#!/usr/bin/env python3
"""What processes ask their C library for names their flows, and nobody else's: glibc, musl, a C
library in a container. The hosts are those of a hosts file that only the test's programs see."""
import contextlib
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import threading
import time

import harness

CONTAIN = os.path.join(harness.ROOT, "tests", "support", "contain.py")
FLOOD = os.path.join(harness.ROOT, "tests", "support", "resolve_flood.c")
SOURCE = os.path.join(harness.ROOT, "tests", "support", "resolve_client.c")
CLIENT = os.path.realpath(os.path.join(harness.BUILD, "tests", "support", "resolve_client"))
MACHINE = platform.machine()
# what a probe's descriptor is called: that of a link, or of the event before Linux 5.15
PROBES = ("anon_inode:bpf_link", "anon_inode:bpf-link", "anon_inode:[perf_event]")
HOSTS = """
127.0.0.1 one.test alias.test
::1 six.test
127.0.0.1 both.test
::1 both.test
127.0.0.9 other.test
"""


class Resolve(harness.Case):

    def setUp(self):
        super().setUp()
        self.need_kernel()
        self.hosts = self.path("hosts")
        with open(self.hosts, "w", encoding="ascii") as file:
            file.write(HOSTS)
        self.port = self.serve()

    def serve(self):
        """The port of a server on every address that takes connections and closes them."""
        server = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True,
                                      backlog=64)
        self.addCleanup(server.close)

        def accept():
            try:
                while True:
                    server.accept()[0].close()
            except OSError:
                pass
        threading.Thread(target=accept, daemon=True).start()
        self.addCleanup(server.shutdown, socket.SHUT_RDWR)
        return server.getsockname()[1]

    def start_resolving(self, *options):
        """A daemon whose kernel lets it see what C libraries are asked for."""
        daemon = self.start_daemon(*options)
        if "no hook for 'resolve'" in daemon.log():
            self.lack(next(line for line in daemon.log().splitlines() if "'resolve'" in line))
        return daemon

    # -- who asks

    def private(self, *command, hosts=True):
        """The command with the test's hosts file."""
        if not hosts:
            return command
        return ("unshare", "--mount", "sh", "-c",
                'mount --bind "$0" /etc/hosts && exec "$@"', self.hosts, *command)

    def start_client(self, host, *prefix, client=CLIENT, hosts=True):
        return self.start_program(*self.private(*prefix, client, host, str(self.port), hosts=hosts),
                                  stdin=subprocess.PIPE)

    def ask(self, client):
        """The local ports of the client's connections to each address of its host."""
        client.stdin.write("\n")
        client.stdin.flush()
        return [int(port) for port in self.read_line(client).split()]

    def end(self, client):
        client.stdin.close()
        self.assertEqual(client.wait(30), 0)

    def flows_from(self, daemon, ports, seconds=30):
        """The outgoing flows from these local ports, in the order of the ports."""
        def probe():
            found = {flow["local_port"]: flow for flow in
                     daemon.flows(self.port, "direction = 'out' AND open = 0")}
            return [found[port] for port in ports] if set(ports) <= set(found) else None
        return harness.wait_until(f"the flows from {ports}", probe, seconds)

    @staticmethod
    def names(flows):
        return [(flow["remote_ip"], flow["remote_name"], flow["name_source"]) for flow in flows]

    def ask_until_named(self, daemon, client):
        """A C library is found a little after a process with it began."""
        def probe():
            flows = self.flows_from(daemon, self.ask(client))
            return flows if flows[0]["remote_name"] else None
        return harness.wait_until("a name", probe)

    # -- what is seen

    def test_a_flow_has_the_name_that_its_process_asked_for(self):
        daemon = self.start_resolving()
        for host, names in {
                "one.test": [("127.0.0.1", "one.test", "getaddrinfo")],
                "ALIAS.Test": [("127.0.0.1", "alias.test", "getaddrinfo")],
                "six.test": [("::1", "six.test", "getaddrinfo")],
                "127.0.0.9": [("127.0.0.9", None, None)]}.items():
            client = self.start_client(host)
            self.assertEqual(self.names(self.flows_from(daemon, self.ask(client))), names, host)
            self.end(client)
        client = self.start_client("both.test")
        flows = self.flows_from(daemon, self.ask(client))
        self.assertEqual(sorted(self.names(flows)), [("127.0.0.1", "both.test", "getaddrinfo"),
                                                     ("::1", "both.test", "getaddrinfo")])
        self.end(client)

    def test_the_reports_tell_the_name_its_source_and_who_asked(self):
        daemon = self.start_resolving()
        client = self.start_client("one.test")
        ports = self.ask(client) + self.ask(client)
        self.flows_from(daemon, ports)
        self.end(client)
        daemon.stop()
        evidence = harness.one(self, self.ask_lastconn(daemon, "names", "one.test"))
        self.assert_flow(evidence, {
            "name": "one.test", "address": "127.0.0.1", "source": "getaddrinfo", "times": 2,
            "ttl_s": None, "program": CLIENT, "processes": 1, "owner_name": None})
        who = harness.one(self, self.ask_lastconn(daemon, "who", "one.test"))
        self.assert_flow(who, {"exe": CLIENT, "flows": 2, "names": ["one.test (getaddrinfo)"]})
        flows = self.ask_lastconn(daemon, "flows", "--host", "one.test")
        self.assertEqual({(flow["remote_name"], flow["name_source"], flow["pid"])
                          for flow in flows}, {("one.test", "getaddrinfo", client.pid)})

    def ask_lastconn(self, daemon, *arguments):
        return super().ask(daemon.db, *arguments)

    def test_another_process_is_not_given_the_name(self):
        daemon = self.start_resolving()
        asker = self.start_client("other.test")
        self.ask(asker)
        with socket.create_connection(("127.0.0.9", self.port)) as other:
            port = other.getsockname()[1]
        flows = self.flows_from(daemon, [port] + self.ask(asker))
        self.assertEqual(self.names(flows), [
            ("127.0.0.9", None, None), ("127.0.0.9", "other.test", "getaddrinfo")])
        self.end(asker)
        self.assertEqual([row["exe"] for row in self.ask_lastconn(daemon, "who", "other.test")],
                         [CLIENT])

    def test_what_was_not_found_is_no_evidence(self):
        daemon = self.start_resolving()
        client = self.start_client("")
        client.stdin.write("\n")
        client.stdin.flush()
        self.assertEqual(self.read_line(client), "-")
        self.end(client)
        client = self.start_client("one.test")
        self.flows_from(daemon, self.ask(client))
        self.end(client)
        names = harness.wait_until("its evidence", lambda: daemon.rows(
            "SELECT name FROM names WHERE exe = ?", CLIENT))
        self.assertEqual([row["name"] for row in names], ["one.test"])

    def test_musl_is_heard_too(self):
        compiler = shutil.which("musl-gcc")
        loader = f"/lib/ld-musl-{MACHINE}.so.1"
        if not compiler or not os.path.exists(loader):
            print("skipped: needs musl-gcc (Debian: musl-tools)", file=sys.stderr)
            self.skipTest("needs musl-gcc")
        client = self.path("client")
        self.run_program(compiler, "-O2", "-o", client, SOURCE)
        daemon = self.start_resolving()
        musl = self.start_client("both.test", client=client)
        flows = self.flows_from(daemon, self.ask(musl))
        self.assertEqual({name[1:] for name in self.names(flows)}, {("both.test", "getaddrinfo")})
        self.end(musl)

    # -- C libraries of their own

    def make_root(self, name):
        """A directory with the client and the libraries that it loads."""
        root = self.path(name)
        loaded = self.run_program("ldd", CLIENT).stdout.split()
        for file in {os.path.realpath(word) for word in loaded if word.startswith("/")}:
            os.makedirs(os.path.dirname(root + file), exist_ok=True)
            shutil.copy(file, root + file)
        for word in loaded:
            if word.startswith("/") and not os.path.exists(root + word):
                os.makedirs(os.path.dirname(root + word), exist_ok=True)
                os.symlink(os.path.realpath(word), root + word)
        os.makedirs(f"{root}/etc")
        shutil.copy(self.hosts, f"{root}/etc/hosts")
        shutil.copy(CLIENT, f"{root}/client")
        return root

    def probes(self, daemon):
        """How many probes the daemon has, two of each C library."""
        fds = f"/proc/{daemon.pid}/fd"
        count = 0
        for fd in os.listdir(fds):
            with contextlib.suppress(FileNotFoundError):  # of what it is doing just now
                count += os.readlink(os.path.join(fds, fd)) in PROBES
        return count

    def judge_contained(self, daemon, client):
        """Its C library is found, and let go when the last process that has it is gone."""
        before = self.probes(daemon)
        flows = self.ask_until_named(daemon, client)
        self.assertEqual(self.names(flows), [("127.0.0.1", "one.test", "getaddrinfo")])
        self.assertEqual(self.probes(daemon), before + 2)
        self.end(client)
        harness.wait_until("the end of the probes", lambda: self.probes(daemon) == before)

    def test_the_c_library_of_a_chroot_is_found_and_let_go(self):
        daemon = self.start_resolving()
        root = self.make_root("root")
        self.judge_contained(daemon, self.start_client(
            "one.test", "chroot", root, client="/client", hosts=False))

    def test_the_c_library_of_a_container_is_found_and_let_go(self):
        daemon = self.start_resolving()
        root = self.make_root("lower")
        for name in ("upper", "work", "merged"):
            os.makedirs(self.path(name))
        client = self.start_client(
            "one.test", sys.executable, CONTAIN, "--overlay", root, self.path("upper"),
            self.path("work"), self.path("merged"), client="/client", hosts=False)
        json.loads(self.read_line(client))
        self.judge_contained(daemon, client)

    def test_a_c_library_that_was_replaced_is_heard_while_it_is_loaded(self):
        daemon = self.start_resolving("--sweep-interval", "1s")
        root = self.make_root("root")
        first, second = (self.start_client("one.test", "chroot", root, client="/client",
                                           hosts=False) for _ in range(2))
        self.ask_until_named(daemon, first)
        self.ask(second)
        with open(f"/proc/{second.pid}/maps", encoding="ascii") as file:
            mapped = next(line.split() for line in file if "libc.so" in line)
        library = mapped[5]
        device = os.stat(library).st_dev
        if mapped[3] != f"{os.major(device):02x}:{os.minor(device):02x}":
            self.skipTest("this file system tells two numbers of its device")
        shutil.copy(library, f"{library}.new")
        os.rename(f"{library}.new", library)
        probes = self.probes(daemon)
        self.end(first)  # by which the library was known to be in use
        time.sleep(4 * harness.SLOW)
        self.assertEqual(self.probes(daemon), probes)
        self.assertEqual(self.names(self.flows_from(daemon, self.ask(second))),
                         [("127.0.0.1", "one.test", "getaddrinfo")])
        self.end(second)
        harness.wait_until("the end of the probes", lambda: self.probes(daemon) < probes)

    # -- of whom too much is heard

    def test_who_asks_without_end_is_not_heard_without_end(self):
        """And takes nothing from the flows of others."""
        compiler = self.need_program("cc")
        library, flood = self.path("libc.so.6"), self.path("flood")
        self.run_program(compiler, "-O2", "-shared", "-fPIC", "-o", library, "-DLIBRARY", FLOOD)
        self.run_program(compiler, "-O2", "-static", "-o", flood, FLOOD)
        symbols = self.run_program("nm", "-D", library).stdout.splitlines()
        offset = next(line.split()[0] for line in symbols if line.endswith(" getaddrinfo"))
        daemon = self.start_resolving()
        begin = time.monotonic()
        self.start_program(flood, library, offset, str(self.port))
        time.sleep(5)
        client = self.start_client("one.test")
        self.assertEqual(self.names(self.flows_from(daemon, self.ask(client))),
                         [("127.0.0.1", "one.test", "getaddrinfo")])
        self.end(client)
        daemon.stop()
        seconds = time.monotonic() - begin
        heard = daemon.rows("SELECT count(*) AS n FROM names WHERE exe = ?", flood)[0]["n"]
        self.assertGreater(heard, 0)
        self.assertLess(heard, 200 * 16 * (seconds + 2))
        gaps = daemon.rows("SELECT what, detail FROM coverage WHERE count > 0")
        self.assertIn("too many of a process", str(gaps))
        self.assertNotIn("ring full", str(gaps))

    # -- without a daemon

    def test_what_is_asked_for_while_no_daemon_runs_is_told_by_the_next(self):
        bpffs = self.path("bpf")
        os.mkdir(bpffs)
        self.run_program("mount", "-t", "bpf", "bpf", bpffs)
        self.addCleanup(subprocess.run, ["umount", bpffs], check=True)
        pin = os.path.join(bpffs, "lastconn")
        daemon = self.start_resolving("--pin", pin)
        daemon.stop()
        if not any(name.startswith("link_library") for name in os.listdir(pin)):
            self.lack("this kernel pins no uprobes (Linux 5.15)")
        probes = set()
        for host, address in (("one.test", "127.0.0.1"), ("six.test", "::1")):
            client = self.start_client(host)
            ports = self.ask(client)
            self.end(client)
            daemon = self.start_resolving("--pin", pin)  # takes over, and so does the one after it
            self.assertIn("goes on", daemon.log())
            self.assertEqual(self.names(self.flows_from(daemon, ports)),
                             [(address, host, "getaddrinfo")])
            probes.add(self.probes(daemon))
            daemon.stop()
        self.assertEqual(len(probes), 1, "the probes are not made again")
        self.assertEqual(daemon.rows("SELECT * FROM coverage WHERE detail LIKE 'resolve%'"), [])
        self.assertEqual(self.run_daemon("--unload", "--pin", pin).returncode, 0)
        self.assertFalse(os.path.exists(pin))

    # -- without it

    def test_without_uprobes_the_check_says_what_that_costs(self):
        done = self.run_daemon("--check", "--disable-program", "resolve_end")
        lines = done.stdout.splitlines()
        at = next(i for i, line in enumerate(lines) if line.split()[:1] == ["resolve"])
        self.assertIn("nothing serves it", lines[at])
        self.assertIn("uprobe (disabled)", lines[at + 1])
        self.assertIn("names are those that packets tell", lines[at + 2])
        daemon = self.start_daemon("--disable-slot", "resolve")
        client = self.start_client("one.test")
        flows = self.flows_from(daemon, self.ask(client))
        self.assertEqual(self.names(flows), [("127.0.0.1", None, None)])
        self.end(client)
        row = harness.one(self, daemon.rows(
            "SELECT * FROM coverage WHERE detail LIKE 'resolve: %'"))
        self.assertEqual((row["what"], row["missed"]), ("names unsure", "names"))


if __name__ == "__main__":
    harness.main()
