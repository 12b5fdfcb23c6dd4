#!/usr/bin/env python3
"""`lastconnd -r` on a capture of the kernel's own tunnels: what talked within is the flow, with the
octets that the talking programs counted, and says its tunnel; the carrier has what is left."""
import json
import os
import signal
import subprocess

import harness

MARKER = b"lastconn-end-of-capture"
SEND = "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto({!r}, ('10.9.0.2', 9))"
HERE, THERE = "203.0.113.1", "203.0.113.2"
KINDS = {  # options of ip link: what we call it, protocol of the carrier
    "vxlan id 42 dstport 4789": ("vxlan:42", "udp"),
    "geneve id 42": ("geneve:42", "udp"),
    "gre key 7": ("gre:7", "gre"),
    "gretap": ("gre", "gre"),
    "ipip": ("ipip", "ipip"),
}


class Tunnel(harness.Case):

    def setUp(self):
        super().setUp()
        self.need_root()
        self.ip, self.tcpdump = self.need_program("ip"), self.need_program("tcpdump")

    def ends(self):
        """Two namespaces with a cable between them."""
        names = [f"lastconn-{os.getpid()}-{side}" for side in "ab"]
        for name in names:
            self.addCleanup(subprocess.run, [self.ip, "netns", "del", name], check=False,
                            capture_output=True)
            self.run_program(self.ip, "netns", "add", name)
        self.run_program(self.ip, "link", "add", "cable", "netns", names[0], "type", "veth",
                         "peer", "name", "cable", "netns", names[1])
        for name, address in zip(names, (HERE, THERE)):
            self.run_program(self.ip, "-n", name, "addr", "add", f"{address}/24", "dev", "cable")
            self.run_program(self.ip, "-n", name, "link", "set", "cable", "up")
        return names

    def lay(self, names, kind):
        """A tunnel of this kind; False if the kernel has none."""
        word, *options = kind.split()
        for name, (ours, theirs), inner in zip(names, ((HERE, THERE), (THERE, HERE)),
                                               ("10.9.0.1", "10.9.0.2")):
            local = () if word == "geneve" else ("local", ours)
            if subprocess.run([self.ip, "-n", name, "link", "add", "tunnel", "type", word,
                               *options, *local, "remote", theirs], capture_output=True,
                              check=False).returncode:
                return False
            self.run_program(self.ip, "-n", name, "addr", "add", f"{inner}/24", "dev", "tunnel")
            self.run_program(self.ip, "-n", name, "link", "set", "tunnel", "up")
        return True

    def inside(self, name):
        return (self.ip, "netns", "exec", name)

    def capture(self, names, octets):
        """The file, and the port of the server that the client sent so many octets to."""
        path = self.path("traffic.pcap")
        tcpdump = self.start_program(
            *self.inside(names[0]), self.tcpdump, "-Z", "root", "-n", "-U", "--immediate-mode", "-B", "65536",
            "-i", "cable", "-w", path, stderr=subprocess.PIPE)
        for _ in range(20):
            if "listening on" in self.read_line(tcpdump, tcpdump.stderr):
                break
        server = self.start_program(*self.inside(names[1]), harness.PYTHON, harness.TALK, "serve",
                                    "10.9.0.2", "1")
        port = json.loads(self.read_line(server))["port"]
        self.run_program(*self.inside(names[0]), harness.PYTHON, harness.TALK, "talk", "10.9.0.2",
                         str(port), str(octets))
        self.finish(server)

        def written():
            self.run_program(*self.inside(names[0]), harness.PYTHON, "-c", SEND.format(MARKER))
            with open(path, "rb") as file:
                return MARKER in file.read()
        harness.wait_until("the end of the capture", written)
        tcpdump.send_signal(signal.SIGINT)
        tcpdump.wait(30)
        return path, port

    def check(self, kind, octets):
        name, protocol = KINDS[kind]
        names = self.ends()
        if not self.lay(names, kind):
            self.skipTest(f"this kernel has no {kind.split()[0]}")
        path, port = self.capture(names, octets)
        database = self.read_capture(path, "--local", HERE, "--local", "10.9.0.1")
        flow = harness.one(self, harness.rows(
            database, "SELECT * FROM flows WHERE remote_port = ?", port))
        self.assert_flow(flow, {
            "protocol": "tcp", "direction": "out", "outcome": "closed", "tunnel": name,
            "local_ip": "10.9.0.1", "remote_ip": "10.9.0.2", "octets_out": octets,
            "octets_in": 2 * octets + 1})
        carrier = harness.one(self, harness.rows(
            database, "SELECT * FROM flows WHERE remote_ip = ? AND tunnel IS NULL"
            " AND protocol = ?", THERE, protocol))
        self.assertGreater(carrier["packets_out"], flow["packets_out"])
        self.assertLess(carrier["octets_out"], 1000)  # ARP, neighbour discovery
        table = self.run_program(harness.LASTCONN, "flows", "--db", database, "--port", str(port))
        self.assertIn(f"tcp in {name} ", table.stdout)

    def test_vxlan(self):
        self.check("vxlan id 42 dstport 4789", 70000)

    def test_geneve(self):
        self.check("geneve id 42", 70000)

    def test_gre_with_a_key(self):
        self.check("gre key 7", 70000)

    def test_ethernet_in_gre(self):
        self.check("gretap", 70000)

    def test_ip_in_ip(self):
        self.check("ipip", 70000)


if __name__ == "__main__":
    harness.main()
