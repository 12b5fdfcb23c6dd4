#!/usr/bin/env python3
"""--metrics-file: what a collector finds there, and that nothing of it disturbs the recording."""
import os
import re
import socket

import harness


class Metrics(harness.Case):

    def start(self, path):
        return self.start_daemon("--source", "procfs", "--metrics-file", path, kernel=False)

    def parse(self, path):
        """{name with labels: value}"""
        with open(path, encoding="utf-8") as file:
            return {name: float(value) for name, value in
                    re.findall(r"^([a-z_]+(?:\{[^}]*\})?) (\S+)$", file.read(), re.MULTILINE)}

    def wait_written(self, path):
        harness.wait_until("the metrics", lambda: os.path.exists(path))

    def wait_batches(self, daemon):
        """Until something that is listening now is stored."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            harness.wait_until("a listener in the history", lambda: daemon.rows(
                "SELECT 1 FROM listener WHERE local_port = ?", port))

    def test_they_are_there_for_other_users_and_gone_at_the_end(self):
        path = self.path("lastconn.prom")
        os.umask(0o077)
        daemon = self.start(path)
        self.wait_written(path)
        found = self.parse(path)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o644)
        self.assertEqual(found["lastconn_store_up"], 1)
        begin = daemon.rows("SELECT max(start_us) AS us FROM run")[0]["us"]
        self.assertAlmostEqual(found["lastconn_start_time_seconds"], begin / 1e6, delta=60)
        daemon.stop()
        self.assertEqual([n for n in os.listdir(self.directory) if n.startswith("lastconn.prom")], [])

    def test_they_are_written_by_who_dropped_his_rights(self):
        os.mkdir(self.path("elsewhere"))
        path = self.path("elsewhere/lastconn.prom")
        daemon = self.start_daemon("--metrics-file", path)
        self.wait_written(path)
        daemon.stop()
        self.assertNotIn("cannot write", daemon.log())

    def test_they_are_written_once_a_minute_at_most(self):
        path = self.path("lastconn.prom")
        daemon = self.start(path)
        self.wait_written(path)
        before = os.stat(path)
        self.wait_batches(daemon)
        self.wait_batches(daemon)
        self.assertEqual(os.stat(path), before)

    def test_a_place_that_takes_none_is_one_warning(self):
        path = self.path("none/lastconn.prom")
        daemon = self.start(path)
        harness.wait_until("a warning", lambda: "cannot write the metrics" in daemon.log())
        self.wait_batches(daemon)
        daemon.stop()
        self.assertEqual(daemon.log().count("metrics"), 1, daemon.log())

    def test_a_link_is_replaced_and_not_followed(self):
        path, precious = self.path("lastconn.prom"), self.path("precious")
        with open(precious, "w", encoding="ascii") as file:
            file.write("precious")
        os.symlink(precious, path)
        os.symlink(precious, path + ".new")
        self.start(path)
        harness.wait_until("the metrics", lambda: not os.path.islink(path))
        self.assertIn("lastconn_flows_open", self.parse(path))
        with open(precious, encoding="ascii") as file:
            self.assertEqual(file.read(), "precious")


if __name__ == "__main__":
    harness.main()
