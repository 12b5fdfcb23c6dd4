#!/usr/bin/env python3
"""Names of the kernel source's flows, in one record with whose they are: from the packets that its
own programs see with their sockets, or from a capture beside it. In network namespaces that each
test makes."""
import os
import signal
import subprocess
import sys

import harness
import net_case

sys.path.insert(0, os.path.join(harness.ROOT, "tests", "replay"))
import name_make as names  # noqa: E402

# The ways in which ASKER's flows to the host come to their names.
NAMED = [("tcp", "said.example", "sni"), ("tcp", "www.example", "dns"),
         ("udp", "example.com", "quic")]
NOBODY = [("tcp", None, None), ("tcp", None, None), ("udp", None, None)]


# Takes connections, and hears each one out. Says these octets with another name in each of so many
# connections, which end at once.
LISTENER = """
import socket, sys
listener = socket.create_server((sys.argv[1], 80), backlog=100)
print("ready", flush=True)
for _ in range(int(sys.argv[2])):
    connection = listener.accept()[0]
    while connection.recv(4096):
        pass
    connection.close()
"""
SPEAKER = """
import socket, sys, time
for i in range(int(sys.argv[2])):
    with socket.create_connection((sys.argv[1], 80)) as connection:
        connection.sendall(b"GET / HTTP/1.1\\r\\nHost: n%d.example\\r\\n\\r\\n" % i)
    time.sleep(0.004)
"""
SHORT = 400
# The two ways to hear names.
SOCKETS = ()
CAPTURE = ("--disable-slot", "names")

NAT = """
table ip lastconn {
	chain made { type nat hook output priority -100;
		ip daddr 10.96.0.10 dnat to 10.9.0.2;
	}
}
"""

# Answers what it is asked by TCP (a question whole, else the answer is to none), with these octets;
# takes the octets of another connection.
TCP_SERVER = """
import socket, sys
address, message = sys.argv[1], bytes.fromhex(sys.argv[2])
listeners = [socket.create_server((address, port)) for port in (53, 443)]
print("ready", flush=True)
asked = listeners[0].accept()[0]
length = int.from_bytes(asked.recv(2, socket.MSG_WAITALL), "big")
asked.recv(length, socket.MSG_WAITALL)
asked.sendall(len(message).to_bytes(2, "big") + message)
held = listeners[1].accept()[0]
while held.recv(4096):
    pass
"""
# Asks by TCP, octet by octet; then says its own name so, and more behind it.
TCP_ASKER = """
import os, socket, sys, time
address, question, said = sys.argv[1], bytes.fromhex(sys.argv[2]), bytes.fromhex(sys.argv[3])
asking = socket.create_connection((address, 53))
asking.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
for octet in len(question).to_bytes(2, "big") + question:
    asking.send(bytes([octet]))
asking.recv(2000)
asking.close()
saying = socket.create_connection((address, 443))
saying.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
for octet in said[:20]:
    saying.send(bytes([octet]))
    time.sleep(0.001)
saying.sendall(said[20:])
saying.sendall(b"x" * 100000)
saying.close()
print(os.getpid(), flush=True)
"""
QUESTIONS = """
import socket, sys
question = bytes.fromhex(sys.argv[1])
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(int(sys.argv[2])):
    asking.sendto(question, ("127.0.0.1", 53))
"""

