"""Messages that tell names, written octet by octet: DNS, TLS, QUIC. Standard library only."""
import os
import re
import struct

VECTORS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support",
                       "quic_vectors.h")


def counted(data, octets):
    return len(data).to_bytes(octets, "big") + data


def extension(kind, data):
    return struct.pack("!H", kind) + counted(data, 2)


def hello(name=None, protocols=(), ech=False, padding=0):
    """A ClientHello, without the header of a record."""
    extensions = extension(21, bytes(padding)) + extension(43, b"\2\3\4")
    if name is not None:
        extensions += extension(0, counted(b"\0" + counted(name.encode(), 2), 2))
    if protocols:
        extensions += extension(16, counted(b"".join(counted(protocol.encode(), 1)
                                                     for protocol in protocols), 2))
    if ech:
        extensions += extension(0xFE0D, b"\0\0\1\0\1\7" + counted(b"e" * 32, 2))
    body = b"\3\3" + bytes(range(32)) + counted(b"session", 1) + counted(b"\x13\1\x13\2", 2) \
        + counted(b"\0", 1) + counted(extensions, 2)
    return b"\1" + counted(body, 3)


def records(message, most=16384):
    """The message in TLS records of at most so many octets."""
    return b"".join(b"\x16\3\1" + counted(message[at:at + most], 2)
                    for at in range(0, len(message), most))


def dns_name(name):
    return b"".join(counted(label.encode(), 1) for label in name.split(".") if label) + b"\0"


def record(owner, kind, data, ttl=60):
    return dns_name(owner) + struct.pack("!HHI", kind, 1, ttl) + counted(data, 2)


def alias(owner, target, ttl=60):
    return record(owner, 5, dns_name(target), ttl)


def answer(question, answers, flags=0x8180):
    """question: a name, or None for the answers of mDNS."""
    asked = b"" if question is None else dns_name(question) + b"\0\1\0\1"
    return struct.pack("!HHHHHH", 7, flags, bool(asked), len(answers), 0, 0) \
        + asked + b"".join(answers)


def query(question, number=7, kind=b"\0\1\0\1"):
    """kind: type and class."""
    return struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 0) + dns_name(question) + kind


def crypto(message, offset, length):
    return b"\6" + struct.pack("!HH", 0x4000 | offset, 0x4000 | length) \
        + message[offset:offset + length]


def quic_vector(name):
    """A client's first datagram as an RFC prints it; it asks for example.com."""
    with open(VECTORS, encoding="ascii") as file:
        text = re.search(name + r"\[\] =(.*?);", file.read(), re.DOTALL)[1]
    return bytes.fromhex("".join(re.findall(r'"(\w+)"', text)))
