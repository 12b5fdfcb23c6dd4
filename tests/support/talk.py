#!/usr/bin/env python3
"""Two programs that talk, and the truth about it as JSON lines on standard output.

    talk.py serve ADDRESS COUNT [--abort]   TCP: reads until the end, answers 2 n + 1 octets, closes
    talk.py talk ADDRESS PORT OCTETS        TCP: sends, shuts down, reads the answer, closes
        --thread NAME   from a thread that calls itself so (prctl PR_SET_NAME)
        --mapped        through an IPv6 socket to the v4-mapped address
        --abort         waits for one octet of answer, then closes with linger 0 (both ends
                        need it)
    talk.py echo ADDRESS COUNT              UDP: COUNT sockets, one answer to each datagram
    talk.py peers ADDRESS PORT...           UDP: one socket, datagrams to every port and answers

serve prints {"port": N} first, echo {"ports": [...]}. The i-th peer gets 1 + i % 3 datagrams of
10 + i octets and answers each with 5 + i octets. pid is what the procfs mounted here shows: the
one of the initial pid namespace, even within `unshare -pf`; arguments with spaces are quoted in
cmdline. All ends after 30 s without traffic.
"""
import argparse
import ctypes
import json
import os
import shlex
import socket
import struct
import sys
import threading

PR_SET_NAME = 15
PATIENCE = 30


def say(**truth):
    print(json.dumps(truth), flush=True)


def identity():
    with open("/proc/self/cmdline", "rb") as file:
        cmdline = shlex.join(file.read().decode().split("\0")[:-1])
    with open("/proc/self/comm", encoding="ascii") as file:
        comm = file.read().strip()
    return {"pid": int(os.readlink("/proc/self")), "ppid": os.getppid(), "inner_pid": os.getpid(),
            "exe": os.readlink("/proc/self/exe"), "cmdline": cmdline, "comm": comm,
            "uid": os.getuid()}


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def read_all(sock):
    total = 0
    try:
        while data := sock.recv(65536):
            total += len(data)
    except ConnectionResetError:
        pass
    return total


def serve(arguments):
    listener = socket.socket(family_of(arguments.address), socket.SOCK_STREAM)
    if arguments.address == "::":
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.settimeout(PATIENCE)
    listener.bind((arguments.address, 0))
    listener.listen(64)
    say(port=listener.getsockname()[1])
    for _ in range(arguments.count):
        sock, peer = listener.accept()
        sock.settimeout(PATIENCE)
        if arguments.abort:
            got = len(sock.recv(65536))
            answer = 1
            sock.sendall(b"a")
            got += read_all(sock)
        else:
            got = read_all(sock)
            answer = 2 * got + 1
            sock.sendall(b"a" * answer)
        sock.close()
        say(**identity(), peer_port=peer[1], octets_in=got, octets_out=answer)


def connect(arguments):
    address = arguments.address
    if arguments.mapped:
        address = "::ffff:" + address
    sock = socket.socket(family_of(address), socket.SOCK_STREAM)
    sock.settimeout(PATIENCE)
    sock.connect((address, arguments.port))
    return sock


def talk(arguments):
    try:
        sock = connect(arguments)
    except OSError as error:
        say(**identity(), error=error.errno)
        return
    own_port = sock.getsockname()[1]
    sock.sendall(b"q" * arguments.octets)
    got = 0
    if arguments.abort:
        got = len(sock.recv(1))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    else:
        sock.shutdown(socket.SHUT_WR)
        got = read_all(sock)
    sock.close()
    say(**identity(), port=own_port, octets_out=arguments.octets, octets_in=got)


def talk_in_thread(arguments):
    def run():
        ctypes.CDLL(None).prctl(PR_SET_NAME, arguments.thread.encode())
        talk(arguments)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def plan(index):
    """Datagrams to the index-th peer, octets of each, octets of each answer."""
    return 1 + index % 3, 10 + index, 5 + index


def echo(arguments):
    socks = [socket.socket(family_of(arguments.address), socket.SOCK_DGRAM)
             for _ in range(arguments.count)]
    for sock in socks:
        sock.bind((arguments.address, 0))
    say(ports=[sock.getsockname()[1] for sock in socks])
    for index, sock in enumerate(socks):
        sock.settimeout(PATIENCE)
        datagrams, _, answer = plan(index)
        for _ in range(datagrams):
            _, peer = sock.recvfrom(65536)
            sock.sendto(b"a" * answer, peer)
    say(**identity())


def peers(arguments):
    sock = socket.socket(family_of(arguments.address), socket.SOCK_DGRAM)
    sock.settimeout(PATIENCE)
    sock.bind((arguments.address, 0))
    for index, port in enumerate(arguments.ports):
        datagrams, size, _ = plan(index)
        for _ in range(datagrams):
            sock.sendto(b"q" * size, (arguments.address, port))
            sock.recvfrom(65536)
    say(**identity(), port=sock.getsockname()[1])


def main():
    parser = argparse.ArgumentParser()
    modes = parser.add_subparsers(required=True)
    for name, run in (("serve", serve), ("talk", talk), ("echo", echo), ("peers", peers)):
        mode = modes.add_parser(name)
        mode.set_defaults(run=run)
        mode.add_argument("address")
        if name in ("serve", "echo"):
            mode.add_argument("count", type=int)
        if name == "serve":
            mode.add_argument("--abort", action="store_true")
        if name == "peers":
            mode.add_argument("ports", type=int, nargs="+")
        if name == "talk":
            mode.add_argument("port", type=int)
            mode.add_argument("octets", type=int)
            mode.add_argument("--thread")
            for flag in ("--mapped", "--abort"):
                mode.add_argument(flag, action="store_true")
    arguments = parser.parse_args()
    if getattr(arguments, "thread", None):
        talk_in_thread(arguments)
    else:
        arguments.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