class LiveNames(net_case.NetCase):

    def record(self, prefix, *options, setpriv=()):
        return self.start_daemon("--active-timeout", "500ms", *options, prefix=(*prefix, *setpriv))

    def start_server(self, prefix, address):
        answer = names.answer("www.example", [names.record(
            "www.example", 1, bytes(map(int, address.split("."))))])
        server = self.start_talker(prefix, net_case.NAME_SERVER, address, answer.hex())
        self.read_line(server)
        return server

    def ask_and_talk(self, daemon, server_prefix, client_prefix, address):
        """The pid of the client: asks for the host, then talks to it in three ways."""
        hello = names.records(names.hello("said.example", padding=1900))
        server = self.start_server(server_prefix, address)
        client = self.start_talker(
            client_prefix, net_case.ASKER, address, names.query("www.example").hex(), hello.hex(),
            b"hello".hex(), names.quic_vector("quic_rfc9001").hex())
        pid = int(self.read_line(client))
        client.stdin.write("go on\n")
        client.stdin.flush()
        daemon.wait_flows(443, 2, f"protocol = 'tcp' AND pid = {pid}")
        self.release(client)
        self.release(server)
        daemon.wait_flows(443, 3, f"open = 0 AND pid = {pid}")
        return pid

    def names_of(self, daemon, pid):
        flows = daemon.flows(443, f"pid = {pid}")
        for flow in flows:
            self.assert_flow(flow, {"direction": "out", "method": "exact", "source": "ebpf"})
        return sorted(((flow["protocol"], flow["remote_name"], flow["name_source"])
                       for flow in flows), key=str)

    def check_names(self, *options):
        here, there = self.make_pair()
        daemon = self.record(here, *options)
        pid = self.ask_and_talk(daemon, there, here, "10.9.0.2")
        daemon.stop()
        self.assertEqual(self.names_of(daemon, pid), NAMED)
        self.assertEqual({flow["remote_name"] for flow in daemon.flows(443, "direction = 'in'")},
                         {None})
        self.assertEqual(daemon.rows("SELECT * FROM coverage WHERE what = 'names unsure'"), [])
        row = harness.one(self, self.ask(daemon.db, "names", "www.example"))
        self.assertEqual((row["source"], row["address"], row["times"], row["processes"]),
                         ("dns", "10.9.0.2", 2, 1))
        for name in ("said.example", "www.example", "example.com"):
            row = harness.one(self, self.ask(daemon.db, "who", name, "--out"))
            self.assertEqual(row["exe"], os.path.realpath(net_case.PYTHON), name)

    def test_the_kernels_flows_have_the_names_of_their_packets(self):
        self.check_names(*SOCKETS)

    def test_a_capture_serves_where_the_programs_do_not(self):
        self.check_names(*CAPTURE)

    def check_short_names(self, *options):
        here, there = self.make_pair()
        daemon = self.record(here, *options)
        server = self.start_program(*there, net_case.PYTHON, "-c", LISTENER, "10.9.0.2", str(SHORT))
        self.read_line(server)
        self.run_program(*here, net_case.PYTHON, "-c", SPEAKER, "10.9.0.2", str(SHORT))
        daemon.wait_flows(80, SHORT, "direction = 'out' AND open = 0")
        daemon.stop()
        flows = daemon.flows(80, "direction = 'out'")
        self.assertEqual([(flow["remote_name"], flow["name_source"])
                          for flow in sorted(flows, key=lambda flow: flow["start_us"])],
                         [(f"n{i}.example", "http") for i in range(SHORT)])

    def test_a_connection_that_ends_at_once_has_its_own_name(self):
        self.check_short_names(*SOCKETS)

    def test_so_it_has_from_a_capture(self):
        """Packets come later than what the kernel source tells: the record waits for them."""
        self.check_short_names(*CAPTURE)

    def test_every_network_namespace_is_heard(self):
        """Though the same addresses and names are in several of them."""
        daemon = self.record(())
        pids = [self.ask_and_talk(daemon, there, here, "10.9.0.2")
                for here, there in (self.make_pair(), self.make_pair())]
        daemon.stop()
        for pid in pids:
            self.assertEqual(self.names_of(daemon, pid), NAMED)

    def test_octets_that_come_one_by_one_are_put_together(self):
        here = self.make_namespace()
        daemon = self.record(here)
        answer = names.answer("tcp.example", [names.record("tcp.example", 1, b"\x7f\0\0\1")])
        hello = names.records(names.hello("slow.example"))
        server = self.start_program(*here, net_case.PYTHON, "-c", TCP_SERVER, "127.0.0.1",
                                    answer.hex())
        self.read_line(server)
        pid = int(self.run_program(*here, net_case.PYTHON, "-c", TCP_ASKER, "127.0.0.1",
                                   names.query("tcp.example").hex(), hello.hex()).stdout)
        daemon.wait_flows(443, 1, "direction = 'out' AND open = 0")
        daemon.stop()
        flow = harness.one(self, daemon.flows(443, f"pid = {pid} AND direction = 'out'"))
        self.assert_flow(flow, {"remote_name": "slow.example", "name_source": "sni"})
        row = harness.one(self, self.ask(daemon.db, "names", "tcp.example"))
        self.assertEqual((row["source"], row["address"], row["processes"]),
                         ("dns", "127.0.0.1", 1))

    def test_a_name_server_behind_nat_is_heard(self):
        """Its packets have other ends on their way out than on their way in."""
        here, there = self.make_pair()
        self.ip(here, "route add default via 10.9.0.2")
        self.run_program(*here, self.need_program("nft"), NAT)
        daemon = self.record(())
        answer = names.answer("www.example", [names.record("www.example", 1, b"\x0a\x60\0\x0a")])
        server = self.start_talker(there, net_case.NAME_SERVER, "10.9.0.2", answer.hex())
        self.read_line(server)
        client = self.start_talker(
            here, net_case.ASKER, "10.96.0.10", names.query("www.example").hex(), b"hello".hex(),
            names.records(names.hello("said.example")).hex(), names.quic_vector("quic_rfc9001").hex())
        pid = int(self.read_line(client))
        client.stdin.write("go on\n")
        self.release(client)
        self.release(server)
        daemon.wait_flows(443, 2, f"protocol = 'tcp' AND open = 0 AND pid = {pid}")
        daemon.stop()
        flows = daemon.flows(443, f"protocol = 'tcp' AND pid = {pid}")
        self.assertEqual({flow["remote_ip"] for flow in flows}, {"10.96.0.10"})
        self.assertEqual({flow["remote_name"] for flow in flows}, {"www.example", "said.example"})

    def test_who_calls_from_elsewhere_names_nobody(self):
        here, there = self.make_pair()
        daemon = self.record(())
        server = self.start_program(*there, net_case.PYTHON, "-c", LISTENER, "10.9.0.2", "1")
        self.read_line(server)
        self.run_program(*here, net_case.PYTHON, "-c", SPEAKER, "10.9.0.2", "1")
        daemon.wait_flows(80, 2, "open = 0")
        daemon.stop()
        told = daemon.rows("SELECT e.ip FROM name_evidence e JOIN name n ON n.id = e.name"
                           " WHERE n.name = 'n0.example'")
        self.assertEqual([row["ip"] for row in told], ["10.9.0.2"], "of who opened, alone")

    def test_names_that_found_no_room_are_told(self):
        here = self.make_namespace()
        daemon = self.record(here)
        os.kill(daemon.process.pid, signal.SIGSTOP)
        self.run_program(*here, net_case.PYTHON, "-c", QUESTIONS, names.query("a.example").hex(),
                         "8000")
        os.kill(daemon.process.pid, signal.SIGCONT)
        harness.wait_until("the loss", lambda: daemon.rows(
            "SELECT * FROM coverage WHERE what = 'names unsure' AND detail LIKE 'packets%'"))
        daemon.stop()
        flow = harness.one(self, daemon.flows(53, "direction = 'out'"))
        self.assertEqual(flow["packets_out"], 8000, "flows have a ring of their own")

    def test_datagrams_without_octets_need_no_room(self):
        here = self.make_namespace()
        daemon = self.record(here)
        os.kill(daemon.process.pid, signal.SIGSTOP)
        self.run_program(*here, net_case.PYTHON, "-c", QUESTIONS, "", "8000")
        os.kill(daemon.process.pid, signal.SIGCONT)
        daemon.wait_flows(53, 1, "direction = 'out' AND open = 0")
        daemon.stop()
        self.assertEqual(daemon.rows("SELECT * FROM coverage WHERE what = 'names unsure'"), [])

    def test_names_that_are_said_while_no_daemon_runs_are_told_by_the_next(self):
        here, there = self.make_pair()
        bpffs = self.path("bpf")
        os.mkdir(bpffs)
        self.run_program("mount", "-t", "bpf", "bpf", bpffs)
        self.addCleanup(subprocess.run, ["umount", bpffs], check=True)
        pin = ("--pin", os.path.join(bpffs, "lastconn"))
        daemon = self.record((), *pin)
        daemon.stop()
        server = self.start_program(*there, net_case.PYTHON, "-c", LISTENER, "10.9.0.2", "3")
        self.read_line(server)
        self.run_program(*here, net_case.PYTHON, "-c", SPEAKER, "10.9.0.2", "3")
        daemon = self.record((), *pin)
        self.assertIn("goes on", daemon.log())
        daemon.wait_flows(80, 3, "direction = 'out' AND open = 0")
        daemon.stop()
        self.assertEqual(
            sorted(flow["remote_name"] for flow in daemon.flows(80, "direction = 'out'")),
            [f"n{i}.example" for i in range(3)])
        self.assertEqual(daemon.rows("SELECT * FROM coverage WHERE what = 'names unsure'"), [])
        self.assertEqual(self.run_daemon("--unload", *pin).returncode, 0)

    def test_containers_behind_a_bridge_have_names_too(self):
        """Their packets pass here; the kernel source sees them in their own namespace."""
        router, left, right = self.make_router()
        daemon = self.record(router, "-i", "any")
        pid = self.ask_and_talk(daemon, right, left, "10.9.2.2")
        daemon.stop()
        self.assertEqual(self.names_of(daemon, pid), NAMED)

    def test_only_the_named_interfaces_are_heard(self):
        here, there = self.make_pair()
        for options in (("-i", "none"), ("-i", "lo")):
            daemon = self.record(here, *options, "--db", self.path(f"{options[1]}.db"))
            daemon.db = self.path(f"{options[1]}.db")
            pid = self.ask_and_talk(daemon, there, here, "10.9.0.2")
            daemon.stop()
            self.assertEqual(self.names_of(daemon, pid), NOBODY)
            self.assertEqual(
                daemon.rows("SELECT * FROM coverage WHERE what = 'names unsure'"), [])

    def test_without_the_privilege_flows_are_there_and_coverage_says_what_is_not(self):
        here, there = self.make_pair()
        setpriv = (self.need_program("setpriv"), "--bounding-set", "-net_raw", "--inh-caps",
                   "-net_raw")
        daemon = self.record(here, "-i", "any", setpriv=setpriv)
        pid = self.ask_and_talk(daemon, there, here, "10.9.0.2")
        daemon.stop()
        self.assertEqual(self.names_of(daemon, pid), NOBODY)
        self.assertIn("needs CAP_NET_RAW", daemon.log())
        self.assertIn("no hook for 'names' (Operation not permitted)", daemon.log())
        gap = harness.one(self, daemon.rows("SELECT * FROM coverage WHERE what = 'names unsure'"))
        self.assertEqual((gap["missed"], gap["detail"][:6]), ("names", "names:"))
        self.assertIn("fewer names: names",
                      self.run_program(harness.LASTCONN, "--db", daemon.db, "who",
                                       "10.9.0.2").stdout)

    def test_an_interface_that_comes_later_is_waited_for(self):
        here, there = self.make_namespace(), self.make_namespace()
        daemon = self.record(here, "-i", "veth-a")
        self.assertIn("there is no interface veth-a yet", daemon.log())
        self.join(here, "veth-a", there, "veth-b")
        self.give(here, "veth-a", "10.9.0.1/24")
        self.give(there, "veth-b", "10.9.0.2/24")
        harness.wait_until("the capture", lambda: "veth-a is there" in daemon.log())
        pid = self.ask_and_talk(daemon, there, here, "10.9.0.2")
        daemon.stop()
        self.assertEqual(self.names_of(daemon, pid), NAMED)
        gaps = daemon.rows("SELECT * FROM coverage WHERE what = 'names unsure'")
        self.assertIn("the interface veth-a came back", " ".join(gap["detail"] for gap in gaps))


if __name__ == "__main__":
    harness.main()
