#!/usr/bin/env python3
"""Names from packets beside the kernel source: whose a flow is from the one, what its host is called
from the other, in one record. In network namespaces that each test makes."""
import os
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

    def test_the_kernels_flows_have_the_names_of_their_packets(self):
        here, there = self.make_pair()
        daemon = self.record(here)
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

    def test_a_connection_that_ends_at_once_has_its_own_name(self):
        """Packets come later than what the kernel source tells: the record waits for them."""
        here, there = self.make_pair()
        daemon = self.record(here)
        server = self.start_program(*there, net_case.PYTHON, "-c", LISTENER, "10.9.0.2", str(SHORT))
        self.read_line(server)
        self.run_program(*here, net_case.PYTHON, "-c", SPEAKER, "10.9.0.2", str(SHORT))
        daemon.wait_flows(80, SHORT, "direction = 'out' AND open = 0")
        daemon.stop()
        flows = daemon.flows(80, "direction = 'out'")
        self.assertEqual([(flow["remote_name"], flow["name_source"])
                          for flow in sorted(flows, key=lambda flow: flow["start_us"])],
                         [(f"n{i}.example", "http") for i in range(SHORT)])

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
        daemon = self.record(here, setpriv=setpriv)
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
