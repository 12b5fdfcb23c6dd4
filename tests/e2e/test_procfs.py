#!/usr/bin/env python3
"""Polling instead of BPF (--source procfs): it may record less than happened, never anything else.
As root, as nobody, and where the kernel source is refused."""
import collections
import json
import os
import shutil
import socket
import subprocess

import cases
import harness

STORM_COUNT = 300
PYTHON = "/usr/bin/python3"  # which nobody may run, too

# Both say who they are once they have all octets, and close when a line comes.
PROGRAM = """
import json, os, socket, sys
address, port, sends, gets = sys.argv[1], *map(int, sys.argv[2:5])
%s
while gets:
    gets -= len(s.recv(gets))
s.sendall(b"x" * sends)
print(json.dumps({"pid": os.getpid(), "ppid": os.getppid(), "uid": os.getuid(),
                  "exe": os.readlink("/proc/self/exe")}), flush=True)
sys.stdin.readline()
s.close()
"""
SERVER = PROGRAM % """
family = socket.AF_INET6 if ":" in address else socket.AF_INET
listener = socket.create_server((address, port), family=family)
print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
s, _ = listener.accept()
"""
CLIENT = PROGRAM % """
s = socket.create_connection((address, port))
s.sendall(b"x" * sends)
sends = 0
"""
# The parent accepts, the child serves: both hold the socket until the parent is told to let go.
FORK_SERVER = PROGRAM % """
listener = socket.create_server((address, port))
print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
s, _ = listener.accept()
go, told = os.pipe()
child = os.fork()
if child:
    print(json.dumps({"parent": os.getpid(), "child": child}), flush=True)
    sys.stdin.readline()
    s.close()
    os.write(told, b"x")
    os.waitpid(child, 0)
    sys.exit()
os.close(told)  # so that the parent's end is one, too
os.read(go, 1)
"""
# In a namespace of its own, where it is root: what the kernel would say of a connection of another
# process and of a destroyed one, said to each netlink socket there and to all that listen.
FORGER = """
import errno, socket, struct, sys
inode, port = map(int, sys.argv[1:])
def message(state, inode):
    body = (struct.pack("!BBBBHH", socket.AF_INET, state, 0, 0, port, 443) +
            socket.inet_aton("192.0.2.1") + bytes(12) + socket.inet_aton("203.0.113.1") + bytes(12) +
            struct.pack("3I5IHHB3x", 0, 77, state, 0, 0, 0, 0, inode, 5, 10, socket.IPPROTO_TCP))
    return struct.pack("IHHII", 16 + len(body), 20, 0, 0, 0) + body
with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4) as forger:
    forger.bind((0, 0))
    others = set()
    while len(others) < 2:
        rows = [line.split() for line in open("/proc/net/netlink")][1:]
        others = {int(row[2]) for row in rows if row[1] == "4"} - {0, forger.getsockname()[0]}
    for i in range(300):
        for address in [(port_id, 0) for port_id in others] + [(0, 1)]:
            for forged in (message(1, inode), message(7, 0), struct.pack("IHHIIB3x", 17, 20, 0, 0, 0, 0)):
                try:
                    forger.sendto(forged, address)
                except OSError as error:
                    if error.errno not in (errno.ECONNREFUSED, errno.ESRCH):
                        raise
"""
# Fields that are less than the truth if they say nothing.
SILENT = {"outcome": ("lost", "closed"), "direction": ("unknown",), "error": (0, None),
          "netns": (0, None), "remote_name": (None,)}


