#!/usr/bin/env python3
"""From packets to `lastconn names`: a capture file written octet by octet, read by lastconnd -r."""
import os
import sys

import harness
from query_case import QueryCase

sys.path.insert(0, os.path.join(harness.ROOT, "tests", "replay"))
import capture_make as make  # noqa: E402
import name_make as names  # noqa: E402
from capture_make import ACK, Talk  # noqa: E402

CLIENT, RESOLVER, SERVER = "192.0.2.1", "198.51.100.53", "203.0.113.1"


class NamedFiles(QueryCase):
    def exchange(self, name, address, ttl=40, alias=None, start_us=0):
        octets = bytes(int(part) for part in address.split("."))
        records = [names.alias(name, alias, ttl)] if alias else []
        records.append(names.record(alias or name, 1, octets, ttl))
        return [(start_us, make.ip4(CLIENT, RESOLVER, make.UDP,
                                    make.udp(4000, 53, names.query(name)))),
                (start_us + 1, make.ip4(RESOLVER, CLIENT, make.UDP,
                                        make.udp(53, 4000, names.answer(name, records))))]

    def talk(self, start_us, port, server=SERVER, payload=b"x"):
        talk = Talk(client=CLIENT, server=server, cport=port).handshake()
        talk.segment("c", ACK, payload=payload).close()
        return [(start_us + packet[0], *packet[1:]) for packet in talk.packets]

    def read(self, packets):
        capture = self.path("named.pcap")
        with open(capture, "wb") as file:
            file.write(make.pcap(make.RAW, packets))
        self.run_program(harness.LASTCONND, "-r", capture, "--local", CLIENT, "--db",
                         self.path("history.db"))

    def names_by_port(self):
        return {row["local_port"]: (row["remote_name"], row["name_source"])
                for row in self.answer("flows", "--proto", "tcp")}

    def test_flows_have_the_names_of_their_packets(self):
        hello = names.records(names.hello("said.example", ["h2"]))
        self.read([*self.exchange("www.example.com", SERVER, alias="cdn.example.net"),
                   *self.talk(10**6, 41000), *self.talk(2 * 10**6, 41001, payload=hello),
                   *self.talk(99 * 10**6, 41002), *self.talk(101 * 10**6, 41003)])
        self.assertEqual(self.names_by_port(), {
            41000: ("www.example.com", "dns-any"), 41001: ("said.example", "sni"),
            41002: ("www.example.com", "dns-any"), 41003: (None, None)})  # TTL and a minute
        row = harness.one(self, self.answer("names", "www.example.com"))
        self.assertEqual((row["address"], row["source"], row["owner_name"], row["ttl_s"]),
                         (SERVER, "dns", "cdn.example.net", 40))
        row = harness.one(self, self.answer("who", "said.example"))
        self.assertEqual((row["flows"], row["names"]), (1, ["said.example (sni)"]))

    def test_a_flow_in_a_tunnel_has_the_name_that_it_said_there(self):
        hello = names.records(names.hello("within.example"))
        outside = names.records(names.hello("outside.example"))
        talk = self.talk(0, 41000, payload=hello)
        inside = [(us, make.ip4(*((CLIENT, RESOLVER) if sent else (RESOLVER, CLIENT)), make.UDP,
                                make.vxlan(make.ethernet(packet), 42)))
                  for us, packet in talk for sent in [packet[12:16] == talk[0][1][12:16]]]
        self.read(sorted([*inside, *self.talk(500, 41000, payload=outside)]))
        rows = self.answer("flows", "--proto", "tcp")
        self.assertEqual({(row["tunnel"], row["remote_name"], row["name_source"]) for row in rows},
                         {("vxlan:42", "within.example", "sni"), (None, "outside.example", "sni")})
        row = harness.one(self, self.answer("flows", "--host", "within.example"))
        self.assertEqual(row["tunnel"], "vxlan:42")
        carrier = harness.one(self, self.answer("flows", "--proto", "udp"))
        self.assertEqual((carrier["tunnel"], carrier["remote_name"]), (None, None))

    def test_of_two_names_the_last_before_the_flow_counts(self):
        self.read([*self.exchange("one.example", SERVER), *self.talk(10**6, 41000),
                   *self.exchange("two.example", SERVER, start_us=2 * 10**6),
                   *self.talk(3 * 10**6, 41001)])
        self.assertEqual(self.names_by_port(), {41000: ("one.example", "dns-any"),
                                                41001: ("two.example", "dns-any")})

    def test_nobody_names_the_loopback(self):
        self.read([*self.exchange("hostile.example", "127.0.0.1"),
                   *self.talk(10**6, 41000, server="127.0.0.1")])
        self.assertEqual(self.names_by_port(), {41000: (None, None)})


if __name__ == "__main__":
    harness.main()
