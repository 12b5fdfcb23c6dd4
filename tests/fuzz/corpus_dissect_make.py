#!/usr/bin/env python3
"""Writes the seeds of fuzz_dissect. Usage: corpus_dissect_make.py FOLDER

The files named by a hash are what libFuzzer found beside them, see corpus_make.py."""
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "replay"))
import name_make as make  # noqa: E402

# as in fuzz_dissect.c
(CLIENT_SEGMENT, DNS_SEGMENT, DNS, MDNS, LLMNR, CLIENT_DATAGRAM, INITIAL,
 DNS_QUESTION_SEGMENT) = range(8)
SYN, FIN, RST, CUT, MIDSTREAM, OTHER_PORT, UNASKED = 1, 2, 4, 8, 16, 32, 128


def packet(kind, payload, odd=0, move=0):
    return struct.pack("!BBbH", kind, odd, move, len(payload)) + payload


def seeds():
    hello = make.hello("a.example", ["h2", "http/1.1"], ech=True)
    stream = make.records(hello)
    yield "hello", packet(CLIENT_SEGMENT, b"", SYN) + packet(CLIENT_SEGMENT, stream)
    yield "hello_cut", packet(CLIENT_SEGMENT, stream[:-9], CUT | MIDSTREAM)
    yield "hello_records", packet(CLIENT_SEGMENT, make.records(hello, 50), MIDSTREAM)
    stream = make.records(make.hello("a.example"))
    yield "hello_swapped", (packet(CLIENT_SEGMENT, b"", SYN)
                            + packet(CLIENT_SEGMENT, stream[60:], move=60)
                            + packet(CLIENT_SEGMENT, stream[:60], move=-len(stream)))
    request = b"GET / HTTP/1.1\r\nA: b\r\nHost: a.example:80\r\n\r\n"
    yield "request", packet(CLIENT_SEGMENT, request, MIDSTREAM)
    yield "request_halves", (packet(CLIENT_SEGMENT, request[:30], SYN)
                             + packet(CLIENT_SEGMENT, request[30:], FIN))
    yield "connect", packet(CLIENT_SEGMENT, b"CONNECT a.example:443 HTTP/1.1\r\n\r\n",
                             MIDSTREAM)
    yield "absolute", packet(CLIENT_SEGMENT, b"GET http://u@a.example:80/x HTTP/1.1\r\n\r\n",
                              MIDSTREAM | RST)
    answer = make.answer("www.example.com", [
        make.alias("www.example.com", "cdn.example.net", 50),
        make.record("cdn.example.net", 1, b"\xc0\0\2\1"),
        make.record("cdn.example.net", 28, b"\x20\1\r\xb8" + bytes(11) + b"\1")])
    service = make.answer("a.example", [make.record(
        "a.example", 65, b"\0\1\0\0\4\0\x04\xc0\0\2\1\0\6\0\x10\x20\1" + bytes(13) + b"\1")])
    yield "answer", packet(DNS, answer)
    yield "answer_llmnr", packet(LLMNR, answer)
    yield "answer_pointers", packet(DNS, make.answer("a.example", [
        b"\xc0\x0c" + make.record("", 1, b"\xc0\0\2\1")[1:]]))
    yield "answer_service", packet(DNS, service)
    yield "answer_multicast", packet(MDNS, make.answer(None, [
        make.record("printer.local", 1, b"\xc0\0\2\1")]))
    yield "answer_instance", packet(MDNS, make.answer(None, [
        make.record("x._ipp._tcp.local", 33, bytes(6) + make.dns_name("printer.local")),
        make.record("printer.local", 1, b"\xc0\0\2\1")], 0x8400))
    yield "answer_unicast", packet(MDNS, make.query("a.local", kind=b"\0\1\x80\1"), OTHER_PORT) \
        + packet(MDNS, make.answer(None, [make.record("a.local", 1, b"\xc0\0\2\1")], 0x8400),
                 OTHER_PORT | UNASKED)
    yield "answer_unasked", packet(DNS, answer, UNASKED)
    counted = struct.pack("!H", len(answer)) + answer
    question = make.counted(make.query("www.example.com"), 2)
    yield "answers_tcp", (packet(DNS_QUESTION_SEGMENT, b"", SYN)
                          + packet(DNS_QUESTION_SEGMENT, question[:9])
                          + packet(DNS_QUESTION_SEGMENT, question[9:] * 2)
                          + packet(DNS_SEGMENT, b"", SYN) + packet(DNS_SEGMENT, (counted * 3)[:99])
                          + packet(DNS_SEGMENT, (counted * 3)[99:], FIN))
    crypto = make.crypto(hello, 40, len(hello) - 40) + b"\1\2\0\0\0\0" + make.crypto(hello, 0, 40)
    yield "initial", packet(INITIAL, crypto)
    yield "initial_halves", (packet(INITIAL, make.crypto(hello, 40, len(hello) - 40))
                             + packet(INITIAL, make.crypto(hello, 0, 40), move=1))
    yield "initial_other", (packet(INITIAL, make.crypto(hello, 0, 40)) + packet(INITIAL, crypto, SYN)
                            + packet(INITIAL, b"\x1c\0\0\0"))
    for name in ("quic_rfc9001", "quic_rfc9369"):
        yield name, packet(CLIENT_DATAGRAM, make.quic_vector(name))


def main():
    os.makedirs(sys.argv[1], exist_ok=True)
    for name, data in seeds():
        with open(os.path.join(sys.argv[1], name), "wb") as file:
            file.write(data)


if __name__ == "__main__":
    main()
