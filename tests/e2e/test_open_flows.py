#!/usr/bin/env python3
"""Flows that are still open: seen while they last, with growing counters, and once after."""
import os
import socket

import harness


class OpenFlows(harness.Case):

    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon("--active-timeout", "1s")

    def wait_open(self, port, direction, column, octets):
        """The open flow, as soon as its counter has reached octets."""
        flow = harness.one(self, self.daemon.wait_flows(
            port, 1, f"open = 1 AND direction = '{direction}' AND {column} >= {octets}"))
        self.assert_flow(flow, {"outcome": "open", "pid": os.getpid(),
                                "exe": os.readlink("/proc/self/exe")})
        return flow

    def check_over(self, port, direction, outgoing, incoming):
        flow = harness.one(self, self.daemon.wait_flows(
            port, 1, f"open = 0 AND direction = '{direction}'"))
        self.assert_flow(flow, {"octets_out": outgoing, "octets_in": incoming,
                                "outcome": "closed", "pid": os.getpid()})
        return flow

    def test_a_long_connection_grows_while_it_is_open_and_is_one_row_after(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            client = socket.create_connection(listener.getsockname())
            server, _ = listener.accept()
        with client, server:
            client.sendall(b"x" * 1000)
            server.recv(4096)
            first = self.wait_open(port, "out", "octets_out", 1000)
            self.assertEqual(first["octets_out"], 1000)
            self.wait_open(port, "in", "octets_in", 1000)
            client.sendall(b"x" * 5000)
            server.sendall(b"y" * 300)
            second = self.wait_open(port, "out", "octets_out", 6000)
            self.assertEqual((second["octets_out"], second["octets_in"]), (6000, 300))
            self.assertEqual(second["start_us"], first["start_us"])
            self.assertGreater(second["end_us"], first["end_us"])
            client.sendall(b"x")
            self.assertEqual(len(client.recv(4096)), 300)
            self.assertEqual(len(server.recv(8192)), 5001)
        over = self.check_over(port, "out", 6001, 300)
        self.assertGreater(over["duration_us"], 1000000)
        self.check_over(port, "in", 300, 6001)
        self.assertLess(abs(over["start_us"] - first["start_us"]), 1000)
        self.assertEqual(self.daemon.flows(port, "open = 1"), [])
        self.assertEqual(len(self.daemon.flows(port)), 2)

    def test_datagrams_of_a_long_lived_socket(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, \
             socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            server.bind(("127.0.0.1", 0))
            port = server.getsockname()[1]
            client.connect(server.getsockname())
            client.send(b"x" * 100)
            server.recv(4096)
            self.wait_open(port, "out", "octets_out", 100)
            client.send(b"x" * 400)
            server.recv(4096)
            flow = self.wait_open(port, "out", "octets_out", 500)
            self.assert_flow(flow, {"octets_out": 500, "packets_out": 2, "protocol": "udp"})
            self.wait_open(port, "in", "octets_in", 500)
        self.check_over(port, "out", 500, 0)
        self.check_over(port, "in", 0, 500)
        self.assertEqual(len(self.daemon.flows(port)), 2)

    def test_open_flows_survive_an_orderly_restart_as_rows(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            client = socket.create_connection(listener.getsockname())
            server, _ = listener.accept()
            with client, server:
                client.sendall(b"x" * 10)
                self.wait_open(port, "out", "octets_out", 10)
                self.daemon.stop()
                stopped = self.daemon.flows(port, "direction = 'out'")
                self.assertEqual(harness.one(self, stopped)["octets_out"], 10)
                again = self.start_daemon("--active-timeout", "1s")
                client.sendall(b"x" * 5)
                flows = again.wait_flows(port, 1, "open = 1 AND octets_out = 15")
                self.assert_flow(harness.one(self, flows), {
                    "pid": os.getpid(), "start_us": stopped[0]["start_us"], "method": "exact"})
            again.wait_flows(port, 2)
            self.assertEqual(len(again.flows(port)), 2, "one row an end")


if __name__ == "__main__":
    harness.main()
