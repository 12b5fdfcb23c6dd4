#!/usr/bin/env python3
"""How lastconnd behaves as a daemon: signals, reload, versions, two of them at once."""
import os
import signal
import socket
import sqlite3
import stat

import harness


class Manners(harness.Case):

    def connect_once(self, octets=3):
        """One connection of this process; its port."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            with socket.create_connection(listener.getsockname()) as client:
                server, _ = listener.accept()
                with server:
                    client.sendall(b"x" * octets)
                    server.recv(100)
            return listener.getsockname()[1]

    def write_config(self, text):
        path = self.path("lastconn.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def wait_log(self, daemon, word, after=0):
        return harness.wait_until(f"'{word}' in the log", lambda: next(
            (line for line in daemon.log()[after:].splitlines() if word in line), None))

    def test_version_names_the_program_and_its_libraries(self):
        for flag in ("--version", "-V"):
            done = self.run_daemon(flag)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertTrue(done.stdout.startswith("lastconnd 0."), done.stdout)
            for library in ("sqlite", "libuv", "libpcap"):
                self.assertIn(library, done.stdout.lower())
            if os.environ.get("LASTCONN_EBPF", "1") == "1":
                self.assertIn("libbpf", done.stdout.lower())

    def test_help_lists_every_option(self):
        done = self.run_daemon("--help")
        self.assertEqual(done.returncode, 0, done.stderr)
        for option in ("--db", "--read", "--config", "--active-timeout", "--ring-size"):
            self.assertIn(option, done.stdout)

    def test_terminate_writes_what_is_not_written_yet(self):
        daemon = self.start_daemon("--flush-interval", "1h", fast=False)
        ports = [self.connect_once() for _ in range(20)]
        daemon.stop()
        for port in ports:
            self.assertEqual(len(daemon.flows(port, "open = 0")), 2)
        run = harness.one(self, daemon.rows("SELECT * FROM run"))
        self.assertIsNotNone(run["end_us"])

    def test_interrupt_ends_it_as_well(self):
        daemon = self.start_daemon()
        port = self.connect_once()
        daemon.signal(signal.SIGINT)
        self.assertEqual(daemon.process.wait(60), 0, daemon.log())
        self.assertEqual(len(daemon.flows(port)), 2)

    def test_an_orderly_restart_appends(self):
        first = self.start_daemon()
        port = self.connect_once()
        first.stop()
        second = self.start_daemon()
        other = self.connect_once()
        second.wait_flows(other, 2)
        second.stop()
        self.assertEqual(len(second.flows(port)), 2)
        self.assertEqual(len(second.rows("SELECT * FROM run")), 2)

    def test_the_database_is_for_its_group_only(self):
        daemon = self.start_daemon()
        self.assertEqual(stat.S_IMODE(os.stat(daemon.db).st_mode), 0o640)

    def test_hang_up_reads_the_configuration_anew(self):
        config = self.write_config("log-level = info\n")
        daemon = self.start_daemon("--config", config)
        self.write_config("log-level = debug\nmax-flows = 128\n")
        seen = len(daemon.log())
        daemon.signal(signal.SIGHUP)
        self.wait_log(daemon, "log-level", seen)
        self.assertIn("max-flows", daemon.log()[seen:], "what needs a restart is named")
        port = self.connect_once()
        daemon.wait_flows(port, 2)
        daemon.stop()

    def test_hang_up_with_a_bad_configuration_changes_nothing(self):
        config = self.write_config("log-level = info\n")
        daemon = self.start_daemon("--config", config)
        for text, line in (("# fine\nlog-level = loud\n", 2), ("colour = blue\n", 1)):
            self.write_config(text)
            seen = len(daemon.log())
            daemon.signal(signal.SIGHUP)
            self.wait_log(daemon, f"{config}:{line}:", seen)
        port = self.connect_once()
        daemon.wait_flows(port, 2)
        daemon.stop()

    def test_user_signal_logs_the_counters(self):
        daemon = self.start_daemon()
        port = self.connect_once()
        daemon.wait_flows(port, 2)
        seen = len(daemon.log())
        daemon.signal(signal.SIGUSR1)
        line = self.wait_log(daemon, "flows", seen)
        self.assertRegex(line, r"\d")
        daemon.stop()

    def count(self, database, what):
        """Rows of a table; 0 before it is there."""
        try:
            return harness.rows(database, f"SELECT count(*) AS n FROM {what}")[0]["n"]
        except sqlite3.OperationalError:
            return 0

    def test_a_log_that_nobody_reads_does_not_end_it(self):
        self.need_kernel()
        reader, unread = os.pipe()
        os.close(reader)
        self.addCleanup(os.close, unread)
        for number, stream in enumerate(("2>&-", "2>/dev/full", "")):
            database = self.path(f"{number}.db")
            process = self.start_program("sh", "-c", f'exec "$0" "$@" {stream}', harness.LASTCONND,
                                         "--db", database, *harness.FAST, stderr=unread)
            harness.wait_until("a run", lambda db=database: self.count(db, "run") == 1)
            port = self.connect_once()
            harness.wait_until("its flows", lambda db=database: self.count(
                db, f"flows WHERE {port} IN (local_port, remote_port)") == 2)
            process.send_signal(signal.SIGUSR1)
            process.terminate()
            self.finish(process)

    def test_a_database_that_is_removed_ends_it(self):
        daemon = self.start_daemon()
        os.unlink(daemon.db)
        self.wait_log(daemon, "was removed")
        self.assertEqual(daemon.process.wait(30), 1)

    def test_two_daemons_with_two_databases_both_record(self):
        daemons = [self.start_daemon(database=self.path(f"{name}.db")) for name in "ab"]
        port = self.connect_once(41)
        for daemon in daemons:
            flows = daemon.wait_flows(port, 2)
            self.assertEqual({flow["pid"] for flow in flows}, {os.getpid()})
            self.assertEqual(sum(flow["octets_out"] for flow in flows), 41)
        for daemon in daemons:
            daemon.stop()

    def test_it_does_not_record_itself(self):
        daemon = self.start_daemon()
        daemon.wait_flows(self.connect_once(), 2)
        daemon.stop()
        self.assertEqual(daemon.rows("SELECT * FROM flows WHERE pid = ?", daemon.pid), [])

    def test_the_configuration_file_works_like_the_flags(self):
        database = self.path("configured.db")
        config = self.write_config(f"# a comment\n[lastconnd]\nflush-interval = 100ms\n"
                                   f"sweep-interval = 500ms\ndb = {database}\n")
        daemon = self.start_daemon("--config", config, fast=False, database=database)
        port = self.connect_once()
        daemon.wait_flows(port, 2, seconds=10)
        daemon.stop()


if __name__ == "__main__":
    harness.main()
