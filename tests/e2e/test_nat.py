#!/usr/bin/env python3
"""Flows through NAT, of a router in a network namespace with a client and a server in others:
lastconnd runs in that of the router, and says what the talking programs see of each other."""
import json
import os
import signal
import subprocess

import harness

PYTHON = "/usr/bin/python3"

# Serves TCP and UDP of one port, says whom it sees, holds the connection until a line comes.
SERVER = """
import json, os, socket, sys
address = sys.argv[1]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
listener = socket.create_server((address, int(sys.argv[2])), family=family)
port = listener.getsockname()[1]
udp = socket.socket(family, socket.SOCK_DGRAM)
udp.bind((address, port))
print(json.dumps({"port": port, "pid": os.getpid()}), flush=True)
s, peer = listener.accept()
s.sendall(b"welcome")
octets, udp_peer = udp.recvfrom(2000)
udp.sendto(octets * 2, udp_peer)
print(json.dumps({"tcp": peer[:2], "udp": udp_peer[:2]}), flush=True)
sys.stdin.readline()
s.close()
"""
# Talks to it by TCP and UDP, says its own ends, holds its sockets until a line comes.
CLIENT = """
import json, os, socket, sys
address, port = sys.argv[1], int(sys.argv[2])
s = socket.create_connection((address, port), 20)
s.recv(100)
udp = socket.socket(s.family, socket.SOCK_DGRAM)
udp.settimeout(20)
udp.connect((address, port))
udp.send(b"hello")
udp.recv(2000)
print(json.dumps({"pid": os.getpid(), "tcp": s.getsockname()[:2], "udp": udp.getsockname()[:2]}),
      flush=True)
sys.stdin.readline()
s.close()
"""
# So many datagrams, each of a socket of its own.
FLOOD = """
import socket, sys
for i in range(int(sys.argv[3])):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("", 1024 + i))
        s.sendto(b"x", (sys.argv[1], int(sys.argv[2])))
"""
PING = """
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
s.settimeout(20)
s.sendto(struct.pack("!BBHHH", 8, 0, 0xf7b2, 77, 0), (sys.argv[1], 0))
s.recv(2000)
"""
RULES = """
table ip lastconn {
	chain before { type nat hook prerouting priority -100;
		ip daddr 192.0.2.1 meta l4proto { tcp, udp } th dport 8080 dnat to 10.9.0.2:8088;
	}
	chain made { type nat hook output priority -100;
		ip daddr 198.51.100.7 dnat to 192.0.2.80;
	}
	chain after { type nat hook postrouting priority 100;
		ip saddr 10.9.0.2 oifname "out" masquerade;
	}
}
table ip6 lastconn {
	chain after { type nat hook postrouting priority 100;
		oifname "out" masquerade;
	}
}
"""


