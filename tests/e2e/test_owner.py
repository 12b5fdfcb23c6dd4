#!/usr/bin/env python3
"""Who owns a flow when sockets move between processes, and how flows end that do not end well.
The user of the socket is reported, the opener kept beside it (attribution.md)."""
import ctypes
import os
import signal
import socket
import struct

import harness

PREFORK = """
import os, socket
l = socket.create_server(("127.0.0.1", 0))
pid = os.fork()
if pid == 0:
    s, _ = l.accept(); s.recv(100); s.sendall(b"ok"); s.close(); os._exit(0)
print(l.getsockname()[1], pid, flush=True)
os.waitpid(pid, 0)
"""

ACCEPT_AND_CLOSE = """
import os, socket
l = socket.create_server(("127.0.0.1", 0))
print(l.getsockname()[1], os.getpid(), flush=True)
s, _ = l.accept(); s.close()
"""

PASS_ACCEPTED = """
import os, socket
l = socket.create_server(("127.0.0.1", 0))
near, far = socket.socketpair()
pid = os.fork()
if pid == 0:
    _, fds, _, _ = socket.recv_fds(far, 1, 1)
    s = socket.socket(fileno=fds[0])
    s.recv(100); s.sendall(b"ok"); s.close(); os._exit(0)
print(l.getsockname()[1], pid, flush=True)
s, _ = l.accept()
socket.send_fds(near, [b"x"], [s.fileno()])
s.close()
os.waitpid(pid, 0)
"""

CONNECT_AND_EXEC = """
import os, socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
os.dup2(s.fileno(), 1)
os.execv("/bin/echo", ["echo", "from", "echo"])
"""

BOUND_IN_THE_PARENT = """
import os, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
pid = os.fork()
if pid == 0:
    data, peer = s.recvfrom(100); s.sendto(b"answer", peer); os._exit(0)
print(s.getsockname()[1], pid, os.getpid(), flush=True)
os.waitpid(pid, 0)
"""

MAIN_THREAD_GONE = """
import ctypes, os, socket, sys, threading, time
def run():
    while open("/proc/self/status").read().split("State:")[1].split()[0] != "Z":
        time.sleep(0.01)
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    s.sendall(b"late"); s.close()
    os._exit(0)
threading.Thread(target=run).start()
ctypes.CDLL(None).syscall(60, 0)  # exit(2) of this thread only
"""


