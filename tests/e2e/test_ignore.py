#!/usr/bin/env python3
"""Ignore rules: what they fit is not stored, all else is, and no answer hides that."""
import contextlib
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys

import harness

sys.path.insert(0, os.path.join(harness.ROOT, "tests", "replay"))
import capture_make as make  # noqa: E402


class Ignore(harness.Case):

    def talk(self, port):
        """A process connects to the port, where somebody listens, and is told to end."""
        code = ("import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1])));"
                " print('x', flush=True); sys.stdin.readline(); s.close()")
        with socket.create_server(("127.0.0.1", port)) as server:
            server.settimeout(60 * harness.SLOW)
            process = self.start_program(harness.PYTHON, "-c", code, str(port),
                                         stdin=subprocess.PIPE)
            accepted, _ = server.accept()
            self.read_line(process)
            yield process
            process.stdin.write("\n")
            process.stdin.flush()
            self.finish(process)
            accepted.close()

    def who(self, database, *words):
        return subprocess.run([harness.LASTCONN, "who", *words, "--db", database],
                              capture_output=True, text=True, timeout=60, check=False)

    def holes(self, daemon):
        return {row["detail"]: (row["count"], row["missed"], row["open"]) for row in
                daemon.rows("SELECT * FROM coverage WHERE what = 'ignored'")}

    def check_recording(self, *source, kernel):
        hidden, seen = self.free_port(), self.free_port()
        rule = f"exe={harness.PYTHON} port={hidden} address=127.0.0.0/8 protocol=tcp direction=out"
        other = f"local-port={hidden}"  # the server's end
        metrics = self.path("metrics")
        daemon = self.start_daemon(*source, "--ignore", rule, "--ignore", other, "--ignore",
                                   "exe=/nowhere/* user=root", "--metrics-file", metrics,
                                   kernel=kernel)
        for process in self.talk(hidden):
            for _ in self.talk(seen):
                daemon.wait_flows(seen, 2, where="1")
            pid = process.pid
        daemon.wait_flows(seen, 2)
        harness.wait_until("the number of ignored flows", lambda: [
            count for count, *_ in self.holes(daemon).values()] == [1, 1, 0])
        self.assertEqual(daemon.flows(hidden), [])
        self.assertEqual(daemon.rows("SELECT 1 FROM open_flow WHERE remote_port = ?1"
                                     " OR local_port = ?1", hidden), [])
        self.assertEqual(self.holes(daemon), {rule: (1, "some", 1), other: (1, "some", 1),
                                              "exe=/nowhere/* user=root": (0, "some", 1)})
        self.assertEqual(daemon.rows("SELECT 1 FROM processes WHERE pid = ? AND exe = ?"
                                     " AND cmdline LIKE ?", pid, harness.PYTHON, f"%{hidden}%"), [])
        daemon.signal(signal.SIGUSR1)
        harness.wait_until("the counters", lambda: re.search(r"evicted; 2 ignored", daemon.log()))
        daemon.stop()
        return daemon, hidden

    def test_the_kernel_source_leaves_out_what_a_rule_fits(self):
        self.check_recording(kernel=True)

    def test_polling_does_too_and_says_so_in_its_answers(self):
        daemon, hidden = self.check_recording("--source", "procfs", kernel=False)
        done = self.who(daemon.db, "127.0.0.1", "--port", str(hidden))
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("no evidence", done.stderr)
        self.assertIn(f"1 exe={harness.PYTHON} port={hidden} address=127.0.0.0/8", done.stderr)

    def test_a_host_of_which_a_rule_tells_nothing_may_be_hidden(self):
        daemon = self.start_daemon("--source", "procfs", "--ignore", "port=1", kernel=False)
        daemon.stop()
        done = self.who(daemon.db, "192.0.2.99")
        self.assertIn("no evidence", done.stderr)
        self.assertIn("flows left out by rules: port=1", done.stderr)

    def test_many_rules_are_counted_in_one_line(self):
        rules = [word for port in range(1, 257) for word in ("--ignore", f"port={port}")]
        daemon = self.start_daemon("--source", "procfs", *rules, kernel=False)
        harness.wait_until("all rules", lambda: len(self.holes(daemon)) == 256)
        daemon.stop()
        self.assertIn("flows left out by rules: by 256 rules", self.who(daemon.db, "192.0.2.9").stderr)
        done = self.run_daemon("--db", self.path("x.db"), *rules, "--ignore", "port=999")
        self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done.stderr)
        self.assertIn("at most 256", done.stderr)

    def test_a_flow_that_was_open_when_the_rule_came_is_taken_back(self):
        port = self.free_port()
        daemon = self.start_daemon("--source", "procfs", kernel=False)
        for _ in self.talk(port):
            daemon.wait_flows(port, 2, where="open = 1")
            begun = min(flow["start_us"] for flow in daemon.flows(port))
            daemon.stop()
            rules = ("--ignore", f"port={port}", "--ignore", f"local-port={port}")
            daemon = self.start_daemon("--source", "procfs", *rules, kernel=False)
        harness.wait_until("the number of ignored flows", lambda: [
            count for count, *_ in self.holes(daemon).values()] == [1, 1])
        daemon.stop()
        self.assertEqual(daemon.flows(port), [])
        holes = daemon.rows("SELECT min(from_us) AS us FROM coverage WHERE what = 'ignored'")
        self.assertLessEqual(holes[0]["us"], begun)

    def test_a_reload_with_a_rule_for_a_user_is_fine(self):
        config = self.path("rules.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write("ignore = user=nobody port=1\nignore = user=root port=1\n")
        daemon = self.start_daemon("--config", config)
        with open(config, "a", encoding="ascii") as file:
            file.write("log-level = debug\n")
        daemon.signal(signal.SIGHUP)
        harness.wait_until("the reload", lambda: "changed: log-level" in daemon.log())
        daemon.stop()

    def test_a_capture_file_is_read_without_them(self):
        packets = []
        for port in (80, 443):
            packets += make.Talk(client="192.0.2.1", server="198.51.100.7", cport=40000 + port,
                                 sport=port).handshake().close().packets
        path = self.path("two.pcap")
        with open(path, "wb") as file:
            file.write(make.pcap(make.RAW, packets))
        database = self.read_capture(path, "--local", "192.0.2.1", "--ignore", "port=80")
        flows = harness.rows(database, "SELECT remote_port FROM flows")
        self.assertEqual([flow["remote_port"] for flow in flows], [443])
        hole = harness.one(self, harness.rows(
            database, "SELECT * FROM coverage WHERE what = 'ignored'"))
        self.assertEqual((hole["detail"], hole["count"], hole["open"], hole["source"]),
                         ("port=80", 1, 0, "file"))

    def test_a_rule_is_no_doubt_about_what_it_cannot_hide(self):
        path = self.path("one.pcap")
        talk = make.Talk(client="192.0.2.1", server="198.51.100.7", cport=40000, sport=80)
        with open(path, "wb") as file:
            file.write(make.pcap(make.RAW, talk.handshake().close().packets))
        rules = ["address=198.51.100.0/24 protocol=tcp", "exe=\"/opt/\u00e4 \\\\ b\" address=10.0.0.0/8"]
        database = self.read_capture(path, "--local", "192.0.2.1",
                                     *[word for rule in rules for word in ("--ignore", rule)])
        for words, doubted in ((["192.0.2.99"], []),
                               (["198.51.101.0/24"], []),
                               (["198.51.100.7"], rules[:1]),
                               (["198.51.0.0/16"], rules[:1]),
                               (["10.0.0.1"], rules[1:]),
                               (["0.0.0.0/0"], rules),
                               (["198.51.100.7", "--proto", "udp"], []),
                               (["198.51.100.7", "--proto", "tcp"], rules[:1])):
            done = self.who(database, *words)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn("no evidence" if doubted else "that is evidence", done.stderr, words)
            for rule in rules:
                (self.assertIn if rule in doubted else self.assertNotIn)(rule, done.stderr, words)
        done = self.who(database, "some.example")  # perhaps one of 198.51.100.0/24
        self.assertIn("no evidence", done.stderr)
        self.assertIn(rules[0], done.stderr)
        done = self.who(database, "some.example", "--proto", "udp")
        self.assertNotIn(rules[0], done.stderr)
        self.assertIn(rules[1], done.stderr)

    def read_one_flow(self, *rules):
        path = self.path("one.pcap")
        talk = make.Talk(client="192.0.2.1", server="198.51.100.7", cport=40000, sport=80)
        with open(path, "wb") as file:
            file.write(make.pcap(make.RAW, talk.handshake().close().packets))
        return self.read_capture(path, "--local", "192.0.2.1",
                                 *[word for rule in rules for word in ("--ignore", rule)])

    def tell_nat(self, database):
        with contextlib.closing(sqlite3.connect(database)) as history, history:
            history.execute(  # as a running lastconnd tells it, see test_pipeline.c
                "INSERT INTO coverage_interval (run, from_us, until_us, source, what, count, detail)"
                " SELECT run, from_us, until_us, source, what, 0,"
                " 'NAT: addresses of rules may stand for others' FROM coverage_interval"
                " WHERE what = 'ignored' LIMIT 1")

    def test_addresses_are_in_doubt_behind_nat(self):
        rule = "address=198.51.100.0/24 protocol=tcp"
        database = self.read_one_flow(rule)
        self.tell_nat(database)
        done = self.who(database, "192.0.2.99")
        self.assertIn("no evidence", done.stderr)
        self.assertIn(rule, done.stderr)
        done = self.who(database, "192.0.2.99", "--proto", "udp")
        self.assertIn("that is evidence", done.stderr)

    def test_so_they_are_if_any_flow_was_translated(self):
        # An older lastconnd did not tell it of its rules.
        rule = "address=198.51.100.0/24 protocol=tcp"
        database = self.read_one_flow(rule)
        done = self.who(database, "192.0.2.99")
        self.assertIn("that is evidence", done.stderr)
        with contextlib.closing(sqlite3.connect(database)) as history, history:
            history.execute("INSERT INTO flow_nat (end_us, local_port) VALUES (1, 1024)")
        done = self.who(database, "192.0.2.99")
        self.assertIn("no evidence", done.stderr)
        self.assertIn(rule, done.stderr)
        done = self.who(database, "192.0.2.99", "--proto", "udp")
        self.assertIn("that is evidence", done.stderr)

    def test_nat_is_not_one_of_the_rules(self):
        rules = [f"port={80 + i}" for i in range(4)]
        for count, words in ((3, "port=80, port=81, port=82"), (4, "by 4 rules")):
            database = self.read_one_flow(*rules[:count])
            self.tell_nat(database)
            done = self.who(database, "some.example")
            self.assertIn(words, done.stderr)
            self.assertNotIn("NAT", done.stderr)
            os.unlink(database)

    def test_check_tells_the_rules(self):
        done = self.run_daemon("--check", "--ignore", "port=1", "--ignore", "user=root")
        self.assertRegex(done.stdout, r"\n  ignored flows +port=1\n +user=root\n")


if __name__ == "__main__":
    harness.main()
