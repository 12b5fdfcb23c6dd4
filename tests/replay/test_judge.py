#!/usr/bin/env python3
"""What tshark says of captures, against what we say: innermost ends, packets, octets, tunnels, of
TCP also retransmissions and the round trip of the handshake. Usage: test_judge.py REPLAY-PROGRAM"""
import collections
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import capture_make as make
from capture_make import ACK, PSH, RST, SYN, Talk

REPLAY = sys.argv.pop(1) if len(sys.argv) > 1 else "replay"
TSHARK = shutil.which("tshark")
FIELDS = ("frame.protocols", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "tcp.srcport",
          "tcp.dstport", "tcp.len", "udp.srcport", "udp.dstport", "udp.length", "tcp.stream",
          "tcp.analysis.retransmission", "tcp.analysis.initial_rtt", "vxlan.vni", "geneve.vni",
          "gre.key")
LINE = re.compile(r"(\S+?)(?:/(\S+))? (\S+):(\d+) (--|->|<-) (\S+):(\d+) (\S+) out=(\d+)/(\d+) "
                  r"in=(\d+)/(\d+) rtx=(\d+) rtt=(\d+) ")
HERE, THERE = "203.0.113.1", "203.0.113.2"
HERE6, THERE6 = "2001:db8:1::1", "2001:db8:1::2"


def eth(kind=None, tags=()):
    return make.ETHERNET, lambda p: make.ethernet(p, tags, kind)


def session(packet):
    return make.ethernet(make.pppoe(packet), kind=0x8864)


def labels(*numbers):
    return make.ETHERNET, lambda p: make.ethernet(make.mpls(p, *numbers), kind=0x8847)


def over(protocol, make_payload):
    return make.RAW, lambda p: make.ip4(HERE, THERE, protocol, make_payload(p))


def over6(protocol, make_payload):
    return make.RAW, lambda p: make.ip6(HERE6, THERE6, protocol, make_payload(p))


# name: link type, how a packet of IP becomes a frame, what we call the tunnel
WRAPS = {
    "ethernet": (*eth(), None),
    "a tag": (*eth(tags=[(0x8100, 7)]), None),
    "three tags": (*eth(tags=[(0x88A8, 7), (0x8100, 8), (0x8100, 9)]), None),
    "pppoe": (make.ETHERNET, session, None),
    "ppp": (make.PPP, make.ppp, None),
    "hdlc": (make.PPP_HDLC, lambda p: b"\xff\3" + make.ppp(p), None),
    "a session as link": (make.PPPOE, make.pppoe, None),
    "a label": (*labels(100), None),
    "three labels": (*labels(100, 200, 300), None),
    "raw": (make.RAW, lambda p: p, None),
    "cooked": (make.SLL, lambda p: make.sll(p, 3), None),
    "cooked v2": (make.SLL2, lambda p: make.sll2(p, 3), None),
    "null": (make.NULL, make.null, None),
    "loop": (make.LOOP, lambda p: make.null(p, ">", 24), None),
    "gre": (*over(make.GRE, make.gre), "gre"),
    "gre with all": (*over(make.GRE, lambda p: make.gre(p, key=77, sequence=3, checksum=True)),
                     "gre:77"),
    "gre with ethernet": (*over(make.GRE, lambda p: make.gre(make.ethernet(p, pad=False), 0x6558)),
                          "gre"),
    "gre with labels": (*over(make.GRE, lambda p: make.gre(make.mpls(p, 9), 0x8847)), "gre"),
    "gre over ipv6": (*over6(make.GRE, make.gre), "gre"),
    "vxlan": (*over(make.UDP, lambda p: make.vxlan(make.ethernet(p), 42)), "vxlan:42"),
    "vxlan with a tag": (*over6(make.UDP, lambda p: make.vxlan(
        make.ethernet(p, [(0x8100, 3)]), 0xFFFFFF)), "vxlan:16777215"),
    "geneve": (*over(make.UDP, lambda p: make.geneve(make.ethernet(p), 42)), "geneve:42"),
    "geneve with options": (*over(make.UDP, lambda p: make.geneve(
        make.ethernet(p), 42, options=b"\1\2\3\1abcd")), "geneve:42"),
    "ip in ip": (*over(make.IPIP, lambda p: p), "ipip"),
    "6in4": (*over(make.IP6, lambda p: p), "6in4"),
    "4in6": (*over6(make.IPIP, lambda p: p), "4in6"),
    "6in6": (*over6(make.IP6, lambda p: p), "6in6"),
    "gre in vxlan in a tag": (make.ETHERNET, lambda p: make.ethernet(make.ip4(
        HERE, THERE, make.UDP, make.vxlan(make.ethernet(make.ip4(
            "10.0.0.1", "10.0.0.2", make.GRE, make.gre(p))), 5)), [(0x8100, 7)]), "gre"),
}
ONLY = {"ip in ip": "4", "4in6": "4", "6in4": "6", "6in6": "6"}  # version within


def talk(six, cport):
    ends = {"client": "2001:db8::1", "server": "2001:db8::2"} if six else {}
    out = Talk(cport=cport, **ends).handshake().segment("c", PSH | ACK, 100)
    return out.segment("s", PSH | ACK, 1300).segment("c", ACK).close().packets


def sent_again():
    """After a second: what comes within a round trip tshark takes as out of order."""
    out = Talk(client_seq=0xFFFFFF00).handshake().segment("c", ACK, 500).segment("c", ACK, 500)
    for seq in (0xFFFFFF01, 0xFFFFFF01 + 500):
        out.at += 1000000
        out.segment("c", ACK, 500, seq=seq)
    return out.close()


