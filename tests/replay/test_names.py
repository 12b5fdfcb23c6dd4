#!/usr/bin/env python3
"""Capture files in, names out: some written octet by octet, one of real programs that talk over the
loopback device of a network namespace, judged by what was asked of them and, where it is installed,
by tshark. Usage: test_names.py REPLAY-PROGRAM"""
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
import unittest

import capture_make as make
import name_make as names
from capture_make import ACK, SYN, Talk
from test_replay import CLIENT, REPLAY, SERVER, Replay

MDNS_GROUP = "224.0.0.251"
LLMNR_GROUP = "224.0.0.252"
IN_NAMESPACE = "LASTCONN_NAMES_NAMESPACE"
# the files that talk_for_real() writes, and how tcpdump does
CAPTURES = {"real.pcap": ("-i", "lo"), "any.pcap": ("-i", "any", "-s", "200")}
TOOLS = ("unshare", "ip", "tcpdump", "dnsmasq", "dig", "curl", "openssl")


class Names(Replay):

    def told(self, data, *options):
        """Lines without the time, and the counters in self.counters."""
        return [line.rsplit(" ", 1)[0] for line in self.flows(data, "--names", *options)]

    def check_names(self, packets, *expected):
        self.assertEqual(self.told(make.pcap(make.RAW, packets)), list(expected))


def datagram(source, destination, sport, dport, payload):
    return make.ip4(source, destination, make.UDP, make.udp(sport, dport, payload))


