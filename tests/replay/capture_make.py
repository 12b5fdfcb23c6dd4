"""Capture files written octet by octet: pcap and pcapng, link layers, IP, transport.

Everything is bytes in network order; no checksums, nothing reads them. Standard library only.
"""
import ipaddress
import struct

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
ETHERNET, NULL, RAW, LOOP, SLL, SLL2 = 1, 0, 101, 108, 113, 276
TCP, UDP, ICMP, ICMP6, SCTP = 6, 17, 1, 58, 132
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


def pcapng(link_types, packets, order="<"):
    """One interface a link type; packets: (microseconds, frame[, interface])."""
    out = [block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)]
    for link_type in link_types:
        out.append(block(1, struct.pack(order + "HHI", link_type, 0, 262144), order))
    for us, frame, *interface in packets:
        time = START * 1000000 + us
        out.append(block(6, struct.pack(
            order + "IIIII", interface[0] if interface else 0, time >> 32, time & 0xFFFFFFFF,
            len(frame), len(frame)) + frame, order))
    return b"".join(out)


class Talk:
    """One TCP connection: remembers numbers, writes (microseconds, IP packet)."""

    def __init__(self, client="192.0.2.1", server="198.51.100.7", cport=40000, sport=443,
                 client_seq=1000, server_seq=5000, step=1000, at=0):
        self.ends = {"c": (client, cport), "s": (server, sport)}
        self.seq = {"c": client_seq, "s": server_seq}
        self.step, self.at = step, at
        self.packets = []

    def segment(self, side, flags, length=0, seq=None, options=b""):
        """Sends; without seq in sequence, with seq again or out of order."""
        other = "s" if side == "c" else "c"
        (source, sport), (destination, dport) = self.ends[side], self.ends[other]
        number = self.seq[side] if seq is None else seq
        data = tcp(sport, dport, flags, number & 0xFFFFFFFF, b"x" * length, options)
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
