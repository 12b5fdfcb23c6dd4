#!/usr/bin/env python3
"""Capture files in, flows out: each file is written octet by octet, each expected line is what
the reader of the packets would say, worked out by hand. Usage: test_replay.py REPLAY-PROGRAM"""
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

import capture_make as make
from capture_make import ACK, FIN, PSH, RST, SYN, Talk

REPLAY = sys.argv.pop(1) if len(sys.argv) > 1 else "replay"
CLIENT, SERVER = "192.0.2.1", "198.51.100.7"
CLIENT6, SERVER6 = "2001:db8::1", "2001:db8::2"
ENDS = f"tcp {CLIENT}:40000 -> {SERVER}:443"


class Replay(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "test.pcap")

    def run_replay(self, data, *options, stdin=False):
        with open(self.path, "wb") as file:
            file.write(data)
        with open(self.path, "rb") as file:
            return subprocess.run([REPLAY, *options, "-" if stdin else self.path], text=True,
                                  stdin=file, capture_output=True, timeout=60, check=False)

    def flows(self, data, *options, stdin=False):
        """The lines of flows; checks that nothing else was said."""
        done = self.run_replay(data, *options, stdin=stdin)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = done.stdout.splitlines()
        self.counters = dict(pair.split("=") for pair in lines.pop().split())
        return lines

    def check(self, data, *expected, options=()):
        self.assertEqual(self.flows(data, *options), list(expected))

    def check_talk(self, talk, expected, options=()):
        self.check(make.pcap(make.ETHERNET, talk.framed()), expected, options=options)

    def check_error(self, data, *words):
        done = self.run_replay(data)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        for word in (self.path, *words):
            self.assertIn(word, done.stderr)
        return done.stdout.splitlines()


class Tcp(Replay):

    def test_a_whole_connection(self):
        talk = Talk().handshake().segment("c", PSH | ACK, 100).segment("s", ACK)
        talk.segment("s", PSH | ACK, 1460).segment("s", PSH | ACK, 540).segment("c", ACK).close()
        self.check_talk(talk, f"{ENDS} closed out=100/6 in=2000/5 rtx=0 rtt=2000 "
                              "1700000000.000000+0.010000")

    def test_retransmissions_are_counted_but_not_their_octets(self):
        talk = Talk(client_seq=0xFFFFFFF0).handshake()
        talk.segment("c", ACK, 500).segment("c", ACK, 500)
        talk.segment("c", ACK, 500, seq=0xFFFFFFF1)
        talk.segment("c", ACK, 1000, seq=0xFFFFFFF1)
        talk.close()
        talk.segment("s", FIN | ACK, seq=5001)
        self.check_talk(talk, f"{ENDS} closed out=1000/8 in=0/3 rtx=3 rtt=2000 "
                              "1700000000.000000+0.010000")

    def test_segments_out_of_order(self):
        talk = Talk().handshake().segment("s", ACK, 100, seq=5101).segment("s", ACK, 100, seq=5001)
        talk.seq["s"] = 5201
        talk.close()
        self.check_talk(talk, f"{ENDS} closed out=0/4 in=200/4 rtx=0 rtt=2000 "
                              "1700000000.000000+0.007000")

    def test_reset(self):
        talk = Talk().handshake().segment("c", ACK, 10).segment("s", RST | ACK)
        self.check_talk(talk, f"{ENDS} reset out=10/3 in=0/2 rtx=0 rtt=2000 "
                              "1700000000.000000+0.004000")

    def test_refused(self):
        talk = Talk().segment("c", SYN).segment("s", RST | ACK)
        self.check_talk(talk, f"{ENDS} refused out=0/1 in=0/1 rtx=0 rtt=0 "
                              "1700000000.000000+0.001000")

    def test_given_up_before_it_was_established(self):
        talk = Talk().segment("c", SYN).segment("s", SYN | ACK).segment("c", RST)
        self.check_talk(talk, f"{ENDS} aborted out=0/2 in=0/1 rtx=0 rtt=0 "
                              "1700000000.000000+0.002000")

    def test_unanswered(self):
        talk = Talk(step=1000000).segment("c", SYN).segment("c", SYN, seq=1000)
        later = Talk(cport=40001, at=130000000).handshake().close()
        data = make.pcap(make.ETHERNET, talk.framed() + later.framed())
        self.check(data,
                   f"{ENDS} timeout out=0/2 in=0/0 rtx=1 rtt=0 1700000000.000000+1.000000",
                   f"tcp {CLIENT}:40001 -> {SERVER}:443 closed out=0/4 in=0/2 rtx=0 rtt=2000 "
                   "1700000130.000000+0.005000")

    def test_unanswered_when_the_file_ends(self):
        self.check_talk(Talk().segment("c", SYN),
                        f"{ENDS} lost out=0/1 in=0/0 rtx=0 rtt=0 1700000000.000000+0.000000")

    def test_mid_stream(self):
        talk = Talk(cport=40000, sport=50000).segment("s", ACK, 100).segment("c", ACK, 7)
        self.check_talk(talk, f"tcp {SERVER}:50000 -- {CLIENT}:40000 lost out=100/1 in=7/1 rtx=0 "
                              "rtt=0 1700000000.000000+0.001000")

    def test_mid_stream_of_a_system_port(self):
        talk = Talk().segment("s", ACK, 100).segment("c", ACK, 7)
        self.check_talk(talk, f"tcp {CLIENT}:40000 -- {SERVER}:443 lost out=7/1 in=100/1 rtx=0 "
                              "rtt=0 1700000000.000000+0.001000")

    def test_the_tuple_used_twice_is_two_flows(self):
        first = Talk().handshake().segment("c", ACK, 5).close()
        again = Talk(client_seq=9000, server_seq=70000, at=1000000).handshake().close()
        data = make.pcap(make.ETHERNET, first.framed() + again.framed())
        self.check(data,
                   f"{ENDS} closed out=5/5 in=0/2 rtx=0 rtt=2000 1700000000.000000+0.006000",
                   f"{ENDS} closed out=0/4 in=0/2 rtx=0 rtt=2000 1700000001.000000+0.005000")

    def test_late_segments_make_no_flow_of_their_own(self):
        talk = Talk().handshake().close()
        talk.at += 2000000
        talk.segment("s", FIN | ACK, seq=5001).segment("c", RST, seq=1002)
        self.check_talk(talk, f"{ENDS} closed out=0/5 in=0/3 rtx=1 rtt=2000 "
                              "1700000000.000000+2.007000")

    def test_one_side_finished_then_idle(self):
        talk = Talk().handshake().segment("c", FIN | ACK)
        later = Talk(cport=1, at=300000000).segment("c", SYN)
        data = make.pcap(make.ETHERNET, talk.framed() + later.framed())
        self.assertEqual(self.flows(data)[0], f"{ENDS} idle out=0/3 in=0/1 rtx=0 rtt=2000 "
                                              "1700000000.000000+0.003000")

    def test_a_long_connection_is_reported_while_it_is_open(self):
        talk = Talk().handshake()
        for at in range(10, 35, 5):
            talk.at = at * 1000000
            talk.segment("c", ACK, 100)
        self.check(make.pcap(make.ETHERNET, talk.framed()),
                   f"{ENDS} open out=100/3 in=0/1 rtx=0 rtt=2000 1700000000.000000+10.000000",
                   f"{ENDS} update out=300/5 in=0/1 rtx=0 rtt=2000 1700000000.000000+20.000000",
                   f"{ENDS} update out=500/7 in=0/1 rtx=0 rtt=2000 1700000000.000000+30.000000",
                   f"{ENDS} lost out=500/7 in=0/1 rtx=0 rtt=2000 1700000000.000000+30.000000",
                   options=("--active", "10"))

    def test_options_of_tcp_and_large_segments(self):
        talk = Talk().segment("c", SYN, options=b"\x02\x04\x05\xb4").segment("s", SYN | ACK)
        talk.segment("c", ACK).segment("c", ACK, 60000).close()
        frames = [(us, frame[:80], len(frame)) for us, frame in talk.framed()]
        self.check(make.pcap(make.ETHERNET, frames),
                   f"{ENDS} closed out=60000/5 in=0/2 rtx=0 rtt=2000 1700000000.000000+0.006000")

    def test_big_tcp_has_no_length_in_the_ip_header(self):
        head = make.tcp(40000, 443, ACK, 1)
        four = make.ethernet(make.ip4(CLIENT, SERVER, make.TCP, head, total=0), pad=False)
        six = make.ethernet(make.ip6(CLIENT6, SERVER6, make.TCP, head, length=0), pad=False)
        data = make.pcap(make.ETHERNET, [(0, four, len(four) + 100000),
                                         (1, six, len(six) + 200000)])
        self.check(data,
                   f"tcp {CLIENT}:40000 -- {SERVER}:443 lost out=100000/1 in=0/0 rtx=0 rtt=0 "
                   "1700000000.000000+0.000000",
                   f"tcp [{CLIENT6}]:40000 -- [{SERVER6}]:443 lost out=200000/1 in=0/0 rtx=0 "
                   "rtt=0 1700000000.000001+0.000000")


