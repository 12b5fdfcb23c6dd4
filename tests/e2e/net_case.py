"""Network namespaces that a test makes, and programs that talk in them."""
import subprocess

import harness

PYTHON = "/usr/bin/python3"  # which nobody may run, too

NAME_SERVER = """
import socket, sys, threading
address, message = sys.argv[1], bytes.fromhex(sys.argv[2])
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind((address, 53))
def answer():
    while True:
        udp.sendto(message, udp.recvfrom(2000)[1])
threading.Thread(target=answer, daemon=True).start()
listener = socket.create_server((address, 443))
print("ready", flush=True)
held = [listener.accept()[0] for _ in range(2)]
sys.stdin.readline()
"""
# Puts the question twice, so that the flow goes on for a while; then says these octets, in a
# connection each, and the last ones in a datagram.
ASKER = """
import os, socket, sys, time
address, question, *said = sys.argv[1:]
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.connect((address, 53))
udp.settimeout(20)
for pause in (0.8, 0):
    udp.send(bytes.fromhex(question))
    udp.recv(2000)
    time.sleep(pause)
print(os.getpid(), flush=True)
sys.stdin.readline()
held = [socket.create_connection((address, 443)) for _ in said[:-1]]
for connection, octets in zip(held, said):
    connection.sendall(bytes.fromhex(octets))
quic = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
quic.sendto(bytes.fromhex(said[-1]), (address, 443))
sys.stdin.readline()
"""


class NetCase(harness.Case):

    def setUp(self):
        super().setUp()
        self.need_root()
        self.nsenter = self.need_program("nsenter")
        self.ip_program = self.need_program("ip")

    def make_namespace(self):
        """The command line prefix of a new network namespace, which is gone after the test."""
        holder = self.start_program(self.need_program("unshare"), "-n", PYTHON, "-c",
                                    "print('in', flush=True); import time; time.sleep(600)")
        self.read_line(holder)
        prefix = (self.nsenter, "-t", str(holder.pid), "-n")
        self.ip(prefix, "link set lo up")
        return prefix

    def ip(self, prefix, words):
        self.run_program(*prefix, self.ip_program, *words.split())

    def join(self, left, left_name, right, right_name):
        """A pair of veth devices, up."""
        self.ip(left, f"link add {left_name} type veth peer name {right_name} netns {right[2]}")
        self.ip(left, f"link set {left_name} up")
        self.ip(right, f"link set {right_name} up")

    def give(self, prefix, device, address):
        self.ip(prefix, f"addr add {address} dev {device}" + (" nodad" if ":" in address else ""))

    def make_pair(self):
        """Two namespaces with 10.9.0.1 and 10.9.0.2, fd09::1 and fd09::2."""
        here, there = self.make_namespace(), self.make_namespace()
        self.join(here, "veth-a", there, "veth-b")
        for prefix, device, last in ((here, "veth-a", 1), (there, "veth-b", 2)):
            self.give(prefix, device, f"10.9.0.{last}/24")
            self.give(prefix, device, f"fd09::{last}/64")
        return here, there

    def make_router(self):
        """Three namespaces: one that forwards, 10.9.1.2 and 10.9.2.2 at its sides."""
        router, left, right = (self.make_namespace() for _ in range(3))
        for side, name, network in ((left, "left", 1), (right, "right", 2)):
            self.join(router, name, side, "eth")
            self.give(router, name, f"10.9.{network}.1/24")
            self.give(side, "eth", f"10.9.{network}.2/24")
            self.ip(side, f"route add default via 10.9.{network}.1")
        self.run_program(*router, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
        return router, left, right

    def start_talker(self, prefix, text, *arguments):
        return self.start_program(*prefix, PYTHON, "-c", text, *map(str, arguments),
                                  stdin=subprocess.PIPE)

    def release(self, process):
        process.stdin.write("\n")
        process.stdin.flush()
        self.assertEqual(process.wait(30 * harness.SLOW), 0)
