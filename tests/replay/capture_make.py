"""Capture files written octet by octet: pcap and pcapng, link layers, IP, transport.

Everything is bytes in network order; no checksums, nothing reads them. Standard library only.
"""
import ipaddress
import struct

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
ETHERNET, NULL, RAW, LOOP, SLL, SLL2 = 1, 0, 101, 108, 113, 276
PKTAP, USER2 = 258, 149
IN, OUT = 1, 2  # of PKTAP's flags and of those of pcapng packets
PPP, PPP_HDLC, PPPOE = 9, 50, 51
TCP, UDP, ICMP, ICMP6, SCTP = 6, 17, 1, 58, 132
IPIP, IP6, GRE = 4, 41, 47
START = 1700000000  # seconds; time of a packet is in microseconds after it


def tcp(sport, dport, flags, seq, payload=b"", options=b""):
    offset = (5 + len(options) // 4) << 4
    return struct.pack("!HHIIBBHHH", sport, dport, seq, 0, offset, flags, 65535, 0, 0) \
        + options + payload


def udp(sport, dport, payload=b""):
    return struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload


def sctp(sport, dport, chunks=b""):
    return struct.pack("!HHII", sport, dport, 1, 0) + chunks


def icmp_echo(kind, payload=b""):
    return struct.pack("!BBHHH", kind, 0, 0, 1, 1) + payload


def icmp_error(kind, code, packet):
    return struct.pack("!BBHI", kind, code, 0, 0) + packet


def ip4(source, destination, protocol, payload, options=b"", fragment=0, ident=1, total=None):
    length = 20 + len(options)
    total = length + len(payload) if total is None else total
    return struct.pack("!BBHHHBBH", 0x40 | length // 4, 0, total, ident, fragment, 64, protocol,
                       0) \
        + ipaddress.IPv4Address(source).packed + ipaddress.IPv4Address(destination).packed \
        + options + payload


def ip6(source, destination, following, payload, length=None):
    length = len(payload) if length is None else length
    return struct.pack("!IHBB", 6 << 28, length, following, 64) \
        + ipaddress.IPv6Address(source).packed + ipaddress.IPv6Address(destination).packed \
        + payload


def ethertype(packet):
    return 0x0800 if packet[0] >> 4 == 4 else 0x86DD


def ethernet(packet, tags=(), kind=None, pad=True):
    frame = b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02"
    for tag, number in tags:
        frame += struct.pack("!HH", tag, number)
    frame += struct.pack("!H", ethertype(packet) if kind is None else kind) + packet
    return frame.ljust(60, b"\xee") if pad else frame


def ppp(packet):
    return struct.pack("!H", 0x0021 if packet[0] >> 4 == 4 else 0x0057) + packet


def pppoe(packet):
    return struct.pack("!BBHH", 0x11, 0, 7, 2 + len(packet)) + ppp(packet)


def mpls(packet, *labels):
    stack = [label << 12 | (i == len(labels) - 1) << 8 | 64 for i, label in enumerate(labels)]
    return struct.pack(f"!{len(stack)}I", *stack) + packet


def gre(payload, kind=None, key=None, checksum=False, sequence=None, flags=0):
    flags |= (checksum and 0x8000) | (key is not None and 0x2000) | (sequence is not None and 0x1000)
    options = bytes(4) if checksum else b""
    for number in (key, sequence):
        options += b"" if number is None else struct.pack("!I", number)
    return struct.pack("!HH", flags, ethertype(payload) if kind is None else kind) + options \
        + payload


def vxlan(frame, network, sport=50000, dport=4789):
    return udp(sport, dport, struct.pack("!II", 8 << 24, network << 8) + frame)


def geneve(payload, network, kind=0x6558, options=b"", sport=50000):
    return udp(sport, 6081, struct.pack("!BBHI", len(options) // 4, 0, kind, network << 8)
               + options + payload)


def sll(packet, packet_type, device=1):
    return struct.pack("!HHHQH", packet_type, device, 6, 0, ethertype(packet)) + packet


def sll2(packet, packet_type, device=1):
    return struct.pack("!HHIHBBQ", ethertype(packet), 0, 7, device, packet_type, 6, 0) + packet


def null(packet, order="<", family6=30):
    return struct.pack(order + "I", 2 if packet[0] >> 4 == 4 else family6) + packet


def pcap(link_type, packets, order="<", nanoseconds=False, snaplen=262144):
    """packets: (microseconds, frame) or (microseconds, frame, length on the wire)."""
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snaplen, link_type)]
    for us, frame, *wire in packets:
        fraction = us % 1000000 * (1000 if nanoseconds else 1)
        out.append(struct.pack(order + "IIII", START + us // 1000000, fraction,
                               min(len(frame), snaplen), wire[0] if wire else len(frame)))
        out.append(frame[:snaplen])
    return b"".join(out)