class Orientation(Replay):

    def test_the_server_was_captured(self):
        talk = Talk().handshake().segment("c", ACK, 3).segment("s", ACK, 4).close()
        self.check_talk(talk, f"tcp {SERVER}:443 <- {CLIENT}:40000 closed out=4/3 in=3/5 rtx=0 "
                              "rtt=2000 1700000000.000000+0.007000",
                        options=("--local", "198.51.100.0/24", "--local", "2001:db8::/32"))

    def test_between_two_others_it_is_forwarded(self):
        talk = Talk().handshake().segment("c", ACK, 3).segment("s", ACK, 4).close()
        self.check_talk(talk, f"tcp {CLIENT}:40000 => {SERVER}:443 closed out=3/5 in=4/3 rtx=0 "
                              "rtt=2000 1700000000.000000+0.007000",
                        options=("--local", "203.0.113.1"))

    def test_cooked_captures_know_what_was_sent(self):
        for link_type, wrap in ((make.SLL, make.sll), (make.SLL2, make.sll2)):
            talk = Talk().handshake().close()
            frames = [(us, wrap(packet, 0 if packet[12:16] == b"\xc0\0\x02\x01" else 4))
                      for us, packet in talk.packets]
            with self.subTest(link_type):
                self.check(make.pcap(link_type, frames),
                           f"tcp {SERVER}:443 <- {CLIENT}:40000 closed out=0/2 in=0/4 rtx=0 "
                           "rtt=2000 1700000000.000000+0.005000")

    def test_on_a_cooked_loopback_the_initiator_is_local(self):
        talk = Talk(client="127.0.0.1", server="127.0.0.1").handshake().close()
        frames = [(us, make.sll2(packet, 0, device=772)) for us, packet in talk.packets]
        self.check(make.pcap(make.SLL2, frames),
                   "tcp 127.0.0.1:40000 -> 127.0.0.1:443 closed out=0/4 in=0/2 rtx=0 rtt=2000 "
                   "1700000000.000000+0.005000")

    def test_datagrams(self):
        packets = [
            (0, make.ip4(SERVER, CLIENT, make.UDP, make.udp(53, 40000, b"r" * 200))),
            (10, make.ip4(CLIENT, SERVER, make.UDP, make.udp(40000, 53, b"q" * 30))),
            (20, make.ip4(CLIENT, SERVER, make.ICMP, make.icmp_echo(0, b"p" * 56))),
            (30, make.ip4(SERVER, CLIENT, make.ICMP, make.icmp_echo(8, b"p" * 56))),
            (40, make.ip6(CLIENT6, SERVER6, 132, make.sctp(7, 8, b"c" * 16))),
        ]
        self.check(make.pcap(make.RAW, packets),
                   f"udp {CLIENT}:40000 -> {SERVER}:53 idle out=30/1 in=200/1 rtx=0 rtt=0 "
                   "1700000000.000000+0.000010",
                   f"icmp {SERVER}:0 -> {CLIENT}:0 idle out=64/1 in=64/1 rtx=0 rtt=0 "
                   "1700000000.000020+0.000010",
                   f"sctp [{CLIENT6}]:7 -> [{SERVER6}]:8 idle out=16/1 in=0/0 rtx=0 rtt=0 "
                   "1700000000.000040+0.000000")


