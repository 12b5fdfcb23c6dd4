#!/usr/bin/env python3
"""Restart without a hole: a daemon with --pin takes over the programs, maps and ring of the one
before it, whether that was stopped or killed, and every connection is recorded exactly once.

LASTCONN_STORM: how many connections (default 10000)."""
import json
import os
import shutil
import signal
import socket
import subprocess

import harness
import storm

COUNT = int(os.environ.get("LASTCONN_STORM", "10000"))


def lines_in(path):
    return sum(1 for _ in harness.lines(path)) if os.path.exists(path) else 0


class Restart(harness.Case):

    def setUp(self):
        super().setUp()
        self.need_kernel()
        self.bpftool = self.need_program("bpftool")
        bpffs = self.path("bpf")
        os.mkdir(bpffs)
        self.run_program("mount", "-t", "bpf", "bpf", bpffs)
        self.addCleanup(subprocess.run, ["umount", bpffs], check=True)
        self.pin = os.path.join(bpffs, "lastconn")

    def start(self, *options, **more):
        return self.start_daemon("--pin", self.pin, *options, **more)

    def bpf_objects(self, kind):
        done = self.run_program(self.bpftool, "--json", kind, "list")
        return {item["id"]: item for item in json.loads(done.stdout)}

    def programs(self):
        """Ids of the kernel's BPF programs."""
        return set(self.bpf_objects("prog"))

    def pinned_programs(self):
        """Ids of the programs behind the pinned links."""
        links = self.bpf_objects("link")
        return {links[self.link_id(name)]["prog_id"]
                for name in os.listdir(self.pin) if name.startswith("link_")}

    def link_id(self, name):
        done = self.run_program(self.bpftool, "--json", "link", "show", "pinned",
                                os.path.join(self.pin, name))
        return json.loads(done.stdout)["id"]

    def down(self, daemon):
        return daemon.rows("SELECT * FROM coverage WHERE what = 'down'")

    def assert_no_hole(self, daemon):
        holes = self.down(daemon)
        if holes:
            self.fail("%s\n%s\n%s" % (holes, daemon.rows("SELECT * FROM run"), daemon.log()))

    def lost(self, daemon):
        return daemon.rows("SELECT what, count, detail FROM coverage"
                           " WHERE what IN ('ring full', 'map full', 'table full', 'queue full')")

    # -- nothing is lost

    def recorded(self, daemon, port):
        return daemon.rows("SELECT count(*) AS n FROM flow WHERE local_port = ?1"
                           " OR remote_port = ?1", port)[0]["n"]

    @staticmethod
    def wait_for(count, wanted):
        """Until so many are there, or in vain: the comparison that follows says which are not."""
        try:
            harness.wait_until("all", lambda: count() >= wanted, 10)
        except AssertionError:
            pass

    def test_a_storm_over_three_restarts_and_a_kill_is_recorded_exactly_once(self):
        """Each part of the storm goes on while the daemon ends and the next one starts."""
        with storm.namespace(self) as inside:
            self.check_storm(inside, ("stop", "kill", "stop", "stop"), COUNT // 4)

    def check_storm(self, inside, parts, part_count):
        quick = ("--flush-interval", "300ms", "--sweep-interval", "1s", "--ring-size", "32M")
        daemon = self.start(*quick)
        truth = [self.path("server.tsv"), self.path("clients.tsv")]
        count = len(parts) * part_count
        server = self.start_program(*inside, harness.STORM, "serve", str(count), truth[0])
        port = int(self.read_line(server))
        for part, end in enumerate(parts):
            wanted = part_count * part + part_count // 8
            spawner = self.start_program(
                *inside, harness.STORM, "spawn", "tcp", "127.0.0.1", str(port), str(part_count),
                "8", truth[1], harness.STORM_CLIENT)
            harness.wait_until("the storm", lambda: lines_in(truth[1]) > wanted)
            self.assertIsNone(spawner.poll(), "the storm was over before the restart")
            getattr(daemon, end)()
            daemon = self.start(*quick)
            self.assertIn("goes on with the programs of the last run", daemon.log())
            self.finish(spawner, 300)
        self.finish(server)
        self.wait_for(lambda: self.recorded(daemon, port), 2 * count)
        daemon.stop()
        storm.check(self, daemon, port, truth, count)
        self.assertEqual(self.lost(daemon), [])
        self.assert_no_hole(daemon)


    # -- what is open goes on

    def test_a_long_connection_and_its_listener_are_one_row_each(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            client = socket.create_connection(listener.getsockname())
            server, _ = listener.accept()
            daemon = self.talk_over_restarts(client, server, port)
            found = harness.one(self, daemon.rows(
                "SELECT * FROM listeners WHERE local_port = ?1", port), "listener")
            self.assertEqual((found["pid"], found["open"]), (os.getpid(), 1))
        harness.wait_until("the listener's end", lambda: daemon.rows(
            "SELECT 1 FROM listeners WHERE local_port = ?1 AND open = 0", port))
        self.check_talk(daemon, port, "tcp")

    def test_a_long_conversation_of_datagrams_is_one_row_an_end(self):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("127.0.0.1", 0))
        client.connect(server.getsockname())
        port = server.getsockname()[1]
        daemon = self.talk_over_restarts(client, server, port)
        self.check_talk(daemon, port, "udp")

    def talk_over_restarts(self, client, server, port):
        """1 octet before, 10 while no daemon runs, 100 after; the same across a kill."""
        quick = ("--active-timeout", "500ms")
        daemon = self.start(*quick)
        for end in ("stop", "kill"):
            self.say(client, server, 1)
            daemon.wait_flows(port, 2, "open = 1 AND octets_out + octets_in > 0")
            getattr(daemon, end)()
            self.say(client, server, 10)
            daemon = self.start(*quick)
            self.say(client, server, 100)
        client.close()
        server.close()
        daemon.wait_flows(port, 2, "open = 0")
        return daemon

    @staticmethod
    def say(client, server, octets):
        client.send(b"x" * octets)
        while octets:
            octets -= len(server.recv(octets))

    def check_talk(self, daemon, port, protocol):
        flows = daemon.flows(port)
        self.assertEqual(len(flows), 2, flows)
        for flow in flows:
            out = flow["direction"] == "out"
            self.assert_flow(flow, {"octets_out": 222 if out else 0, "octets_in": 0 if out else 222,
                                    "protocol": protocol, "outcome": "closed", "pid": os.getpid(),
                                    "method": "exact", "open": 0})
        self.assert_no_hole(daemon)

    def test_the_peers_of_a_socket_that_closes_around_a_kill_are_recorded_once(self):
        peers = [("127.0.0.1", self.free_port()) for _ in range(20)]
        daemon = self.start()
        expected = []
        for round_number in range(4):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.bind(("127.0.0.1", 0))
                port = sender.getsockname()[1]
                for peer in peers:
                    sender.sendto(b"x" * (1 + round_number), peer)
            expected += [(port, peer[1], 1 + round_number) for peer in peers]
            if round_number % 2:
                daemon.wait_flows(port, 1)
            daemon.kill()
            daemon = self.start()
        ports = {port for port, _, _ in expected}

        def found():
            return sorted((flow["local_port"], flow["remote_port"], flow["octets_out"])
                          for port in ports for flow in daemon.flows(port, "open = 0")
                          if flow["direction"] == "out" and flow["pid"] == os.getpid())
        self.wait_for(lambda: len(found()), len(expected))
        daemon.stop()
        self.assertEqual(found(), sorted(expected))

    def test_what_ended_while_nobody_recorded_is_lost_at_its_last_sighting(self):
        daemon = self.start_daemon("--active-timeout", "500ms")  # nothing pinned
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            client = socket.create_connection(listener.getsockname())
            server, _ = listener.accept()
            self.say(client, server, 7)
            before = daemon.wait_flows(port, 2, "open = 1 AND octets_out + octets_in = 7")
            daemon.stop()
            client.close()
            server.close()
        daemon = self.start_daemon()
        harness.wait_until("the listener's end", lambda: daemon.rows(
            "SELECT 1 FROM listeners WHERE local_port = ?1 AND open = 0", port))
        self.assertEqual([flow["octets_out"] + flow["octets_in"] for flow in daemon.flows(port)],
                         [7, 7])
        self.assertEqual(len(self.down(daemon)), 1)
        self.assertEqual(len(before), 2)

    # -- when the database is another one

    def talk(self, port):
        """One short connection to the server at port."""
        with socket.create_connection(("127.0.0.1", port)):
            pass

    def serve_and_record(self, server, database):
        """A daemon that sees one connection, and lives long enough to give back what it stored."""
        daemon = self.start("--sweep-interval", "200ms", "--flush-interval", "100ms",
                            database=self.path(database))
        port = server.getsockname()[1]
        known = self.recorded(daemon, port)
        for n in range(1, 16):
            self.talk(port)
            server.accept()[0].close()
            harness.wait_until("the connection", lambda: self.recorded(daemon, port) >= known + n)
        daemon.stop()
        return daemon

    def test_what_another_database_has_is_a_hole_in_this_one(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.serve_and_record(server, "first.db")
            self.serve_and_record(server, "second.db")
            daemon = self.serve_and_record(server, "first.db")
        self.assertEqual(len(self.down(daemon)), 1)

    def test_an_older_copy_of_the_database_has_a_hole(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.serve_and_record(server, "now.db")
            shutil.copy(self.path("now.db"), self.path("copy.db"))
            daemon = self.serve_and_record(server, "now.db")
            self.assert_no_hole(daemon)
            daemon = self.serve_and_record(server, "copy.db")
        self.assertEqual(len(self.down(daemon)), 1)

    def test_events_that_leave_nothing_to_store_leave_no_hole(self):
        """Processes that use no network push out of the ring what was kept of it."""
        small = ("--ring-size", "64K")
        daemon = self.start(*small)
        for _ in range(300):
            self.run_program("/bin/true")
        harness.wait_until("the position", lambda: daemon.rows(
            "SELECT 1 FROM run WHERE ring_position > 65536"))
        daemon.kill()
        self.assert_no_hole(self.start(*small))

    # -- when the programs cannot be taken over

    def test_other_options_replace_the_programs_and_leave_a_hole(self):
        daemon = self.start()
        daemon.stop()
        first = self.pinned_programs()
        self.assertLessEqual(first, self.programs())
        daemon = self.start("--max-peers", "100")
        self.assertEqual(first & self.programs(), set(), "the old programs are detached")
        self.assertNotIn("goes on", daemon.log())
        hole = harness.one(self, self.down(daemon), "hole")
        self.assertEqual(hole["detail"], "stopped")

    def test_a_pin_that_is_missing_or_foreign_is_no_reason_to_fail(self):
        daemon = self.start()
        daemon.stop()
        link = next(os.path.join(self.pin, name) for name in os.listdir(self.pin)
                    if name.startswith("link_tcp_state"))
        os.unlink(link)
        self.run_program(self.bpftool, "map", "create", link,
                         "type", "array", "key", "4", "value", "4", "entries", "1", "name", "x")
        daemon = self.start()
        self.assertIn("goes on", daemon.log())
        harness.wait_until("the hole of one hook", lambda: daemon.rows(
            "SELECT 1 FROM coverage WHERE what = 'slot missing' AND detail LIKE 'tcp:%'"))
        daemon.stop()
        for name in ("map_ring", "state"):
            os.unlink(os.path.join(self.pin, name))
            daemon = self.start()
            self.assertNotIn("goes on", daemon.log())
            self.assertTrue(os.path.exists(os.path.join(self.pin, name)))
            daemon.stop()
        self.assertEqual(len(self.down(daemon)), 2)

    def test_a_directory_that_is_not_ours_is_left_alone(self):
        plain = self.path("plain")
        os.mkdir(plain, 0o700)
        strangers = self.path("bpf/strangers")
        os.mkdir(strangers, 0o700)
        os.chown(strangers, harness.NOBODY, harness.NOBODY)
        for directory, word in ((plain, "BPF file system"), (strangers, "another user"),
                                (self.path("no/such"), "No such file")):
            with self.subTest(directory):
                daemon = self.start_daemon("--pin", directory)
                self.assertIn("cannot pin", daemon.log())
                self.assertIn(word, daemon.log())
                daemon.stop()
        self.assertEqual(os.listdir(plain) + os.listdir(strangers), [])

    def test_a_second_daemon_does_not_take_what_the_first_one_uses(self):
        first = self.start()
        second = self.start(database=self.path("second.db"))
        self.assertIn("another lastconnd uses it", second.log())
        second.stop()
        done = self.run_daemon("--unload", "--pin", self.pin)
        self.assertEqual(done.returncode, 1)
        self.assertIn("another lastconnd uses it", done.stderr)
        first.stop()

    def test_a_ring_that_overflows_meanwhile_is_counted(self):
        daemon = self.start("--ring-size", "64K")
        daemon.stop()
        count = 400
        server = self.start_program(harness.STORM, "serve", str(count), "-")
        port = self.read_line(server)
        self.run_program(harness.STORM, "spawn", "tcp", "127.0.0.1", port, str(count), "2", "-",
                         harness.STORM_CLIENT)
        self.finish(server)
        daemon = self.start("--ring-size", "64K")
        harness.wait_until("the loss", lambda: sum(r["count"] for r in self.lost(daemon)) > count)
        lost = self.lost(daemon)
        self.assertEqual([row["what"] for row in lost], ["ring full"])
        self.assertGreater(self.recorded(daemon, int(port)), 10, "what the ring kept")
        daemon.stop()
        daemon = self.start("--ring-size", "64K")
        again = self.lost(daemon)
        self.assertEqual(again[:1], lost, "told once")
        # of a busy machine so small a ring may lose more in between
        self.assertLess(sum(row["count"] for row in again[1:]), lost[0]["count"], again)

    # -- nothing stays behind

    def test_unload_and_ctrl_c_leave_nothing(self):
        daemon = self.start()
        daemon.stop()
        pinned = self.pinned_programs()
        self.assertLessEqual(pinned, self.programs())
        self.assertEqual(self.run_daemon("--unload", "--pin", self.pin).returncode, 0)
        self.check_gone(pinned)
        self.assertFalse(os.path.exists(self.pin))
        self.assertEqual(self.run_daemon("--unload", "--pin", self.pin).returncode, 0)

        daemon = self.start()
        pinned = self.pinned_programs()
        daemon.signal(signal.SIGINT)
        self.assertEqual(daemon.process.wait(60 * harness.SLOW), 0, daemon.log())
        self.check_gone(pinned)
        self.assertEqual(os.listdir(self.pin), [])

    def check_gone(self, programs):
        """The kernel frees programs after a grace period."""
        self.assertTrue(programs)
        harness.wait_until("the programs are gone", lambda: not programs & self.programs())


if __name__ == "__main__":
    harness.main()
