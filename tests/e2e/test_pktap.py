#!/usr/bin/env python3
"""The processes that capture files name, from the file to the answers of lastconn. Needs no root."""
import os
import sys

import harness

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "replay"))
import capture_make as make  # noqa: E402

CLIENT, SERVER = "192.0.2.1", "198.51.100.7"


def exchange(number, protocol=make.UDP):
    """A datagram out and one in, each with the flag that says so."""
    for us, source, destination, flag in ((0, CLIENT, SERVER, make.OUT),
                                          (100, SERVER, CLIENT, make.IN)):
        ports = (4000 + number, 53) if flag == make.OUT else (53, 4000 + number)
        payload = make.udp(*ports, b"12345") if protocol == make.UDP else \
            make.icmp_echo(8 if flag == make.OUT else 0, b"12345")
        yield 1000 * number + us, make.ip4(source, destination, protocol, payload), flag


class Pktap(harness.Case):

    def write(self, name, data):
        path = self.path(name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def pktap(self, *owners):
        """A capture with an exchange each: (pid, comm, effective pid and comm)."""
        return make.pcap(make.PKTAP, [
            (us, make.pktap2(make.RAW, packet, pid, comm, flag, effective))
            for number, (pid, comm, effective) in enumerate(owners)
            for us, packet, flag in exchange(number)])

    def flows(self, database):
        return harness.rows(database, "SELECT * FROM flows ORDER BY end_us")

    def test_flows_are_of_the_process_that_the_header_names(self):
        capture = self.write("a.pcap", self.pktap(
            (321, b"curl", (-1, b"")), (400, b"com.apple.WebKi", (77, b"Safari"))))
        database = self.read_capture(capture)
        first, second = self.flows(database)
        self.assert_flow(first, {
            "pid": 321, "comm": "curl", "exe": "curl", "uid": None, "process_start_us": None,
            "opener_pid": None, "method": "pktap", "source": "file", "direction": "out",
            "local_ip": CLIENT, "remote_ip": SERVER, "octets_out": 5, "octets_in": 5})
        self.assert_flow(second, {
            "pid": 400, "exe": "com.apple.WebKi", "opener_pid": 77, "opener_exe": "Safari"})
        found = harness.one(self, self.ask(database, "who", SERVER, "--exe", "curl"))
        self.assertEqual((found["exe"], found["flows"], found["known"]), ("curl", 1, ["pktap"]))

    def test_what_names_nobody_stays_unattributed(self):
        frames = [(us, make.pktap1(make.RAW, packet, -1, b"", flag))
                  for us, packet, flag in exchange(0, make.ICMP)]
        database = self.read_capture(self.write("icmp.pcap", make.pcap(make.PKTAP, frames)))
        self.assert_flow(harness.one(self, self.flows(database)), {
            "protocol": "icmp", "pid": None, "comm": None, "exe": None, "method": "unknown"})

    def test_one_pid_in_two_captures_is_two_processes(self):
        database = self.path("both.db")
        for name, comm in (("one", b"curl"), ("two", b"curl"), ("three", b"wget")):
            self.read_capture(self.write(name, self.pktap((9, comm, (-1, b"")))),
                              database=database)
        found = harness.rows(database, "SELECT pid, comm FROM processes ORDER BY process_id")
        self.assertEqual([(row["pid"], row["comm"]) for row in found],
                         [(9, "curl"), (9, "curl"), (9, "wget")])
        self.assertEqual([flow["comm"] for flow in self.flows(database)],
                         ["curl", "curl", "wget"])

    def test_ptcpdump_tells_parents_users_and_containers_too(self):
        ident = "0123456789abcdef" * 4
        texts = ("PID: 321\nCmd: /usr/bin/curl\nArgs: curl -s x", "UserId: 1000\nGroupId: 100",
                 "ParentPID: 300\nParentCmd: /bin/sh\nParentArgs: sh -c 'curl -s x'",
                 f"ContainerName: web\nContainerId: {ident}\nContainerImage: nginx\n"
                 "ContainerLabels: {}")
        pairs = [(1, text.encode()) for text in texts]
        capture = self.write("p.pcapng", make.pcapng([make.RAW], [
            (us, packet, 0, [*pairs, (2, flag)]) for us, packet, flag in exchange(0)]))
        database = self.read_capture(capture)
        self.assert_flow(harness.one(self, self.flows(database)), {
            "pid": 321, "exe": "/usr/bin/curl", "cmdline": "curl -s x", "uid": 1000,
            "ppid": 300, "parent_exe": "/bin/sh", "container": ident, "method": "pktap"})
        parent = harness.one(self, harness.rows(
            database, "SELECT * FROM processes WHERE pid = 300"))
        self.assertEqual((parent["exe"], parent["cmdline"]), ("/bin/sh", "sh -c 'curl -s x'"))

    def test_a_file_that_cannot_be_read_leaves_no_database(self):
        for data in (make.section()[:20], make.pcapng([105], [(0, b"beacon")])):
            database = self.path("none.db")
            done = self.run_daemon("-r", self.write("x.pcapng", data), "--db", database)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertFalse(os.path.exists(database))


if __name__ == "__main__":
    harness.main()
