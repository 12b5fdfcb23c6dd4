#!/usr/bin/env python3
"""Datagrams: thousands of processes with one each, every record compared with the truth that the
programs wrote, and a socket whose peers come and go. test_cases.py has the rest.

LASTCONN_STORM_UDP: how many processes (default 2000)."""
import collections
import os
import socket
import time

import harness

COUNT = int(os.environ.get("LASTCONN_STORM_UDP", "2000"))
PARALLEL = 4


class Datagrams(harness.Case):

    def check_multiset(self, what, truth, found):
        self.assertEqual(sorted((truth - found).items())[:10], [], f"missing {what}")
        self.assertEqual(sorted((found - truth).items())[:10], [], f"{what} that nobody made")

    def test_one_datagram_of_each_of_many_processes(self):
        daemon = self.start_daemon()
        truth = [self.path("server.tsv"), self.path("clients.tsv")]
        server = self.start_program(harness.STORM, "receive", str(COUNT), truth[0])
        port = int(self.read_line(server))
        self.run_program(harness.STORM, "spawn", "udp", "127.0.0.1", str(port), str(COUNT),
                         str(PARALLEL), truth[1], harness.STORM_CLIENT, seconds=120)
        self.finish(server)
        clients, peers = self.read_truth(truth, port)
        daemon.wait_flows(port, COUNT + len(peers), seconds=60)
        daemon.stop()

        flows = daemon.flows(port)
        for flow in flows:
            self.assert_flow(flow, {"protocol": "udp", "open": 0, "method": "exact",
                                    "local_ip": "127.0.0.1", "remote_ip": "127.0.0.1"})
        outgoing = collections.Counter(
            (f["pid"], f["exe"], f["cmdline"], f["local_port"], f["packets_out"], f["octets_out"],
             f["packets_in"]) for f in flows if f["direction"] == "out")
        incoming = collections.Counter(
            (f["pid"], f["exe"], f["remote_port"], f["packets_in"], f["octets_in"],
             f["packets_out"]) for f in flows if f["direction"] == "in")
        self.check_multiset("clients", clients, outgoing)
        self.check_multiset("server records", collections.Counter(
            (pid, harness.STORM, peer_port, packets, octets, 0)
            for (pid, peer_port), (packets, octets) in peers.items()), incoming)
        self.assertEqual(daemon.rows("SELECT * FROM coverage WHERE what IN"
                                     " ('ring full', 'map full', 'table full', 'queue full')"), [])

    def read_truth(self, paths, port):
        """Records of the clients, and packets and octets of each peer of the server's socket: the
        kernel gives a client port to several clients one after the other."""
        clients, peers = collections.Counter(), collections.defaultdict(lambda: (0, 0))
        for line in harness.lines(*paths):
            words = line.split()
            numbers = tuple(map(int, words[1:]))
            if words[0] == "client":
                pid, ident, own_port, octets = numbers
                cmdline = f"{harness.STORM_CLIENT} udp 127.0.0.1 {port} {ident}"
                clients[pid, harness.STORM_CLIENT, cmdline, own_port, 1, octets, 0] += 1
            else:
                pid, peer_port, octets = numbers
                packets, sum_of_octets = peers[pid, peer_port]
                peers[pid, peer_port] = (packets + 1, sum_of_octets + octets)
        self.assertEqual(sum(clients.values()), COUNT)
        self.assertEqual(sum(packets for packets, _ in peers.values()), COUNT)
        return clients, peers

    def test_a_socket_whose_first_peer_fell_silent(self):
        """Its other peers keep their owner, the first one that comes back is counted once, and the
        socket is no listener any more when it is closed."""
        daemon = self.start_daemon("--idle-timeout", "1s")
        with self.datagram_socket() as one, self.datagram_socket() as other:
            with self.datagram_socket() as asking:
                port = asking.getsockname()[1]
                asking.sendto(b"1", one.getsockname())

                def is_over():
                    asking.sendto(b"22", other.getsockname())
                    time.sleep(0.1)
                    return daemon.flows(port, "outcome = 'idle' AND direction = 'out'")
                harness.wait_until("the first peer's end", is_over)
                asking.sendto(b"333", one.getsockname())
            flows = daemon.wait_flows(port, 3, "open = 0 AND direction = 'out'")
            harness.wait_until("the listener's end", lambda: daemon.rows(
                "SELECT 1 FROM listeners WHERE local_port = ? AND open = 0", port))
        daemon.stop()
        self.assertEqual([(f["outcome"], f["octets_out"], f["pid"]) for f in flows
                          if f["octets_out"] % 2], [("idle", 1, os.getpid()),
                                                    ("closed", 3, os.getpid())])
        self.assertEqual(len(daemon.flows(port, "direction = 'out'")), 3)
        self.assertEqual({f["pid"] for f in flows}, {os.getpid()})

    def datagram_socket(self):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        return sock


if __name__ == "__main__":
    harness.main()
