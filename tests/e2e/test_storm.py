#!/usr/bin/env python3
"""The storm: thousands of processes, each fork + exec + connect + one octet + exit. Every record
of both ends is compared with the truth that clients and server wrote; nothing may be dropped.

LASTCONN_STORM: how many (default 10000)."""
import collections
import os

import harness

COUNT = int(os.environ.get("LASTCONN_STORM", "10000"))
PARALLEL = 8

LOST = ("SELECT what, count, detail FROM coverage"
        " WHERE what IN ('ring full', 'map full', 'table full', 'queue full')")


def read_truth(paths, port):
    """What happened, as the records that must be there: a multiset, because the kernel may give
    a client port to two clients one after the other."""
    clients, servers = collections.Counter(), collections.Counter()
    for line in harness.lines(*paths):
        words = line.split()
        if words[0] == "client":
            pid, ident, own_port, octets = map(int, words[1:])
            cmdline = f"{harness.STORM_CLIENT} tcp 127.0.0.1 {port} {ident}"
            clients[pid, harness.STORM_CLIENT, cmdline, own_port, port, octets, 0] += 1
        else:
            pid, peer_port, octets = map(int, words[1:])
            servers[pid, harness.STORM, peer_port, port, 0, octets] += 1
    return clients, servers


def differences(truth, found, limit=10):
    """Readable: what is missing and what nobody did."""
    missing, extra = truth - found, found - truth
    return "".join(
        f"\n{sum(part.values())} {name}, such as:\n" +
        "\n".join(f"    {item}" for item in list(part)[:limit])
        for name, part in (("missing", missing), ("not in the truth", extra)) if part)


class Storm(harness.Case):

    def run_storm(self, count):
        truth = [self.path("server.tsv"), self.path("clients.tsv")]
        server = self.start_program(harness.STORM, "serve", str(count), truth[0])
        port = int(self.read_line(server))
        self.run_program(harness.STORM, "spawn", "tcp", "127.0.0.1", str(port), str(count),
                         str(PARALLEL), truth[1], harness.STORM_CLIENT, seconds=300)
        self.finish(server)
        return port, *read_truth(truth, port)

    def test_every_connection_of_the_storm_is_recorded_with_its_process(self):
        daemon = self.start_daemon("--flush-interval", "1s")
        port, clients, servers = self.run_storm(COUNT)
        self.assertEqual((sum(clients.values()), sum(servers.values())), (COUNT, COUNT))
        harness.wait_until("all flows", lambda: daemon.rows(
            "SELECT count(*) AS n FROM flow WHERE local_port = ?1 OR remote_port = ?1",
            port)[0]["n"] >= 2 * COUNT or daemon.process.poll() is not None, 120)
        daemon.stop()

        flows = daemon.flows(port)
        found_clients = collections.Counter(
            (f["pid"], f["exe"], f["cmdline"], f["local_port"], f["remote_port"],
             f["octets_out"], f["octets_in"]) for f in flows if f["direction"] == "out")
        found_servers = collections.Counter(
            (f["pid"], f["exe"], f["remote_port"], f["local_port"],
             f["octets_out"], f["octets_in"]) for f in flows if f["direction"] == "in")
        self.assertEqual(differences(clients, found_clients), "", "the clients' records")
        self.assertEqual(differences(servers, found_servers), "", "the server's records")
        self.assertEqual(len(flows), 2 * COUNT)
        self.check_common(flows)
        self.assertEqual(daemon.rows(LOST), [], "drops")

    def check_common(self, flows):
        columns = ("open", "protocol", "outcome", "local_ip", "remote_ip", "method", "uid",
                   "source", "opener_pid")
        kinds = collections.Counter(tuple(flow[c] for c in columns) for flow in flows)
        expected = (0, "tcp", "closed", "127.0.0.1", "127.0.0.1", "exact", os.getuid(), "ebpf",
                    None)
        self.assertEqual(dict(kinds), {expected: len(flows)}, columns)
        parents = {flow["parent_exe"] for flow in flows if flow["direction"] == "out"}
        self.assertEqual(parents, {harness.STORM})
        for flow in flows:
            self.assertGreater(flow["end_us"], flow["start_us"] - 1)


if __name__ == "__main__":
    harness.main()
