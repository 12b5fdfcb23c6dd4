#!/usr/bin/env python3
"""lastconn against histories of known content: every command, format, filter, bad value and exit
status. The answers that come from the roll-ups are compared with what the rows of flows say."""
import csv
import io
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import threading
import time

import harness
from query_case import LASTCONN, T0, QueryCase, at, iso
from query_history import DAY, FAILED, HOUR, SECOND, History, service_port

EVIL = "/tmp/a\nb\x1b[31m\u202etxt\u0085,\"q\"/evil"


class Query(QueryCase):
    def small(self):
        """curl and sshd, two days."""
        history = self.history()
        init = history.process(1, "/usr/lib/systemd/systemd", uid=0)
        bash = history.process(100, "/usr/bin/bash", init, uid=1000, start_us=T0,
                               cmdline="-bash", parent_exe="/usr/lib/systemd/systemd", ppid=1)
        curl = history.process(200, "/usr/bin/curl", bash, uid=0, start_us=T0 + HOUR,
                               cmdline="curl http://example.com/", ppid=100, loginuid=0,
                               parent_exe="/usr/bin/bash", unit="ssh.service")
        sshd = history.process(300, "/usr/sbin/sshd", init, uid=0, start_us=T0,
                               container="abcdef0123456789", ppid=1)
        history.flow(curl, "192.0.2.1", T0 + HOUR, T0 + HOUR + SECOND, name="www.example.com")
        history.flow(curl, "192.0.2.1", T0 + 2 * HOUR, T0 + 2 * HOUR + 5, outcome="refused",
                     remote_port=80, octets=(0, 0))
        history.flow(curl, "192.0.2.9", T0 + DAY, T0 + DAY + 2 * SECOND, protocol="udp",
                     remote_port=53, local_port=5353, octets=(40, 80))
        history.flow(sshd, "2001:db8::7", T0 + 5 * HOUR, T0 + DAY + 5 * HOUR, direction="in",
                     remote_port=50000, local_port=22, octets=(10**6, 5000), local="2001:db8::1")
        history.flow(None, "203.0.113.5", T0 + DAY, T0 + DAY + 1, method="unknown",
                     direction="unknown", remote_port=7, local_port=50001)
        history.open_flow(sshd, "192.0.2.1", T0 + DAY + HOUR, T0 + DAY + 6 * HOUR,
                          direction="in", remote_port=50002, local_port=22, method="inherited")
        history.listener(sshd, "0.0.0.0", 22, T0 + HOUR)
        history.listener(curl, "::", 8080, T0 + HOUR, T0 + 2 * HOUR)
        return history.close()

    # -- who

    def test_who_says_which_programs_talked_to_an_address(self):
        self.small()
        rows = self.answer("who", "192.0.2.1")
        self.assertEqual([row["exe"] for row in rows], ["/usr/sbin/sshd", "/usr/bin/curl"])
        curl = rows[1]
        self.assertEqual(curl["users"], ["root"])
        self.assertEqual((curl["flows"], curl["failed"], curl["open"]), (2, 1, 0))
        self.assertEqual((curl["octets_out"], curl["octets_in"]), (100, 2000))
        self.assertEqual(curl["first_time"], iso(T0 + HOUR))
        self.assertEqual(curl["last_time"], iso(T0 + 2 * HOUR + 5))
        self.assertEqual(sorted(curl["services"]), ["out tcp/443", "out tcp/80"])
        self.assertEqual((curl["hosts"], curl["parents"], curl["known"]),
                         (1, ["/usr/bin/bash"], ["exact"]))
        self.assertEqual(curl["units"], ["ssh.service"])
        self.assertEqual((rows[0]["open"], rows[0]["known"], rows[0]["services"]),
                         (1, ["inherited"], ["in tcp/22"]))

    def test_who_takes_networks_names_and_suffixes(self):
        self.small()
        for host, programs in {
                "192.0.2.0/24": {"/usr/sbin/sshd", "/usr/bin/curl"},
                "192.0.2.8/29": {"/usr/bin/curl"},
                "2001:db8::/32": {"/usr/sbin/sshd"}, "[2001:DB8::7]": {"/usr/sbin/sshd"},
                "::/0": {"/usr/sbin/sshd"}, "::ffff:192.0.2.9": {"/usr/bin/curl"},
                "0.0.0.0/0": {"/usr/sbin/sshd", "/usr/bin/curl", None},
                "www.Example.com.": {"/usr/bin/curl"}, "*.example.com": {"/usr/bin/curl"},
                "*.com": {"/usr/bin/curl"}}.items():
            self.assertEqual({row["exe"] for row in self.answer("who", host)}, programs, host)
            self.assertEqual({row["exe"] for row in self.answer("flows", "--host", host)},
                             programs, host)
        for host in ("*.www.example.com", "example.com", "*.xample.com", "192.0.2.2", "10.0.0.0/8"):
            self.assertEqual(self.answer("who", host, status=1), [], host)

    def test_who_asks_the_resolver_only_when_told(self):
        try:
            socket.getaddrinfo("localhost", None)
        except OSError:
            self.skipTest("this machine does not know localhost")
        history = self.history()
        curl = history.process(9, "/usr/bin/curl")
        history.flow(curl, "127.0.0.1", T0, T0 + SECOND)
        history.close()
        done = self.run_lastconn("who", "localhost")
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.assertIn(b"nothing found", done.stderr)
        self.assertIn(b"--resolve", done.stderr)
        self.assertEqual(self.answer("who", "localhost", "--resolve")[0]["exe"], "/usr/bin/curl")
        self.refused("who", "no-such-name.invalid", "--resolve", words=("resolver",))

    def test_who_counts_one_program_once_however_often_it_was_replaced(self):
        history = self.history()
        for flags in (0, 1):
            process = history.process(10 + flags, "/usr/bin/x", exe_flags=flags,
                                      start_us=T0 + flags)
            history.flow(process, "192.0.2.1", T0, T0 + SECOND)
        history.close()
        self.assertEqual(harness.one(self, self.answer("who", "192.0.2.1"))["flows"], 2)
        self.assertEqual(harness.one(self, self.answer("top"))["flows"], 2)

    def test_long_lists_of_services_are_cut_and_say_so(self):
        history = self.history()
        scanner = history.process(10, "/usr/bin/nmap")
        for port in range(1, 101):
            history.flow(scanner, "192.0.2.1", T0, T0 + port, remote_port=port)
        history.close()
        services = harness.one(self, self.answer("who", "192.0.2.1"))["services"]
        self.assertEqual((len(services), services[-1]), (9, "92 more"))

    # -- the other reports

    def test_flows_are_newest_first_with_the_open_ones(self):
        self.small()
        rows = self.answer("flows")
        ends = [row["end_time"] for row in rows]
        self.assertEqual((len(rows), ends), (6, sorted(ends, reverse=True)))
        self.assertEqual((rows[0]["outcome"], rows[0]["flow_id"]), ("open", None))
        self.assertEqual(rows[1]["flow_id"], T0 + DAY + 5 * HOUR)
        self.assertEqual(rows[1]["start_time"], iso(T0 + 5 * HOUR))
        oldest = rows[-1]
        self.assertEqual(
            {key: oldest[key] for key in (
                "protocol", "direction", "remote_ip", "remote_port", "remote_name", "local_ip",
                "local_port", "octets_out", "outcome", "pid", "user", "uid", "login_user", "exe",
                "cmdline", "parent_exe", "unit", "method", "duration_us")},
            {"protocol": "tcp", "direction": "out", "remote_ip": "192.0.2.1", "remote_port": 443,
             "remote_name": "www.example.com", "local_ip": "192.0.2.10", "local_port": 40000,
             "octets_out": 100, "outcome": "closed", "pid": 200, "user": "root", "uid": 0,
             "login_user": "root", "exe": "/usr/bin/curl", "cmdline": "curl http://example.com/",
             "parent_exe": "/usr/bin/bash", "unit": "ssh.service", "method": "exact",
             "duration_us": SECOND})

    def test_filters_choose_flows(self):
        self.small()
        for arguments, count in {
                ("--exe", "curl"): 3, ("--exe", "/usr/bin/curl"): 3, ("--exe", "/usr/bin/*"): 3,
                ("--exe", "c?rl"): 3, ("--exe", "*sshd"): 2, ("--pid", "200"): 3,
                ("--user", "root"): 5, ("--user", "0"): 5, ("--unit", "ssh"): 3,
                ("--unit", "ssh.service"): 3, ("--unit", "s*"): 3, ("--container", "abcdef"): 2,
                ("--host", "192.0.2.1"): 3, ("--port", "22"): 2, ("--port", "5353"): 1,
                ("--proto", "udp"): 1, ("--proto", "17"): 1, ("--in",): 2, ("--out",): 3,
                ("--in", "--host", "192.0.2.1"): 1, ("--exe", "curl", "--proto", "udp"): 1,
                ("--limit", "2"): 2, ("--limit", "0"): 6,
                ("--since", at(T0 + DAY + 5 * HOUR)): 2, ("--since", at(T0 + DAY + 1)): 4,
                ("--until", at(T0 + 2 * HOUR)): 1, ("--until", at(T0 + 5 * HOUR + 1)): 3,
                ("--since", at(T0 + 3 * HOUR), "--until", at(T0 + 6 * HOUR)): 1,
                ("--last", "2025-11-20"): 4, ("--since", "2025-11-20"): 4}.items():
            rows = self.answer("flows", *arguments)
            self.assertEqual(len(rows), count, arguments)
        for arguments in (("--exe", "cur"), ("--exe", "/bin/curl"), ("--pid", "1"),
                          ("--unit", "cron"), ("--container", "bcd"), ("--port", "8443"),
                          ("--user", "4294967294"), ("--proto", "sctp"), ("--last", "1s"),
                          ("--until", at(T0 + HOUR))):
            self.assertEqual(self.answer("flows", *arguments, status=1), [], arguments)

    def test_more_rows_than_the_limit_are_told(self):
        self.small()
        done = self.run_lastconn("flows", "--limit", "5")
        self.assertIn(b"more than these 5 rows", done.stderr)
        self.assertEqual(self.run_lastconn("flows", "--limit", "6").stderr, b"")
        done = self.run_lastconn("flows", "--limit", "1")
        self.assertIn(b"more than this one row;", done.stderr)

    def test_top_sums_by_what_is_asked_for(self):
        self.small()
        for by, first, flows in (("exe", "/usr/sbin/sshd", 2), ("host", "2001:db8::7", 1),
                                 ("user", "root", 5), ("unit", "abcdef0123456789", 2),
                                 ("port", "in tcp/22", 2), ("parent", None, 3)):
            rows = self.answer("top", "--by", by)
            self.assertEqual((rows[0]["what"], rows[0]["flows"]), (first, flows), by)
            self.assertEqual(sum(row["flows"] for row in rows), 6, by)
            sums = [row["octets_out"] + row["octets_in"] for row in rows]
            self.assertEqual(sums, sorted(sums, reverse=True), by)

    def test_ps_tells_a_process_and_its_ancestors(self):
        self.small()
        curl = harness.one(self, self.answer("ps", "200"))
        self.assertEqual((curl["exe"], curl["cmdline"], curl["user"], curl["start_time"]),
                         ("/usr/bin/curl", "curl http://example.com/", "root", iso(T0 + HOUR)))
        self.assertEqual(curl["ancestors"], ["100 /usr/bin/bash: -bash",
                                             "1 /usr/lib/systemd/systemd: /usr/lib/systemd/systemd"])
        self.assertEqual((curl["flows"], curl["failed"], curl["octets_in"]), (3, 1, 2080))
        self.assertEqual(sorted(curl["reached"]),
                         ["out tcp/443 192.0.2.1 (www.example.com)",
                          "out tcp/80 192.0.2.1, 1 failed", "out udp/53 192.0.2.9"])
        self.assertEqual(curl["listened"], ["tcp [::]:8080"])
        sshd = harness.one(self, self.answer("ps", "sshd"))
        self.assertEqual((sshd["pid"], sshd["flows"], sshd["listened"]),
                         (300, 2, ["tcp 0.0.0.0:22"]))
        text = self.table("ps", "200")
        self.assertIn("started by  100 /usr/bin/bash: -bash\n            1 /usr/lib/", text)
        self.assertEqual([row["pid"] for row in self.answer("ps", "*", "--limit", "1")], [200])
        self.assertEqual({row["pid"] for row in self.answer("ps", "*", "--since", at(T0 + DAY))},
                         {200, 300})
        self.assertEqual(self.answer("ps", "4711", status=1), [])

    def test_a_reused_pid_is_two_processes(self):
        history = self.history()
        for number, exe in enumerate(("/bin/first", "/bin/second")):
            process = history.process(77, exe, start_us=T0 + number * HOUR)
            history.flow(process, f"192.0.2.{number}", T0 + number * HOUR, T0 + number * HOUR + 9)
        history.close()
        rows = self.answer("ps", "77")
        self.assertEqual([(row["exe"], row["flows"], row["reached"]) for row in rows],
                         [("/bin/second", 1, ["out tcp/443 192.0.2.1"]),
                          ("/bin/first", 1, ["out tcp/443 192.0.2.0"])])

    def test_ps_counts_what_was_alive_in_the_window(self):
        history = self.history()
        for number in (1, 2):
            process = history.process(number, f"/bin/p{number}", start_us=T0)
            history.flow(process, "192.0.2.1", T0 + HOUR, T0 + number * 2 * HOUR)
            history.flow(process, "192.0.2.2", T0 + 9 * HOUR, T0 + 10 * HOUR)
            history.open_flow(process, "192.0.2.3", T0 + 9 * HOUR, T0 + 10 * HOUR)
        history.close()

        def counted(*arguments):
            return [(row["pid"], row["flows"], row["last_time"][11:16])
                    for row in self.answer("ps", "*", *arguments)]
        first, second, last = "02:00", "04:00", "10:00"
        until = ("--until", at(T0 + 9 * HOUR))
        self.assertEqual(counted(), [(2, 3, last), (1, 3, last)])
        self.assertEqual(counted(*until), [(2, 1, second), (1, 1, first)])
        self.assertEqual(counted("--since", at(T0 + 3 * HOUR)), [(2, 3, last), (1, 2, last)])
        self.assertEqual(counted("--since", at(T0 + 3 * HOUR), *until), [(2, 1, second)])
        self.assertEqual(counted("--until", at(T0 + 9 * HOUR + 1)), [(2, 3, last), (1, 3, last)])

    def test_ps_and_who_agree_on_the_service_of_flows_of_which_nobody_knows_who_began(self):
        history = self.history()
        process = history.process(7, "/bin/p")
        for number, ports in enumerate(((5000, 22), (22, 5000), (0, 22), (443, 0), (0, 0))):
            ways = {"direction": "unknown", "remote_port": ports[0], "local_port": ports[1]}
            history.flow(process, "192.0.2.1", T0, T0 + number, **ways)
            history.open_flow(process, "192.0.2.1", T0, T0 + number, **ways)
        history.close()
        self.assertEqual(self.answer("who", "192.0.2.1")[0]["services"],
                         ["unknown tcp/22", "unknown tcp", "unknown tcp/443"])
        self.assertEqual(sorted(self.answer("ps", "7")[0]["reached"]),
                         ["unknown tcp 192.0.2.1 x2", "unknown tcp/22 192.0.2.1 x6",
                          "unknown tcp/443 192.0.2.1 x2"])

    def test_at_tells_the_coverage_of_its_moment(self):
        history = self.history()
        process = history.process(5, "/bin/a")
        history.flow(process, "192.0.2.1", T0, T0 + HOUR)
        history.db.execute("UPDATE run SET start_us = ?, heartbeat_us = ?, end_us = ?",
                           (T0, T0 + DAY, T0 + DAY))
        history.insert("coverage_interval", run=history.run, source="ebpf", what="down",
                       from_us=T0 + 2 * HOUR, until_us=T0 + 3 * HOUR, count=0, detail="")
        history.insert("retention", what="flow", pruned=1, since_us=T0 + 2 * HOUR,
                       whole_us=T0 + 2 * HOUR, at_us=T0 + DAY)
        history.close()
        for moment, words in ((T0 + 4 * HOUR, "complete"), (T0 + 3 * HOUR - SECOND, "down"),
                              (T0 + 90 * 60 * SECOND, "were forgotten")):
            done = self.run_lastconn("at", at(moment), "--utc")
            self.assertIn(b"nothing found", done.stderr)
            self.assertIn(words, done.stderr.decode(), moment)
            self.assertEqual(b"that is evidence" in done.stderr, words == "complete", moment)
        self.assertIn("coverage:", self.table("at", at(T0 + 60 * SECOND)))

    def test_at_shows_sockets_of_a_moment(self):
        self.small()
        def states(*arguments, status=0):
            return [(row["state"], row["local_port"], row["exe"])
                    for row in self.answer("at", *arguments, status=status)]
        listening = ("listen", 22, "/usr/sbin/sshd")
        self.assertEqual(states(at(T0 + HOUR)),
                         [listening, ("listen", 8080, "/usr/bin/curl"),
                          ("closed", 40000, "/usr/bin/curl")])
        self.assertEqual(states(at(T0 + 6 * HOUR)), [listening, ("closed", 22, "/usr/sbin/sshd")])
        self.assertEqual(states("2025-11-20 02:00"),
                         [listening, ("closed", 22, "/usr/sbin/sshd"),
                          ("open", 22, "/usr/sbin/sshd")])
        self.assertEqual(states("2025-11-20T03:00:00+01:00", "--in"),
                         [("closed", 22, "/usr/sbin/sshd"), ("open", 22, "/usr/sbin/sshd")])
        self.assertEqual(states(at(T0 + DAY + 9 * HOUR), "--pid", "300"),
                         [listening, ("open", 22, "/usr/sbin/sshd")])
        self.assertEqual(states(at(T0 + DAY + 2 * HOUR), "--host", "192.0.2.1"),
                         [("open", 22, "/usr/sbin/sshd")])
        self.assertEqual(states(at(T0), status=1), [])

    def test_listen_tells_who_waited_where_and_who_came(self):
        history = self.history()
        sshd = history.process(300, "/usr/sbin/sshd", start_us=T0)
        again = history.process(301, "/usr/sbin/sshd", start_us=T0 + 5 * HOUR)
        child = history.process(302, "/usr/lib/openssh/sshd-session", start_us=T0)
        named = history.process(400, "/usr/sbin/named", uid=53, container="abcdef0123456789")
        history.listener(sshd, "0.0.0.0", 22, T0, T0 + 2 * HOUR)
        history.listener(again, "0.0.0.0", 22, T0 + 5 * HOUR)
        history.listener(sshd, "::", 22, T0, T0 + 2 * HOUR)
        history.listener(named, "127.0.0.1", 53, T0 + HOUR, T0 + 3 * HOUR, protocol="udp")
        history.listener(named, "127.0.0.1", 53, T0 + HOUR, T0 + 3 * HOUR)
        ways = {"direction": "in", "remote_port": 50000}
        history.flow(child, "192.0.2.1", T0 + HOUR, T0 + HOUR + 5, local_port=22, **ways)
        history.flow(child, "192.0.2.1", T0 + 6 * HOUR, T0 + DAY, local_port=22, **ways)
        history.flow(child, "192.0.2.2", T0 - HOUR, T0 - 5, local_port=22, **ways)  # before
        history.flow(child, "192.0.2.3", T0 + HOUR, T0 + HOUR, local_port=2222, **ways)
        history.flow(child, "192.0.2.4", T0 + HOUR, T0 + HOUR, local_port=22, remote_port=22)
        asked = history.flow(named, "127.0.0.1", T0 + HOUR, T0 + HOUR, local_port=53,
                             protocol="udp", local="127.0.0.1", **ways)
        history.flow(named, "192.0.2.9", T0 + HOUR, T0 + HOUR, local_port=53, protocol="udp",
                     **ways)  # to another address
        history.open_flow(child, "2001:db8::7", T0 + HOUR, T0 + DAY, local_port=22,
                          local="2001:db8::1", **ways)
        self.db = history.close()
        columns = ("protocol", "local_ip", "local_port", "from_time", "until_time", "times",
                   "flows", "hosts", "last_time", "pid", "exe")
        expected = [
            ("tcp", "0.0.0.0", 22, iso(T0), None, 2, 2, 1, iso(T0 + DAY), 301, "/usr/sbin/sshd"),
            ("tcp", "127.0.0.1", 53, iso(T0 + HOUR), iso(T0 + 3 * HOUR), 1, 0, 0, None, 400,
             "/usr/sbin/named"),
            ("udp", "127.0.0.1", 53, iso(T0 + HOUR), iso(T0 + 3 * HOUR), 1, 1, 1, iso(asked), 400,
             "/usr/sbin/named"),
            ("tcp", "::", 22, iso(T0), iso(T0 + 2 * HOUR), 1, 2, 2, iso(T0 + DAY), 300,
             "/usr/sbin/sshd")]

        def listen(*arguments, **more):
            return [tuple(row[column] for column in columns)
                    for row in self.answer("listen", *arguments, **more)]
        self.assertEqual(sorted(listen()), sorted(expected))
        self.assertEqual(listen()[0], expected[0])
        for arguments, chosen in {
                ("--port", "53"): expected[1:3], ("--proto", "udp"): expected[2:3],
                ("--exe", "named"): expected[1:3], ("--pid", "301"): None,
                ("--container", "abc"): expected[1:3], ("--user", "53"): expected[1:3],
                ("--since", at(T0 + 4 * HOUR)): None,
                ("--until", at(T0 + HOUR)): [None, expected[3]]}.items():
            found = listen(*arguments)
            if chosen is None:  # the later of sshd's two only
                self.assertEqual([(row[3], row[5], row[6]) for row in found],
                                 [(iso(T0 + 5 * HOUR), 1, 1)], arguments)
            elif chosen[0] is None:
                self.assertEqual([row[1] for row in found], ["0.0.0.0", "::"], arguments)
            else:
                self.assertEqual(sorted(found), sorted(chosen), arguments)
        self.assertEqual(listen("--port", "1", status=1), [])
        self.assertIn("abcdef012345:/usr/sbin/named", self.table("listen"))

    def test_listen_shows_the_first_ones_when_there_are_more_than_the_limit(self):
        history = self.history()
        old = history.process(1, "/bin/old", start_us=T0)
        for number, port in enumerate((22, 25)):
            history.listener(old, "0.0.0.0", port, T0 + number)
        for number in range(5):
            process = history.process(10 + number, "/bin/brief", start_us=T0 + number * HOUR)
            for port in (5000, 5000 + number):
                history.listener(process, "0.0.0.0", port, T0 + number * HOUR,
                                 T0 + number * HOUR + SECOND)
        history.close()

        def listen(*arguments):
            return [(row["local_port"], row["times"], row["pid"])
                    for row in self.answer("listen", *arguments)]
        ports = [(25, 1, 1), (22, 1, 1), (5004, 1, 14), (5003, 1, 13), (5002, 1, 12), (5001, 1, 11),
                 (5000, 6, 14)]
        self.assertEqual(listen(), ports)
        for limit in range(1, 8):
            self.assertEqual(listen("--limit", str(limit)), ports[:limit])

    def test_stats_counts_what_is_there(self):
        path = self.small()
        stats = harness.one(self, self.answer("stats"))
        self.assertEqual((stats["flows"], stats["failed"], stats["open_flows"], stats["listeners"]),
                         (5, 1, 1, 2))
        self.assertEqual((stats["processes"], stats["remotes"], stats["host"]), (4, 4, "box"))
        self.assertEqual(stats["file"], path)
        self.assertGreaterEqual(stats["file_octets"], os.path.getsize(path))
        self.assertEqual(stats["days"], ["2025-11-20: 3", "2025-11-19: 2"])
        self.assertEqual(stats["last_time"], iso(T0 + DAY + 5 * HOUR))
        self.assertEqual(stats["forgotten"], [])
        history = sqlite3.connect(path)
        with history:
            history.executemany("INSERT INTO retention VALUES (?, ?, 0, 0, 0)",
                                [("flow", 12), ("sweep", 12), ("next", 0), ("process", 3)])
        history.close()
        self.assertEqual(harness.one(self, self.answer("stats"))["forgotten"],
                         ["flow: 12", "process: 3"])

    def test_an_empty_history_has_nothing(self):
        self.history().close()
        for arguments in (("who", "192.0.2.1"), ("flows",), ("top",), ("ps", "1"), ("at", "now")):
            done = self.run_lastconn(*arguments)
            self.assertEqual((done.returncode, done.stdout), (1, b""), arguments)
            self.assertTrue(done.stderr.startswith(b"lastconn: nothing found"), arguments)
            self.assertEqual(done.stderr.count(b"\n"), 1, arguments)
        self.assertEqual(harness.one(self, self.answer("stats"))["flows"], 0)

    # -- the roll-up against the flows

    def crowd(self, seed, settled=None, **more):
        """A few hundred flows of all kinds over five days, some of them days long."""
        rng = random.Random(seed)
        history = self.history("crowd.db", settled=settled, **more)
        flows, remotes = [], [f"192.0.2.{n}" for n in range(6)] + ["2001:db8::1", "10.1.2.3"]
        processes = [(None, None, None)]
        for number in range(8):
            exe, uid = f"/bin/p{number % 5}", rng.choice((0, 1, 1000))
            parent = rng.choice(("/bin/sh", "/bin/init"))
            processes.append((history.process(50 + number, exe, uid=uid, parent_exe=parent,
                                              start_us=T0 + number), exe, 50 + number))
        for _ in range(600):
            process, exe, pid = rng.choice(processes)
            end = T0 + rng.randrange(5 * DAY)
            if rng.random() < 0.1:
                end = max(end // HOUR * HOUR + rng.choice((-1, 0, 1)), T0 + SECOND)
            duration = rng.choice((0, 5, SECOND, HOUR, 30 * HOUR))
            flow = {
                "remote": rng.choice(remotes), "direction": rng.choice(("in", "out", "unknown")),
                "protocol": rng.choice(("tcp", "udp")), "start_us": end - duration,
                "outcome": rng.choice(("closed", "reset", *FAILED)),
                "remote_port": rng.choice((0, 22, 443)), "local_port": rng.choice((0, 22, 5000)),
                "octets": (rng.randrange(1000), rng.randrange(1000))}
            if rng.random() < 0.1:
                del flow["outcome"]
                flow["seen_us"] = end
                history.open_flow(process, **flow)
            else:
                end = history.flow(process, end_us=end, **flow)
            flows.append({**flow, "end_us": end, "exe": exe, "pid": pid,
                          "open": "seen_us" in flow, "failed": flow.get("outcome") in FAILED})
        if settled:
            history.commit()
        history.close()
        return flows, rng

    @staticmethod
    def random_question(rng):
        """Options, and the flows that they mean."""
        arguments, tests = [], []
        if rng.random() < 0.6:
            since = T0 + rng.choice((rng.randrange(5 * DAY), DAY * rng.randrange(6)))
            arguments += ["--since", at(since)]
            tests.append(lambda flow: flow["end_us"] >= since)
        if rng.random() < 0.6:
            until = T0 + rng.choice((rng.randrange(5 * DAY), DAY * rng.randrange(6)))
            arguments += ["--until", at(until)]
            tests.append(lambda flow: flow["start_us"] < until)
        for option, values, key in (
                ("--exe", ("p0", "p3"), lambda flow: (flow["exe"] or "")[5:]),
                ("--pid", ("50", "54"), lambda flow: str(flow["pid"])),
                ("--proto", ("tcp", "udp"), lambda flow: flow["protocol"]),
                ("--port", ("22", "443"), lambda flow: str(service_port(
                    flow["direction"], flow["remote_port"], flow["local_port"])))):
            if rng.random() < 0.25:
                value = rng.choice(values)
                arguments += [option, value]
                tests.append(lambda flow, key=key, value=value: key(flow) == value)
        if rng.random() < 0.2:
            arguments.append("--in")
            tests.append(lambda flow: flow["direction"] == "in")
        return arguments, lambda flow: all(test(flow) for test in tests)

    def sums(self, flows, key):
        """What who and top should say, by key."""
        found = {}
        for flow in flows:
            row = found.setdefault(flow[key], [0, 0, 0, 0, 0, flow["start_us"], 0, set()])
            for place, value in enumerate((1, flow["failed"], flow["open"], *flow["octets"])):
                row[place] += value
            row[5] = min(row[5], flow["start_us"])
            row[6] = max(row[6], flow["end_us"])
            row[7].add(flow["remote"])
        return {key: (*row[:5], iso(row[5]), iso(row[6]), len(row[7]))
                for key, row in found.items()}

    @staticmethod
    def said(rows, key):
        return {row[key]: (row["flows"], row["failed"], row["open"], row["octets_out"],
                           row["octets_in"], row["first_time"], row["last_time"], row["hosts"])
                for row in rows}

    def check_crowd(self, seed, rounds, **more):
        flows, rng = self.crowd(seed, **more)
        path = self.path("crowd.db")
        for _ in range(rounds):
            arguments, fits = self.random_question(rng)
            host = rng.choice(("192.0.2.1", "192.0.2.0/30", "2001:db8::1", "0.0.0.0/0"))
            hosts = {"0.0.0.0/0": lambda ip: ":" not in ip,
                     "192.0.2.0/30": lambda ip: ip.startswith("192.0.2.") and int(ip[8:]) < 4}
            meant = [flow for flow in flows if fits(flow)]
            there = [flow for flow in meant
                     if hosts.get(host, lambda ip: ip == host)(flow["remote"])]
            rows = self.answer("who", host, *arguments, status=not there, database=path)
            self.assertEqual(self.said(rows, "exe"), self.sums(there, "exe"),
                             f"who {host} {arguments}")
            for by, key in (("exe", "exe"), ("host", "remote")):
                rows = self.answer("top", "--by", by, *arguments, status=not meant, database=path,)
                self.assertEqual(self.said(rows, "what"), self.sums(meant, key),
                                 f"top --by {by} {arguments}")
            if "--port" in arguments:
                continue  # flows: of either end
            self.check_newest(arguments, meant, rng.choice((1, 3, 30)), path)
            rows = self.answer("flows", "--host", host, "--limit", "0", *arguments,
                               status=not there, database=path)
            self.assertEqual(sorted(row["end_time"] for row in rows),
                             sorted(iso(flow["end_us"]) for flow in there),
                             f"flows --host {host} {arguments}")

    def check_newest(self, arguments, meant, limit, path):
        newest = sorted((iso(flow["end_us"]) for flow in meant), reverse=True)[:limit]
        rows = self.answer("flows", "--limit", str(limit), *arguments, status=not meant, database=path)
        self.assertEqual([row["end_time"] for row in rows], newest, f"flows {arguments} {limit}")

    def test_flows_that_are_forgotten_are_not_enough(self):
        flows, rng = self.crowd(8)
        gone = [flow for flow in flows if flow["exe"] in ("/bin/p0", "/bin/p3") and not flow["open"]
                and flow["end_us"] < T0 + 4 * DAY + HOUR]
        history = sqlite3.connect(self.path("crowd.db"))
        with history:
            history.executemany("DELETE FROM flow WHERE end_us = ?",
                                [(flow["end_us"],) for flow in gone])
            history.execute("INSERT INTO retention VALUES ('flow', ?, 0, ?, ?)",
                            (len(gone), max(flow["end_us"] for flow in gone), T0 + 5 * DAY))
        history.close()
        left = [flow for flow in flows if flow not in gone]
        for _ in range(60):
            arguments, fits = self.random_question(rng)
            if "--port" not in arguments:
                self.check_newest(arguments, [flow for flow in left if fits(flow)],
                                  rng.choice((1, 3, 30)), self.path("crowd.db"))

    def test_the_newest_flows_of_a_port_are_those_of_either_end(self):
        flows, _ = self.crowd(9)
        for exe in ("p0", "p1", "p2", "p3"):
            for port in (22, 443, 5000, 7):
                for limit in (1, 3, 30):
                    self.check_newest(["--exe", exe, "--port", str(port)],
                                      [flow for flow in flows if flow["exe"] == f"/bin/{exe}"
                                       and port in (flow["remote_port"], flow["local_port"])],
                                      limit, self.path("crowd.db"))

    def test_flows_of_a_program_that_is_not_there(self):
        self.crowd(9)
        self.check_newest(["--exe", "/bin/lacking"], [], 3, self.path("crowd.db"))

    def test_the_roll_up_agrees_with_the_flows_in_any_window(self):
        self.check_crowd(1, 60)

    def test_flows_that_the_roll_up_does_not_count_yet_are_counted(self):
        self.check_crowd(2, 30, settled=(0, 0, 0))

    def test_flows_of_a_half_done_settlement_are_counted_once(self):
        self.check_crowd(4, 60, settled=(T0 + DAY + 5 * HOUR, T0 + 3 * DAY + 7 * HOUR, 5))

    def test_days_that_the_ledger_does_not_count_yet_are_found(self):
        self.check_crowd(5, 30, ledger=(T0 // DAY + 2, T0 // DAY + 2, 0))

    def test_days_that_the_ledger_counts_of_half_the_hosts_are_found(self):
        self.check_crowd(6, 30, ledger=(T0 // DAY + 1, T0 // DAY + 3, 5))

    def test_days_that_the_ledger_counts_before_they_are_over_are_found(self):
        self.check_crowd(7, 30, ledger=(T0 // DAY + 9, T0 // DAY + 9, 0),
                         settled=(T0 + DAY + 5 * HOUR, T0 + 3 * DAY + 7 * HOUR, 5))

    def test_at_agrees_with_the_flows(self):
        flows, rng = self.crowd(3)
        for _ in range(20):
            moment = T0 + rng.randrange(5 * DAY)
            meant = [flow for flow in flows if flow["start_us"] <= moment and
                     (flow["open"] or flow["end_us"] >= moment)]
            rows = self.answer("at", at(moment), database=self.path("crowd.db"))
            self.assertEqual(sorted(row["start_time"] for row in rows),
                             sorted(iso(flow["start_us"]) for flow in meant))

    def test_a_network_of_many_hosts_is_answered_too(self):
        history = self.history()
        process = history.process(5, "/bin/scan")
        for number in range(700):
            history.flow(process, f"10.0.{number // 200}.{number % 200}", T0 + number * HOUR // 50,
                         T0 + number * HOUR // 50 + 1)
        history.close()
        self.assertEqual(harness.one(self, self.answer("who", "10.0.0.0/8"))["hosts"], 700)
        self.assertEqual(len(self.answer("flows", "--host", "10.0.0.0/8", "--limit", "0")), 700)
        self.assertEqual(self.answer("top", "--host", "10.0.0.0/9")[0]["flows"], 700)

    # -- sql and report

    def test_sql_reads_and_only_reads(self):
        self.small()
        self.assertEqual(self.answer("sql", "SELECT count(*) AS n, 1.5 AS r, NULL AS x, "
                                     "x'00ff' AS b FROM flows"),
                         [{"n": 6, "r": 1.5, "x": None, "b": "00ff"}])
        self.assertEqual(self.answer("sql", "SELECT 1 WHERE 0", status=1), [])
        before = self.table("sql", "SELECT count(*) FROM flow")
        for statement in ("DELETE FROM flow", "UPDATE run SET pid = 2", "DROP TABLE flow",
                          "INSERT INTO meta VALUES ('a', 'b')", "PRAGMA user_version = 9",
                          "ATTACH '/tmp/x' AS y", "VACUUM", "SELECT 1; SELECT 2", "SELEC", "",
                          "SELECT nothing FROM flows", "SELECT load_extension('x')",
                          f"VACUUM INTO '{self.path('copy.db')}'", "BEGIN"):
            self.refused("sql", statement, words=("sql: ",))
        self.assertEqual(self.table("sql", "SELECT count(*) FROM flow"), before)
        self.assertFalse(os.path.exists(self.path("copy.db")))
        self.refused("sql")
        self.refused("sql", "SELECT", "1")
        self.refused("sql", "SELECT 1", "--pid", "1", words=("--pid",))

    def test_sql_shows_the_schema_with_its_comments(self):
        self.small()
        schema = self.table("sql", ".schema")
        for text in ("CREATE TABLE flow ", "CREATE VIEW flows AS", "-- made unique by adding"):
            self.assertIn(text, schema)
        self.assertNotIn("CREATE TABLE kind", self.table("sql", ".schema", "flow"))
        self.assertIn("CREATE TABLE kind", self.table("sql", ".schema kind"))
        self.assertEqual(self.run_lastconn("sql", ".schema nothing").returncode, 1)
        tables = self.answer("sql", ".tables")
        self.assertIn({"name": "flows", "type": "view"}, tables)
        self.assertIn({"name": "flow", "type": "table"}, tables)

    def report(self, name, text, folder="config/lastconn/queries"):
        folder = self.path(folder)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, f"{name}.sql"), "w", encoding="utf-8") as file:
            file.write(text)
        return folder

    def test_a_report_of_ones_own(self):
        self.small()
        self.report("mine", "-- Mine: what it is for.\n-- More.\n"
                    "-- param exe: program [required]\n-- param least: flows [integer default=2]\n"
                    "-- column flows \"how many\": flows [integer]\n\n"
                    "SELECT exe, count(*) AS flows FROM flows\nWHERE exe = :exe GROUP BY exe\n"
                    "HAVING count(*) >= :least\n--:never\n".replace("--:never\n", ""))
        names = {row["name"]: row["purpose"] for row in self.answer("report")}
        self.assertEqual(names["mine"], "Mine: what it is for.")
        self.assertLessEqual({"who", "flows", "top", "ps", "at", "stats", "tail"}, set(names))
        self.assertEqual(self.answer("report", "mine", "exe=/usr/bin/curl"),
                         [{"exe": "/usr/bin/curl", "flows": 3}])
        self.assertEqual(self.answer("report", "mine", "--exe", "/usr/bin/curl"),
                         [{"exe": "/usr/bin/curl", "flows": 3}])
        self.answer("report", "mine", "exe=/usr/bin/curl", "least=4", status=1)
        self.assertIn("how many", self.table("report", "mine", "exe=/usr/bin/curl"))
        for arguments, words in (
                ((), ("exe is missing", "program")), (("foo=1",), ("no parameter 'foo'",)),
                (("exe",), ("'exe' is not name=value",)), (("=1",), ("name=value",)),
                (("exe=a", "least=x"), ("least: 'x' is not a number",)),
                (("exe=a", "exe=b"), ("twice",)), (("exe=a", "--pid", "1"), ("--pid",)),
                (("exe=",), ("empty",))):
            self.refused("report", "mine", *arguments, words=words)
        self.refused("report", "nothing", words=("no report 'nothing'",))
        self.refused("report", "../mine", words=("no report",))
        for arguments in (("help", "mine"), ("report", "mine", "--help")):
            self.assertIn("Mine: what it is for.", self.table(*arguments))

    def test_values_are_bound_never_pasted(self):
        self.small()
        for value in ("x' OR 1=1 --", "'; DROP TABLE flow; --", "*/ OR /*"):
            self.assertEqual(self.answer("flows", "--exe", value, status=1), [])
            self.assertEqual(self.answer("flows", "--unit", value, status=1), [])

    def test_reports_are_overridden_folder_by_folder(self):
        self.small()
        self.report("stats", "-- Mine.\nSELECT 'user' AS whose\n")
        given = self.report("stats", "-- Given.\nSELECT 'given' AS whose\n", "given")
        self.assertEqual(self.answer("stats"), [{"whose": "user"}])
        self.assertEqual(self.answer("stats", "--queries", given), [{"whose": "given"}])
        self.assertIn(given, self.table("help", "stats", "--queries", given))

    def test_a_broken_report_is_named_with_its_line(self):
        self.small()
        for text, words in (
                ("SELECT 1\n", (":1:", "head comment")), ("", ("head comment",)),
                ("-- A.\n-- param x [text]\nSELECT 1\n", (":2:", "-- param")),
                ("-- A.\n-- param x: y [colour]\nSELECT 1\n", (":2:", "'colour'")),
                ("-- A.\n-- column x: y [colour]\nSELECT 1\n", (":2:", "'colour'")),
                ("-- A.\nSELECT 1\n--:ghost AND 2\n", (":3:", "param ghost")),
                ("-- A.\n-- param x: y\nSELECT 1\n--:x {\n", (":4:", "--}")),
                ("-- A.\nSELECT 1\n--}\n", (":3:",)),
                ("-- A.\n-- param x\x1b[31m: y\nSELECT 1\n", (":2:", "control character")),
                ("-- A.\nSELECT nothing\n", ("nothing",)),
                ("-- A.\nDELETE FROM flow\n", ("SQL",))):
            self.report("broken", text)
            self.refused("report", "broken", words=("broken", *words))
        self.report("broken", "SELECT 1\n")
        done = self.run_lastconn("report")
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"broken.sql:1:", done.stderr)
        self.assertIn(b"who", done.stdout)

    def test_headings_of_a_report_are_escaped(self):
        self.small()
        self.report("turned", "-- A.\n-- column a \"x\u202ey\": b\nSELECT 1 AS a\n")
        self.assertIn("x\\u{202e}y", self.table("report", "turned"))

    def test_lines_of_a_report_are_switched_by_parameters(self):
        self.small()
        self.report("switch", "-- Switches.\n-- param a: a\n-- param b: b\n"
                    "SELECT 'base' AS base\n--:a , :a AS a\n--!a , 'no a' AS a\n--:a,b {\n"
                    ", 'a or b' AS either\n--:b {\n, 'b' AS b\n--}\n--}\n")
        self.assertEqual(self.answer("report", "switch"), [{"base": "base", "a": "no a"}])
        self.assertEqual(self.answer("report", "switch", "a=1"),
                         [{"base": "base", "a": "1", "either": "a or b"}])
        self.assertEqual(self.answer("report", "switch", "b=1"),
                         [{"base": "base", "a": "no a", "either": "a or b", "b": "b"}])

    def test_every_built_in_report_describes_each_of_its_columns(self):
        self.small()
        for name, arguments in {"who": ["0.0.0.0/0"], "flows": [], "top": [], "ps": ["*"],
                                "at": [at(T0 + HOUR)], "listen": [], "stats": []}.items():
            row = self.answer(name, *arguments)[0]
            described = [line.split()[0] for line in
                         self.table("help", name).split("Columns:\n")[1].splitlines()
                         if line.startswith("  ")]
            self.assertEqual([column for column in described if column in row], list(row), name)
            self.assertLessEqual(set(described) - set(row), {
                "proto", "way", "remote", "local", "name", "program", "pid_inside"}, name)

    # -- tail

    def start_tail(self, *arguments, database=None):
        environment = {**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8"}
        return self.start_program(LASTCONN, "tail", "--format", "jsonl", *arguments, "--db",
                                  database or self.path("history.db"), env=environment,
                                  stderr=subprocess.PIPE)

    def test_tail_follows_what_opens_and_ends_and_what_comes_late(self):
        history = self.history()
        curl = history.process(5, "/usr/bin/curl")
        now = time.time_ns() // 1000
        history.flow(curl, "192.0.2.1", now - 3 * SECOND, now - 2 * SECOND)
        history.open_flow(curl, "192.0.2.1", now - 3 * SECOND, now)
        history.commit()
        tail = self.start_tail("--limit", "4")
        time.sleep(1.5 * harness.SLOW)  # its first look; what it sees then is not new
        now = time.time_ns() // 1000
        history.flow(curl, "192.0.2.2", now - SECOND, now)
        history.commit()
        self.assertEqual(json.loads(self.read_line(tail))["remote_ip"], "192.0.2.2")
        history.open_flow(curl, "192.0.2.3", now, now)
        history.commit()
        line = json.loads(self.read_line(tail))
        self.assertEqual((line["remote_ip"], line["outcome"]), ("192.0.2.3", "open"))
        run = history.row("run", boot=history.boot, pid=2, host="box", version="0.0", start_us=now,
                          heartbeat_us=now)
        history.db.execute("UPDATE open_flow SET run = ?", (run,))  # as a restart goes on with it
        history.open_flow(curl, "192.0.2.5", now + 1, now + 1)
        history.commit()
        self.assertEqual(json.loads(self.read_line(tail))["remote_ip"], "192.0.2.5")
        history.flow(curl, "192.0.2.4", now - 200 * SECOND, now - 100 * SECOND)
        history.commit()
        self.assertEqual(json.loads(self.read_line(tail))["remote_ip"], "192.0.2.4")
        self.finish(tail)
        history.close()

    def test_tail_waits_for_the_database_and_ends_on_a_signal(self):
        tail = self.start_tail("--exe", "curl")
        self.assertIn("waiting", self.read_line(tail, tail.stderr))
        history = self.history("new.db")
        now = time.time_ns() // 1000
        history.flow(history.process(5, "/usr/bin/curl"), "192.0.2.2", now, now + 1)
        history.flow(history.process(6, "/usr/bin/wget"), "192.0.2.3", now, now + 2)
        os.rename(history.close(), self.path("history.db"))
        self.assertEqual(json.loads(self.read_line(tail))["exe"], "/usr/bin/curl")
        tail.send_signal(signal.SIGINT)
        self.assertEqual(self.finish(tail), "")
        self.refused("tail", "extra", words=("one word too many; write: lastconn tail\n",))

    # -- formats

    def evil(self):
        history = self.history()
        process = history.process(66, EVIL, cmdline="=cmd|' /C calc'!A0\t\x7f\u200b日本", uid=4711)
        history.flow(process, "192.0.2.66", T0, T0 + 90 * SECOND, octets=(10**6, 3 * 2**40))
        history.db.execute("UPDATE process SET comm = CAST(x'ff41c0' AS TEXT) WHERE pid = 66")
        return history.close()

    def test_no_text_of_strangers_reaches_a_terminal_as_it_is(self):
        self.evil()
        for arguments in (("flows",), ("who", "192.0.2.66"), ("ps", "66"), ("top",),
                          ("at", at(T0 + SECOND)), ("flows", "--format", "csv"),
                          ("flows", "--format", "jsonl"), ("ps", "66", "--format", "csv"),
                          ("sql", "SELECT * FROM processes"),
                          ("sql", "SELECT 1 AS \"a\nb\x1b\"")):
            output = self.table(*arguments)
            lines = 2 if arguments[0] != "ps" or "csv" in arguments else 99
            lines += arguments[0] in ("flows", "who", "top", "at") and "--format" not in arguments
            self.assertLessEqual(output.count("\n"), lines, arguments)
            for bad in "\x1b\u202e\u0085\x7f\u200b\t":
                self.assertNotIn(bad, output, arguments)
        table = self.table("flows")
        self.assertIn(r"/tmp/a\x0ab\x1b[31m\u{202e}txt\u{85}", table)
        self.assertIn(r"\xffA\xc0", self.table("sql", "SELECT comm FROM processes"))
        done = self.run_lastconn("flows", "--exe", "\x1b[31m\n", "--user", "no\x1bbody")
        self.assertNotIn(b"\x1b", done.stderr)

    def test_json_gives_back_the_very_text(self):
        self.evil()
        row = harness.one(self, self.answer("flows"))
        self.assertEqual(row["exe"], EVIL)
        self.assertEqual(row["cmdline"], "=cmd|' /C calc'!A0\t\x7f\u200b日本")
        self.assertEqual(row["comm"], r"\xffA\xc0")
        self.assertEqual((row["octets_in"], row["user"], row["uid"]), (3 * 2**40, "4711", 4711))
        self.assertEqual(self.answer("who", "192.0.2.66")[0]["exe"], EVIL)
        lines = self.run_lastconn("flows", "--format", "jsonl", "--utc").stdout.decode()
        self.assertEqual([json.loads(line) for line in lines.splitlines()], [row])

    def test_csv_is_rfc_4180(self):
        self.evil()
        output = self.run_lastconn("flows", "--format", "csv", "--utc").stdout.decode()
        self.assertTrue(output.endswith("\r\n"))
        rows = list(csv.DictReader(io.StringIO(output, newline="")))
        row = harness.one(self, rows)
        self.assertEqual(row["exe"], r'/tmp/a\x0ab\x1b[31m\u{202e}txt\u{85},"q"/evil')
        self.assertEqual((row["octets_in"], row["end_time"], row["unit"]),
                         (str(3 * 2**40), iso(T0 + 90 * SECOND), ""))
        self.assertEqual(list(row), list(self.answer("flows")[0]))
        who = self.run_lastconn("who", "192.0.2.66", "--format", "csv").stdout.decode()
        self.assertIn(",4711,1,0,0,", who)

    def test_tables_are_for_people(self):
        self.evil()
        table = self.table("flows", environment={"TZ": "Asia/Tokyo"})
        self.assertIn("976.6 KiB", table)
        self.assertIn("3.0 TiB", table)
        self.assertIn("1m30s", table)
        self.assertIn("2025-11-19 09:01:30", table)
        self.assertIn("2025-11-19 00:01:30", self.table("flows", "--utc",
                                                        environment={"TZ": "Asia/Tokyo"}))
        row = self.run_lastconn("flows", "--format", "jsonl", environment={"TZ": "Asia/Tokyo"})
        self.assertIn(b'"2025-11-19T09:01:30.000000+09:00"', row.stdout)

    def on_terminal(self, columns, *arguments, **environment):
        """What lastconn prints to a terminal of that width."""
        master, slave = os.openpty()
        try:
            import fcntl
            import struct
            import termios
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            env = {"PATH": os.environ["PATH"], "TERM": "xterm", "LC_ALL": "C.UTF-8", "TZ": "UTC",
                   "HOME": self.directory, **environment}
            process = subprocess.Popen([LASTCONN, *arguments, "--db", self.path("history.db")],
                                       stdout=slave, stderr=subprocess.DEVNULL, env=env)
            os.close(slave)
            slave = -1
            output = b""
            while True:
                try:
                    part = os.read(master, 65536)
                except OSError:
                    break
                if not part:
                    break
                output += part
            self.assertEqual(process.wait(30 * harness.SLOW), 0)
            return output.decode().replace("\r\n", "\n")
        finally:
            os.close(master)
            if slave >= 0:
                os.close(slave)

    def test_a_terminal_gets_colours_and_lines_that_fit(self):
        history = self.history()
        path = "/opt/" + "very-long-folder/" * 12 + "program"
        process = history.process(7, path)
        history.flow(process, "2001:db8:1111:2222:3333:4444:5555:6666", T0, T0 + 1,
                     outcome="refused")
        history.close()
        wide = self.on_terminal(160, "flows")
        self.assertIn("\x1b[31mrefused\x1b[0m", wide)
        plain = self.on_terminal(160, "flows", NO_COLOR="1")
        self.assertNotIn("\x1b", plain)
        self.assertNotIn("\x1b", self.on_terminal(160, "flows", TERM="dumb"))
        self.assertTrue(all(len(line) <= 160 for line in plain.splitlines()), plain)
        self.assertIn("…", plain)
        self.assertIn("[2001:db8:1111:2222:3333:4444:5555:6666]:443", plain)
        self.assertIn("[2001:db8:1111:2222:3333:4444:5555:6666]:443",
                      self.on_terminal(60, "flows"))
        self.assertNotIn("…", self.on_terminal(160, "flows", NO_COLOR="1", LC_ALL="C"))
        self.assertIn(path, self.table("flows"))

    def test_wide_characters_keep_columns_aligned(self):
        history = self.history()
        for number, name in enumerate(("日本語", "abcdef", "é")):
            process = history.process(7 + number, f"/bin/{name}", start_us=T0 + number)
            history.flow(process, "192.0.2.1", T0, T0 + number)
        history.close()
        lines = self.table("sql", "SELECT exe, 'x' AS x FROM processes ORDER BY pid").splitlines()
        self.assertEqual(lines, ["exe          x", "/bin/日本語  x", "/bin/abcdef  x",
                                 "/bin/é       x"])

    # -- command line

    def test_bad_values_are_refused_with_an_example(self):
        self.small()
        for option, values in {
                "--since": ("", "x", "2025-13-01", "2025-02-30", "25:00", "2h x", "tomorrow",
                            "2025-11-20T10:00:00+99:00", "99999999999999999999"),
                "--until": ("-",), "--last": ("", "x", "2", "-2h", "now", "12:30"),
                "--pid": ("", "x", "1x", "99999999999999999999", "0x10"),
                "--port": ("", "http", "-1", "65536"), "--proto": ("", "x", "256", "-1"),
                "--user": ("", "no-such-user-here", "-1", "99999999999"),
                "--limit": ("", "x", "-1", "1.5"), "--format": ("", "xml", "JSON"),
                "--host": ("", "300.1.1.1", "10.0.0.0/33", "2001:db8::/129", "a b", "*.", "*",
                           "10.0.0", "http://x", "..", "*.*.com"),
                "--exe": ("",), "--unit": ("",)}.items():
            for value in values:
                self.refused("flows", f"{option}={value}", words=(option, value[:20]))
        self.refused("top", "--by", "colour", words=("--by", "'colour'", "exe|host"))
        self.refused("at", "sometime", words=("at: 'sometime' is not a time",))
        self.refused("who", "a/b", words=("who: 'a/b' is not a host",))

    def test_usage_errors_are_one_line(self):
        self.small()
        for arguments, words in (
                ((), ("help",)), (("nonsense",), ("'nonsense' is not a command",)),
                (("who",), ("lastconn who HOST",)), (("who", "a", "b"), ("one word too many",)),
                (("flows", "x"), ("one word too many",)), (("at",), ("lastconn at TIME",)),
                (("ps",), ("PID|PROGRAM",)), (("flows", "--nonsense"), ("--nonsense",)),
                (("flows", "-x"), ("-x",)), (("flows", "--pid"), ("--pid", "value")),
                (("flows", "--in", "--out"), ("exclude",)),
                (("flows", "--pid", "1", "--pid", "2"), ("twice",)),
                (("flows", "--last", "2h", "--since", "1h"), ("--last excludes",)),
                (("who", "192.0.2.1", "--host", "192.0.2.2"), ("exclude",)),
                (("stats", "--pid", "1"), ("--pid", "stats")),
                (("stats", "--last", "1h"), ("--last", "stats")),
                (("help", "nonsense"), ("nonsense",))):
            self.refused(*arguments, words=words)

    def test_options_stand_before_and_after(self):
        self.small()
        for arguments in (("--exe", "curl", "who", "192.0.2.1"),
                          ("who", "--exe", "curl", "192.0.2.1"),
                          ("who", "192.0.2.1", "--exe=curl"), ("who", "--host", "192.0.2.1",
                                                               "--exe", "curl")):
            self.assertEqual(len(self.answer(*arguments)), 1)

    def test_help_and_version(self):
        for arguments in (("--help",), ("-h",), ("help",)):
            text = self.table(*arguments)
            for command in ("who", "flows", "top", "ps", "at", "listen", "tail", "stats", "sql",
                            "report"):
                self.assertIn(f"\n  {command}", text)
            self.assertIn("--since TIME", text)
            self.assertIn(f"\n{'':27}Any read-only SQL\n", text)  # in the column of the others
        for arguments in (("help", "who"), ("who", "--help"), ("who", "-h")):
            self.assertIn("octets_out", self.table(*arguments))
            self.assertNotIn(" \n", self.table(*arguments))
        for arguments in (("--version",), ("-V",)):
            self.assertRegex(self.table(*arguments), r"^lastconn \d+\.\d+.*SQLite 3\.\d+")

    # -- databases

    def test_a_database_that_cannot_be_read_is_one_line(self):
        self.small()
        path = self.path
        os.mkdir(path("folder"))
        with open(path("text"), "w", encoding="ascii") as file:
            file.write("this is no database at all, but it is long enough\n" * 100)
        with open(path("empty"), "wb"):
            pass
        other = sqlite3.connect(path("other"))
        other.execute("CREATE TABLE x (y)")
        other.commit()
        other.close()
        history = self.history("newer")
        history.db.execute("COMMIT")
        history.db.execute("PRAGMA user_version = 999")
        history.db.execute("BEGIN")
        history.close()
        for name, word in (("missing", "missing"), ("folder", "folder"), ("text", "text"),
                           ("empty", "empty"), ("other", "another program"),
                           ("newer", "newer lastconn"), ("no/such/folder", "no/such/folder")):
            for arguments in (("flows",), ("stats",), ("sql", "SELECT 1"), ("sql", ".schema")):
                self.refused(*arguments, database=path(name), words=(word,))
        self.refused("flows", "--db", "", words=("lastconn",))

    def test_a_database_without_permission_is_refused(self):
        self.need_root()
        setpriv = self.need_program("setpriv")
        os.chmod(self.small(), 0o600)
        os.chmod(self.directory, 0o755)
        done = subprocess.run(
            [setpriv, f"--reuid={harness.NOBODY}", f"--regid={harness.NOBODY}", "--clear-groups",
             LASTCONN, "flows", "--db", self.path("history.db")],
            capture_output=True, text=True, check=False)
        if "failed to execute" in done.stderr:
            self.lack("the build directory is not readable for other users")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertIn("history.db", done.stderr)

    def test_reading_goes_on_while_a_writer_writes(self):
        history = self.history()
        process = history.process(5, "/bin/x")
        history.flow(process, "192.0.2.1", T0, T0 + 1)
        history.commit()
        history.flow(process, "192.0.2.1", T0, T0 + 9)  # not committed
        self.assertEqual(len(self.answer("flows")), 1)
        self.assertEqual(self.answer("who", "192.0.2.1")[0]["flows"], 1)
        stop = threading.Event()

        def write():
            writer = sqlite3.connect(self.path("history.db"), isolation_level=None, timeout=30)
            while not stop.is_set():
                writer.execute("UPDATE run SET heartbeat_us = heartbeat_us + 1")
            writer.close()
        history.commit()
        history.close()
        thread = threading.Thread(target=write)
        thread.start()
        try:
            for _ in range(20):
                self.assertEqual(len(self.answer("flows")), 2)
        finally:
            stop.set()
            thread.join()

    def test_an_output_that_cannot_be_written_is_an_error(self):
        self.small()
        for arguments in (("flows",), ("flows", "--format", "json"), ("report",), ("--help",),
                          ("--version",), ("help", "who"), ("sql", ".schema")):
            with open("/dev/full", "wb") as full:
                done = subprocess.run([LASTCONN, *arguments, "--db", self.path("history.db")],
                                      stdout=full, stderr=subprocess.PIPE, check=False)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn(b"cannot write", done.stderr)


if __name__ == "__main__":
    harness.main()
