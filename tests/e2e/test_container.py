#!/usr/bin/env python3
"""Programs in containers: their paths as seen inside, both their pids, cgroup, container, network
namespace and uid. The containers are made by support/contain.py with the kernel's means."""
import contextlib
import json
import os
import shutil
import sys

import harness

CONTAIN = os.path.join(harness.ROOT, "tests", "support", "contain.py")
OUTSIDE_UID = 70000


def cgroup_mounts():
    """(where, controllers) of every cgroup mount; controllers is None for v2."""
    for line in harness.lines("/proc/mounts"):
        _, where, kind, options, *_ = line.split()
        if kind == "cgroup2":
            yield where, None
        elif kind == "cgroup":
            yield where, options.split(",")


class Container(harness.Case):

    def setUp(self):
        super().setUp()
        self.need_kernel()
        self.need_program("ip")
        self.daemon = self.start_daemon()
        self.container = os.urandom(32).hex()
        self.netns = None

    # -- what a container is made of; all of it is removed after the test

    def cgroup2(self):
        return next((where for where, controllers in cgroup_mounts() if controllers is None), None)

    def make_cgroup(self, hierarchy, path):
        """A cgroup, and those above it that are missing."""
        whole = hierarchy
        for name in path.strip("/").split("/"):
            whole = os.path.join(whole, name)
            with contextlib.suppress(FileExistsError):
                os.mkdir(whole)
                self.addCleanup(self.remove_cgroup, whole)
        return whole

    @staticmethod
    def remove_cgroup(path):
        """Busy until the kernel has buried the last process of it."""
        def removed():
            with contextlib.suppress(OSError):
                os.rmdir(path)
            return not os.path.exists(path)
        harness.wait_until(f"the end of {path}", removed)

    def make_netns(self):
        name = f"lastconn-test-{os.getpid()}"
        self.run_program("ip", "netns", "add", name)
        self.addCleanup(self.run_program, "ip", "netns", "delete", name)
        self.run_program("ip", "-n", name, "link", "set", "lo", "up")
        return f"/run/netns/{name}"

    def make_tree(self):
        """LOWER UPPER WORK MERGED with a program in the lower and another in the upper layer."""
        tree = {name: self.path(name) for name in ("lower", "upper", "work", "merged")}
        for path, program in (("lower/bin", "lower"), ("upper/opt", "upper"), ("bound", "bound"),
                              ("deep/er", None), ("deeper", "deep"), ("lower/jail/bin", "jailed")):
            os.makedirs(self.path(path), exist_ok=True)
            if program:
                shutil.copy(harness.STORM_CLIENT, self.path(os.path.join(path, program)))
        for path in ("lower/bound", "lower/deep", "work", "merged"):
            os.makedirs(self.path(path), exist_ok=True)
        os.chmod(self.directory, 0o755)
        return ("--overlay", *tree.values(), "--bind", self.path("bound"), "/bound",
                "--bind", self.path("deep"), "/deep", "--bind", self.path("deeper"), "/deep/er")

    # -- what runs in it

    def serve(self, *prefix):
        server = self.start_program(*prefix, harness.PYTHON, harness.TALK, "serve", "127.0.0.1",
                                    "1")
        return server, json.loads(self.read_line(server))["port"]

    def run_contained(self, *options, program, arguments):
        """storm_client inside; its pids and port as it and its engine know them."""
        truth = self.path("truth")
        contain = self.run_program("sh", "-c", 'exec "$@" 3>"$0"', truth, sys.executable, CONTAIN,
                                   *options, program, *arguments)
        _, inner, _, port, octets = next(harness.lines(truth)).split("\t")
        return {"pid": json.loads(contain.stdout)["pid"], "inner_pid": int(inner),
                "local_port": int(port), "octets_out": int(octets)}

    def talk(self, *options, program, cgroup=None, arguments=None):
        """One flow out of a container to a server beside it, or nowhere; it and its process."""
        self.netns = self.netns or self.make_netns()
        if not arguments:
            _, port = self.serve("nsenter", f"--net={self.netns}")
            arguments = ("tcp", "127.0.0.1", str(port), "0")
        joined = ("--cgroup", cgroup) if cgroup else ()
        truth = self.run_contained("--netns", self.netns, *joined, *options, program=program,
                                   arguments=arguments)
        self.assertEqual(truth["inner_pid"], 1)
        flow = harness.one(self, self.daemon.wait_flows(
            arguments[2], 1, "open = 0 AND direction = 'out'"))
        netns = os.stat(self.netns).st_ino
        self.assert_flow(flow, {**truth, "netns": netns, "method": "exact",
                                "protocol": arguments[0],
                                "cmdline": " ".join((program, *arguments))})
        process = harness.one(self, self.daemon.rows(
            "SELECT * FROM processes WHERE pid = ? AND exe = ?", truth["pid"], flow["exe"]))
        self.assertEqual((process["inner_pid"], process["netns"]), (1, netns))
        return flow, process

    def scope(self):
        """A cgroup as docker makes it with the systemd driver."""
        where = self.cgroup2()
        if not where:
            self.lack("cgroup v2 is not mounted")
        name = f"docker-{self.container}.scope"
        return name, self.make_cgroup(where, name)

    # -- tests

    def test_a_program_of_the_lower_layer_and_one_of_the_upper(self):
        scope, cgroup = self.scope()
        tree = self.make_tree()
        for program in ("/bin/lower", "/opt/upper"):
            flow, process = self.talk(*tree, program=program, cgroup=cgroup)
            self.assert_flow(flow, {
                "exe": program, "uid": 0, "unit": scope, "container": self.container,
                "container_runtime": "docker", "pod": None, "user_unit": None})
            self.assertEqual((process["cgroup"], process["comm"]),
                             (f"/{scope}", os.path.basename(program)))

    def test_bind_mounts_and_mounts_on_mounts(self):
        tree = self.make_tree()
        for program in ("/bound/bound", "/deep/er/deep"):
            flow, _ = self.talk(*tree, program=program)
            self.assertEqual(flow["exe"], program)

    def test_a_path_ends_at_the_root_of_its_process(self):
        tree = self.make_tree()
        flow, _ = self.talk(*tree, "--chroot", "/jail", program="/bin/jailed")
        self.assertEqual(flow["exe"], "/bin/jailed")

    def test_the_uid_is_that_of_the_initial_user_namespace(self):
        tree = self.make_tree()
        flow, process = self.talk(*tree, "--uid", str(OUTSIDE_UID), program="/bin/lower")
        self.assertEqual((flow["uid"], process["uid"]), (OUTSIDE_UID, OUTSIDE_UID))

    def test_the_reports_tell_host_and_container_apart(self):
        _, cgroup = self.scope()
        flow, process = self.talk(*self.make_tree(), program="/opt/upper", cgroup=cgroup)
        short = self.container[:12]
        row = harness.one(self, self.ask(self.daemon.db, "ps", str(flow["pid"])))
        self.assert_flow(row, {"inner_pid": 1, "container": self.container, "exe": "/opt/upper",
                               "container_runtime": "docker", "unit": process["unit"]})
        for arguments, words in {
                ("ps", str(flow["pid"])): (f"pid         {flow['pid']}\n", "pid inside  1\n",
                                           f"container   {self.container}\n"),
                ("flows", "--container", short): (f"{short}:/opt/upper", str(flow["pid"])),
                ("who", "127.0.0.1", "--container", short): ("/opt/upper",)}.items():
            said = self.run_program(harness.LASTCONN, *arguments, "--db", self.daemon.db).stdout
            for word in words:
                self.assertIn(word, said)

    def test_datagrams_of_a_container(self):
        scope, cgroup = self.scope()
        for ident in ("0", "1"):  # connected, not connected
            flow, _ = self.talk(*self.make_tree(), program="/opt/upper", cgroup=cgroup, arguments=(
                "udp", "127.0.0.1", str(self.free_port()), ident))
            self.assert_flow(flow, {"exe": "/opt/upper", "unit": scope,
                                    "container": self.container})

    def test_a_container_of_the_old_cgroup_hierarchy(self):
        for where, controllers in cgroup_mounts():
            if controllers and "memory" in controllers:
                break
        else:
            print("skipped: the memory controller is not mounted as cgroup v1", file=sys.stderr)
            self.skipTest("the memory controller is not mounted as cgroup v1")
        cgroup = self.make_cgroup(where, f"docker/{self.container}")
        joined = ("--cgroup", self.cgroup2()) if self.cgroup2() else ()
        flow, process = self.talk(*joined, program=harness.STORM_CLIENT, cgroup=cgroup)
        self.assert_flow(flow, {"container": self.container, "container_runtime": "docker",
                                "exe": harness.STORM_CLIENT})
        self.assertEqual(process["cgroup"], f"/docker/{self.container}")


if __name__ == "__main__":
    harness.main()