class Written(Names):
    FLOW = f"tcp {CLIENT}:40000 {SERVER}:443"
    ANSWER = names.answer("WWW.example.com", [
        names.alias("www.example.com", "cdn.example.net", 50),
        names.record("cdn.example.net", 1, b"\xcb\0\x71\1", 40),
        names.record("bank.example", 1, b"\xcb\0\x71\2", 40)])
    QUERY = names.query("WWW.example.com")

    def test_an_answer_names_the_address_as_it_was_asked_for(self):
        self.check_names([(0, datagram(CLIENT, SERVER, 4000, 53, self.QUERY)),
                          (9, datagram(SERVER, CLIENT, 53, 4000, self.ANSWER))],
                         "dns www.example.com 203.0.113.1 query=cdn.example.net ttl=40 "
                         f"udp {CLIENT}:4000 {SERVER}:53")

    def by_tcp(self, talk):
        """The question in one segment, its answer in two."""
        counted = names.counted(self.ANSWER, 2)
        talk.segment("c", ACK, payload=names.counted(self.QUERY, 2))
        return talk.segment("s", ACK, payload=counted[:50]).segment("s", ACK, payload=counted[50:])

    def test_answers_by_tcp_in_two_segments(self):
        self.check_names(self.by_tcp(Talk(sport=53).handshake()).packets,
                         "dns www.example.com 203.0.113.1 query=cdn.example.net ttl=40 "
                         f"tcp {CLIENT}:40000 {SERVER}:53")

    def test_by_tcp_only_what_was_asked_behind_a_syn_counts(self):
        whole = self.by_tcp(Talk(sport=53).handshake()).packets
        for name, packets in (("no syn", whole[2:]), ("no question", whole[:3] + whole[4:]),
                              ("another server", whole[:4] + self.by_tcp(
                                  Talk(server="203.0.113.9", sport=53)).packets[1:])):
            with self.subTest(name):
                self.check_names(packets)
                self.assertEqual(self.counters["unasked"], "1")

    def test_names_of_the_local_network_say_so(self):
        owner = names.record("Printer.local", 1, b"\xc0\0\2\x63", 120)
        self.check_names(
            [(0, datagram(CLIENT, MDNS_GROUP, 5353, 5353, names.answer(None, [owner], 0x8400))),
             (1, datagram(CLIENT, LLMNR_GROUP, 4001, 5355, names.query("nas"))),
             (2, datagram(SERVER, CLIENT, 5355, 4001, names.answer(
                 "nas", [names.record("nas", 1, b"\xc0\0\2\x64", 30)])))],
            f"mdns printer.local 192.0.2.99 ttl=120 udp {CLIENT}:5353 {MDNS_GROUP}:5353",
            f"llmnr nas 192.0.2.100 ttl=30 udp {SERVER}:5355 {CLIENT}:4001")

    def test_a_service_of_mdns_is_a_name_of_its_host(self):
        records = [names.record("_ipp._tcp.local", 12, names.dns_name("desk._ipp._tcp.local")),
                   names.record("desk._ipp._tcp.local", 33, b"\0\0\0\0\2\x77"
                                + names.dns_name("Printer.local"), 90),
                   names.record("desk._ipp._tcp.local", 16, b"\5key=v", 90),
                   names.record("printer.local", 1, b"\xc0\0\2\x63", 120)]
        flow = f"udp {SERVER}:5353 {MDNS_GROUP}:5353"
        self.check_names(
            [(0, datagram(SERVER, MDNS_GROUP, 5353, 5353, names.answer(None, records, 0x8400)))],
            f"mdns desk._ipp._tcp.local 192.0.2.99 query=printer.local ttl=90 {flow}",
            f"mdns printer.local 192.0.2.99 ttl=120 {flow}")

    def test_unicast_answers_of_mdns_must_be_asked_for(self):
        answer = names.answer(None, [names.record("nas.local", 1, b"\xc0\0\2\x64", 30)], 0x8400)
        for port, kind, asked in ((5353, b"\0\1\x80\1", True), (5353, b"\0\1\0\1", False),
                                  (4001, b"\0\1\0\1", True)):
            with self.subTest(port=port, kind=kind):
                back = datagram(SERVER, CLIENT, 5353, port, answer)
                self.check_names([(0, back)])
                self.assertEqual(self.counters["unasked"], "1")
                self.told(make.pcap(make.RAW, [
                    (0, datagram(CLIENT, MDNS_GROUP, port, 5353, names.query("nas", kind=kind))),
                    (1, back)]))
                self.assertEqual((self.counters["names"], self.counters["unasked"]),
                                 ("1", "0") if asked else ("0", "1"))

    def test_an_answer_that_nobody_asked_for_names_nothing(self):
        ask = datagram(CLIENT, SERVER, 4000, 53, self.QUERY)
        for packets in (
                [(1, datagram(SERVER, CLIENT, 53, 4000, self.ANSWER))],
                [(0, ask), (1, datagram("203.0.113.9", CLIENT, 53, 4000, self.ANSWER))],
                [(0, ask), (1, datagram(SERVER, CLIENT, 53, 4001, self.ANSWER))],
                [(0, ask), (1, datagram(SERVER, CLIENT, 5355, 4000, self.ANSWER))],
                [(0, datagram(CLIENT, SERVER, 4000, 53, names.query("www.example.com", 8))),
                 (1, datagram(SERVER, CLIENT, 53, 4000, self.ANSWER))],
                [(0, ask), (30000001, datagram(SERVER, CLIENT, 53, 4000, self.ANSWER))]):
            self.check_names(packets)
            self.assertEqual(self.counters["unasked"], "1")

    def test_a_hello_over_segments_and_records_out_of_order(self):
        stream = names.records(names.hello("TLS.example.com.", ["h2"], ech=True, padding=1900), 700)
        talk = Talk().handshake()
        start = talk.seq["c"]
        for at in (1400, 0, 700):
            talk.segment("c", ACK, payload=stream[at:at + 700], seq=start + at)
        self.check_names(talk.packets, f"sni tls.example.com {SERVER} alpn=h2 ech {self.FLOW}")
        self.assertEqual(self.counters["ok"], "1")

    def test_a_request_tells_its_host_once(self):
        request = b"GET / HTTP/1.1\r\nHost: web.example.com:8080\r\n\r\n"
        talk = Talk().handshake()
        talk.segment("c", ACK, payload=request).segment("s", ACK, 99)
        talk.segment("c", ACK, payload=request)
        self.check_names(talk.packets, f"http web.example.com {SERVER} {self.FLOW}")

    def test_the_server_was_captured(self):
        talk = Talk().handshake().segment("c", ACK, payload=names.records(names.hello("a.example")))
        self.assertEqual(self.told(make.pcap(make.RAW, talk.packets), "--local", SERVER),
                         [f"sni a.example {SERVER} tcp {SERVER}:443 {CLIENT}:40000"])

    def test_the_packets_of_the_quic_rfcs(self):
        self.check_names(
            [(i, datagram(CLIENT, SERVER, 5000 + i, 443, names.quic_vector(vector)))
             for i, vector in enumerate(("quic_rfc9001", "quic_rfc9369"))],
            *(f"quic example.com {SERVER} alpn=alpn udp {CLIENT}:{5000 + i} {SERVER}:443"
              for i in range(2)))

    def test_what_a_short_snapshot_leaves_is_counted(self):
        hello = Talk().segment("c", ACK, payload=names.records(names.hello("a.example"))).packets
        quic = [(1, datagram(CLIENT, SERVER, 1, 443, names.quic_vector("quic_rfc9001")))]
        dns = [(2, datagram(CLIENT, SERVER, 4000, 53, self.QUERY)),
               (3, datagram(SERVER, CLIENT, 53, 4000, self.ANSWER))]
        data = make.pcap(make.RAW, [(us, packet[:90], len(packet))
                                    for us, packet in hello + quic + dns])
        self.assertEqual(self.told(data), [])
        self.assertEqual(self.counters["truncated"], "3")

    def test_hostile_octets_stay_text(self):
        talk = Talk().segment("c", ACK, payload=b"GET / HTTP/1.1\r\nHost: a\x1b[2J\xff b\\\r\n\r\n")
        self.check_names(talk.packets,
                         f"http a\\027[2j\\255\\032b\\092 {SERVER} {self.FLOW}")

    def in_tunnel(self, packets, wrap):
        """Each packet within what wrap(one end, other end, packet) makes of it."""
        ends = "203.0.113.1", "203.0.113.2"
        client = make.ip4(CLIENT, SERVER, 0, b"")[12:16]
        return [(us, wrap(*(ends if packet[12:16] == client else ends[::-1]), packet))
                for us, packet in packets]

    def test_names_within_tunnels(self):
        stream = names.records(names.hello("a.example"))
        talk = Talk().handshake().segment("c", ACK, payload=stream[:60])
        talk.segment("c", ACK, payload=stream[60:])
        packets = talk.packets + [
            (9000, datagram(CLIENT, SERVER, 4000, 53, self.QUERY)),
            (9001, datagram(SERVER, CLIENT, 53, 4000, self.ANSWER)),
            (9002, datagram(CLIENT, SERVER, 5000, 443, names.quic_vector("quic_rfc9001")))]

        def ipip(here, there, packet):
            return make.ip4(here, there, make.IPIP, packet)

        def gre(here, there, packet):
            return make.ip4(here, there, make.GRE, make.gre(packet, key=7))

        def vxlan(here, there, packet):
            return make.ip4(here, there, make.UDP, make.vxlan(make.ethernet(packet), 42, sport=53))

        for wrap, tunnel in ((ipip, "ipip"), (gre, "gre:7"), (vxlan, "vxlan:42"),
                             (lambda a, b, packet: gre(a, b, vxlan(a, b, packet)), "vxlan:42")):
            with self.subTest(tunnel=tunnel):
                self.check_names(
                    self.in_tunnel(packets, wrap),
                    f"sni a.example {SERVER} tcp/{tunnel} {CLIENT}:40000 {SERVER}:443",
                    "dns www.example.com 203.0.113.1 query=cdn.example.net ttl=40 "
                    f"udp/{tunnel} {CLIENT}:4000 {SERVER}:53",
                    f"quic example.com {SERVER} alpn=alpn udp/{tunnel} {CLIENT}:5000 {SERVER}:443")
                self.assertEqual(self.counters["malformed"], "0")

    def test_what_is_seen_within_a_tunnel_and_outside_is_of_two_flows(self):
        stream = names.records(names.hello("a.example"))
        talk = Talk().handshake().segment("c", ACK, payload=stream[:60])
        talk.segment("c", ACK, payload=stream[60:])
        twice = zip(talk.packets, self.in_tunnel(
            talk.packets, lambda a, b, packet: make.ip4(a, b, make.IPIP, packet)))
        self.check_names([packet for pair in twice for packet in pair],
                         f"sni a.example {SERVER} {self.FLOW}",
                         f"sni a.example {SERVER} {self.FLOW.replace('tcp', 'tcp/ipip')}")

    def test_of_a_carrier_in_fragments_the_first_one_is_a_cut_capture(self):
        packet = datagram(CLIENT, SERVER, 1, 443, names.quic_vector("quic_rfc9001"))
        ends = "203.0.113.1", "203.0.113.2", make.IPIP
        self.check_names([(0, make.ip4(*ends, packet[:800], fragment=0x2000)),
                          (1, make.ip4(*ends, packet[800:], fragment=100))])
        self.assertEqual(self.counters["truncated"], "1")

    def test_a_syn_flood_pushes_out_no_half_read_name(self):
        stream = names.records(names.hello("a.example"))
        packets = Talk().segment("c", ACK, payload=stream[:60]).packets
        for port in range(1, 2000):
            packets += Talk(cport=port).segment("c", SYN).packets
        packets += Talk(client_seq=1060).segment("c", ACK, payload=stream[60:]).packets
        self.check_names(packets, f"sni a.example {SERVER} {self.FLOW}")