class Nat(harness.Case):

    def setUp(self):
        super().setUp()
        self.need_root()
        self.need_program("nft")
        self.router, self.client, self.server = (self.make_namespace() for _ in range(3))
        self.join(self.router, "in", "10.9.0.1/24 fd09::1/64",
                  self.client, "eth0", "10.9.0.2/24 fd09::2/64")
        self.join(self.router, "out", "192.0.2.1/24 2001:db8::1/64",
                  self.server, "eth0", "192.0.2.80/24 2001:db8::80/64")
        for words in ("route add default via 10.9.0.1", "-6 route add default via fd09::1"):
            self.run_in(self.client, "ip", *words.split())
        self.run_in(self.router, "ip", "route", "add", "198.51.100.0/24", "via", "192.0.2.80")
        for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            self.run_in(self.router, "sh", "-c", f"echo 1 >/proc/sys/net/{name}")
        self.make_rules()

    # -- namespaces

    def make_namespace(self):
        """The command line prefix of a new network namespace, which is gone after the test."""
        holder = self.start_program(self.need_program("unshare"), "-n", PYTHON, "-c",
                                    "print('in', flush=True); import time; time.sleep(600)")
        self.read_line(holder)
        prefix = (self.need_program("nsenter"), "-t", str(holder.pid), "-n")
        self.run_in(prefix, "ip", "link", "set", "lo", "up")
        return prefix

    def run_in(self, prefix, program, *arguments, **more):
        return self.run_program(*prefix, self.need_program(program), *arguments, **more)

    def join(self, left, left_name, left_addresses, right, right_name, right_addresses):
        self.run_in(left, "ip", *f"link add {left_name} type veth peer name {right_name} netns"
                    f" {right[2]}".split())
        for prefix, name, addresses in ((left, left_name, left_addresses),
                                        (right, right_name, right_addresses)):
            for address in addresses.split():
                flags = ("nodad",) if ":" in address else ()
                self.run_in(prefix, "ip", "addr", "add", address, "dev", name, *flags)
            self.run_in(prefix, "ip", "link", "set", name, "up")

    def make_rules(self):
        done = subprocess.run((*self.router, self.need_program("nft"), "-f", "-"), input=RULES,
                              capture_output=True, text=True, check=False)
        self.assertNotIn("syntax error", done.stderr)
        if done.returncode:
            self.lack(f"no NAT in this kernel: {done.stderr.splitlines()[0]}")

    # -- traffic

    def start_daemon_here(self, *options):
        daemon = self.start_daemon("--active-timeout", "1s", *options, prefix=self.router)
        if "conntrack tells" not in daemon.log():
            self.lack("conntrack says nothing here: " + daemon.log())
        return daemon

    def start_talker(self, prefix, text, *arguments):
        return self.start_program(*prefix, PYTHON, "-c", text, *map(str, arguments),
                                  stdin=subprocess.PIPE)

    def talk(self, server_prefix, client_prefix, listen, reach=None, listen_port=0,
             reach_port=None):
        """TCP and UDP, both held open; the truth of server and client, and how to let them go."""
        server = self.start_talker(server_prefix, SERVER, listen, listen_port)
        served = json.loads(self.read_line(server))
        client = self.start_talker(client_prefix, CLIENT, reach or listen,
                                   reach_port or served["port"])
        asked = json.loads(self.read_line(client))
        served |= json.loads(self.read_line(server))

        def release():
            for process in (client, server):
                process.stdin.write("\n")
                process.stdin.flush()
                self.assertEqual(process.wait(30 * harness.SLOW), 0)
        return served, asked, release

    def flow(self, daemon, pid, protocol, where="open = 0"):
        """The one flow of that process, as soon as it is there."""
        query = f"SELECT * FROM flows WHERE pid = ? AND protocol = ? AND {where}"
        found = harness.wait_until(f"a {protocol} flow of {pid}",
                                   lambda: daemon.rows(query, pid, protocol))
        return harness.one(self, found)

    def check(self, flow, local=(None, None), remote=(None, None)):
        self.assert_flow(flow, {
            "translated_local_ip": local[0], "translated_local_port": local[1],
            "translated_remote_ip": remote[0], "translated_remote_port": remote[1]})

    # -- tests

    def test_what_left_the_interface_is_what_the_server_saw(self):
        daemon = self.start_daemon_here()
        for listen, outside in (("192.0.2.80", "192.0.2.1"), ("2001:db8::80", "2001:db8::1")):
            served, asked, release = self.talk(self.server, self.client, listen)
            for where in ("open = 1", "open = 0"):
                if where == "open = 0":
                    release()
                for protocol in ("tcp", "udp"):
                    self.assertEqual(served[protocol][0], outside)
                    self.check(self.flow(daemon, asked["pid"], protocol, where),
                               local=served[protocol])
                    # and the other way round, where the answering end is on this machine, too
                    self.check(self.flow(daemon, served["pid"], protocol, where),
                               remote=asked[protocol])
        daemon.stop()

    def test_a_published_port_and_who_came_to_it(self):
        daemon = self.start_daemon_here()
        served, asked, release = self.talk(self.client, self.server, "10.9.0.2", "192.0.2.1",
                                           8088, 8080)
        self.check_published(daemon, "open = 1", served, asked)
        release()
        self.check_published(daemon, "open = 0", served, asked)
        daemon.stop()

    def check_published(self, daemon, where, served, asked):
        for protocol in ("tcp", "udp"):
            self.check(self.flow(daemon, served["pid"], protocol, where),
                       local=("192.0.2.1", 8080))
            self.check(self.flow(daemon, asked["pid"], protocol, where),
                       remote=("10.9.0.2", 8088))
        # found by the end beyond NAT, and said so; by the other end as well
        row = harness.one(self, self.ask(daemon.db, "who", "10.9.0.2", "--out"))
        self.assertEqual((row["flows"], row["names"]), (2, ["192.0.2.1 (nat)"]))
        row = harness.one(self, self.ask(daemon.db, "who", "192.0.2.1", "--out"))
        self.assertEqual((row["flows"], row["names"] or []), (2, []))
        for extra in (("--last", "1h"), ("--pid", str(asked["pid"])), ("--port", "8080"),
                      ("--proto", "tcp")):
            row = harness.one(self, self.ask(daemon.db, "who", "10.9.0.2", *extra))
            self.assertEqual(row["flows"], 1 if "tcp" in extra else 2)
        flows = self.ask(daemon.db, "flows", "--host", "10.9.0.2")
        self.assertEqual({(f["remote_ip"], f["translated_remote_ip"], f["translated_remote_port"])
                          for f in flows}, {("192.0.2.1", "10.9.0.2", 8088)})
        self.assertEqual(len(flows), 2)
        text = self.run_program(harness.LASTCONN, "flows", "--db", daemon.db).stdout
        self.assertIn("192.0.2.1:8080 (to 10.9.0.2:8088)", text)
        self.assertIn("in :8088 at 192.0.2.1:8080", text)

    def test_what_the_router_itself_sends_elsewhere(self):
        daemon = self.start_daemon_here()
        served, asked, release = self.talk(self.server, self.router, "192.0.2.80", "198.51.100.7")
        release()
        flow = self.flow(daemon, asked["pid"], "tcp")
        self.check(flow, remote=("192.0.2.80", served["port"]))
        self.assertEqual(flow["remote_ip"], "198.51.100.7")
        # hooks at the device see datagrams that leave with the other end
        daemon.stop()
        flows = daemon.rows("SELECT * FROM flows WHERE pid = ? AND protocol = 'udp'", asked["pid"])
        self.assertEqual(sum(flow["octets_out"] for flow in flows), 5)
        ends = {"198.51.100.7": "192.0.2.80", "192.0.2.80": "198.51.100.7"}
        for flow in flows:
            self.check(flow, remote=(ends[flow["remote_ip"]], served["port"]))

    def test_a_rule_may_hide_a_host_beyond(self):
        rule = "address=198.51.100.0/24"
        daemon = self.start_daemon_here("--ignore", rule)
        _, asked, release = self.talk(self.server, self.router, "192.0.2.80", "198.51.100.7")
        release()
        daemon.stop()
        self.assertEqual(daemon.rows("SELECT 1 FROM flows WHERE pid = ? AND protocol = 'tcp'",
                                     asked["pid"]), [])
        done = subprocess.run([harness.LASTCONN, "who", "192.0.2.80", "--proto", "tcp", "--db",
                               daemon.db], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("no evidence", done.stderr)
        self.assertRegex(done.stderr, f"flows left out by rules: .*{rule}")

    def test_without_nat_there_is_nothing_to_tell(self):
        daemon = self.start_daemon_here()
        served, asked, release = self.talk(self.server, self.router, "192.0.2.80")
        release()
        for protocol in ("tcp", "udp"):
            self.check(self.flow(daemon, asked["pid"], protocol))
            self.check(self.flow(daemon, served["pid"], protocol))
        daemon.stop()

    def test_icmp_has_addresses_only(self):
        daemon = self.start_daemon_here()
        self.run_program(*self.client, PYTHON, "-c", PING, "192.0.2.80")
        flow = harness.wait_until("the echo request", lambda: daemon.rows(
            "SELECT * FROM flows WHERE protocol = 'icmp' AND local_ip = '10.9.0.2' AND open = 0"))
        flow = harness.one(self, flow)
        self.check(flow, local=("192.0.2.1", flow["local_port"]))
        daemon.stop()

    def test_connections_from_before_the_start(self):
        served, asked, release = self.talk(self.server, self.client, "192.0.2.80")
        daemon = self.start_daemon_here()
        self.check(self.flow(daemon, asked["pid"], "tcp", "open = 1"), local=served["tcp"])
        # and what a run leaves open, the next one has
        daemon.stop()
        daemon = self.start_daemon_here()
        self.check(self.flow(daemon, asked["pid"], "tcp", "open = 1"), local=served["tcp"])
        release()
        self.check(self.flow(daemon, asked["pid"], "tcp"), local=served["tcp"])
        daemon.stop()

    def test_what_the_programs_saw_while_nobody_asked_conntrack_is_coverage(self):
        bpffs = self.path("bpf")
        os.mkdir(bpffs)
        self.run_program("mount", "-t", "bpf", "bpf", bpffs)
        self.addCleanup(subprocess.run, ["umount", bpffs], check=True)
        pin = ("--pin", os.path.join(bpffs, "lastconn"))
        self.start_daemon_here(*pin).stop()
        served, asked, release = self.talk(self.server, self.client, "192.0.2.80")
        release()
        daemon = self.start_daemon_here(*pin)
        self.assertIn("goes on with the programs", daemon.log())
        # conntrack still has what closed just now
        self.check(self.flow(daemon, asked["pid"], "tcp"), local=served["tcp"])
        gap = harness.wait_until("the gap", lambda: daemon.rows(
            "SELECT * FROM coverage WHERE detail LIKE 'nat: nobody asked%'"))
        self.assertEqual(harness.one(self, gap)["what"], "owners unsure")
        daemon.stop()

    def test_a_capture_of_both_sides_ties_them(self):
        daemon = self.start_daemon("--idle-timeout", "2s", "--source", "pcap", "-i", "in", "-i",
                                   "out", kernel=False, prefix=self.router)
        served, asked, release = self.talk(self.server, self.client, "192.0.2.80")
        release()
        for protocol in ("tcp", "udp"):
            inside, outside = asked[protocol], served[protocol]
            found = harness.wait_until("both flows", lambda p=protocol: (
                flows if len(flows := daemon.flows(served["port"], f"protocol = '{p}'")) >= 2
                else None))
            ends = {tuple(inside): outside, tuple(outside): inside}
            for flow in found:
                self.check(flow, local=ends[(flow["local_ip"], flow["local_port"])])
            self.assertEqual({(flow["local_ip"], flow["local_port"]) for flow in found}, set(ends))
        daemon.stop()

    def test_lost_words_are_coverage_and_asked_for_again(self):
        daemon = self.start_daemon_here()
        daemon.signal(signal.SIGSTOP)
        self.run_program(*self.client, PYTHON, "-c", FLOOD, "192.0.2.80", "9", "30000")
        served, asked, release = self.talk(self.server, self.client, "192.0.2.80")
        daemon.signal(signal.SIGCONT)
        harness.wait_until("the gap in the coverage", lambda: daemon.rows(
            "SELECT * FROM coverage WHERE what = 'owners unsure' AND detail LIKE 'nat: %'"))
        release()
        for protocol in ("tcp", "udp"):
            self.check(self.flow(daemon, asked["pid"], protocol), local=served[protocol])
        daemon.stop()


class Without(harness.Case):

    def test_who_may_not_ask_says_so(self):
        self.need_root()
        if not os.path.exists("/proc/sys/net/netfilter/nf_conntrack_count"):
            self.lack("no conntrack in this kernel")
        setpriv = self.need_program("setpriv")
        daemon = self.start_daemon("--source", "procfs", kernel=False,
                                   prefix=(setpriv, "--bounding-set", "-net_admin"))
        words = "conntrack cannot be asked for translated ends: Operation not permitted"
        self.assertIn(words + "; that needs CAP_NET_ADMIN", daemon.log())
        daemon.stop()
        row = harness.one(self, daemon.rows("SELECT * FROM coverage WHERE detail LIKE 'nat:%'"))
        self.assertEqual((row["what"], row["detail"]), ("owners unsure", "nat: " + words))
        self.assertEqual(self.nat_fact(setpriv, "--bounding-set", "-net_admin")["advice"],
                         "give it CAP_NET_ADMIN")

    def nat_fact(self, *prefix):
        done = self.run_daemon("--check", "--json", "--source", "procfs", prefix=prefix)
        return harness.one(self, [fact for fact in json.loads(done.stdout)["system"]
                                  if fact["name"] == "nat"])

    def test_check_says_whether_there_is_nat(self):
        self.need_root()
        value = self.nat_fact()["value"]
        if os.path.exists("/proc/sys/net/netfilter/nf_conntrack_count"):
            self.assertRegex(value, "conntrack tells|none here")
        else:
            self.assertEqual(value, "none here")


if __name__ == "__main__":
    harness.main()