class Procfs(harness.Case):

    def start(self, *options, **more):
        # an owner that is found late shows with the next counters
        return self.start_daemon("--source", "procfs", "--active-timeout", "1s", *options,
                                 kernel=False, **more)

    def start_talker(self, text, *arguments, prefix=()):
        return self.start_program(*prefix, PYTHON, "-c", text, *map(str, arguments),
                                  stdin=subprocess.PIPE)

    def release(self, process):
        process.stdin.write("\n")
        process.stdin.flush()
        self.assertEqual(process.wait(30 * harness.SLOW), 0)

    def wait_polled(self, daemon, port, count, where="pid IS NOT NULL"):
        """The open flows of this port, once the daemon has found who holds them."""
        return daemon.wait_flows(port, count, f"open = 1 AND {where}")

    def talk(self, daemon, address="127.0.0.1", prefix=(), known=True):
        """A conversation of more than two polls: server, client, port, who they are."""
        server = self.start_talker(SERVER, address, 0, 30, 100, prefix=prefix)
        port = json.loads(self.read_line(server))["port"]
        client = self.start_talker(CLIENT, address, port, 100, 30, prefix=prefix)
        truth = [json.loads(self.read_line(process)) for process in (client, server)]
        self.wait_polled(daemon, port, 2, "pid IS NOT NULL" if known else "1")
        self.release(client)
        self.release(server)
        return port, *truth

    def check_talk(self, daemon, address="127.0.0.1", **more):
        port, client, server = self.talk(daemon, address, **more)
        flows = daemon.wait_flows(port, 2)
        self.assertEqual(len(flows), 2, flows)
        for direction, truth, out, received in (("out", client, 100, 30), ("in", server, 30, 100)):
            flow = harness.one(self, [f for f in flows if f["direction"] == direction])
            self.assert_flow(flow, {
                "local_ip": address, "remote_ip": address, "octets_out": out,
                "octets_in": received, "outcome": "closed", "source": "procfs",
                "method": "procfs", "pid": truth["pid"], "exe": truth["exe"],
                "comm": os.path.basename(PYTHON), "uid": truth["uid"], "ppid": truth["ppid"],
                "opener_pid": None})
            self.assertTrue(flow["cmdline"].startswith(f"{PYTHON} -c "), flow)
        return flows

    # -- as root

    def test_a_connection_of_several_polls_is_right(self):
        self.need_root()
        daemon = self.start()
        for address in ("127.0.0.1", "::1"):
            with self.subTest(address=address):
                self.check_talk(daemon, address)

    def test_what_was_open_before_the_start_is_right(self):
        self.need_root()
        program = self.start_program(harness.CASES, "--before", stdin=subprocess.PIPE)
        self.read_line(program)
        daemon = self.start()
        output, _ = program.communicate("go\n", timeout=60 * harness.SLOW)
        known = self.check_only_less(daemon, output)
        self.assertGreater(known, 0, "no process was found")

    def test_short_connections_are_known_by_their_ends(self):
        self.need_root()
        daemon = self.start("--sweep-interval", "1h")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            for octets in range(50):
                with socket.create_connection(("127.0.0.1", port)) as client:
                    server, _ = listener.accept()
                    client.sendall(b"x" * octets)
                    client.shutdown(socket.SHUT_WR)
                    while server.recv(100):
                        pass
                    server.close()
        flows = daemon.wait_flows(port, 100)
        self.assertEqual(len(flows), 100)
        out = [flow for flow in flows if flow["direction"] == "out"]
        self.assertEqual(sorted(flow["octets_out"] for flow in out), list(range(50)))
        self.assertEqual({flow["outcome"] for flow in out}, {"closed"})
        self.assertEqual({flow["pid"] for flow in flows}, {None})
        self.assertEqual({flow["method"] for flow in flows}, {"unknown"})

    def test_every_case_is_recorded_right_or_less(self):
        self.need_root()
        daemon = self.start("--sweep-interval", "100ms")
        done = subprocess.run([harness.CASES], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, timeout=300 * harness.SLOW)
        self.check_only_less(daemon, done.stdout)

    def check_only_less(self, daemon, output):
        """No record differs from the truth other than by silence; how many have a process."""
        daemon.stop()
        lines = [line for line in cases.load(output.splitlines()) if "end" in line]
        self.assertTrue(lines, output)
        known, wrong = 0, []
        pairs, left = cases.match(lines, daemon.rows("SELECT * FROM flows"))
        wrong += [("too many", flow) for flow in left if cases.is_extra(flow, lines)]
        for line, flow in pairs:
            if flow is None:
                continue
            known += flow["pid"] is not None
            differences = cases.differences(cases.expect(line), flow)
            wrong += [(line["case"], line["end"], column, *pair)
                      for column, pair in differences.items()
                      if not self.is_less(column, pair, flow, line)]
        self.assertEqual(wrong, [])
        return known

    def is_less(self, column, pair, flow, line):
        wanted, found = pair
        if column == "method":
            return found in ("procfs", "unknown")
        if column in (*cases.PROCESS, "inner_pid"):
            # nobody, or whoever had the socket first; then no column speaks of the user
            return flow["pid"] is None or flow["pid"] == line.get("opener_pid")
        if column in cases.COUNTERS:
            return found < wanted
        return found in SILENT.get(column, ())

    def test_a_storm_names_nobody_wrongly(self):
        self.need_root()
        daemon = self.start("--sweep-interval", "100ms")
        truth = [self.path("server.tsv"), self.path("clients.tsv")]
        server = self.start_program(harness.STORM, "serve", str(STORM_COUNT), truth[0])
        port = int(self.read_line(server))
        self.run_program(harness.STORM, "spawn", "tcp", "127.0.0.1", str(port), str(STORM_COUNT),
                         "8", truth[1], harness.STORM_CLIENT)
        self.finish(server)
        daemon.stop()
        pids = {}
        for line in harness.lines(truth[1]):
            _, pid, _, own_port, _ = line.split()
            pids.setdefault(int(own_port), set()).add(int(pid))
        found = collections.Counter()
        for flow in daemon.flows(port):
            client = flow["remote_port"] == port
            right = pids.get(flow["local_port"], set()) if client else {server.pid}
            found[client, "nobody" if flow["pid"] is None else
                  "right" if flow["pid"] in right else "wrong"] += 1
        print(f"\n{STORM_COUNT} processes, one connection each, polled every 100 ms\n"
              f"{'':8}{'recorded':>10}{'right':>8}{'nobody':>8}{'wrong':>8}")
        for client in (True, False):
            grades = [found[client, grade] for grade in ("right", "nobody", "wrong")]
            print(f"{'clients' if client else 'server':8}{sum(grades):>10}" +
                  "".join(f"{grade:>8}" for grade in grades))
        self.assertEqual(found[True, "wrong"] + found[False, "wrong"], 0)
        self.assertEqual(found[True, "nobody"] + found[True, "right"], STORM_COUNT)

    def test_a_socket_that_several_hold_is_of_whoever_had_it_first(self):
        self.need_root()
        daemon = self.start()
        server = self.start_talker(FORK_SERVER, "127.0.0.1", 0, 30, 100)
        port = json.loads(self.read_line(server))["port"]
        client = self.start_talker(CLIENT, "127.0.0.1", port, 100, 30)
        family = json.loads(self.read_line(server))
        flow = self.wait_polled(daemon, port, 1, "pid IS NOT NULL AND direction = 'in'")[0]
        self.assertEqual(flow["pid"], family["parent"])
        server.stdin.write("\n\n")
        server.stdin.close()
        server.stdin = None
        self.read_line(client)
        self.release(client)
        self.finish(server)
        flow = daemon.wait_flows(port, 1, "open = 0 AND direction = 'in'")[0]
        self.assertIn(flow["pid"], family.values())

    def test_the_holder_who_ends_gives_way_to_the_next(self):
        self.need_root()
        daemon = self.start("--active-timeout", "100ms")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            text = ("import os, socket, sys; s = socket.create_connection(('127.0.0.1', %d));"
                    "child = os.fork();"
                    "print(child, flush=True) if child else None;"
                    "sys.stdin.readline()" % port)
            parent = self.start_program(PYTHON, "-c", text, stdin=subprocess.PIPE)
            child = int(self.read_line(parent))
            server, _ = listener.accept()
            with server:
                first = self.wait_polled(daemon, port, 1, "pid IS NOT NULL AND direction = 'out'")
                self.assertEqual(first[0]["pid"], parent.pid)
                parent.kill()
                parent.wait()

                def is_the_childs():
                    server.sendall(b"x")  # only what changes is stored
                    return daemon.flows(port, f"open = 1 AND pid = {child}")
                harness.wait_until("the child's flow", is_the_childs)
            parent.stdin.close()
            parent.stdin = None

    def test_listeners_and_datagram_sockets(self):
        self.need_root()
        daemon = self.start()
        port = self.free_port()
        text = ("import socket, sys; t = socket.create_server(('127.0.0.1', %d));"
                "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
                "u.bind(('127.0.0.1', %d)); c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
                "c.connect(('127.0.0.1', %d)); c.send(b'x');"
                "print(c.getsockname()[1], flush=True); sys.stdin.readline()" % (port, port, port))
        program = self.start_program(PYTHON, "-c", text, stdin=subprocess.PIPE)
        own_port = int(self.read_line(program))

        def listeners(where):
            return daemon.rows("SELECT * FROM listeners WHERE local_port = ? AND " + where, port)
        found = harness.wait_until("two listeners", lambda: (
            rows if len(rows := listeners("until_us IS NULL AND pid IS NOT NULL")) == 2 else None))
        self.assertEqual({(row["protocol"], row["pid"]) for row in found},
                         {("tcp", program.pid), ("udp", program.pid)})
        flow = self.wait_polled(daemon, own_port, 1)[0]
        self.assert_flow(flow, {"protocol": "udp", "direction": "out", "pid": program.pid,
                                "remote_port": port, "method": "procfs"})
        program.stdin.close()
        program.stdin = None
        self.finish(program)
        harness.wait_until("their ends", lambda: len(listeners("until_us IS NOT NULL")) == 2)
        self.assertEqual(daemon.wait_flows(own_port, 1)[0]["outcome"], "closed")

    def test_another_network_namespace(self):
        self.need_root()
        ip = self.need_program("ip")
        name = f"lastconn-poll-{os.getpid()}"
        daemon = self.start()
        descriptors = f"/proc/{daemon.pid}/fd"
        before = len(os.listdir(descriptors))
        self.run_program(ip, "netns", "add", name)
        try:
            self.run_program(ip, "-n", name, "link", "set", "lo", "up")
            inode = os.stat(f"/run/netns/{name}").st_ino
            flows = self.check_talk(daemon, prefix=(ip, "netns", "exec", name))
        finally:
            self.run_program(ip, "netns", "delete", name)
        self.assertEqual({flow["netns"] for flow in flows}, {inode})
        harness.wait_until("the namespace let go",
                           lambda: len(os.listdir(descriptors)) <= before)

    def test_nobody_can_speak_for_the_kernel(self):
        self.need_root()
        prefix = (self.need_program("setpriv"), f"--reuid={harness.NOBODY}", "--clear-groups",
                  self.need_program("unshare"), "--user", "--map-root-user", "--net")
        if subprocess.run((*prefix, "true"), check=False, stderr=subprocess.DEVNULL).returncode:
            self.lack("users may not make namespaces")
        daemon = self.start("--sweep-interval", "100ms")
        port = self.free_port()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            inode = os.fstat(listener.fileno()).st_ino
            self.run_program(*prefix, PYTHON, "-c", FORGER, str(inode), str(port))
            daemon.stop()
        self.assertEqual(len(daemon.flows(port)), 0)

    # -- with less

    def as_nobody(self):
        os.chmod(self.directory, 0o777)
        self.addCleanup(os.umask, os.umask(0))  # the socket of READY=1
        shutil.copy(harness.LASTCONND, self.path("lastconnd"))  # from where nobody may not look
        return (self.need_program("setpriv"), f"--reuid={harness.NOBODY}",
                f"--regid={harness.NOBODY}", "--clear-groups", "--bounding-set", "-all")

    def test_nobody_knows_own_processes_and_names_no_others(self):
        self.need_root()
        nobody = self.as_nobody()
        daemon = self.start(prefix=nobody, program=self.path("lastconnd"))
        self.check_talk(daemon, prefix=nobody)
        port, _, _ = self.talk(daemon, known=False)
        for flow in daemon.wait_flows(port, 2):
            self.assert_flow(flow, {"pid": None, "uid": None, "exe": None, "method": "unknown"})
            self.assertEqual(flow["octets_out"] + flow["octets_in"], 130)
        self.assertIn("CAP_SYS_PTRACE", daemon.log())

    def test_where_bpf_is_refused_polling_takes_over(self):
        self.need_root()
        setpriv = self.need_program("setpriv")
        daemon = self.start_daemon(kernel=False, prefix=(
            setpriv, "--bounding-set=-bpf,-perfmon,-sys_admin"))
        said = [line for line in daemon.log().splitlines() if "polling instead" in line]
        self.assertEqual(len(said), 1, daemon.log())
        self.check_talk(daemon)

    def test_a_question_that_finds_nothing_is_told_that_this_proves_nothing(self):
        daemon = self.start()
        daemon.stop()
        gaps = daemon.rows("SELECT * FROM coverage WHERE source = 'procfs'")
        self.assertTrue([gap for gap in gaps if "polled: connections shorter" in gap["detail"]],
                        gaps)
        done = subprocess.run([harness.LASTCONN, "who", "203.0.113.99", "--db", daemon.db],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no evidence", done.stderr)


if __name__ == "__main__":
    harness.main()