def wait_for_port(port, family=socket.AF_INET):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            if sock.connect_ex(("::1" if family == socket.AF_INET6 else "127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nobody listens on port {port}")


def talk_for_real(folder):
    """Runs within the namespace: servers, a capture, and those who ask."""
    def path(name):
        return os.path.join(folder, name)

    def run(*command):
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=20, check=False)

    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", path("key"),
        "-out", path("cert"), "-subj", "/CN=x")
    commands = [
        ["dnsmasq", "-d", "--no-resolv", "--no-hosts", "--no-daemon", "--listen-address=127.0.0.1",
         "--bind-interfaces", "--pid-file=", "--conf-file=/dev/null", "--user=root",
         "--host-record=cdn.example.net,127.0.0.1,::1,77", "--cname=mid.example,cdn.example.net,60",
         "--cname=www.example.com,mid.example,50", "--address=/blocked.example/0.0.0.0"],
        ["openssl", "s_server", "-accept", "8443", "-key", path("key"), "-cert", path("cert"),
         "-quiet", "-www"],
        [sys.executable, "-m", "http.server", "8080"],
    ]
    servers = [subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
               for command in commands]
    for port in (53, 8443, 8080):
        wait_for_port(port)
    captures = [subprocess.Popen(["tcpdump", "-U", "--immediate-mode", "-Z", "root", *options, "-w",
                                  path(name)], stderr=subprocess.PIPE)
                for name, options in CAPTURES.items()]
    for capture in captures:
        next((line for line in capture.stderr if b"listening on" in line), None)
    for arguments in (["WWW.example.com"], ["www.example.com", "AAAA"], ["blocked.example"],
                      ["+tcp", "+keepopen", "mid.example", "cdn.example.net", "AAAA"]):
        run("dig", "+tries=1", "@127.0.0.1", *arguments)
    for newest in ("1.3", "1.2"):
        run("curl", "-sk", "--tls-max", newest, "--resolve", "TLS.example.com:8443:127.0.0.1",
            "https://TLS.example.com:8443/")
    run("openssl", "s_client", "-connect", "[::1]:8443", "-servername", "six.example.com",
        "-alpn", "acme-tls/1")
    run("openssl", "s_client", "-connect", "127.0.0.1:8443", "-noservername")
    run("curl", "-s", "-H", "Host: web.example.com:8080", "http://127.0.0.1:8080/")
    run("curl", "-s", "-x", "http://127.0.0.1:8080", "https://far.example.org/")
    sizes = None  # what tcpdump still has is written when its files grow no more
    while sizes != [os.path.getsize(path(name)) for name in CAPTURES]:
        sizes = [os.path.getsize(path(name)) for name in CAPTURES]
        time.sleep(0.3)
    for process in (*captures, *servers):
        process.terminate()
    for process in (*captures, *servers):
        process.wait(timeout=10)