def datagrams(six):
    a, b = ("2001:db8::1", "2001:db8::2") if six else ("192.0.2.1", "198.51.100.7")
    ip = make.ip6 if six else make.ip4
    yield 20000, ip(a, b, make.UDP, make.udp(5000, 9999, b"q" * 30))
    yield 21000, ip(b, a, make.UDP, make.udp(9999, 5000, b"r" * 300))
    if not six:
        yield 22000, make.ip4(a, b, make.UDP, make.udp(5001, 9999, b"o" * 7), b"\x94\x04\0\0")
    else:
        options = bytes([make.UDP, 0, 1, 4, 0, 0, 0, 0])
        yield 22000, make.ip6(a, b, 60, options + make.udp(5001, 9999, b"o" * 7))


@unittest.skipUnless(TSHARK, "tshark is not installed")
class Judge(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "test.pcap")

    def write(self, link_type, frames):
        with open(self.path, "wb") as file:
            file.write(make.pcap(link_type, sorted(frames)))

    @staticmethod
    def run_program(*command):
        return subprocess.run(command, check=True, capture_output=True, text=True,
                              timeout=120).stdout.splitlines()

    def packets(self):
        """A dictionary of fields a packet; of fields that occur several times the innermost."""
        arguments = [word for field in FIELDS for word in ("-e", field)]
        for line in self.run_program(TSHARK, "-n", "-r", self.path, "-T", "fields", "-E",
                                     "occurrence=l", *arguments):
            yield dict(zip(FIELDS, line.split("\t")))

    @staticmethod
    def ends_of(packet):
        protocols = packet["frame.protocols"].split(":")
        inner = max((i, name) for i, name in enumerate(protocols) if name in ("ip", "ipv6"))[1]
        source, destination = packet[f"{inner}.src"], packet[f"{inner}.dst"]
        transport = [name for name in protocols if name in ("tcp", "udp")][-1]
        ends = ((source, packet[f"{transport}.srcport"]),
                (destination, packet[f"{transport}.dstport"]))
        octets = int(packet["tcp.len"]) if transport == "tcp" else int(packet["udp.length"]) - 8
        return transport, ends, octets

    def conversations(self):
        """tshark's view: (transport, ends): {sender: [packets, octets]}."""
        seen = collections.defaultdict(lambda: collections.defaultdict(lambda: [0, 0]))
        for packet in self.packets():
            transport, ends, octets = self.ends_of(packet)
            count = seen[transport, frozenset(ends)][ends[0]]
            count[0] += 1
            count[1] += octets
        return {key: {end: tuple(count) for end, count in sides.items()}
                for key, sides in seen.items()}

    def flows(self):
        for line in self.run_program(REPLAY, self.path)[:-1]:
            match = LINE.match(line)
            self.assertTrue(match, line)
            yield match.groups()

    def our_conversations(self, tunnel):
        seen = {}
        for (transport, of, local, lport, _, remote, rport, _, out, packets_out, in_, packets_in,
             _, _) in self.flows():
            if of != tunnel:
                continue
            ends = ((local.strip("[]"), lport), (remote.strip("[]"), rport))
            counts = ((int(packets_out), int(out)), (int(packets_in), int(in_)))
            seen[transport, frozenset(ends)] = {
                end: count for end, count in zip(ends, counts) if count[0]}
        return seen

    def test_what_stands_before_a_packet_and_around_it(self):
        for name, (link_type, wrap, tunnel) in WRAPS.items():
            packets = []
            for six in (False, True):
                if ONLY.get(name, "46").find("6" if six else "4") >= 0:
                    packets += [*talk(six, 40000), *talk(six, 40001), *datagrams(six)]
            with self.subTest(name):
                self.write(link_type, [(us, wrap(packet)) for us, packet in packets])
                expected = self.conversations()
                self.assertEqual(len(expected), 4 * (1 if name in ONLY else 2))
                self.assertEqual(self.our_conversations(tunnel), expected)

    def test_numbers_of_networks_and_keys(self):
        for name, field in (("vxlan", "vxlan.vni"), ("geneve", "geneve.vni"),
                            ("gre with all", "gre.key")):
            link_type, wrap, tunnel = WRAPS[name]
            self.write(link_type, [(us, wrap(packet)) for us, packet in talk(False, 40000)])
            self.assertEqual({int(packet[field], 0) for packet in self.packets()},
                             {int(tunnel.split(":")[1])})

    def test_retransmissions_and_round_trips(self):
        talks = {
            "whole": Talk().handshake().segment("c", ACK, 100).close(),
            "slow": Talk(step=70000).handshake().segment("c", ACK, 100).close(),
            "sent again": sent_again(),
            "syn sent again": Talk(step=1000000).segment("c", SYN).segment("c", SYN, seq=1000),
            "reset": Talk().handshake().segment("c", ACK, 10).segment("s", RST | ACK),
        }
        for name, made in talks.items():
            with self.subTest(name):
                self.write(make.ETHERNET, made.framed())
                packets = list(self.packets())
                rtts = [float(packet["tcp.analysis.initial_rtt"]) for packet in packets
                        if packet["tcp.analysis.initial_rtt"]]
                (flow,) = self.flows()
                self.assertEqual(int(flow[12]), sum(
                    bool(packet["tcp.analysis.retransmission"]) for packet in packets))
                self.assertEqual(int(flow[13]), round(max(rtts, default=0) * 1000000))

    def test_the_same_ports_again_are_a_new_stream(self):
        again = Talk(client_seq=90000, server_seq=70000, at=1000000).handshake().close()
        self.write(make.ETHERNET, Talk().handshake().close().framed() + again.framed())
        streams = {packet["tcp.stream"] for packet in self.packets()}
        self.assertEqual(len(list(self.flows())), len(streams))


if __name__ == "__main__":
    unittest.main()