class Layers(Replay):
    LINE = (f"udp {CLIENT}:5000 -> {SERVER}:9 idle out=3/1 in=0/0 rtx=0 rtt=0 "
            "1700000000.000000+0.000000")
    LINE6 = (f"udp [{CLIENT6}]:5000 -> [{SERVER6}]:9 idle out=3/1 in=0/0 rtx=0 rtt=0 "
             "1700000000.000000+0.000000")
    FOUR = make.ip4(CLIENT, SERVER, make.UDP, make.udp(5000, 9, b"abc"))
    SIX = make.ip6(CLIENT6, SERVER6, make.UDP, make.udp(5000, 9, b"abc"))

    def test_link_types(self):
        frames = [
            (make.ETHERNET, make.ethernet(self.FOUR)),
            (make.ETHERNET, make.ethernet(self.FOUR, tags=[(0x8100, 7)])),
            (make.ETHERNET, make.ethernet(self.FOUR, tags=[(0x88A8, 7), (0x8100, 9)])),
            (make.ETHERNET, make.ethernet(b"\xaa\xaa\3\0\0\0\x08\0" + self.FOUR, kind=39)),
            (make.ETHERNET, make.ethernet(make.pppoe(self.FOUR), kind=0x8864)),
            (make.ETHERNET, make.ethernet(make.pppoe(self.FOUR), tags=[(0x8100, 7)], kind=0x8864)),
            (make.ETHERNET, make.ethernet(make.mpls(self.FOUR, 16), kind=0x8847)),
            (make.ETHERNET, make.ethernet(make.mpls(self.FOUR, 16, 17, 0), kind=0x8847)),
            (make.PPP, make.ppp(self.FOUR)),
            (make.PPP_HDLC, b"\xff\3" + make.ppp(self.FOUR)),
            (make.PPPOE, make.pppoe(self.FOUR)),
            (make.RAW, self.FOUR),
            (228, self.FOUR),
            (make.NULL, make.null(self.FOUR)),
            (make.NULL, make.null(self.FOUR, ">")),
            (make.LOOP, make.null(self.FOUR, ">")),
            (make.SLL, make.sll(self.FOUR, 4)),
            (make.SLL2, make.sll2(self.FOUR, 4)),
        ]
        for link_type, frame in frames:
            with self.subTest(link_type=link_type, frame=frame):
                self.check(make.pcap(link_type, [(0, frame)]), self.LINE)

    def test_link_types_with_ipv6(self):
        frames = [(make.ETHERNET, make.ethernet(self.SIX)),
                  (make.ETHERNET, make.ethernet(make.pppoe(self.SIX), kind=0x8864)),
                  (make.ETHERNET, make.ethernet(make.mpls(self.SIX, 2), kind=0x8847)),
                  (make.RAW, self.SIX), (229, self.SIX),
                  (make.NULL, make.null(self.SIX, family6=10)),
                  (make.NULL, make.null(self.SIX, family6=24)),
                  (make.NULL, make.null(self.SIX, ">", family6=28)),
                  (make.SLL, make.sll(self.SIX, 4)), (make.SLL2, make.sll2(self.SIX, 4))]
        for link_type, frame in frames:
            with self.subTest(link_type=link_type, frame=frame):
                self.check(make.pcap(link_type, [(0, frame)]), self.LINE6)

    def test_ipv4_options_and_mapped_addresses(self):
        packet = make.ip4(CLIENT, SERVER, make.UDP, make.udp(5000, 9, b"abc"),
                          options=b"\x94\x04\0\0")
        self.check(make.pcap(make.RAW, [(0, packet)]), self.LINE)

    def test_ipv6_extension_headers(self):
        inner = make.udp(5000, 9, b"abc")
        routing = struct.pack("!BBBB", make.UDP, 1, 2, 0) + bytes(12) + inner
        options = struct.pack("!BB", 43, 0) + b"\x01\x04" + bytes(4) + routing
        hop = struct.pack("!BB", 60, 0) + b"\x05\x02\0\0\x01\0" + options
        self.check(make.pcap(make.RAW, [(0, make.ip6(CLIENT6, SERVER6, 0, hop))]), self.LINE6)

    def test_fragments_belong_to_the_first_ones_ports(self):
        whole = make.udp(5000, 9, b"d" * 3000)
        packets = [(i, make.ip4(CLIENT, SERVER, make.UDP, whole[at:at + 1480], ident=77,
                                fragment=at // 8 | (0x2000 if at + 1480 < len(whole) else 0)))
                   for i, at in enumerate(range(0, len(whole), 1480))]
        packets.append((9, make.ip4(CLIENT, SERVER, make.UDP, b"z" * 80, ident=78, fragment=185)))
        self.check(make.pcap(make.RAW, packets),
                   f"udp {CLIENT}:5000 -> {SERVER}:9 idle out=3000/3 in=0/0 rtx=0 rtt=0 "
                   "1700000000.000000+0.000002")
        self.assertEqual(self.counters["unsupported"], "1")

    def test_fragments_of_ipv6(self):
        whole = make.udp(5000, 9, b"d" * 2000)
        first = struct.pack("!BBHI", make.UDP, 0, 1, 99) + whole[:1448]
        later = struct.pack("!BBHI", make.UDP, 0, 1448, 99) + whole[1448:]
        packets = [(0, make.ip6(CLIENT6, SERVER6, 44, first)),
                   (1, make.ip6(CLIENT6, SERVER6, 44, later))]
        self.check(make.pcap(make.RAW, packets),
                   f"udp [{CLIENT6}]:5000 -> [{SERVER6}]:9 idle out=2000/2 in=0/0 rtx=0 rtt=0 "
                   "1700000000.000000+0.000001")

    def test_what_is_not_read_is_counted_as_what_it_is(self):
        packets = [
            (0, make.ethernet(b"\0\1\x08\0\6\4\0\1" + bytes(20), kind=0x0806)),
            (1, make.ethernet(self.FOUR, kind=0x88E5)),
            (2, make.ethernet(self.FOUR)[:30], 60),
            (3, make.ethernet(make.ip4(CLIENT, SERVER, make.UDP, b"\0\1\0\2\xff\xff\0\0"))),
            (4, make.ethernet(self.FOUR)[:14]),
            (5, make.ethernet(bytes(20), kind=0x88CC)),
        ]
        self.check(make.pcap(make.ETHERNET, packets))
        self.assertEqual(self.counters, {"packets": "6", "arp": "1", "not_ip": "1",
                                         "unsupported": "1", "truncated": "1", "malformed": "2"})


class Tunnels(Replay):
    """192.0.2.1 and .2 talk through the ends 203.0.113.1 and .2 of a tunnel."""
    ENDS = ("203.0.113.1", "203.0.113.2")
    ENDS6 = ("2001:db8:1::1", "2001:db8:1::2")
    TIMES = "rtx=0 rtt=2000 1700000000.000000+0.007000"

    def flows(self, data, *options, stdin=False):
        return sorted(super().flows(data, *options, stdin=stdin))

    def check(self, data, *expected, options=()):
        super().check(data, *sorted(expected), options=options)

    def talk(self, six=False):
        ends = {"client": CLIENT6, "server": SERVER6} if six else {}
        talk = Talk(**ends).handshake().segment("c", PSH | ACK, 100).segment("s", ACK, 50).close()
        return talk.packets

    def carried(self, packets, wrap):
        """Each packet in what wrap(sender's end, receiver's end, packet) makes of it."""
        first = packets[0][1][12:16], packets[0][1][8:24]
        out = []
        for us, packet in packets:
            ours = packet[12:16] == first[0] if packet[0] >> 4 == 4 else packet[8:24] == first[1]
            out.append((us, wrap(*(self.ENDS if ours else self.ENDS[::-1]), packet)))
        return out

    def check_tunnel(self, wrap, name, carrier, six=False, packets=None):
        client, server = (f"[{CLIENT6}]", f"[{SERVER6}]") if six else (CLIENT, SERVER)
        data = make.pcap(make.RAW, self.carried(self.talk(six), wrap))
        self.check(data,
                   f"{carrier} idle out=0/5 in=0/3 rtx=0 rtt=0 1700000000.000000+0.007000",
                   f"tcp/{name} {client}:40000 -> {server}:443 closed out=100/5 in=50/3 "
                   f"{self.TIMES}")

    def test_ip_in_ip(self):
        here, there = self.ENDS
        to6 = dict(zip(self.ENDS, self.ENDS6))
        self.check_tunnel(lambda a, b, p: make.ip4(a, b, make.IPIP, p), "ipip",
                          f"ipip {here}:0 -> {there}:0")
        self.check_tunnel(lambda a, b, p: make.ip4(a, b, make.IP6, p), "6in4",
                          f"ipv6 {here}:0 -> {there}:0", six=True)
        here, there = self.ENDS6
        self.check_tunnel(lambda a, b, p: make.ip6(to6[a], to6[b], make.IPIP, p), "4in6",
                          f"ipip [{here}]:0 -> [{there}]:0")
        self.check_tunnel(lambda a, b, p: make.ip6(to6[a], to6[b], make.IP6, p), "6in6",
                          f"ipv6 [{here}]:0 -> [{there}]:0", six=True)

    def test_gre(self):
        carrier = f"gre {self.ENDS[0]}:0 -> {self.ENDS[1]}:0"

        def wrap(**options):
            return lambda a, b, p: make.ip4(a, b, make.GRE, make.gre(p, **options))

        self.check_tunnel(wrap(), "gre", carrier)
        self.check_tunnel(wrap(checksum=True, key=77, sequence=1), "gre:77", carrier)
        self.check_tunnel(wrap(key=77), "gre:77", carrier, six=True)
        self.check_tunnel(lambda a, b, p: make.ip4(
            a, b, make.GRE, make.gre(make.ethernet(p), 0x6558)), "gre", carrier)
        self.check_tunnel(lambda a, b, p: make.ip4(
            a, b, make.GRE, make.gre(make.mpls(p, 100), 0x8847)), "gre", carrier)

    def test_gre_with_a_key_for_each_way(self):
        keys = dict(zip(self.ENDS, (1, 2)))
        self.check_tunnel(
            lambda a, b, p: make.ip4(a, b, make.GRE, make.gre(p, key=keys[a])), "gre:1",
            f"gre {self.ENDS[0]}:0 -> {self.ENDS[1]}:0")

    def test_vxlan_and_geneve_whatever_their_source_port(self):
        here, there = self.ENDS
        ports = {here: 50001, there: 60002}
        for dport in (4789, 8472):
            self.check_tunnel(
                lambda a, b, p, dport=dport: make.ip4(a, b, make.UDP, make.vxlan(
                    make.ethernet(p, tags=[(0x8100, 5)]), 42, ports[a], dport)),
                "vxlan:42", f"udp {here}:{dport} -> {there}:{dport}")
        self.check_tunnel(
            lambda a, b, p: make.ip4(a, b, make.UDP, make.geneve(
                make.ethernet(p), 42, options=b"\1\2\3\4\5\6\7\x08", sport=ports[a])),
            "geneve:42", f"udp {here}:6081 -> {there}:6081")

    def test_other_datagrams_at_the_port_of_a_tunnel_are_datagrams(self):
        here, there = self.ENDS
        payloads = [bytes(40), b"\x08" + bytes(6) + b"\1" + bytes(40), b"\x08\0\0\1" + bytes(40),
                    b"GET / HTTP/1.1\r\n", b"\x08"]
        for payload in payloads:
            with self.subTest(payload):
                data = make.ip4(here, there, make.UDP, make.udp(50000, 4789, payload))
                self.check(make.pcap(make.RAW, [(0, data)]),
                           f"udp {here}:50000 -> {there}:4789 idle out={len(payload)}/1 in=0/0 "
                           "rtx=0 rtt=0 1700000000.000000+0.000000")
                self.assertEqual(self.counters["malformed"], "0")

    def test_tunnels_in_tunnels_up_to_four(self):
        here, there = self.ENDS
        for depth in range(1, 7):
            packet = Layers.FOUR
            for _ in range(depth):
                packet = make.ip4(here, there, make.IPIP, packet)
            with self.subTest(depth):
                lines = self.flows(make.pcap(make.RAW, [(0, packet)]))
                self.assertEqual(self.counters["unsupported"], str(int(depth > 4)))
                carriers = [f"ipip {here}:0 -> {there}:0"]
                carriers += [f"ipip/ipip {here}:0 -> {there}:0"] if depth > 1 else []
                self.assertEqual([line.split(" idle")[0] for line in lines
                                  if line.startswith("ipip")], carriers)
                inner = f"udp/ipip {CLIENT}:5000 -> {SERVER}:9 idle out=3/1 in=0/0 "
                self.assertEqual(any(line.startswith(inner) for line in lines), depth <= 4)
                left = sum(int(line.split("out=")[1].split("/")[0]) for line in lines)
                self.assertEqual(left, 3 if depth <= 4 else 31 + 20 * (depth - 5))

    def test_a_carrier_keeps_the_octets_that_no_inner_flow_takes(self):
        here, there = self.ENDS
        arp = make.ethernet(b"\0\1\x08\0\6\4\0\1" + bytes(20), kind=0x0806, pad=False)
        whole = make.ip4(here, there, make.GRE, make.gre(Layers.FOUR))
        packets = [
            (0, make.ip4(here, there, make.GRE, make.gre(b"", kind=0))),
            (1, make.ip4(here, there, make.UDP, make.vxlan(arp, 42))),
            (2, whole[:50], len(whole)),
            (3, make.ip4(here, there, make.GRE, make.gre(b"\x45\0\xff\xff" + bytes(27),
                                                             kind=0x0800))),
            (4, make.ip4(here, there, make.GRE, b"\x30\x01\x88\x0b" + bytes(12))),
            (5, make.ip4(here, there, make.GRE, b"\0\0")),
        ]
        self.check(make.pcap(make.RAW, packets),
                   f"udp {here}:4789 -> {there}:4789 idle out=50/1 in=0/0 rtx=0 rtt=0 "
                   "1700000000.000001+0.000000",
                   f"gre {here}:0 -> {there}:0 idle out=92/5 in=0/0 rtx=0 rtt=0 "
                   "1700000000.000000+0.000005")
        self.assertEqual(self.counters, {"packets": "6", "truncated": "1", "malformed": "2",
                                         "unsupported": "1", "arp": "1", "not_ip": "1"})

    def test_inside_and_outside_of_a_tunnel_are_two_flows(self):
        here, there = self.ENDS
        packets = [(0, Layers.FOUR), (1, make.ip4(here, there, make.IPIP, Layers.FOUR))]
        self.assertEqual([line.split(" idle")[0] for line in
                          self.flows(make.pcap(make.RAW, packets))],
                         [f"ipip {here}:0 -> {there}:0", f"udp {CLIENT}:5000 -> {SERVER}:9",
                          f"udp/ipip {CLIENT}:5000 -> {SERVER}:9"])

    def test_a_carrier_in_fragments(self):
        here, there = self.ENDS
        inner = make.ip4(CLIENT, SERVER, make.UDP, make.udp(5000, 9, b"d" * 1400))
        for protocol, whole, carrier in (
                (make.GRE, make.gre(inner), f"gre {here}:0 -> {there}:0"),
                (make.UDP, make.vxlan(make.ethernet(inner), 42),
                 f"udp {here}:4789 -> {there}:4789")):
            packets = [(0, make.ip4(here, there, protocol, whole[:800], fragment=0x2000)),
                       (1, make.ip4(here, there, protocol, whole[800:], fragment=100))]
            name = "gre" if protocol == make.GRE else "vxlan:42"
            self.check(make.pcap(make.RAW, packets),
                       f"udp/{name} {CLIENT}:5000 -> {SERVER}:9 idle out=1400/1 in=0/0 rtx=0 "
                       "rtt=0 1700000000.000000+0.000000",
                       f"{carrier} idle out=0/2 in=0/0 rtx=0 rtt=0 1700000000.000000+0.000001")

    def test_fragments_within_a_tunnel(self):
        here, there = self.ENDS
        whole = make.udp(5000, 9, b"d" * 1400)
        inner = [make.ip4(CLIENT, SERVER, make.UDP, whole[:800], fragment=0x2000),
                 make.ip4(CLIENT, SERVER, make.UDP, whole[800:], fragment=100)]
        packets = [(i, make.ip4(here, there, make.IPIP, part)) for i, part in enumerate(inner)]
        packets.append((2, make.ip4(here, there, make.IPIP, make.ip4(
            CLIENT, SERVER, make.UDP, b"z" * 80, ident=9, fragment=100))))
        self.check(make.pcap(make.RAW, packets),
                   f"udp/ipip {CLIENT}:5000 -> {SERVER}:9 idle out=1400/2 in=0/0 rtx=0 rtt=0 "
                   "1700000000.000000+0.000001",
                   f"ipip {here}:0 -> {there}:0 idle out=100/3 in=0/0 rtx=0 rtt=0 "
                   "1700000000.000000+0.000002")
        self.assertEqual(self.counters["unsupported"], "1")


class Reports(Replay):
    """ICMP says that a packet did not arrive."""
    ROUTER, ROUTER6 = "203.0.113.9", "2001:db8:1::9"

    def outcome(self, flow, packet, kind=3, code=3, keep=28, answer=()):
        """The outcome of the flow whose first packet this is."""
        if packet[0] >> 4 == 4:
            report = make.ip4(self.ROUTER, CLIENT, make.ICMP,
                              make.icmp_error(kind, code, packet[:keep]))
        else:
            report = make.ip6(self.ROUTER6, CLIENT6, make.ICMP6,
                              make.icmp_error(kind, code, packet[:keep]))
        packets = [(0, packet), *((1, other) for other in answer), (2, report)]
        (line,) = [line for line in self.flows(make.pcap(make.RAW, packets))
                   if line.startswith(flow)]
        return line.split()[4]

    def test_of_datagrams(self):
        for code, outcome in ((0, "unreachable"), (1, "unreachable"), (2, "refused"),
                              (3, "refused"), (4, "idle"), (13, "unreachable")):
            self.assertEqual(self.outcome("udp", Layers.FOUR, code=code), outcome)
        for code, outcome in ((0, "unreachable"), (3, "unreachable"), (4, "refused")):
            self.assertEqual(self.outcome("udp", Layers.SIX, 1, code, 48), outcome)
        self.assertEqual(self.outcome("udp", Layers.FOUR, kind=11), "idle")  # time exceeded

    def test_of_connections(self):
        syn = Talk().segment("c", SYN).packets[0][1]
        self.assertEqual(self.outcome("tcp", syn), "refused")
        self.assertEqual(self.outcome("tcp", syn, code=1), "unreachable")
        self.assertEqual(self.outcome("tcp", syn, code=4), "lost")

    def test_what_does_not_show_the_packet_is_not_believed(self):
        syn = Talk().segment("c", SYN).packets[0][1]
        other = Talk(client_seq=1001).segment("c", SYN).packets[0][1]
        answer = Talk().segment("c", SYN).segment("s", SYN | ACK).packets[1][1]
        self.assertEqual(self.outcome("tcp", syn, keep=27), "lost")
        self.assertEqual(self.outcome("tcp", syn, answer=[answer]), "lost")
        back = make.ip4(SERVER, CLIENT, make.UDP, make.udp(9, 5000, b"r"))
        self.assertEqual(self.outcome("udp", Layers.FOUR, answer=[back]), "idle")
        report = make.ip4(self.ROUTER, CLIENT, make.ICMP, make.icmp_error(3, 3, other[:28]))
        lines = self.flows(make.pcap(make.RAW, [(0, syn), (1, report)]))
        self.assertIn(" lost ", [line for line in lines if line.startswith("tcp")][0])

    def test_a_report_of_what_nobody_sent_makes_no_flow(self):
        report = make.ip4(self.ROUTER, CLIENT, make.ICMP, make.icmp_error(3, 3, Layers.FOUR[:28]))
        self.check(make.pcap(make.RAW, [(0, report)]),
                   f"icmp {self.ROUTER}:0 -> {CLIENT}:0 idle out=36/1 in=0/0 rtx=0 rtt=0 "
                   "1700000000.000000+0.000000")

    def test_within_a_tunnel(self):
        report = make.ip4(SERVER, CLIENT, make.ICMP, make.icmp_error(3, 3, Layers.FOUR[:28]))
        packets = [(i, make.ip4("203.0.113.1", "203.0.113.2", make.IPIP, packet))
                   for i, packet in enumerate((Layers.FOUR, report))]
        (line,) = [line for line in self.flows(make.pcap(make.RAW, packets)) if "udp" in line]
        self.assertTrue(line.startswith(f"udp/ipip {CLIENT}:5000 -> {SERVER}:9 refused"), line)


class Files(Replay):
    LINE = Layers.LINE
    PACKETS = [(0, Layers.FOUR)]

    def test_byte_orders_and_time_units(self):
        for order in "<>":
            for nanoseconds in (False, True):
                with self.subTest(order=order, nanoseconds=nanoseconds):
                    self.check(make.pcap(make.RAW, self.PACKETS, order, nanoseconds), self.LINE)
            with self.subTest(order=order, format="pcapng"):
                self.check(make.pcapng([make.RAW], self.PACKETS, order), self.LINE)

    def test_standard_input(self):
        self.assertEqual(self.flows(make.pcap(make.RAW, self.PACKETS), stdin=True), [self.LINE])

    def test_a_file_without_packets(self):
        self.check(make.pcap(make.RAW, []))

    def test_two_interfaces_of_one_link_type(self):
        frame = make.ethernet(Layers.FOUR)
        self.check(make.pcapng([make.ETHERNET] * 2, [(0, frame, 0), (1, frame, 1)]),
                   f"udp {CLIENT}:5000 -> {SERVER}:9 idle out=6/2 in=0/0 rtx=0 rtt=0 "
                   "1700000000.000000+0.000001")

    def test_two_interfaces_of_different_link_types(self):
        self.check(make.pcapng([make.RAW, make.ETHERNET],
                               [(0, Layers.FOUR), (1, make.ethernet(Layers.FOUR), 1)]),
                   f"udp {CLIENT}:5000 -> {SERVER}:9 idle out=6/2 in=0/0 rtx=0 rtt=0 "
                   "1700000000.000000+0.000001")

    def test_a_link_type_without_ip(self):
        for data in (make.pcap(105, []), make.pcapng([105], self.PACKETS)):
            self.check_error(data, "IEEE802_11 (105)", "cannot be read")

    def test_an_interface_without_ip_beside_one_with_it(self):
        self.check(make.pcapng([105, make.RAW], [(0, b"beacon"), (0, Layers.FOUR, 1)]), self.LINE)
        self.assertEqual(self.counters["unsupported"], "1")

    def test_units_and_offsets_of_time(self):
        seconds = make.START
        for pairs, time in (((), seconds * 10**6), (((9, b"\x09"),), seconds * 10**9),
                            (((9, b"\x0a"),), seconds * 10**10), (((9, b"\0"),), seconds),
                            (((9, b"\x8a"),), seconds << 10), (((9, b"\xa0"),), seconds << 32),
                            (((9, b"\xa1"),), seconds << 33),
                            (((9, b"\3"), (14, struct.pack("<q", 5))), (seconds - 5) * 1000),
                            (((14, struct.pack("<q", -7)),), (seconds + 7) * 10**6)):
            with self.subTest(pairs):
                self.check(make.section() + make.interface(make.RAW, pairs=pairs)
                           + make.enhanced(0, Layers.FOUR, time=time), self.LINE)

    def test_sections_of_both_byte_orders_in_one_file(self):
        data = b"".join(make.section(order) + make.interface(link_type, order)
                        + make.enhanced(0, frame, order) for order, link_type, frame in (
                            ("<", make.RAW, Layers.FOUR),
                            (">", make.ETHERNET, make.ethernet(Layers.FOUR))))
        self.check(data, self.LINE.replace("3/1", "6/2"))

    def test_the_older_packet_blocks_and_blocks_that_are_passed_over(self):
        four = Layers.FOUR
        old = struct.pack("<HHIIII", 0, 0, make.START * 10**6 >> 32,
                          make.START * 10**6 & 0xFFFFFFFF, len(four), len(four)) + four
        data = make.section() + make.interface(make.RAW) + make.block(5, bytes(200000), "<") \
            + make.block(2, old, "<") + make.block(0x0BAD, b"custom", "<") \
            + make.block(3, struct.pack("<I", len(four)) + four, "<")
        self.check(data, self.LINE.replace("3/1", "6/2"))

    def test_a_file_cut_within_a_packet_gives_what_came_before(self):
        whole = make.pcap(make.RAW, self.PACKETS * 2)
        for data in (whole[:-5], whole[:-len(Layers.FOUR) - 7]):
            lines = self.check_error(data, "after 1 packets")
            self.assertEqual(lines[0], self.LINE)
        lines = self.check_error(make.pcapng([make.RAW], self.PACKETS * 2)[:-9], "after 1 packets")
        self.assertEqual(lines[0], self.LINE)

    def test_pcapng_files_say_what_tcpdump_makes_of_them(self):
        tcpdump = shutil.which("tcpdump") or shutil.which("tcpdump", path="/usr/sbin")
        if not tcpdump:
            self.skipTest("tcpdump is not installed")
        talks = sorted(sum((Talk(cport=port, at=port * 17).handshake().segment("c", ACK, port)
                            .close().packets for port in range(1000, 1100)), []))
        for order in "<>":
            for pairs, unit in (((), 1), (((9, b"\x09"),), 1000), (((14, bytes(8)),), 1)):
                data = make.section(order) + make.interface(make.RAW, order, pairs, 60) + b"".join(
                    make.enhanced(0, packet[:60], order, pairs=[(1, b"a comment"), (2, 0)],
                                  time=(make.START * 10**6 + us) * unit) for us, packet in talks)
                with self.subTest(order=order, pairs=pairs):
                    lines = self.flows(data)
                    self.assertEqual(len(lines), 100)
                    converted = self.path + ".converted"
                    subprocess.run([tcpdump, "-r", self.path, "-w", converted], check=True,
                                   capture_output=True, timeout=60)
                    with open(converted, "rb") as file:
                        self.assertEqual(lines, self.flows(file.read()))

    def test_a_pcapng_that_contradicts_itself_is_read_up_to_there(self):
        good = make.pcapng([make.RAW], self.PACKETS)
        for bad, word in (
                (make.enhanced(0, Layers.FOUR, number=1), "does not describe"),
                (make.enhanced(0, Layers.FOUR)[:-4] + struct.pack("<I", 60), "two lengths"),
                (struct.pack("<II", 6, 13) + bytes(32), "impossible length"),
                (struct.pack("<II", 6, 1 << 30) + bytes(32), "16 MiB"),
                (make.block(6, struct.pack("<IIIII", 0, 0, 0, 9999, 9999), "<"), "longer than"),
                (make.interface(make.RAW, pairs=[(9, b"\x40")]), "unit of time"),
                (make.block(0x0A0D0D0A, bytes(16), "<"), "byte order")):
            with self.subTest(word):
                lines = self.check_error(good + bad, "after 1 packets", word)
                self.assertEqual(lines[0], self.LINE)

    def test_a_packet_header_with_garbage(self):
        data = make.pcap(make.RAW, self.PACKETS) + b"\xff" * 64
        self.assertEqual(self.check_error(data, "after 1 packets")[0], self.LINE)

    def test_what_is_no_capture_file(self):
        for data in (b"", b"\xd4", b"this is a text file, not a capture\n", b"\x7fELF" + bytes(99),
                     make.pcap(make.RAW, [])[:20], make.pcapng([], [])[:11], bytes(1000)):
            with self.subTest(data):
                self.check_error(data, "is no capture file")

    def test_a_missing_file_and_a_directory(self):
        for path, word in ((self.path, "No such file"), (os.path.dirname(self.path), "directory")):
            done = subprocess.run([REPLAY, path], text=True, capture_output=True, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn(path, done.stderr)
            self.assertIn(word, done.stderr)

    def test_wild_times(self):
        for seconds in (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
            data = make.pcap(make.RAW, self.PACKETS * 2)
            data = data[:24] + struct.pack("<II", seconds, 0xFFFFFFFF) + data[32:]
            with self.subTest(seconds):
                self.assertGreaterEqual(len(self.flows(data)), 1)

    def test_the_same_file_says_the_same_twice(self):
        frames = []
        for port in range(1000, 1400):
            frames += Talk(cport=port, at=port * 17).handshake().close().framed()
        data = make.pcap(make.ETHERNET, sorted(frames))
        first = self.flows(data)
        self.assertEqual(len(first), 400)
        self.assertEqual(first, self.flows(data))


class Owners(Replay):
    """Processes that the file names. One TCP connection a test, from or to this machine."""
    LINE = (f"tcp {CLIENT}:40000 -> {SERVER}:443 closed out=0/4 in=0/2 rtx=0 rtt=2000 "
            "1700000000.000000+0.005000")
    INCOMING = (f"tcp {SERVER}:443 <- {CLIENT}:40000 closed out=0/2 in=0/4 rtx=0 rtt=2000 "
                "1700000000.000000+0.005000")
    VERSIONS = (make.pktap1, make.pktap2)

    @staticmethod
    def talk(local=CLIENT):
        """(time, packet, flags) of a connection of the machine with this address."""
        for us, packet in Talk().handshake().close().packets:
            sent = packet[12:16] == bytes(int(part) for part in local.split("."))
            yield us, packet, make.OUT if sent else make.IN

    def pktap(self, version, pid, comm, local=CLIENT, link_type=make.PKTAP, **more):
        return make.pcap(link_type, [
            (us, version(make.ETHERNET, make.ethernet(packet), pid, comm, flags, **more))
            for us, packet, flags in self.talk(local)])

    def check_owner(self, data, owner, line=LINE, options=(), **more):
        self.assertEqual(self.flows(data, "--owners", *options, **more), [f"{line} {owner}"])

    def test_both_versions_of_pktap_in_both_byte_orders(self):
        for version in self.VERSIONS:
            for order in "<>":
                with self.subTest(version=version, order=order):
                    self.check_owner(self.pktap(version, 321, b"curl", order=order),
                                     "pktap 321 curl comm curl")

    def test_the_first_header_and_a_longer_one(self):
        for length in (108, 255):
            for order in "<>":
                with self.subTest(length=length, order=order):
                    data = self.pktap(make.pktap1, 321, b"curl", length=length, order=order)
                    self.check_owner(data, "pktap 321 curl comm curl")

    def test_the_link_type_that_apples_tcpdump_wrote(self):
        for version in self.VERSIONS:
            self.check_owner(self.pktap(version, 321, b"curl", link_type=make.USER2),
                             "pktap 321 curl comm curl")

    def test_standard_input(self):
        for data in (self.pktap(make.pktap2, 321, b"curl"), self.darwin("<")):
            self.check_owner(data, "pktap 321 curl comm curl", stdin=True)

    def test_the_direction_says_which_end_is_local(self):
        for version in self.VERSIONS:
            self.check_owner(self.pktap(version, 80, b"httpd", local=SERVER),
                             "pktap 80 httpd comm httpd", self.INCOMING)

    def test_the_effective_process_is_whom_the_socket_is_for(self):
        for version in self.VERSIONS:
            data = self.pktap(version, 321, b"com.apple.WebKi", effective=(77, b"Safari"))
            self.check_owner(data, "pktap 321 com.apple.WebKi for 77 Safari comm com.apple.WebKi")
            data = self.pktap(version, 321, b"curl", effective=(321, b"curl"))
            self.check_owner(data, "pktap 321 curl comm curl")

    def test_an_effective_process_alone_is_the_owner(self):
        for version in self.VERSIONS:
            data = self.pktap(version, -1, b"", effective=(77, b"Safari"))
            self.check_owner(data, "pktap 77 Safari comm Safari")

    def test_a_packet_that_names_nobody_belongs_to_nobody(self):
        for version in self.VERSIONS:
            for pid in (-1, 0):
                self.check_owner(self.pktap(version, pid, b"kernel_task"), "nobody")

    def test_one_packet_that_names_somebody_is_enough(self):
        frames = [(us, make.pktap1(make.ETHERNET, make.ethernet(packet),
                                   321 if us == 2000 else -1, b"curl" if us == 2000 else b"",
                                   flags)) for us, packet, flags in self.talk()]
        self.check_owner(make.pcap(make.PKTAP, frames), "pktap 321 curl comm curl")

    def test_icmp_and_arp_name_nobody(self):
        echo = make.ip4(CLIENT, SERVER, make.ICMP, make.icmp_echo(8))
        arp = make.ethernet(b"\0\1\x08\0\6\4\0\1" + bytes(20), kind=0x0806)
        for version in self.VERSIONS:
            self.check_owner(
                make.pcap(make.PKTAP, [
                    (0, version(make.RAW, echo, -1, b"", make.OUT)),
                    (1, version(make.ETHERNET, arp, -1, b"", make.OUT))]), "nobody",
                f"icmp {CLIENT}:0 -> {SERVER}:0 idle out=8/1 in=0/0 rtx=0 rtt=0 "
                "1700000000.000000+0.000000")
            self.assertEqual(self.counters["arp"], "1")

    def test_the_process_of_a_carrier_is_not_that_of_what_it_carries(self):
        here, there = Tunnels.ENDS
        for version in self.VERSIONS:
            frames = [(us, version(make.RAW, make.ip4(
                *((here, there) if sent == make.OUT else (there, here)), make.IPIP, packet),
                77, b"vpn", sent)) for us, packet, sent in self.talk()]
            lines = sorted(self.flows(make.pcap(make.PKTAP, frames), "--owners"))
            self.assertEqual([line.split()[0] for line in lines], ["ipip", "tcp/ipip"])
            self.assertTrue(lines[0].endswith(" pktap 77 vpn comm vpn"), lines)
            self.assertTrue(lines[1].endswith(" nobody"), lines)

    def test_a_process_at_the_other_end_is_not_taken(self):
        frames = [(us, make.pktap1(make.RAW, packet, pid, comm, flags))
                  for us, packet, sent in self.talk()
                  for flags, pid, comm in ((make.OUT, 1, b"client"), (make.IN, 2, b"server"))
                  if sent == make.OUT]  # as on a loopback device: each packet comes twice
        lines = self.flows(make.pcap(make.PKTAP, frames), "--owners")
        self.assertEqual(len(lines), 1)
        self.assertTrue(lines[0].endswith(" pktap 1 client comm client"), lines)

    def test_the_same_pid_with_another_program_is_another_process(self):
        frames = []
        for number, comm in enumerate((b"curl", b"wget", b"curl")):
            packet = make.ip4(CLIENT, SERVER, make.UDP, make.udp(1000 + number, 53, b"q"))
            frames.append((number, make.pktap2(make.RAW, packet, 9, comm, make.OUT)))
        lines = self.flows(make.pcap(make.PKTAP, frames), "--owners")
        self.assertEqual([line.split()[-1] for line in lines], ["curl", "wget", "curl"])

    def test_names_that_are_no_text(self):
        for version in self.VERSIONS:
            self.check_owner(self.pktap(version, 9, b"a\xff/\xc3\xa9"),
                             "pktap 9 a\\xff/\u00e9 comm a\\xff/\u00e9")

    def test_headers_that_are_cut_or_wrong_are_counted(self):
        four = Layers.FOUR
        one, two = (version(make.RAW, four, 1, b"x", make.OUT) for version in self.VERSIONS)
        self.check(make.pcap(make.PKTAP, [
            (0, one[:30], len(one)), (1, one[:150], len(one)), (2, two[:41], len(two)),
            (3, one[:30]), (4, b"\x27" + two[1:]), (5, two[:4] + b"\xff" + two[5:]),
            (6, make.pktap1(make.RAW, four, 1, b"x", make.OUT, following=2)),
            (7, make.pktap1(make.RAW, four, 1, b"x", make.OUT, following=0)),
            (8, make.pktap1(make.PKTAP, one, 1, b"x", make.OUT))]))
        self.assertEqual(self.counters, {"packets": "9", "truncated": "3", "malformed": "3",
                                         "unsupported": "2", "arp": "0", "not_ip": "1"})

    def darwin(self, order, local=CLIENT, pairs=((0x8001, 1),)):
        return make.section(order) + make.interface(make.RAW, order) \
            + make.darwin_process(77, b"Safari", order) \
            + make.darwin_process(321, b"curl", order, [(4, b"u" * 16)]) \
            + b"".join(make.enhanced(us, packet, order,
                                     pairs=[(2, flags), *pairs, (0x8002, 0)])
                       for us, packet, flags in self.talk(local))

    def test_process_blocks_and_options_of_apples_tcpdump(self):
        for order in "<>":
            with self.subTest(order):
                self.check_owner(self.darwin(order), "pktap 321 curl comm curl")
                self.check_owner(self.darwin(order, SERVER), "pktap 321 curl comm curl",
                                 self.INCOMING)
                self.check_owner(self.darwin(order, pairs=((0x8001, 1), (0x8003, 0))),
                                 "pktap 321 curl for 77 Safari comm curl")
                self.check_owner(self.darwin(order, pairs=()), "nobody")

    def test_a_process_that_is_not_described_is_nobody(self):
        for pairs in (((0x8001, 2),), ((0x8001, 0xFFFFFFFF),), ((0x8001, b"\1"),)):
            self.check_owner(self.darwin("<", pairs=pairs), "nobody")

    def test_each_section_numbers_its_processes_anew(self):
        udp = make.ip4(CLIENT, SERVER, make.UDP, make.udp(5000, 9, b"abc"))
        first = make.section() + make.darwin_process(1, b"one") + make.interface(make.RAW)
        again = make.section() + make.interface(make.RAW)
        packet = make.enhanced(0, udp, pairs=[(2, make.OUT), (0x8001, 0)])
        self.check_owner(first + packet, "pktap 1 one comm one", Layers.LINE)
        self.check_owner(first + again + packet, "nobody", Layers.LINE)

    def test_interfaces_of_several_link_types_as_pktap_has_them(self):
        packets = list(self.talk())
        data = make.section() + make.darwin_process(321, b"curl")
        for number, (link_type, wrap) in enumerate(((make.ETHERNET, make.ethernet),
                                                    (make.RAW, lambda packet: packet),
                                                    (make.NULL, make.null))):
            data += make.interface(link_type)
            data += b"".join(
                make.enhanced(us, wrap(packet), number=number, pairs=[(2, flags), (0x8001, 0)])
                for us, packet, flags in packets[2 * number:2 * number + 2])
        self.check_owner(data, "pktap 321 curl comm curl")

    def comments(self, *texts):
        return make.section() + make.interface(make.ETHERNET) + b"".join(
            make.enhanced(us, make.ethernet(packet),
                          pairs=[*((1, text.encode()) for text in texts), (2, flags)])
            for us, packet, flags in self.talk())

    def test_comments_of_ptcpdump(self):
        own = "PID: 321\nCmd: /usr/bin/curl\nArgs: curl -s http://x"
        self.check_owner(self.comments(own),
                         "pktap 321 /usr/bin/curl runs curl -s http://x")
        self.check_owner(
            self.comments(own, "ThreadId: 322\nThreadName: resolver",
                          "UserId: 1000\nGroupId: 100",
                          "ParentPID: 300\nParentCmd: /bin/sh\nParentArgs: sh -c curl",
                          f"ContainerName: web\nContainerId: {'ab' * 32}\nContainerImage: nginx"
                          "\nContainerLabels: {}"),
            f"pktap 321 /usr/bin/curl uid 1000 by 300 /bin/sh in /{'ab' * 32} "
            "runs curl -s http://x")

    def test_the_process_may_be_at_either_end_unless_something_tells(self):
        server = [(1, b"PID: 80\nCmd: /usr/sbin/httpd\nArgs: httpd")]
        packets = list(self.talk(SERVER))
        data = make.pcapng([make.RAW], [(us, packet, 0, server) for us, packet, _ in packets])
        self.check_owner(data, "nobody")
        owner = "pktap 80 /usr/sbin/httpd runs httpd"
        self.check_owner(data, owner, self.INCOMING, options=("--local", SERVER))
        self.check_owner(data, owner, options=("--local", CLIENT))
        self.check_owner(data, "nobody", self.LINE.replace("->", "=>"),
                         ("--local", "203.0.113.9"))
        cooked = make.pcapng([make.SLL], [
            (us, make.sll(packet, 4 if flag == make.OUT else 0), 0, server)
            for us, packet, flag in packets])
        self.check_owner(cooked, owner, self.INCOMING)

    def test_arguments_cannot_pretend_to_be_other_comments(self):
        own = "PID: 321\nCmd: /bin/sh\nArgs: sh -c true ParentPID: 1\nParentCmd: x\nUserId: 0"
        done = self.run_replay(self.comments(own), "--owners")
        self.assertIn(" pktap 321 /bin/sh runs sh -c true ParentPID: 1\nParentCmd: x\nUserId: 0\n",
                      done.stdout)

    def test_other_comments_say_nothing(self):
        for text in ("", "PID: 321", "PID: x\nCmd: y\nArgs: z", "PID: 99999999999\nCmd: y\nArgs: ",
                     "see PID: 3\nCmd: y\nArgs: z", "UserId: 5", "ParentPID: 5\nParentCmd: x\n"
                     "ParentArgs: y"):
            with self.subTest(text):
                self.check_owner(self.comments(text), "nobody")


if __name__ == "__main__":
    unittest.main()
