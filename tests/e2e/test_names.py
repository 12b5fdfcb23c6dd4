#!/usr/bin/env python3
"""What lastconn says of names: of which flow, of which address, and from where it knows."""
import csv
import io
import os
import random
import socket
import subprocess

import harness
from query_case import T0, QueryCase, at, iso
from query_history import DAY, HOUR, SECOND

EVIL = "evil\\027[31m\u202e.example"
SHARED = "192.0.2.80"


class Names(QueryCase):
    def shared(self, **more):
        """One address of several names; the one asked for is www.example."""
        history = self.history(**more)
        self.curl = history.process(200, "/usr/bin/curl", uid=0)
        self.wget = history.process(300, "/usr/bin/wget", uid=0)
        self.ssh = history.process(400, "/usr/bin/ssh", uid=0)
        history.evidence("www.example", SHARED, T0 + HOUR, T0 + 2 * HOUR, process=self.curl,
                         owner="cdn.test", times=7)
        history.evidence("www.example", SHARED, T0 + HOUR + 10, source="sni", process=self.curl,
                         ttl=0, alpn="h2", ech=1)
        history.evidence("other.test", SHARED, T0 + HOUR, process=self.wget)
        history.evidence("sub.www.example", "2001:db8::80", T0 + HOUR)
        history.evidence("www.example", None, T0 + 3 * HOUR, source="http", ttl=0)

        def flow(process, start_us, name=None, source="", **ways):
            history.flow(process, SHARED, start_us, start_us + SECOND, name=name,
                         name_source=source, **ways)
        flow(self.curl, T0 + HOUR, "www.example", "sni")
        flow(self.curl, T0 + HOUR + 60 * SECOND, "www.example", "dns")
        flow(self.wget, T0 + HOUR + 60 * SECOND, "other.test", "http")     # said another one
        flow(self.wget, T0 + HOUR + 60 * SECOND, "other.test", "dns")      # asked for another one
        flow(self.wget, T0 + HOUR + 61 * SECOND, "other.test", "dns-other")  # may be either
        flow(self.ssh, T0 + HOUR + 62 * SECOND, remote_port=22)
        flow(self.ssh, T0 + HOUR // 2, remote_port=22)                     # before the answer
        flow(self.ssh, T0 + 2 * HOUR + 121 * SECOND, remote_port=22)       # it was too old
        history.flow(self.ssh, "192.0.2.81", T0 + HOUR, T0 + HOUR + 9)     # another host
        return history

    def test_names_tells_all_of_a_name_and_from_where(self):
        self.shared().close()
        rows = self.answer("names", "www.example")
        self.assertEqual(
            [(row["source"], row["address"], row["program"], row["times"], row["flows"])
             for row in rows],
            [("http", None, None, 1, None), ("dns", SHARED, "/usr/bin/curl", 7, 2),
             ("sni", SHARED, "/usr/bin/curl", 1, 2)])
        self.assertEqual(
            {key: rows[1][key] for key in ("first_time", "last_time", "ttl_s", "owner_name",
                                           "users", "processes", "ech")},
            {"first_time": iso(T0 + HOUR), "last_time": iso(T0 + 2 * HOUR), "ttl_s": 60,
             "owner_name": "cdn.test", "users": ["root"], "processes": 1, "ech": 0})
        self.assertEqual((rows[2]["alpn"], rows[2]["ech"], rows[2]["ttl_s"]), (["h2"], 1, None))

    def test_names_counts_flows_that_no_roll_up_counts_yet(self):
        for settled in ((0, 0, 0), (T0 + HOUR + 30 * SECOND, 0, 0)):
            history = self.shared(settled=settled)
            history.evidence("new.test", "192.0.2.82", T0 + HOUR, process=self.curl)
            history.flow(self.curl, "192.0.2.82", T0 + HOUR, T0 + 2 * HOUR, name="new.test")
            history.close()
            self.assertEqual([row["flows"] for row in self.answer("names", "www.example")],
                             [None, 2, 2], settled)
            self.assertEqual([row["flows"] for row in self.answer("names", SHARED)],
                             [2, 2, 3], settled)
            self.assertEqual([row["flows"] for row in self.answer("names", "new.test")], [1])
            os.remove(self.path("history.db"))

    def test_who_tells_no_name_that_the_address_had_at_another_time(self):
        history = self.history()
        curl = history.process(200, "/usr/bin/curl")
        history.evidence("then.test", SHARED, T0 + HOUR)
        history.evidence("later.test", SHARED, T0 + 5 * HOUR)
        history.flow(curl, SHARED, T0 + HOUR, T0 + HOUR + SECOND)
        history.close()
        self.assertEqual([row["names"] for row in self.answer("who", "*.test")],
                         [["then.test (address)"]])

    def test_names_takes_addresses_networks_suffixes_and_owners(self):
        self.shared().close()
        for host, names in {
                SHARED: ["other.test", "www.example"], "192.0.2.0/24": ["other.test", "www.example"],
                "2001:db8::80": ["sub.www.example"], "*.www.example": ["sub.www.example"],
                "*.example": ["sub.www.example", "www.example"], "cdn.test": ["www.example"],
                "*.test": ["other.test", "www.example"]}.items():
            rows = self.answer("names", host)
            self.assertEqual(sorted({row["name"] for row in rows}), names, host)
        for host in ("example", "192.0.2.81", "ww.example"):
            self.assertEqual(self.answer("names", host, status=1), [], host)

    def test_names_takes_a_window_and_a_program(self):
        self.shared().close()
        for arguments, sources in {
                ("--since", at(T0 + 2 * HOUR)): ["http", "dns"],
                ("--until", at(T0 + HOUR + 5)): ["dns"], ("--exe", "curl"): ["dns", "sni"],
                ("--limit", "1"): ["http"]}.items():
            rows = self.answer("names", "www.example", *arguments)
            self.assertEqual([row["source"] for row in rows], sources, arguments)
        described = [line.split()[0] for line in
                     self.table("help", "names").split("Columns:\n")[1].splitlines()
                     if line.startswith("  ")]
        self.assertEqual(described, list(rows[0]))
        self.refused("names", words=("names HOST",))
        self.refused("names", "300.1.1.1", words=("not a host",))

    def test_who_finds_a_name_by_any_evidence_and_says_which(self):
        self.shared().close()
        rows = {row["exe"]: row for row in self.answer("who", "www.example")}
        self.assertEqual(
            {exe: (row["flows"], sorted(row["names"])) for exe, row in rows.items()},
            {"/usr/bin/curl": (2, ["www.example (dns)", "www.example (sni)"]),
             "/usr/bin/wget": (1, ["other.test (dns-other)", "www.example (address)"]),
             "/usr/bin/ssh": (1, ["www.example (address)"])})
        self.assertEqual({row["exe"] for row in self.answer("who", "*.example")}, set(rows))
        self.assertEqual({row["exe"] for row in self.answer("who", "cdn.test")},
                         {"/usr/bin/curl", "/usr/bin/wget", "/usr/bin/ssh"})
        self.assertEqual(harness.one(self, self.answer("who", "192.0.2.81"))["names"], None)
        self.assertIn("www.example (address)", self.table("who", "www.example"))

    def test_flows_of_a_name_say_how_it_is_known(self):
        self.shared().close()
        rows = self.answer("flows", "--host", "www.example")
        self.assertEqual(
            [(row["exe"][9:], row["remote_name"], row["name_source"], row["address_name"])
             for row in rows],
            [("ssh", None, None, "www.example"), ("wget", "other.test", "dns-other", "www.example"),
             ("curl", "www.example", "dns", None), ("curl", "www.example", "sni", None)])
        table = self.table("flows")
        for text in ("www.example (sni)", "other.test (http)"):
            self.assertIn(text, table)
        self.assertIn("www.example (address)", self.table("flows", "--host", "www.example"))

    def test_an_address_that_the_resolver_gives_is_searched_at_any_time(self):
        name = "0xc0000250"                         # what inet_aton(3) takes for SHARED
        try:
            self.assertEqual(socket.gethostbyname(name), SHARED)
        except OSError:
            self.skipTest("this resolver takes no such addresses")
        history = self.shared()
        history.evidence(name, SHARED, T0 + HOUR, process=self.curl)
        history.close()
        for question in (("who", name), ("top", "--host", name), ("flows", "--host", name)):
            found = [sum(row.get("flows", 1) for row in self.answer(*question, *more))
                     for more in ((), ("--resolve",))]
            self.assertEqual(found, [2, 8], question)

    def test_top_sums_a_host_however_its_name_is_known(self):
        self.shared().close()
        rows = {row["what"]: row["flows"] for row in self.answer("top", "--by", "host")}
        self.assertEqual(rows, {f"{SHARED} www.example": 2, f"{SHARED} other.test": 3,
                                SHARED: 3, "192.0.2.81": 1})
        rows = {row["what"]: (row["flows"], row["hosts"]) for row in self.answer("top")}
        self.assertEqual(rows, {"/usr/bin/curl": (2, 1), "/usr/bin/wget": (3, 1),
                                "/usr/bin/ssh": (4, 2)})
        rows = {row["what"]: row["flows"] for row in self.answer("top", "--host", "www.example")}
        self.assertEqual(rows, {"/usr/bin/curl": 2, "/usr/bin/wget": 1, "/usr/bin/ssh": 1})

    def test_a_name_for_the_loopback_finds_nobody_else(self):
        history = self.history()
        curl = history.process(200, "/usr/bin/curl")
        redis = history.process(300, "/usr/bin/redis-cli")
        for address in ("127.0.0.1", "::1"):
            history.evidence("hostile.test", address, T0 + HOUR, process=curl, ttl=86400)
            history.flow(curl, address, T0 + HOUR, T0 + HOUR + 5, name="hostile.test")
            history.flow(redis, address, T0 + HOUR, T0 + HOUR + 5)
        history.close()
        row = harness.one(self, self.answer("who", "hostile.test"))
        self.assertEqual((row["exe"], row["flows"]), ("/usr/bin/curl", 2))
        self.assertEqual(len(self.answer("flows", "--host", "hostile.test")), 2)

    def test_what_a_process_got_from_its_c_library_finds_nobody_else(self):
        history = self.history()
        curl = history.process(200, "/usr/bin/curl")
        wget = history.process(300, "/usr/bin/wget")
        history.evidence("own.test", SHARED, T0 + HOUR, source="getaddrinfo", process=curl, ttl=0)
        history.flow(curl, SHARED, T0 + HOUR, T0 + HOUR + 5, name="own.test",
                     name_source="getaddrinfo")
        history.flow(wget, SHARED, T0 + HOUR, T0 + HOUR + 5)
        history.close()
        row = harness.one(self, self.answer("who", "own.test"))
        self.assertEqual((row["exe"], row["flows"], row["names"]),
                         ("/usr/bin/curl", 1, ["own.test (getaddrinfo)"]))
        for report in ("flows", "top"):
            self.assertEqual(len(self.answer(report, "--host", "own.test")), 1, report)
        row = harness.one(self, self.answer("names", "own.test"))
        self.assertEqual((row["source"], row["ttl_s"], row["program"]),
                         ("getaddrinfo", None, "/usr/bin/curl"))

    def test_open_flows_and_those_not_counted_yet_are_found(self):
        history = self.shared(settled=(0, 0, 0))
        history.open_flow(self.ssh, SHARED, T0 + HOUR, T0 + DAY, name=None)
        history.open_flow(self.ssh, SHARED, T0 + 5 * HOUR, T0 + DAY, name=None)
        history.close()
        rows = {row["exe"]: row for row in self.answer("who", "www.example")}
        self.assertEqual({exe[9:]: (row["flows"], row["open"]) for exe, row in rows.items()},
                         {"curl": (2, 0), "wget": (1, 0), "ssh": (2, 1)})
        self.assertEqual(len(self.answer("flows", "--host", "www.example")), 5)

    def test_names_of_strangers_are_escaped_in_every_format(self):
        history = self.history()
        curl = history.process(200, "/usr/bin/curl")
        history.evidence(EVIL, SHARED, T0, process=curl, alpn="h\n2", owner="a,\"b\x1b")
        history.flow(curl, SHARED, T0, T0 + 5, name=EVIL)
        history.close()
        for arguments in (("names", SHARED), ("who", SHARED), ("flows",), ("top", "--by", "host")):
            table = self.table(*arguments)
            self.assertNotIn("\u202e", table, arguments)
            self.assertNotIn("\x1b", table, arguments)
            self.assertIn("\\u{202e}", table, arguments)
        row = harness.one(self, self.answer("names", SHARED))
        self.assertEqual((row["name"], row["alpn"], row["owner_name"]),
                         (EVIL, ["h\n2"], "a,\"b\x1b"))
        text = self.table("--format", "csv", "names", SHARED)
        self.assertEqual(len(list(csv.reader(io.StringIO(text)))), 2)
        self.assertNotIn("\x1b", text)

    def test_the_view_of_names_is_plain_sql(self):
        self.shared().close()
        rows = self.answer("sql", "SELECT name, ip, name_source, owner_name, exe, times FROM names"
                           " WHERE ip IS NOT NULL ORDER BY first_us, name LIMIT 2")
        self.assertEqual(
            [tuple(row.values()) for row in rows],
            [("other.test", SHARED, "dns", None, "/usr/bin/wget", 1),
             ("sub.www.example", "2001:db8::80", "dns", None, None, 1)])

    def test_the_roll_ups_agree_with_the_flows_about_a_name(self):
        """Random histories: who and top by name against the rule applied to each flow."""
        for seed in range(6):
            self.judge_random(seed)

    def judge_random(self, seed):
        rng = random.Random(seed)
        history = self.history(f"random{seed}.db", settled=(0, 0, 0) if seed % 2 else None)
        process = history.process(9, "/bin/p")
        windows, flows = [], []
        for _ in range(5):
            first = T0 + rng.randrange(3 * DAY)
            last = first + rng.choice((0, HOUR, DAY))
            history.evidence("a.test", "192.0.2.1", first, last, ttl=600, process=process)
            windows.append((first - SECOND, last + 660 * SECOND))
        for _ in range(200):
            start = T0 + rng.randrange(3 * DAY)
            name, source = rng.choice(((None, ""), ("a.test", "dns"), ("b.test", "dns-other"),
                                       ("b.test", "dns"), ("b.test", "sni")))
            end = start + rng.choice((5, HOUR, DAY))
            history.flow(process, "192.0.2.1", start, end, name=name, name_source=source)
            flows.append((start, end, name, source))
        history.close()
        for _ in range(8):
            since = T0 + rng.randrange(4 * DAY)
            arguments = rng.choice(((), ("--since", at(since)), ("--until", at(since))))
            right = sum(
                1 for start, end, name, source in flows
                if (name == "a.test" or (source not in ("sni", "dns") and any(
                    first <= start <= last for first, last in windows)))
                and (arguments[:1] != ("--since",) or end >= since)
                and (arguments[:1] != ("--until",) or start < since))
            database = self.path(f"random{seed}.db")
            for question in (("who", "a.test"), ("top", "--host", "a.test"),
                             ("flows", "--limit", "0", "--host", "a.test")):
                status = 0 if right else 1
                rows = self.answer(*question, *arguments, status=status, database=database)
                found = len(rows) if question[0] == "flows" else sum(row["flows"] for row in rows)
                self.assertEqual(found, right, (seed, question, arguments))

    def test_a_name_that_many_hosts_had_is_found_in_time(self):
        history = self.history()
        process = history.process(9, "/bin/p")
        for number in range(4000):
            address = f"10.0.{number // 250}.{number % 250}"
            history.evidence(f"h{number}.test", address, T0, process=process)
            history.flow(process, address, T0 + 5, T0 + 9, name=None)
        history.close()
        try:
            row = harness.one(self, self.answer("who", "*.test"))
        except subprocess.TimeoutExpired:
            self.fail("it takes for ever")
        self.assertEqual((row["flows"], row["hosts"]), (4000, 4000))
        self.assertEqual(row["names"][-1], "3992 more")


if __name__ == "__main__":
    harness.main()
