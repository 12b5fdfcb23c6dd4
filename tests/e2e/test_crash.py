#!/usr/bin/env python3
"""kill -9 of lastconnd while it writes: the file is sound, nothing committed is gone, the next
start closes what was open and goes on."""
import os
import socket
import sqlite3

import harness

STORM = 6000
BEFORE_KILL = 1500


class Crash(harness.Case):

    def start_storm(self):
        server = self.start_program(harness.STORM, "serve", str(STORM), "-")
        port = int(self.read_line(server))
        spawner = self.start_program(harness.STORM, "spawn", "tcp", "127.0.0.1", str(port),
                                     str(STORM), "4", "-", harness.STORM_CLIENT)
        return server, spawner, port

    def hold_connection(self):
        listener = socket.create_server(("127.0.0.1", 0))
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        for sock in (listener, client, server):
            self.addCleanup(sock.close)
        client.sendall(b"x" * 123)
        return client, listener.getsockname()[1]

    def check_sound(self, path):
        connection = sqlite3.connect(path)
        try:
            self.assertEqual(connection.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            self.assertEqual(connection.execute("PRAGMA foreign_key_check").fetchall(), [])
        finally:
            connection.close()

    def test_kill_in_the_middle_of_a_storm(self):
        daemon = self.start_daemon("--active-timeout", "1s")
        client, held_port = self.hold_connection()
        daemon.wait_flows(held_port, 2, "open = 1")
        server, spawner, port = self.start_storm()
        committed = daemon.wait_flows(port, BEFORE_KILL, seconds=60)
        daemon.kill()
        self.assertIsNone(spawner.poll(), "the storm was over before the kill")

        self.check_sound(daemon.db)
        after = {flow["flow_id"]: flow for flow in daemon.flows(port, "open = 0")}
        self.assertGreaterEqual(len(after), len(committed))
        for flow in committed:
            self.assertEqual(after.get(flow["flow_id"]), flow)
        self.assertEqual(len(daemon.flows(held_port, "open = 1")), 2)

        again = self.start_daemon("--active-timeout", "1s")
        held = again.flows(held_port)
        self.assertEqual([flow["open"] for flow in held], [1, 1])
        self.assertEqual({flow["pid"] for flow in held}, {os.getpid()})
        kept = {flow["flow_id"] for flow in again.flows(port, "open = 0")}
        self.assertLessEqual({flow["flow_id"] for flow in committed}, kept)
        down = again.rows("SELECT * FROM coverage WHERE what = 'down'")
        self.assertEqual(len(down), 1, "the time without a daemon is in the coverage table")

        client.sendall(b"x" * 7)
        seen = again.wait_flows(held_port, 1, "open = 1 AND octets_out = 130")
        self.assertEqual(seen[0]["pid"], os.getpid())
        self.finish(spawner)
        self.finish(server)
        again.stop()
        self.check_sound(again.db)
        self.check_roll_up(again)
        self.assertGreater(len(again.flows(port, "open = 0")), len(kept))

    def check_roll_up(self, daemon):
        """The derived tables agree with the facts, over the crash as well."""
        done = self.run_daemon("rebuild", "--db", daemon.db, program=harness.LASTCONN)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_kill_again_and_again(self):
        ports = []
        for _ in range(4):
            daemon = self.start_daemon("--flush-interval", "50ms")
            server, spawner, port = self.start_storm()
            daemon.wait_flows(port, 200, seconds=60)
            daemon.kill()
            ports.append((port, len(daemon.flows(port, "open = 0"))))
            spawner.kill()
            server.kill()
            self.check_sound(daemon.db)
        last = self.start_daemon()
        for port, count in ports:
            self.assertGreaterEqual(len(last.flows(port, "open = 0")), count)
        last.stop()
        self.check_roll_up(last)


if __name__ == "__main__":
    harness.main()
