#!/usr/bin/env python3
"""Every capture that the tests hold or write, as tshark's dissectors read it, against what we say:
who talked to whom, packets, octets, who began, names.

The captures: those that test_replay.py and test_names.py write, the corpus of fuzz_pcapng, and two
of real programs, of which what lastconnd -r stores is judged. Where both differ on purpose stands in
DIFFERENCES, and what stands there must differ.
Usage: test_shark.py REPLAY-PROGRAM LASTCONND"""
import collections
import contextlib
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

import shark
import test_names
import test_replay

REPLAY = test_replay.REPLAY
LASTCONND = sys.argv.pop(1) if len(sys.argv) > 1 else "lastconnd"
CORPUS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fuzz", "corpus_pcapng")
# What tshark and we read differently on purpose, why, and in the captures of which tests, or in
# which files of the corpus.
PKTAP = "tshark reads the first version of Darwin's header in little endian, with Ethernet in it"
FRAGMENTS = "a fragment is a packet of its own; tshark counts the datagram once it is whole"
CARRIER = "we know a carrier by the tunnel's port at both ends, for the other one is drawn"
DIFFERENCES = (
    ("packets", "tshark gives up a file at a wrong option; the packet before the option is sound", (
        "corpus 0177edf0", "corpus 10eab3af", "corpus 2c729f39", "corpus 5b29cde0",
        "corpus 82217a4a", "corpus 925469b9", "corpus f3a72ccb")),
    ("packets", "headers whose lengths contradict each other are malformed", (
        "corpus 433d4e9d", "corpus b8624c1a", "test_headers_that_are_cut_or_wrong_are_counted",
        "test_pcapng_files_say_what_tcpdump_makes_of_them",
        "test_what_is_not_read_is_counted_as_what_it_is")),
    ("packets", PKTAP, (
        "corpus 0199a6ad", "corpus big_pktap1", "corpus big_pktap2", "corpus little_pktap2",
        "test_the_same_pid_with_another_program_is_another_process")),
    ("began packets", PKTAP, (
        "test_a_packet_that_names_nobody_belongs_to_nobody",
        "test_an_effective_process_alone_is_the_owner",
        "test_both_versions_of_pktap_in_both_byte_orders", "test_names_that_are_no_text",
        "test_the_direction_says_which_end_is_local",
        "test_the_effective_process_is_whom_the_socket_is_for",
        "test_the_first_header_and_a_longer_one", "test_the_link_type_that_apples_tcpdump_wrote",
        "test_the_process_of_a_carrier_is_not_that_of_what_it_carries")),
    ("packets", FRAGMENTS, (
        "test_a_carrier_in_fragments", "test_fragments_belong_to_the_first_ones_ports",
        "test_fragments_of_ipv6", "test_fragments_within_a_tunnel")),
    ("names", FRAGMENTS, ("test_of_a_carrier_in_fragments_the_first_one_is_a_cut_capture",)),
    ("packets", CARRIER, ("test_a_carrier_keeps_the_octets_that_no_inner_flow_takes",)),
    ("began packets", CARRIER, ("test_vxlan_and_geneve_whatever_their_source_port",)),
    ("began names packets", CARRIER + "; VXLAN from port 53 is DNS to tshark", (
        "test_names_within_tunnels",)),
    ("packets", "tshark reads no IPv6 without a length, unless told to", (
        "test_big_tcp_has_no_length_in_the_ip_header",)),
    ("packets", "tshark stops at a routing header that is wrong", (
        "test_ipv6_extension_headers",)),
    ("packets", "tshark does not know every BSD's number of IPv6", ("test_link_types_with_ipv6",)),
    ("packets", "tunnels in more than four tunnels are not read by us", (
        "test_tunnels_in_tunnels_up_to_four",)),
    ("octets", "tcp.len counts octets each time that they are sent", (
        "test_retransmissions_are_counted_but_not_their_octets",)),
    ("names", "tshark shows octets of names as they are", ("test_hostile_octets_stay_text",)),
)
ALLOWED = {name: what for what, _, names in DIFFERENCES for name in names}
os.environ.setdefault("ASAN_OPTIONS", "poison_heap=0")  # four times faster; other tests have it on
FLOW = re.compile(r"(tcp|udp)(?:/\S+)? (\S+):(\d+) (--|->|<-|=>) (\S+):(\d+) \S+ "
                  r"out=(\d+)/(\d+) in=(\d+)/(\d+) ")
NAME = re.compile(r"(dns|mdns|llmnr|sni|quic|http) (\S+) (\S+) ")


class View:
    """What a capture says of conversations and names."""

    def __init__(self):
        # (transport, ends): {sender: [packets, octets]}
        self.talks = collections.defaultdict(lambda: collections.defaultdict(lambda: [0, 0]))
        self.began = collections.defaultdict(set)  # ends of TCP: who
        self.names = set()  # (source, name, address)

    def count(self, transport, sender, receiver, packets, octets):
        if packets:
            count = self.talks[transport, frozenset((sender, receiver))][sender]
            count[0] += packets
            count[1] += octets

    def begin(self, sender, receiver):
        self.began[frozenset((sender, receiver))].add(sender)

    def packets(self):
        return {key: {end: count[0] for end, count in sides.items()}
                for key, sides in self.talks.items()}


