#!/usr/bin/env python3
"""Packets as the source of flows (-i, --source pcap): in network namespaces that each test makes,
against what the talking programs and tcpdump say."""
import json
import os
import re
import signal
import subprocess
import sys

import harness
import net_case
from net_case import PYTHON

sys.path.insert(0, os.path.join(harness.ROOT, "tests", "replay"))
import name_make as names  # noqa: E402

# A server and a client, each of which prints who it is and what it did, and then holds its sockets
# until a line comes.
SERVER = """
import json, os, socket, sys
address, datagrams = sys.argv[1], int(sys.argv[2])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
listener = socket.create_server((address, 0), family=family)
port = listener.getsockname()[1]
udp = socket.socket(family, socket.SOCK_DGRAM)
udp.bind((address, port))
print(json.dumps({"port": port, "pid": os.getpid(), "netns": os.stat("/proc/self/ns/net").st_ino}),
      flush=True)
s, _ = listener.accept()
got = 0
while got < 5000:
    got += len(s.recv(65536))
s.sendall(b"y" * 77)
for i in range(datagrams):
    octets, peer = udp.recvfrom(2000)
    udp.sendto(octets * 2, peer)
print("served", flush=True)
sys.stdin.readline()
s.close()
"""
CLIENT = """
import json, os, socket, sys
address, port, datagrams = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
s = socket.create_connection((address, port))
s.sendall(b"x" * 5000)
got = 0
while got < 77:
    got += len(s.recv(100))
udp = socket.socket(s.family, socket.SOCK_DGRAM)
udp.settimeout(20)
for i in range(datagrams):
    udp.sendto(b"hello", (address, port))
    udp.recvfrom(2000)
print(json.dumps({"tcp": s.getsockname()[1], "udp": udp.getsockname()[1], "pid": os.getpid(),
                  "netns": os.stat("/proc/self/ns/net").st_ino}), flush=True)
sys.stdin.readline()
s.close()
"""
# Echo requests, which the kernel answers: octets of data, how many.
PING = """
import socket, struct, sys
address, octets, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
s.settimeout(20)
for i in range(count):
    message = struct.pack("!BBHHH", 8, 0, 0, 77, i) + bytes(octets)
    total = sum(struct.unpack("!%dH" % (len(message) // 2), message))
    total = (total & 0xffff) + (total >> 16)
    s.sendto(message[:2] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff) + message[4:],
             (address, 0))
    while True:
        answer = s.recv(2000)
        if answer[20] == 0:
            break
"""
# Answers whoever asks on port 53 with the same octets; takes connections on port 443.
FLOOD = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((sys.argv[1], int(sys.argv[2])))
for i in range(int(sys.argv[3])):
    try:
        s.send(b"z" * 100)
    except ConnectionRefusedError:
        s.send(b"z" * 100)