def block(kind, body, order):
    body += b"\0" * (-len(body) % 4)
    length = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + length + body + length


def pad4(octets):
    return octets + b"\0" * (-len(octets) % 4)


def options(pairs, order="<"):
    """Options of a pcapng block: (code, octets or a number of 32 bits)."""
    out = b""
    for code, value in pairs:
        octets = struct.pack(order + "I", value) if isinstance(value, int) else value
        out += struct.pack(order + "HH", code, len(octets)) + pad4(octets)
    return out + bytes(4) if pairs else b""


def section(order="<"):
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link_type, order="<", pairs=(), snaplen=262144):
    return block(1, struct.pack(order + "HHI", link_type, 0, snaplen) + options(pairs, order),
                 order)


def enhanced(us, frame, order="<", number=0, pairs=(), time=None):
    """An enhanced packet block; time: in the unit of its interface, if not microseconds."""
    time = START * 1000000 + us if time is None else time
    return block(6, struct.pack(order + "IIIII", number, time >> 32, time & 0xFFFFFFFF,
                                len(frame), len(frame)) + pad4(frame) + options(pairs, order),
                 order)


def darwin_process(pid, name, order="<", pairs=()):
    """Apple's process block; packets name it by its number in the section."""
    return block(0x80000001, struct.pack(order + "i", pid)
                 + options([(2, name), *pairs], order), order)


def pcapng(link_types, packets, order="<"):
    """One interface a link type; packets: (microseconds, frame[, interface[, options]])."""
    out = [section(order)] + [interface(link_type, order) for link_type in link_types]
    for us, frame, *more in packets:
        out.append(enhanced(us, frame, order, *more))
    return b"".join(out)


def pktap1(link_type, frame, pid, comm, flags, effective=(-1, b""), order="<", length=156,
           following=1):
    """Version 1 of Darwin's header; the first one had 108 octets."""
    head = struct.pack(order + "III24sIIIIi17sBHIHHi17sBH", length, following, link_type, b"en0",
                       flags, 2, 14, 0, pid, comm, 0, 0, 0, 6, 0, effective[0], effective[1], 0, 0)
    return head.ljust(length, b"\0")[:length] + frame


def pktap2(link_type, frame, pid, comm, flags, effective=(-1, b""), order="<"):
    """Version 2: names lie behind offsets, and may be missing."""
    texts, offsets = b"", []
    for text in (b"en0", comm, effective[1]):
        offsets.append(40 + len(texts) if text else 0)
        texts += text + b"\0" if text else b""
    return struct.pack(order + "BBBBBBHHHHHIIIiiI", 40 + len(texts), 0, 0, *offsets, link_type,
                       14, 0, 6, 6, 2, 0, 0, pid, effective[0], flags | 0x80000) + texts + frame


class Talk:
    """One TCP connection: remembers numbers, writes (microseconds, IP packet)."""

    def __init__(self, client="192.0.2.1", server="198.51.100.7", cport=40000, sport=443,
                 client_seq=1000, server_seq=5000, step=1000, at=0):
        self.ends = {"c": (client, cport), "s": (server, sport)}
        self.seq = {"c": client_seq, "s": server_seq}
        self.step, self.at = step, at
        self.packets = []

    def segment(self, side, flags, length=0, seq=None, options=b"", payload=None):
        """Sends; without seq in sequence, with seq again or out of order."""
        payload = b"x" * length if payload is None else payload
        length = len(payload)
        other = "s" if side == "c" else "c"
        (source, sport), (destination, dport) = self.ends[side], self.ends[other]
        number = self.seq[side] if seq is None else seq
        data = tcp(sport, dport, flags, number & 0xFFFFFFFF, payload, options)
        make = ip4 if ":" not in source else ip6
        self.packets.append((self.at, make(source, destination, TCP, data)))
        self.at += self.step
        if seq is None:
            self.seq[side] += length + bool(flags & SYN) + bool(flags & FIN)
        return self

    def handshake(self):
        return self.segment("c", SYN).segment("s", SYN | ACK).segment("c", ACK)

    def close(self):
        return self.segment("c", FIN | ACK).segment("s", FIN | ACK).segment("c", ACK)

    def framed(self, wrap=ethernet):
        return [(us, wrap(packet)) for us, packet in self.packets]