def view_of_lines(lines):
    """Of our lines."""
    view = View()
    for match in filter(None, map(FLOW.match, lines)):
        transport, here, hport, arrow, there, tport, *counts = match.groups()
        octets_out, out, octets_in, in_ = map(int, counts)
        here, there = (here.strip("[]"), hport), (there.strip("[]"), tport)
        view.count(transport, here, there, out, octets_out)
        view.count(transport, there, here, in_, octets_in)
        if transport == "tcp" and arrow != "--":
            view.begin(*((there, here) if arrow == "<-" else (here, there)))
    view.names = {match.groups() for match in filter(None, map(NAME.match, lines))}
    return view


def view_of_packets(packets):
    """Of tshark's dissection."""
    view, names = View(), shark.Names()
    for packet in packets:
        names.take(packet)
        for layer in shark.layers(packet):
            view.count(layer.transport, layer.source, layer.destination, 1, layer.octets)
            if layer.flags & (shark.SYN | shark.ACK) == shark.SYN:
                view.begin(layer.source, layer.destination)
    view.names = names.told
    return view


def view_of_database(path):
    view = View()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for protocol, here, hport, there, tport, direction, out, octets_out, in_, octets_in in \
                connection.execute(
                    "SELECT protocol, local_ip, local_port, remote_ip, remote_port, direction, "
                    "packets_out, octets_out, packets_in, octets_in FROM flows "
                    "WHERE protocol IN ('tcp', 'udp')"):
            here, there = (here, str(hport)), (there, str(tport))
            view.count(protocol, here, there, out, octets_out)
            view.count(protocol, there, here, in_, octets_in)
            if protocol == "tcp":
                view.begin(*((there, here) if direction == "in" else (here, there)))
        view.names = set(connection.execute(
            "SELECT name_source, name, coalesce(ip, '::') FROM names"))
    return view


def sent_again(path):
    """Segments; a busy machine makes some."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT sum(retransmits) FROM flows").fetchone()[0]


def differences(ours, theirs, tap):
    """tap: tshark's own count of the packets of each conversation."""
    packets = ours.packets()
    found = {
        "packets": packets != tap,
        "octets": any(ours.talks[key] != theirs.talks.get(key)
                      for key in packets if packets[key] == tap.get(key)),
        "began": ours.began != theirs.began,
        "names": ours.names != theirs.names,
    }
    return {what for what, differs in found.items() if differs}


def corpus_captures():
    """The corpus that is of files; those of the other targets are of frames and messages."""
    for name in sorted(os.listdir(CORPUS)):
        with open(os.path.join(CORPUS, name), "rb") as file:
            yield "corpus " + (name[:8] if len(name) == 40 else name), file.read()


def written_captures():
    """What the other tests of this folder write, with the test's name; their judgement is theirs."""
    kept = {}
    run = test_replay.Replay.run_replay

    def keep(test, data, *options, **more):
        kept.setdefault(data, test.id().rsplit(".", 1)[1])
        return run(test, data, *options, **more)

    with unittest.mock.patch.object(test_replay.Replay, "run_replay", keep):
        for module in (test_replay, test_names):
            unittest.defaultTestLoader.loadTestsFromModule(module).run(unittest.TestResult())
    return ((name, data) for data, name in kept.items())


@unittest.skipUnless(shark.SHARKD, "sharkd is not installed")
class Judge(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    @test_names.need_tools
    def test_what_is_stored_of_real_programs(self):
        test_names.talk_in_namespace(self.folder)
        for name in test_names.CAPTURES:
            with self.subTest(name), contextlib.closing(shark.Shark()) as judge:
                path = os.path.join(self.folder, name)
                subprocess.run([LASTCONND, "-r", path, "--db", path + ".db"], check=True,
                               capture_output=True, timeout=60)
                packets, tap = judge.read(path)
                ours, theirs = view_of_database(path + ".db"), view_of_packets(packets)
                self.assertGreaterEqual(len(tap), 10)
                self.assertEqual(theirs.packets(), tap)
                self.assertEqual(ours.packets(), theirs.packets())
                if not sent_again(path + ".db"):
                    self.assertEqual(ours.talks, theirs.talks)
                for of in ("began", "names"):
                    self.assertEqual(getattr(ours, of), getattr(theirs, of))

    @staticmethod
    def judge(paths):
        """[(path, what differs)]; the files are read by one program of each kind."""
        done = subprocess.run([REPLAY, "--both", *paths], text=True, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=200, check=False)
        parts = re.split(r"^file (.*)\n", done.stdout, flags=re.MULTILINE)
        lines = dict(zip(parts[1::2], map(str.splitlines, parts[2::2])))
        with contextlib.closing(shark.Shark()) as judge:
            for path in paths:
                packets, tap = judge.read(path)
                yield path, differences(view_of_lines(lines[path]), view_of_packets(packets), tap)

    def test_every_capture(self):
        paths, found = {}, collections.defaultdict(set)
        for name, data in (*written_captures(), *corpus_captures()):
            path = os.path.join(self.folder, str(len(paths)))
            with open(path, "wb") as file:
                file.write(data)
            paths[path] = name
        self.assertGreater(len(paths), 250)
        for path, what in self.judge(list(paths)):
            if paths[path] == "test_real_programs":
                what -= {"octets"}  # these are of now: what was sent again counts once with us
            found[paths[path]] |= what
        self.assertEqual({name: " ".join(sorted(what)) for name, what in found.items() if what},
                         ALLOWED)


if __name__ == "__main__":
    unittest.main()