def talk_in_namespace(folder):
    subprocess.run(["unshare", "-n", sys.executable, os.path.abspath(__file__), REPLAY, folder],
                   env=os.environ | {IN_NAMESPACE: "1"}, timeout=120, check=True)


need_tools = unittest.skipUnless(os.geteuid() == 0 and all(map(shutil.which, TOOLS)),
                                 f"needs root and {', '.join(TOOLS)}")


@need_tools
class Real(Names):

    def test_real_programs(self):
        folder = os.path.dirname(self.path)
        talk_in_namespace(folder)
        with open(os.path.join(folder, "real.pcap"), "rb") as file:
            lines = self.told(file.read())
        told = [line.split(" tcp ")[0].split(" udp ")[0] for line in lines]
        self.assertEqual(told, [
            "dns www.example.com 127.0.0.1 query=cdn.example.net ttl=50",
            "dns www.example.com ::1 query=cdn.example.net ttl=50",
            "dns mid.example 127.0.0.1 query=cdn.example.net ttl=60",
            "dns cdn.example.net ::1 ttl=77",
            "sni tls.example.com 127.0.0.1 alpn=h2",
            "sni tls.example.com 127.0.0.1 alpn=h2",
            "sni six.example.com ::1 alpn=acme-tls/1",
            "http web.example.com 127.0.0.1",
            "http far.example.org ::",
        ])
        self.assertEqual([self.counters[key] for key in ("truncated", "malformed", "unsupported")],
                         ["0", "0", "0"])
        if shutil.which("tshark"):
            self.assertEqual(sorted(line.split()[1] for line in told if line[:3] in ("sni", "htt")),
                             sorted(self.ask_tshark(folder)))

    def ask_tshark(self, folder):
        """What it says of server names and hosts, spelled as we do, addresses left out."""
        done = subprocess.run(
            ["tshark", "-r", os.path.join(folder, "real.pcap"), "-d", "tcp.port==8443,tls",
             "-Y", "tls.handshake.extensions_server_name || http.host", "-T", "fields",
             "-e", "tls.handshake.extensions_server_name", "-e", "http.host"],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60, check=True)
        hosts = [line.strip().lower().split(":")[0] for line in done.stdout.splitlines()]
        return [host for host in hosts if host[0].isalpha()]


if __name__ == "__main__":
    if os.environ.get(IN_NAMESPACE):
        talk_for_real(sys.argv[1])
    else:
        unittest.main()
