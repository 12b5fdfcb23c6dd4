#!/usr/bin/env python3
"""Writes the seeds of fuzz_decode, one input a link type and a header, or of fuzz_pcapng, one file a
kind of block. Usage: corpus_make.py decode|pcapng FOLDER

The files named by a hash are what libFuzzer found beside them, reduced to one for each edge:
    fuzz_decode -set_cover_merge=1 -use_counters=0 NEW-FOLDER tests/fuzz/corpus_decode FOUND
"""
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "replay"))
import capture_make as make  # noqa: E402
from capture_make import ACK, FIN, RST, SYN, Talk  # noqa: E402

LINKS = (1, 0, 12, 101, 108, 113, 228, 229, 276, 105, 9, 50, 51)  # as in fuzz_decode.c
A, B, A6, B6 = "192.0.2.1", "198.51.100.7", "2001:db8::1", "2001:db8::2"


def seed(link_type, frames, local=False):
    out = bytes([LINKS.index(link_type) | (0x80 if local else 0)])
    for seconds, frame, *longer in frames:
        out += struct.pack("!HBB", len(frame), longer[0] if longer else 0, seconds) + frame
    return out


def talks():
    whole = Talk().handshake().segment("c", ACK, 20).segment("s", ACK, 30)
    whole.segment("s", ACK, 30, seq=5001).close()
    reset = Talk().segment("c", SYN).segment("s", RST | ACK).segment("c", SYN, seq=9000)
    report = Talk().segment("c", SYN)
    report.packets += [(1, make.ip4(B, A, make.ICMP, make.icmp_error(
        3, 1, report.packets[0][1][:28])))]
    middle = Talk(client=A6, server=B6).segment("s", ACK, 9).segment("s", ACK, 9, seq=6000)
    middle.segment("s", FIN | ACK)
    for name, talk in (("whole", whole), ("reset", reset), ("middle", middle),
                       ("report", report)):
        yield name, [(1, packet) for _, packet in talk.packets]


def packets():
    udp, udp6 = make.udp(5000, 9, b"abc"), make.udp(5000, 9, b"abc")
    yield "udp4", make.ip4(A, B, make.UDP, udp)
    yield "udp6", make.ip6(A6, B6, make.UDP, udp6)
    yield "options", make.ip4(A, B, make.UDP, udp, options=b"\x94\x04\0\0")
    yield "icmp", make.ip4(A, B, make.ICMP, make.icmp_echo(8, b"p" * 8))
    yield "icmp6", make.ip6(A6, B6, make.ICMP6, make.icmp_echo(129, b"p" * 8))
    yield "icmp_error", make.ip4(B, A, make.ICMP, make.icmp_error(
        3, 3, make.ip4(A, B, make.UDP, udp)[:28]))
    yield "sctp", make.ip4(A, B, make.SCTP, make.sctp(7, 8, b"c" * 16))
    yield "udplite", make.ip4(A, B, 136, udp)
    yield "raw", make.ip4(A, B, 253, b"abc")
    yield "zero", make.ip4(A, B, make.TCP, make.tcp(1, 2, ACK, 1), total=0)
    routing = struct.pack("!BBBB", make.UDP, 1, 2, 0) + bytes(12) + udp6
    hop = struct.pack("!BB", 43, 0) + b"\x05\x02\0\0\x01\0" + routing
    yield "extensions", make.ip6(A6, B6, 0, hop)
    yield "authentication", make.ip4(A, B, 51, b"\x11\1" + bytes(10) + udp)


def fragments():
    whole = make.udp(5000, 9, b"d" * 40)
    yield "fragments4", [(0, make.ip4(A, B, make.UDP, whole[:24], fragment=0x2000)),
                         (0, make.ip4(A, B, make.UDP, whole[24:], fragment=3))]
    head = struct.pack("!BBHI", make.UDP, 0, 1, 99) + whole[:24]
    tail = struct.pack("!BBHI", make.UDP, 0, 24, 99) + whole[24:]
    yield "fragments6", [(0, make.ip6(A6, B6, 44, head)), (0, make.ip6(A6, B6, 44, tail))]


def tunnels():
    four = make.ip4(A, B, make.UDP, make.udp(5000, 9, b"abc"))
    six = make.ip6(A6, B6, make.UDP, make.udp(5000, 9, b"abc"))
    frame = make.ethernet(four, pad=False)
    yield "ipip", make.ip4(B, A, make.IPIP, four)
    yield "6in4", make.ip4(B, A, make.IP6, six)
    yield "4in6", make.ip6(B6, A6, make.IPIP, four)
    yield "6in6", make.ip6(B6, A6, make.IP6, six)
    yield "gre", make.ip4(B, A, make.GRE, make.gre(four))
    yield "gre_all", make.ip6(B6, A6, make.GRE, make.gre(frame, 0x6558, 7, True, 9))
    yield "vxlan", make.ip4(B, A, make.UDP, make.vxlan(frame, 42))
    yield "geneve", make.ip4(B, A, make.UDP, make.geneve(frame, 42, options=b"\1\2\3\0"))
    yield "geneve_ip", make.ip4(B, A, make.UDP, make.geneve(six, 42, 0x86DD))
    deep = four
    for _ in range(5):
        deep = make.ip4(B, A, make.IPIP, deep)
    yield "deep", deep
    wide = make.vxlan(make.ethernet(make.ip4(A, B, make.GRE, make.gre(six)), pad=False), 1)
    yield "gre_in_vxlan", make.ip4(B, A, make.UDP, wide)


