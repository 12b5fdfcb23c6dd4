#!/usr/bin/env python3
"""A history of the first release goes on: nothing of it is lost, and everything can be asked for."""
import time

import first_release
import harness


class Upgrade(harness.Case):

    def test_a_history_of_the_first_release_goes_on(self):
        path = self.path("history.db")
        before = first_release.make(path)
        daemon = self.start_daemon("--source", "procfs", database=path, kernel=False)
        daemon.stop()
        first_release.assert_kept(self, before, path)

    def test_its_flows_are_found_by_reports(self):
        path = self.path("history.db")
        first_release.make(path)
        self.start_daemon("--source", "procfs", database=path, kernel=False).stop()
        who = self.ask(path, "who", "198.51.100.1")
        self.assertEqual(sorted(row["exe"] for row in who), ["/opt/caf\u00e9/\u2603", "/usr/bin/curl"])
        until = time.strftime("%Y-%m-%d", time.localtime(time.time() - 3 * first_release.DAY_S))
        self.assertEqual(len(self.ask(path, "flows", "--until", until)), 7)

    def test_an_upgrade_that_was_made_is_not_made_again(self):
        path = self.path("history.db")
        before = first_release.make(path)
        for _ in range(2):
            self.start_daemon("--source", "procfs", database=path, kernel=False).stop()
        first_release.assert_kept(self, before, path)


if __name__ == "__main__":
    harness.main()
