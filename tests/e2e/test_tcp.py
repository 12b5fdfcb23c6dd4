#!/usr/bin/env python3
"""TCP, both ends: process, direction, octets and outcome against the truth of talk.py."""
import contextlib
import json
import os
import socket
import struct
import subprocess

import harness


class Tcp(harness.Case):

    def serve(self, address, *flags, prefix=()):
        server = self.start_program(*prefix, harness.PYTHON, harness.TALK, "serve", address, "1",
                                    *flags)
        return server, json.loads(self.read_line(server))["port"]

    def talk(self, address, port, octets, *flags, prefix=()):
        done = self.run_program(*prefix, harness.PYTHON, harness.TALK, "talk", address, str(port),
                                str(octets), *flags)
        return json.loads(done.stdout)

    def check(self, listen_on, address, octets, *flags, prefix=(), outcome="closed"):
        """One conversation; both of its flows are as the two programs say."""
        daemon = self.start_daemon()
        abort = [flag for flag in flags if flag == "--abort"]
        server, port = self.serve(listen_on, *abort, prefix=prefix)
        client = self.talk(address, port, octets, *flags, prefix=prefix)
        served = json.loads(self.finish(server))
        flows = daemon.wait_flows(port, 2)
        self.assertEqual(len(flows), 2, flows)
        common = {"protocol": "tcp", "local_ip": address, "remote_ip": address, "open": 0,
                  "outcome": outcome, "method": "exact", "source": "ebpf"}
        outgoing = harness.one(self, [f for f in flows if f["direction"] == "out"])
        incoming = harness.one(self, [f for f in flows if f["direction"] == "in"])
        self.assert_flow(outgoing, {
            **common, "local_port": client["port"], "remote_port": port,
            "octets_out": octets, "octets_in": served["octets_out"],
            **{key: client[key] for key in ("pid", "exe", "cmdline", "comm", "uid")}})
        self.assert_flow(incoming, {
            **common, "local_port": port, "remote_port": client["port"],
            "octets_out": served["octets_out"], "octets_in": octets,
            **{key: served[key] for key in ("pid", "exe", "cmdline", "comm", "uid")}})
        return daemon, outgoing, incoming

    def test_ipv4(self):
        self.check("127.0.0.1", "127.0.0.1", 1000)

    def test_ipv6(self):
        self.check("::1", "::1", 100000)

    def test_nothing_sent_is_nothing_counted(self):
        self.check("127.0.0.1", "127.0.0.1", 0)

    def test_a_megabyte_is_counted_to_the_octet(self):
        self.check("127.0.0.1", "127.0.0.1", 1048577)

    def test_a_mapped_client_is_stored_as_ipv4(self):
        self.check("127.0.0.1", "127.0.0.1", 77, "--mapped")

    def test_a_dual_stack_server_is_stored_as_ipv4(self):
        self.check("::", "127.0.0.1", 78)

    def test_mapped_on_both_sides(self):
        self.check("::", "127.0.0.1", 79, "--mapped")

    def test_a_non_blocking_connect(self):
        self.check("127.0.0.1", "127.0.0.1", 80, "--nonblocking")

    def test_an_abort_is_a_reset_on_both_sides(self):
        self.check("127.0.0.1", "127.0.0.1", 81, "--abort", outcome="reset")

    def test_the_two_ends_have_different_addresses(self):
        daemon = self.start_daemon()
        server, port = self.serve("127.0.0.2")
        client = self.talk("127.0.0.2", port, 82)
        self.finish(server)
        for flow in daemon.wait_flows(port, 2):
            ends = [("127.0.0.1", client["port"]), ("127.0.0.2", port)]
            local, remote = ends if flow["direction"] == "out" else ends[::-1]
            self.assert_flow(flow, {"local_ip": local[0], "local_port": local[1],
                                    "remote_ip": remote[0], "remote_port": remote[1]})

    def test_a_reset_before_the_server_has_looked(self):
        daemon = self.start_daemon()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            with socket.create_connection(listener.getsockname()) as client:
                client.sendall(b"x" * 9)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            daemon.wait_flows(port, 2)
            listener.accept()[0].close()
        for flow in daemon.flows(port):
            self.assert_flow(flow, {"pid": os.getpid(), "outcome": "reset"})
            self.assertIn(flow["method"], ("exact", "inherited"))
            self.assertEqual(flow["octets_out"] + flow["octets_in"], 9)

    def test_a_refused_connect(self):
        daemon = self.start_daemon()
        for address in ("127.0.0.1", "::1"):
            port = self.free_port()
            client = self.talk(address, port, 5)
            self.assertIn("error", client)
            flow = harness.one(self, daemon.wait_flows(port, 1))
            self.assert_flow(flow, {
                "direction": "out", "outcome": "refused", "remote_ip": address,
                "octets_out": 0, "octets_in": 0,
                **{key: client[key] for key in ("pid", "exe", "cmdline")}})

    def test_a_connect_that_nobody_answers_and_that_is_given_up(self):
        daemon = self.start_daemon()
        with self.namespace() as name:
            # nobody there has this address: what goes in comes back and is dropped
            self.run_program("ip", "-n", name, "addr", "add", "198.51.100.1", "dev", "lo")
            self.run_program("ip", "-n", name, "route", "add", "198.51.100.9", "dev", "lo")
            port = self.free_port()
            nc = self.need_program("nc")
            client = self.start_program("ip", "netns", "exec", name, nc, "-w", "1", "-z",
                                        "198.51.100.9", str(port), stderr=subprocess.DEVNULL)
            pid = client.pid
            client.wait(30)
        flow = harness.one(self, daemon.wait_flows(port, 1))
        self.assert_flow(flow, {"direction": "out", "remote_ip": "198.51.100.9", "exe": nc,
                                "pid": pid, "octets_out": 0, "octets_in": 0})
        self.assertIn(flow["outcome"], ("aborted", "timeout", "unreachable"))

    @contextlib.contextmanager
    def namespace(self):
        self.need_kernel()
        self.need_program("ip")
        name = f"lastconn-test-{os.getpid()}"
        self.run_program("ip", "netns", "add", name)
        try:
            self.run_program("ip", "-n", name, "link", "set", "lo", "up")
            yield name
        finally:
            self.run_program("ip", "netns", "delete", name)

    def test_another_network_namespace(self):
        with self.namespace() as name:
            inode = os.stat(f"/run/netns/{name}").st_ino
            _, outgoing, incoming = self.check("127.0.0.1", "127.0.0.1", 83,
                                               prefix=("ip", "netns", "exec", name))
            self.assertEqual((outgoing["netns"], incoming["netns"]), (inode, inode))
            self.assertNotEqual(inode, os.stat("/proc/self/ns/net").st_ino)

    def test_the_same_tuple_in_two_namespaces_is_two_flows(self):
        daemon = self.start_daemon()
        port = self.free_port()
        program = ("import socket, sys\n"
                   "l = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
                   "c = socket.socket(); c.bind(('127.0.0.1', int(sys.argv[2])))\n"
                   "c.connect(l.getsockname()); s, _ = l.accept()\n"
                   "c.sendall(b'x' * int(sys.argv[3])); c.close()\n"
                   "while s.recv(4096): pass\n")
        own_port = self.free_port()
        with self.namespace() as name:
            self.run_program(harness.PYTHON, "-c", program, str(port), str(own_port), "10")
            self.run_program("ip", "netns", "exec", name, harness.PYTHON, "-c", program,
                             str(port), str(own_port), "20")
        flows = daemon.wait_flows(port, 4)
        octets = sorted((f["direction"], f["octets_out"] + f["octets_in"]) for f in flows)
        self.assertEqual(octets, [("in", 10), ("in", 20), ("out", 10), ("out", 20)])
        self.assertEqual(len({f["netns"] for f in flows}), 2)

    def test_connections_older_than_the_daemon_are_recorded_from_a_snapshot(self):
        self.need_kernel()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            client = socket.create_connection(("127.0.0.1", port))
            server, _ = listener.accept()
            with client, server:
                client.sendall(b"x" * 50)
                daemon = self.start_daemon()
                client.sendall(b"x" * 7)
                server.sendall(b"y" * 9)
                server.recv(100)
            flows = daemon.wait_flows(port, 2)
        outgoing = harness.one(self, [f for f in flows if f["local_port"] != port])
        incoming = harness.one(self, [f for f in flows if f["local_port"] == port])
        self.assertIn(outgoing["direction"], ("out", "unknown"))
        self.assertEqual(incoming["direction"], "in")
        self.assertIn(outgoing["method"], ("snapshot", "exact"))
        self.assertEqual((outgoing["pid"], incoming["pid"]), (os.getpid(), os.getpid()))
        self.assertEqual(outgoing["exe"], os.readlink("/proc/self/exe"))
        self.assertEqual((outgoing["octets_out"], outgoing["octets_in"]), (57, 9))

    def test_a_served_child_is_the_user_and_not_the_accepting_parent(self):
        daemon = self.start_daemon()
        program = ("import os, socket\n"
                   "l = socket.create_server(('127.0.0.1', 0))\n"
                   "print(l.getsockname()[1], flush=True)\n"
                   "s, _ = l.accept()\n"
                   "pid = os.fork()\n"
                   "if pid == 0:\n"
                   "    s.recv(100); s.sendall(b'answer'); os._exit(0)\n"
                   "s.close(); os.waitpid(pid, 0); print(os.getpid(), pid, flush=True)\n")
        server = self.start_program(harness.PYTHON, "-c", program)
        port = int(self.read_line(server))
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"question")
            self.assertEqual(client.recv(100), b"answer")
        _, child = map(int, self.finish(server).split())
        daemon.wait_flows(port, 2)
        flow = harness.one(self, daemon.flows(port, "direction = 'in'"))
        self.assert_flow(flow, {"pid": child, "octets_in": 8, "octets_out": 6,
                                "outcome": "closed"})


if __name__ == "__main__":
    harness.main()