"""
DATAGRAMS = 20


class LiveCapture(net_case.NetCase):

    # -- lastconnd and traffic

    def capture(self, prefix, *interfaces, options=()):
        names = [word for name in interfaces for word in ("-i", name)]
        return self.start_daemon(*names, "--source", "pcap", "--active-timeout", "500ms",
                                 *options, kernel=False, prefix=prefix)

    def talk(self, daemon, server_prefix, client_prefix, address, flows, known=None, others=()):
        """TCP and UDP, each with so many flows, the first of them known, to other daemons too; the
        truth of server and client."""
        server = self.start_talker(server_prefix, SERVER, address, DATAGRAMS)
        served = json.loads(self.read_line(server))
        client = self.start_talker(client_prefix, CLIENT, address, served["port"], DATAGRAMS)
        asked = json.loads(self.read_line(client))
        self.read_line(server)
        for one in (daemon, *others):
            one.wait_flows(served["port"], flows if known is None else known,
                           "open = 1 AND protocol = 'tcp' AND pid IS NOT NULL")
        self.release(client)
        self.release(server)
        daemon.wait_flows(served["port"], flows, "open = 0 AND protocol = 'tcp'")
        return served, asked

    def flow(self, daemon, port, protocol, where):
        return harness.one(self, daemon.flows(port, f"protocol = '{protocol}' AND {where}"))

    def check_end(self, daemon, served, truth, direction, protocols=("tcp", "udp")):
        """The flows as one of the two ends saw them."""
        mine, theirs = (("remote_port", "local_port") if direction == "out"
                        else ("local_port", "remote_port"))
        sent = {"tcp": (5000, 77), "udp": (5 * DATAGRAMS, 10 * DATAGRAMS)}
        for protocol in protocols:
            flow = self.flow(daemon, served["port"], protocol, f"direction = '{direction}'")
            octets = sent[protocol] if direction == "out" else sent[protocol][::-1]
            self.assert_flow(flow, {
                "pid": truth["pid"], "method": "procfs", "source": "pcap", mine: served["port"],
                "octets_out": octets[0], "octets_in": octets[1], "netns": truth["netns"]})
            if "tcp" in truth:
                self.assertEqual(flow[theirs], truth[protocol])
            if protocol == "udp":
                self.assertEqual((flow["packets_out"], flow["packets_in"]), (DATAGRAMS, DATAGRAMS))
            else:
                self.assertEqual((flow["outcome"], flow["retransmits"]), ("closed", 0))

    # -- tests

    def test_both_ends_of_loopback_traffic_once_each(self):
        here = self.make_namespace()
        tcpdump = self.need_program("tcpdump")
        for address in ("127.0.0.1", "::1"):
            daemon = self.capture(here, "lo")
            judge = self.start_program(
                *here, tcpdump, "-Z", "root", "-n", "-U", "--immediate-mode", "-B", "65536", "-i",
                "lo", "-w", self.path("lo.pcap"), stderr=subprocess.PIPE)
            while "listening on" not in self.read_line(judge, judge.stderr):
                pass
            served, asked = self.talk(daemon, here, here, address, 2)
            daemon.stop()
            judge.send_signal(signal.SIGINT)
            judge.wait(30)
            self.check_end(daemon, served, asked, "out")
            self.check_end(daemon, served, served, "in")
            seen = self.run_program(tcpdump, "-n", "-r", self.path("lo.pcap"),
                                    f"tcp port {served['port']}").stdout.count("\n")
            for flow in daemon.flows(served["port"], "protocol = 'tcp'"):
                self.assertEqual(flow["packets_out"] + flow["packets_in"], seen)
            os.rename(daemon.db, self.path(f"{len(address)}.db"))

    def test_each_end_of_a_link_and_icmp(self):
        here, there = self.make_pair()
        for address in ("10.9.0.2", "fd09::2"):
            client = self.capture(here, "veth-a", options=("--db", self.path("client.db")))
            server = self.capture(there, "any", options=("--db", self.path("server.db")))
            client.db, server.db = self.path("client.db"), self.path("server.db")
            served, asked = self.talk(client, there, here, address, 1, others=(server,))
            self.run_program(*here, PYTHON, "-c", PING, "10.9.0.2", "40", "3")
            server.wait_flows(served["port"], 1, "open = 0 AND protocol = 'tcp'")
            client.stop()
            server.stop()
            self.check_end(client, served, asked, "out")
            self.check_end(server, served, served, "in")
            for daemon, direction in ((client, "out"), (server, "in")):
                flow = harness.one(self, daemon.rows(
                    "SELECT * FROM flows WHERE protocol = 'icmp'"))
                self.assert_flow(flow, {
                    "direction": direction, "pid": None, "method": "unknown", "packets_out": 3,
                    "packets_in": 3, "octets_out": 144, "octets_in": 144})
            for daemon in (client, server):
                os.remove(daemon.db)

    def test_copies_at_bridge_and_port_count_once(self):
        host, guest = self.make_namespace(), self.make_namespace()
        self.ip(host, "link add br0 type bridge")
        self.join(host, "port", guest, "eth")
        self.ip(host, "link set port master br0")
        self.ip(host, "link set br0 up")
        self.give(host, "br0", "10.9.0.1/24")
        self.give(guest, "eth", "10.9.0.2/24")
        for interfaces in (("any",), ("br0", "port")):
            daemon = self.capture(host, *interfaces)
            served, asked = self.talk(daemon, host, guest, "10.9.0.1", 1)
            daemon.stop()
            self.check_end(daemon, served, served, "in")
            self.assertEqual(len(daemon.flows(served["port"])), 2)
            self.assertNotEqual(asked["pid"], served["pid"])
            os.remove(daemon.db)

    def test_a_router_forwards_and_its_flows_say_so(self):
        router, left, right = self.make_router()
        daemon = self.capture(router, "any")
        served, asked = self.talk(daemon, right, left, "10.9.2.2", 1)
        daemon.stop()
        self.assertEqual(len(daemon.flows(served["port"])), 2)
        for protocol, octets in (("tcp", (5000, 77)), ("udp", (100, 200))):
            flow = self.flow(daemon, served["port"], protocol, "direction = 'forwarded'")
            self.assert_flow(flow, {
                "local_ip": "10.9.1.2", "local_port": asked[protocol], "remote_ip": "10.9.2.2",
                "remote_port": served["port"], "octets_out": octets[0], "octets_in": octets[1],
                # a socket of another namespace is known by its address, not by its port alone
                **({"pid": asked["pid"], "method": "procfs", "netns": asked["netns"]}
                   if protocol == "tcp" else {"pid": None, "method": "unknown", "netns": None})})
        for command in (("flows", "--forwarded"), ("who", "10.9.2.2", "--forwarded")):
            self.assertTrue(self.ask(daemon.db, *command))
        found = self.ask(daemon.db, "who", "10.9.2.2")
        self.assertEqual({service for row in found for service in row["services"]},
                         {f"forwarded {name}/{served['port']}" for name in ("tcp", "udp")})
        for option in ("--in", "--out"):
            self.assertEqual(self.ask(daemon.db, "flows", option, "--port",
                                      str(served["port"]), status=1), [])

    def test_flows_have_the_names_of_their_packets(self):
        router, left, right = self.make_router()
        daemons = {}
        for prefix, direction in ((left, "out"), (router, "forwarded")):
            database = self.path(f"{direction}.db")
            daemons[direction] = self.capture(prefix, "any", options=("--db", database))
            daemons[direction].db = database
        answer = names.answer("www.example", [names.record("www.example", 1, b"\x0a\x09\2\2")])
        hello = names.records(names.hello("said.example", padding=1900))
        server = self.start_talker(right, net_case.NAME_SERVER, "10.9.2.2", answer.hex())
        self.read_line(server)
        client = self.start_talker(left, net_case.ASKER, "10.9.2.2", names.query("www.example").hex(),
                                   hello.hex(), b"hello".hex(),
                                   names.quic_vector("quic_rfc9001").hex())
        pid = int(self.read_line(client))
        for daemon in daemons.values():
            daemon.wait_flows(53, 1, "pid IS NOT NULL")
        client.stdin.write("go on\n")
        client.stdin.flush()
        for daemon in daemons.values():
            daemon.wait_flows(443, 2, "protocol = 'tcp' AND pid IS NOT NULL")
        self.release(client)
        self.release(server)
        for direction, daemon in daemons.items():
            daemon.wait_flows(443, 2, "protocol = 'tcp' AND open = 0")
            daemon.stop()
            flows = daemon.flows(443, f"direction = '{direction}'")
            self.assertEqual(
                sorted((flow["protocol"], flow["remote_name"] or "", flow["name_source"])
                       for flow in flows),
                [("tcp", "said.example", "sni"), ("tcp", "www.example", "dns"),
                 ("udp", "example.com", "quic")])
            row = harness.one(self, self.ask(daemon.db, "names", "www.example"))
            self.assertEqual((row["source"], row["address"], row["times"], row["processes"]),
                             ("dns", "10.9.2.2", 2, 1))
            self.assertEqual({flow["pid"] for flow in flows if flow["protocol"] == "tcp"}, {pid})

    def test_an_interface_that_vanishes_is_taken_up_again(self):
        here, there = self.make_pair()
        daemon = self.capture(here, "veth-a", "lo")
        self.talk(daemon, there, here, "10.9.0.2", 1)
        self.ip(here, "link del veth-a")
        harness.wait_until("word of the loss", lambda: "veth-a is gone" in daemon.log())
        self.join(here, "veth-a", there, "veth-b")
        self.give(here, "veth-a", "10.9.0.1/24")
        self.give(there, "veth-b", "10.9.0.2/24")
        harness.wait_until("word of the return", lambda: "veth-a is there" in daemon.log())
        served, asked = self.talk(daemon, there, here, "10.9.0.2", 1)
        self.ip(here, "link set veth-a down")
        self.ip(here, "link set veth-a up")
        harness.wait_until("the link", lambda: "LOWER_UP" in self.run_program(
            *here, self.ip_program, "link", "show", "veth-a").stdout)
        harness.wait_until("word of the second return", lambda: (
            daemon.log().count("veth-a is there") == daemon.log().count("veth-a is gone")))
        again, asked_again = self.talk(daemon, there, here, "10.9.0.2", 1)
        daemon.stop()
        self.check_end(daemon, served, asked, "out")
        self.check_end(daemon, again, asked_again, "out")
        self.assertEqual(daemon.log().count("veth-a is gone"),
                         daemon.log().count("veth-a is there"))
        gaps = daemon.rows("SELECT * FROM coverage WHERE detail LIKE '%veth-a came back%'")
        self.assertTrue(gaps)

    def test_any_outlives_its_interfaces(self):
        here, there = self.make_pair()
        daemon = self.capture(here, "any")
        self.ip(here, "tuntap add dev vpn mode tun")
        self.give(here, "vpn", "10.8.0.1/24")
        self.ip(here, "link set vpn up")
        self.talk(daemon, there, here, "10.9.0.2", 1)
        self.ip(here, "link del vpn")
        served, asked = self.talk(daemon, there, here, "10.9.0.2", 1)
        daemon.stop()
        self.check_end(daemon, served, asked, "out")
        self.assertNotIn("gone", daemon.log())

    def test_an_address_that_comes_is_ones_own(self):
        here, there = self.make_pair()
        daemon = self.capture(here, "any")
        self.give(here, "veth-a", "10.9.0.77/24")
        served, asked = self.talk(daemon, here, there, "10.9.0.77", 1)
        daemon.stop()
        self.check_end(daemon, served, served, "in")
        self.assertEqual(daemon.flows(served["port"], "direction = 'forwarded'"), [])
        self.assertNotEqual(asked["pid"], served["pid"])

    def test_packets_that_found_no_room_are_told(self):
        here, _ = self.make_pair()
        daemon = self.capture(here, "veth-a", options=("--ring-size", "64K"))
        sent, port = 40000, 7777
        daemon.signal(signal.SIGSTOP)
        try:
            self.run_program(*here, PYTHON, "-c", FLOOD, "10.9.0.2", str(port), str(sent))
        finally:
            daemon.signal(signal.SIGCONT)
        daemon.stop()
        recorded = sum(flow["packets_out"] for flow in daemon.flows(port))
        lost = daemon.rows("SELECT * FROM coverage WHERE what = 'ring full'")
        self.assertTrue(all("packets on veth-a" in row["detail"] for row in lost), lost)
        dropped = sum(row["count"] for row in lost)
        self.assertLess(recorded, sent)
        # those of ARP, ICMP and the neighbours may be among the dropped ones
        self.assertGreaterEqual(recorded + dropped, sent)
        self.assertLess(recorded + dropped, sent + 200)
        self.assertIn("veth-a", json.dumps(self.ask(daemon.db, "coverage")))

    def test_with_the_right_to_capture_only_own_processes_are_known(self):
        here = self.make_namespace()
        setpriv = (self.need_program("setpriv"), f"--reuid={harness.NOBODY}",
                   f"--regid={harness.NOBODY}", "--clear-groups", "--inh-caps=+net_raw",
                   "--ambient-caps=+net_raw", "--bounding-set=-all,+net_raw")
        program = self.path("lastconnd")
        with open(harness.LASTCONND, "rb") as source, open(program, "wb") as copy:
            copy.write(source.read())
        os.chmod(program, 0o755)
        os.chmod(self.directory, 0o777)
        self.addCleanup(os.umask, os.umask(0))  # nobody may say that it is ready
        daemon = self.start_daemon("-i", "lo", "--active-timeout", "500ms", kernel=False,
                                   prefix=(*here, *setpriv), program=program)
        self.assertIn("flows come from packets instead", daemon.log())
        nobody = (*here, setpriv[0], f"--reuid={harness.NOBODY}",
                  f"--regid={harness.NOBODY}", "--clear-groups")
        served, asked = self.talk(daemon, here, nobody, "127.0.0.1", 2, known=1)
        daemon.stop()
        self.check_end(daemon, served, asked, "out")
        for flow in daemon.flows(served["port"], "direction = 'in'"):
            self.assert_flow(flow, {"pid": None, "method": "unknown"})

    def test_what_cannot_be_captured_is_said_in_a_line(self):
        here = self.make_namespace()
        setpriv = (self.need_program("setpriv"), "--bounding-set=-net_raw")
        for prefix, options, words in (
                ((), ("-i", "nosuch0"), ("nosuch0",)),
                ((), ("-i", "any", "-i", "lo"), ("'any' is every interface",)),
                ((), ("-i", "pktap"), ("no network interface 'pktap'", "macOS", "-r")),
                ((), ("-i", "x" * 200), ("no network interface 'xxx",)),
                (setpriv, ("-i", "lo"), ("lo", "CAP_NET_RAW"))):
            done = self.run_daemon("--db", self.path("x.db"), "--source", "pcap", *options,
                                   prefix=(*here, *prefix))
            self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
            for word in words:
                self.assertIn(word, done.stderr)
            self.assertFalse(os.path.exists(self.path("x.db")))

    def test_one_interface_that_is_not_there_is_waited_for(self):
        here = self.make_namespace()
        daemon = self.capture(here, "lo", "late0")
        self.assertRegex(daemon.log(), r"no interface late0 yet")
        self.ip(here, "link add late0 type veth peer name late1")
        self.ip(here, "link set late0 up")
        harness.wait_until("word of it", lambda: "late0 is there" in daemon.log())
        daemon.stop()

    def test_check_shows_the_slots_of_the_capture(self):
        here = self.make_namespace()
        done = self.run_daemon("--check", "--json", "-i", "lo", "--source", "pcap", prefix=here)
        result = json.loads(done.stdout)
        self.assertEqual(result["source"], "pcap")
        self.assertTrue(re.search(r"libpcap", done.stdout))


if __name__ == "__main__":
    harness.main()