class Owner(harness.Case):

    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()

    def start_server(self, program):
        """A Python program that prints its port and some pids."""
        process = self.start_program(harness.PYTHON, "-c", program)
        port, *pids = map(int, self.read_line(process).split())
        return process, port, pids

    def ask(self, port, data=b"question"):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(data)
            return client.recv(100)

    def side(self, port, direction):
        """The only flow of this direction, once both are there."""
        self.daemon.wait_flows(port, 2)
        return harness.one(self, self.daemon.flows(port, f"direction = '{direction}'"))

    def listen(self):
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(30)
        self.addCleanup(listener.close)
        return listener, listener.getsockname()[1]

    def disconnect(self, sock):
        """connect(2) to AF_UNSPEC, for which Python has no name."""
        none = struct.pack("H14x", socket.AF_UNSPEC)
        self.assertEqual(ctypes.CDLL(None).connect(sock.fileno(), none, len(none)), 0)

    def test_a_pre_forked_worker_is_the_user(self):
        process, port, (worker,) = self.start_server(PREFORK)
        self.assertEqual(self.ask(port), b"ok")
        self.finish(process)
        self.assert_flow(self.side(port, "in"), {
            "pid": worker, "ppid": process.pid, "octets_in": 8, "octets_out": 2})

    def test_accepted_and_closed_without_a_word(self):
        process, port, (pid,) = self.start_server(ACCEPT_AND_CLOSE)
        with socket.create_connection(("127.0.0.1", port)) as client:
            self.assertEqual(client.recv(10), b"")
        self.finish(process)
        self.assert_flow(self.side(port, "in"), {"pid": pid, "octets_in": 0, "octets_out": 0})

    def test_an_accepted_socket_passed_to_another_process(self):
        process, port, (receiver,) = self.start_server(PASS_ACCEPTED)
        self.assertEqual(self.ask(port), b"ok")
        self.finish(process)
        self.assert_flow(self.side(port, "in"), {"pid": receiver, "octets_in": 8})

    def test_connected_by_one_program_and_used_by_the_next_of_the_same_process(self):
        listener, port = self.listen()
        process = self.start_program(harness.PYTHON, "-c", CONNECT_AND_EXEC, str(port))
        server, _ = listener.accept()
        with server:
            self.assertEqual(server.makefile().read(), "from echo\n")
        self.finish(process)
        self.assert_flow(self.side(port, "out"), {
            "pid": process.pid, "exe": os.path.realpath("/bin/echo"), "cmdline": "echo from echo",
            "octets_out": 10, "opener_pid": process.pid, "opener_exe": harness.PYTHON})

    def test_a_datagram_socket_bound_in_the_parent_and_used_in_the_child(self):
        process, port, (child, _) = self.start_server(BOUND_IN_THE_PARENT)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(30)
            client.sendto(b"question", ("127.0.0.1", port))
            self.assertEqual(client.recv(100), b"answer")
        self.finish(process)
        self.assert_flow(self.side(port, "in"), {
            "pid": child, "octets_in": 8, "octets_out": 6, "packets_in": 1, "packets_out": 1})

    def test_a_process_whose_main_thread_is_gone(self):
        listener, port = self.listen()
        process = self.start_program(harness.PYTHON, "-c", MAIN_THREAD_GONE, str(port))
        server, _ = listener.accept()
        with server:
            self.assertEqual(server.recv(100), b"late")
        self.finish(process)
        self.assert_flow(self.side(port, "out"), {
            "pid": process.pid, "exe": harness.PYTHON, "octets_out": 4})

    def test_a_killed_client(self):
        listener, port = self.listen()
        process = self.start_program(
            harness.PYTHON, "-c", "import socket, sys, time\n"
            "s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n"
            "s.sendall(b'last words')\nprint(1, flush=True)\ntime.sleep(60)\n", str(port))
        server, _ = listener.accept()
        self.read_line(process)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        with server:
            self.assertEqual(server.recv(100), b"last words")
            self.assertEqual(server.recv(100), b"")
        self.assert_flow(self.side(port, "out"), {
            "pid": process.pid, "exe": harness.PYTHON, "octets_out": 10, "outcome": "closed"})

    def test_closed_with_unread_data(self):
        listener, port = self.listen()
        with socket.create_connection(("127.0.0.1", port)) as client:
            server, _ = listener.accept()
            client.sendall(b"never read")
            server.close()
            with self.assertRaises(ConnectionResetError):
                while client.recv(10):
                    pass
        for direction, column in (("out", "octets_out"), ("in", "octets_in")):
            self.assert_flow(self.side(port, direction), {
                "outcome": "reset", column: 10, "pid": os.getpid()})

    def test_one_socket_connected_twice_is_two_flows(self):
        first, first_port = self.listen()
        second, second_port = self.listen()
        with socket.socket() as client:
            for listener, port, octets in ((first, first_port, 3), (second, second_port, 5)):
                client.connect(("127.0.0.1", port))
                server, _ = listener.accept()
                with server:
                    client.sendall(b"x" * octets)
                    self.assertEqual(len(server.recv(100)), octets)
                    self.disconnect(client)
        self.assertEqual(self.side(first_port, "out")["octets_out"], 3)
        self.assertEqual(self.side(second_port, "out")["octets_out"], 5)

    def test_sendfile(self):
        path = self.path("file")
        with open(path, "wb") as file:
            file.write(b"f" * 54321)
        listener, port = self.listen()
        with socket.create_connection(("127.0.0.1", port)) as client:
            server, _ = listener.accept()
            with server, open(path, "rb") as file:
                os.sendfile(client.fileno(), file.fileno(), 0, 54321)
                client.shutdown(socket.SHUT_WR)
                self.assertEqual(len(server.makefile("rb").read()), 54321)
        self.assert_flow(self.side(port, "out"), {"octets_out": 54321, "pid": os.getpid()})
        self.assert_flow(self.side(port, "in"), {"octets_in": 54321, "pid": os.getpid()})

    def test_an_executable_that_is_gone(self):
        listener, port = self.listen()
        copy = self.path("gone")
        self.run_program("cp", harness.STORM_CLIENT, copy)
        process = self.start_program("sh", "-c", f"'{copy}' tcp 127.0.0.1 {port} 7; rm '{copy}'")
        server, _ = listener.accept()
        server.close()
        process.wait(30)
        self.assert_flow(self.side(port, "out"), {
            "exe": copy, "cmdline": f"{copy} tcp 127.0.0.1 {port} 7", "octets_out": 1})


if __name__ == "__main__":
    harness.main()