def tunnel_fragments():
    inner = make.ip4(A, B, make.UDP, make.udp(5000, 9, b"d" * 60))
    for name, protocol, whole in (("gre", make.GRE, make.gre(inner)),
                                  ("vxlan", make.UDP, make.vxlan(make.ethernet(inner), 42))):
        yield f"{name}_fragments", [
            (0, make.ip4(B, A, protocol, whole[:64], fragment=0x2000)),
            (0, make.ip4(B, A, protocol, whole[64:], fragment=8))]


def seeds():
    for name, frames in (*talks(), *fragments()):
        yield name, seed(101, frames)
        yield name + "_local", seed(101, frames, True)
    for name, frames in tunnel_fragments():
        yield name, seed(101, frames)
    for name, packet in (*packets(), *tunnels()):
        yield name, seed(101, [(1, packet)])
    four = make.ip4(A, B, make.UDP, make.udp(5000, 9, b"abc"))
    yield "ethernet", seed(1, [(0, make.ethernet(four), 3)])
    yield "vlan", seed(1, [(0, make.ethernet(four, tags=[(0x88A8, 7), (0x8100, 9)]))])
    yield "snap", seed(1, [(0, make.ethernet(b"\xaa\xaa\3\0\0\0\x08\0" + four, kind=39))])
    yield "pppoe", seed(1, [(0, make.ethernet(make.pppoe(four), tags=[(0x8100, 7)],
                                              kind=0x8864))])
    yield "mpls", seed(1, [(0, make.ethernet(make.mpls(four, 16, 17), kind=0x8847))])
    yield "ppp", seed(9, [(0, make.ppp(make.ip6(A6, B6, make.UDP, make.udp(5000, 9, b"abc"))))])
    yield "ppp_hdlc", seed(50, [(0, b"\xff\3" + make.ppp(four))])
    yield "ppp_session", seed(51, [(0, make.pppoe(four))])
    yield "arp", seed(1, [(0, make.ethernet(b"\0\1\x08\0\6\4\0\1" + bytes(20), kind=0x806))])
    yield "null", seed(0, [(0, make.null(four))])
    yield "loop", seed(108, [(0, make.null(four, ">"))])
    yield "sll", seed(113, [(0, make.sll(four, 4)), (11, make.sll(four, 0, 772))])
    yield "sll2", seed(276, [(0, make.sll2(four, 0)), (25, make.sll2(four, 4))])
    yield "other", seed(105, [(0, four)])


def pcapng_seeds():
    four = make.ip4(A, B, make.UDP, make.udp(5000, 9, b"abc"))
    processes = (b"curl", b"a\xff\n")
    for order, name in (("<", "little"), (">", "big")):
        blocks = b"".join(make.darwin_process(7 + number, comm, order, [(4, b"u" * 16)])
                          for number, comm in enumerate(processes))
        yield name + "_darwin", make.section(order) + make.interface(
            101, order, [(9, b"\x09"), (14, bytes(8))]) + blocks + make.enhanced(
                0, four, order, pairs=[(2, 1), (0x8001, 0), (0x8003, 1)])
        for version in (make.pktap1, make.pktap2):
            yield f"{name}_{version.__name__}", make.pcapng([make.PKTAP], [
                (0, version(1, make.ethernet(four), 7, b"curl", 2, (8, b"app"), order))], order)
    comments = ("PID: 321\nCmd: /bin/x\nArgs: x y", "UserId: 10\nGroupId: 1",
                "ParentPID: 3\nParentCmd: /bin/sh\nParentArgs: sh",
                f"ContainerName: a\nContainerId: {'ab' * 32}\nContainerImage: b")
    yield "comments", make.pcapng([101], [
        (0, four, 0, [(1, text.encode()) for text in comments])])
    yield "older", make.section() + make.interface(101, snaplen=40) + make.block(
        2, struct.pack("<HHIIII", 0, 0, 1, 2, len(four), len(four)) + four, "<") + make.block(
            3, struct.pack("<I", 99) + four.ljust(40), "<") + make.block(5, bytes(12), "<")


def main():
    kinds = {"decode": seeds, "pcapng": pcapng_seeds}
    os.makedirs(sys.argv[2], exist_ok=True)
    for name, data in kinds[sys.argv[1]]():
        with open(os.path.join(sys.argv[2], name), "wb") as file:
            file.write(data)


if __name__ == "__main__":
    main()
