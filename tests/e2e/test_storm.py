#!/usr/bin/env python3
"""The storm: thousands of processes, each fork + exec + connect + one octet + exit. Every record
of both ends is compared with the truth that clients and server wrote; nothing may be dropped.

LASTCONN_STORM: how many (default 10000)."""
import os

import harness
import storm

COUNT = int(os.environ.get("LASTCONN_STORM", "10000"))
PARALLEL = 8

LOST = ("SELECT what, count, detail FROM coverage"
        " WHERE what IN ('ring full', 'map full', 'table full', 'queue full')")


class Storm(harness.Case):

    def run_storm(self, count, inside):
        truth = [self.path("server.tsv"), self.path("clients.tsv")]
        server = self.start_program(*inside, harness.STORM, "serve", str(count), truth[0])
        port = int(self.read_line(server))
        self.run_program(*inside, harness.STORM, "spawn", "tcp", "127.0.0.1", str(port), str(count),
                         str(PARALLEL), truth[1], harness.STORM_CLIENT, seconds=300)
        self.finish(server)
        return port, truth

    def test_every_connection_of_the_storm_is_recorded_with_its_process(self):
        daemon = self.start_daemon("--flush-interval", "1s")
        with storm.namespace(self) as inside:
            port, truth = self.run_storm(COUNT, inside)
        harness.wait_until("all flows", lambda: daemon.rows(
            "SELECT count(*) AS n FROM flow WHERE local_port = ?1 OR remote_port = ?1",
            port)[0]["n"] >= 2 * COUNT or daemon.process.poll() is not None, 120)
        daemon.stop()

        storm.check(self, daemon, port, truth, COUNT)
        self.assertEqual(daemon.rows(LOST), [], "drops")


if __name__ == "__main__":
    harness.main()
