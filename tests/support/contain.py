#!/usr/bin/env python3
"""Runs a program as a container engine would: in a cgroup and in mount, pid, cgroup and perhaps
network and user namespaces of its own, its root an overlay. Needs root.

    contain.py [options] PROGRAM ARGUMENT...     PROGRAM as seen inside
        --cgroup DIRECTORY      (may be given again) joined first, then the root of its namespace
        --netns FILE            network namespace to join
        --overlay LOWER UPPER WORK MERGED       mounted and made the root by pivot_root
        --bind SOURCE TARGET    (may be given again) TARGET as seen inside
        --chroot DIRECTORY      as seen inside, after all else
        --uid UID               in a user namespace: 0 inside is UID outside

Prints one JSON line {"pid": N} before the program runs: its pid outside; inside it is 1. Its mounts
vanish with it. The exit status is the program's.
"""
import argparse
import ctypes
import json
import os
import platform
import sys

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUSER = 0x20000, 0x2000000, 0x10000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
MNT_DETACH = 2
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

libc = ctypes.CDLL(None, use_errno=True)


def call(name, *arguments):
    values = [a.encode() if isinstance(a, str) else a for a in arguments]
    if getattr(libc, name)(*values) < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}{arguments}: {os.strerror(error)}")


def mount(source, target, kind=None, flags=0, data=None):
    call("mount", source, target, kind, ctypes.c_ulong(flags), data)


def enter(options):
    for cgroup in options.cgroup:
        with open(os.path.join(cgroup, "cgroup.procs"), "w", encoding="ascii") as file:
            file.write("0")
    if options.netns:
        fd = os.open(options.netns, os.O_RDONLY | os.O_CLOEXEC)
        call("setns", fd, CLONE_NEWNET)
        os.close(fd)
    call("unshare", CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWCGROUP)
    mount("none", "/", None, MS_REC | MS_PRIVATE)


def make_root(options):
    root = ""
    if options.overlay:
        lower, upper, work, root = options.overlay
        mount("overlay", root, "overlay", 0, f"lowerdir={lower},upperdir={upper},workdir={work}")
    for source, target in options.bind:
        mount(source, root + target, None, MS_BIND)
    if options.overlay:
        os.makedirs(os.path.join(root, ".old"), exist_ok=True)
        os.chdir(root)
        call("syscall", PIVOT_ROOT[platform.machine()], ".", ".old")
        call("umount2", "/.old", MNT_DETACH)
        os.chdir("/")
    if options.chroot:
        os.chroot(options.chroot)
        os.chdir("/")


def become_user(uid, tell, hear):
    """The maps are written by the process outside, which alone may choose the uid."""
    call("unshare", CLONE_NEWUSER)
    os.write(tell, b"x")
    if not os.read(hear, 1):
        raise OSError(f"no user namespace for uid {uid}")
    os.setgid(0)
    os.setuid(0)


def write_maps(proc, pid, uid):
    for name in ("uid_map", "gid_map"):
        fd = os.open(f"{pid}/{name}", os.O_WRONLY, dir_fd=proc)
        os.write(fd, f"0 {uid} 1".encode())
        os.close(fd)


def inside(options, tell, hear):
    try:
        make_root(options)
        if options.uid is not None:
            become_user(options.uid, tell, hear)
        else:
            os.write(tell, b"x")
            os.read(hear, 1)
        os.execv(options.program[0], options.program)
    except OSError as error:
        os.write(2, f"contain.py: {error}\n".encode())
    os._exit(125)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cgroup", action="append", default=[])
    parser.add_argument("--netns")
    parser.add_argument("--overlay", nargs=4)
    parser.add_argument("--bind", nargs=2, action="append", default=[])
    parser.add_argument("--chroot")
    parser.add_argument("--uid", type=int)
    parser.add_argument("program", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)  # pivot_root moves this process too
    enter(options)
    ready, tell = os.pipe()
    hear, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ready)
        os.close(go)
        inside(options, tell, hear)
    os.close(tell)
    os.close(hear)
    if os.read(ready, 1):
        if options.uid is not None:
            write_maps(proc, pid, options.uid)
        print(json.dumps({"pid": pid}), flush=True)
        os.write(go, b"x")
    _, status = os.waitpid(pid, 0)
    sys.exit(os.waitstatus_to_exitcode(status) & 0xff)


if __name__ == "__main__":
    main()
