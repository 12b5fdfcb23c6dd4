#!/usr/bin/env python3
"""First contacts: lastconn new over histories of known content, with what the ledger counts and with
what it does not count yet."""
import harness
from query_case import T0, QueryCase, at, iso
from query_history import DAY, HOUR, SECOND

UNSETTLED = (0, 0, 0)
SINCE = T0 + 2 * DAY


class New(QueryCase):
    def make(self, **more):
        """Two days of habits, and a third day with what is new in it, and what is not."""
        history = self.history(**more)
        bash = history.process(1, "/usr/bin/bash")
        curl = history.process(200, "/usr/bin/curl", bash, cmdline="curl x",
                               parent_exe="/usr/bin/bash", uid=0)
        replaced = history.process(300, "/usr/bin/curl", bash, exe_flags=1, start_us=SINCE,
                                   parent_exe="/usr/bin/bash")
        sshd = history.process(400, "/usr/sbin/sshd")

        def flow(process, ip, begin, **more):
            history.flow(process, ip, begin, begin + SECOND + flow.count, **more)
            flow.count += 1  # the end is the key

        flow.count = 0
        for day in (0, 1):
            flow(curl, "192.0.2.1", T0 + day * DAY, name="www.example.com")
            flow(curl, "192.0.2.2", T0 + day * DAY + HOUR)
            flow(curl, "192.0.2.3", T0 + day * DAY + HOUR, name="cdn.example.com")
        begin = SINCE + HOUR
        flow(curl, "192.0.2.1", begin, name="www.example.com")
        flow(curl, "192.0.2.77", begin + 1, name="www.example.com")  # the name moved
        flow(replaced, "192.0.2.2", begin + 2)
        flow(curl, "192.0.2.3", begin + 3)  # the name was not seen this time
        flow(curl, "192.0.2.2", begin + 10 * SECOND, remote_port=22)
        flow(curl, "192.0.2.3", begin + 20 * SECOND, name="tracker.example.net")
        flow(curl, "192.0.2.5", begin + 5 * SECOND, name="two.example.com")
        flow(curl, "192.0.2.5", begin + 6 * SECOND)  # named in the window
        flow(curl, "192.0.2.6", SINCE + 5 * HOUR, name="two.example.com")
        flow(sshd, "192.0.2.2", begin + 30 * SECOND, direction="in", local_port=22)
        flow(replaced, "198.51.100.9", begin + 40 * SECOND, protocol="udp", remote_port=53)
        flow(curl, "198.51.100.9", begin + 50 * SECOND, protocol="udp", remote_port=53)
        history.open_flow(sshd, "203.0.113.5", begin + 60 * SECOND, begin + HOUR, direction="in",
                          local_port=22)
        history.open_flow(sshd, "192.0.2.2", begin + 70 * SECOND, begin + HOUR, direction="in",
                          local_port=22)
        history.open_flow(curl, "203.0.113.6", SINCE - SECOND, begin + HOUR)  # began before
        return history.close()

    def hosts(self, *arguments, **more):
        return [(row["exe"], row["host"], row["service"])
                for row in self.answer("new", "--since", at(SINCE), *arguments, **more)]

    def check(self):
        curl, sshd = "/usr/bin/curl", "/usr/sbin/sshd"
        wanted = [(sshd, "203.0.113.5", "in tcp/22"), (curl, "198.51.100.9", "out udp/53"),
                  (sshd, "192.0.2.2", "in tcp/22"), (curl, "tracker.example.net", "out tcp/443"),
                  (curl, "192.0.2.2", "out tcp/22"), (curl, "two.example.com", "out tcp/443")]
        self.assertEqual(self.hosts(), wanted)
        self.assertEqual(self.hosts("--limit", "0"), wanted)
        self.assertEqual(self.hosts("--limit", "2"), wanted[:2])
        self.assertEqual(self.hosts("--exe", "curl"), [row for row in wanted if row[0] == curl])
        self.assertEqual(self.hosts("--in"), [wanted[0], wanted[2]])
        self.assertEqual(self.hosts("--port", "22", "--out"), wanted[4:5])
        self.assertEqual(self.hosts("--proto", "udp"), wanted[1:2])
        self.assertEqual(self.hosts("--host", "192.0.2.0/24"), wanted[2:])
        self.assertEqual(self.hosts("--host", "*.example.net"), wanted[3:4])
        self.assertEqual(self.hosts("--until", at(SINCE + HOUR + 25 * SECOND)), wanted[3:])
        self.assertEqual(self.hosts("--host", "192.0.2.1", status=1), [])
        self.check_columns()

    def check_columns(self):
        rows = {row["host"]: row for row in self.answer("new", "--since", at(SINCE))}
        dns = rows["198.51.100.9"]
        self.assertEqual((dns["flows"], dns["open"], dns["pid"], dns["parent"]),
                         (2, 0, 300, "/usr/bin/bash"))
        self.assertEqual(dns["first_time"], iso(SINCE + HOUR + 40 * SECOND))
        shell = rows["192.0.2.2"]
        until = self.answer("new", "--since", at(SINCE), "--until", at(SINCE + 2 * HOUR))
        self.assertEqual(until[-1], rows["two.example.com"])  # what came after is counted, too
        self.assertEqual(until[-1]["flows"], 2)
        self.assertEqual(rows["tracker.example.net"]["remote_ip"], "192.0.2.3")
        self.assertEqual(rows["tracker.example.net"]["cmdline"], "curl x")
        self.assertEqual(shell["exe"], "/usr/bin/curl")  # the last one of two in this dict
        peer = next(row for row in self.answer("new", "--since", at(SINCE), "--in")
                    if row["host"] == "192.0.2.2")
        self.assertEqual((peer["flows"], peer["open"], peer["pid"]), (2, 1, 400))

    def test_what_the_ledger_counts(self):
        self.make()
        self.check()

    def test_what_the_ledger_does_not_count_yet(self):
        self.make(settled=UNSETTLED)
        self.check()

    def test_days_that_the_ledger_counts(self):
        self.make(ledger=(SINCE // DAY + 1, SINCE // DAY + 1, 0))
        self.check()

    def test_days_that_the_ledger_counts_of_half_the_hosts(self):
        self.make(ledger=(SINCE // DAY, SINCE // DAY + 1, 4))
        self.check()

    def test_an_address_has_a_name_only_while_it_is_known(self):
        history = self.history()
        for number, program in enumerate(("/usr/bin/curl", "/usr/bin/wget")):
            begin = SINCE + number * 4 * HOUR
            history.flow(history.process(9 + number, program), "192.0.2.3", begin + SECOND,
                         begin + 2 * SECOND)
        history.evidence("www.example.com", "192.0.2.3", SINCE + 4 * HOUR)
        history.close()
        self.assertEqual([row[0] for row in self.hosts()], ["/usr/bin/wget", "/usr/bin/curl"])
        self.assertEqual([row[0] for row in self.hosts("--host", "www.example.com")],
                         ["/usr/bin/wget"])

    def test_a_name_that_another_address_had_before_is_not_new_at_the_one_asked_for(self):
        for way in ("counted", "not counted", "open"):
            history = self.history(f"{way}.db", settled=UNSETTLED if way == "not counted" else None)
            curl = history.process(9, "/usr/bin/curl")
            begin = SINCE - 5 * HOUR
            if way == "open":
                history.open_flow(curl, "192.0.2.1", begin, SINCE + HOUR, name="www.example.com")
            else:
                history.flow(curl, "192.0.2.1", begin, begin + HOUR, name="www.example.com")
            for number, name in enumerate(("www.example.com", "new.example.com", None)):
                history.flow(curl, "192.0.2.77", SINCE + HOUR + number, SINCE + 2 * HOUR + number,
                             name=name, remote_port=443 + (name is None))
            wanted = [("/usr/bin/curl", "192.0.2.77", "out tcp/444"),
                      ("/usr/bin/curl", "new.example.com", "out tcp/443")]
            path = history.close()
            for arguments in ((), ("--host", "192.0.2.77"), ("--host", "192.0.2.0/24")):
                self.assertEqual(self.hosts(*arguments, database=path), wanted, (way, arguments))

    def test_the_window_is_a_day_unless_said(self):
        self.make()
        self.assertEqual(self.answer("new", status=1), [])
        self.assertEqual({row["host"] for row in self.answer("new", "--until", at(T0 + DAY))},
                         {"www.example.com", "192.0.2.2", "cdn.example.com"})


if __name__ == "__main__":
    harness.main()
