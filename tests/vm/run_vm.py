#!/usr/bin/env python3
"""Runs a command on a stock Debian kernel, in a virtual machine over this machine's root file
system. Standard library only; QEMU's own emulation (TCG), for a machine need not have KVM.

    run_vm.py [--seconds N] [--append KERNEL_ARGUMENTS] [--systemd] KERNEL COMMAND...

KERNEL is a name in the file "kernels"; COMMAND runs as root in the current directory, with the
exit status and the output passed on. It sees the files of this machine read-only, under a layer
that is thrown away; what it leaves in /run/vm/results is handed to callers of run(). Kernels are
kept in LASTCONN_VM_KERNELS (default: build/kernels of this checkout).

Nothing stays behind: initramfs, results and console are memory without a name, virtiofsd's mounts
are in a namespace of its own, and both processes end with this one, however that ends.

A machine that dies or hangs before COMMAND is started anew, BOOTS times at most: under TCG two
processors do not always see the same code while a kernel patches itself, and some boots end so.

Needs root (for virtiofsd) and the packages of kind "vm" in contrib/packages. Exit status 125: there
was no machine, or it died; the end of its console is on stderr. 124: out of time."""
import argparse
import collections
import io
import lzma
import os
import select
import shlex
import socket
import subprocess
import sys
import tarfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
KERNELS = os.environ.get("LASTCONN_VM_KERNELS",
                         os.path.realpath(os.path.join(HERE, "..", "..", "build", "kernels")))
VIRTIOFSD = "/usr/lib/qemu/virtiofsd"
BUSYBOX = "/bin/busybox"
MODULES = ("virtio_pci", "virtio_console", "virtiofs", "overlay")
MEMORY = "1024M"
CPUS = 2
CPU = "max,-arch-capabilities"  # which TCG cannot do, as it says at each start
BOOTS, BOOT_SECONDS, SYSTEMD_SECONDS = 3, 60, 180
OUT_OF_TIME, NO_MACHINE = 124, 125


Kernel = collections.namedtuple("Kernel", "tree release cpu")


class VmError(Exception):
    """There was no machine, or it died; the text says why."""
    status = NO_MACHINE


class VmTimeout(VmError):
    status = OUT_OF_TIME


class VmBootError(VmError):
    """The machine ended before its job began."""


def missing():
    """What this machine lacks for virtual machines, or None."""
    if os.uname().machine != "x86_64":
        return "needs an x86-64 machine"
    if os.geteuid() != 0:
        return "needs root"
    for path in (VIRTIOFSD, BUSYBOX, "/usr/bin/qemu-system-x86_64"):
        if not os.path.exists(path):
            return f"needs {path} (see contrib/packages)"
    return None


def rows():
    """Of the table of kernels, as lists of words."""
    with open(os.path.join(HERE, "kernels"), encoding="ascii") as file:
        return [line.split() for line in file if line.strip() and not line.startswith("#")]


def fetch(name):
    """An unpacked kernel."""
    done = subprocess.run([os.path.join(HERE, "fetch_kernel"), name, KERNELS], text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=600, check=False)
    if done.returncode != 0:
        raise VmError(f"no kernel {name}: {done.stderr.strip()}")
    tree = os.path.join(KERNELS, name)
    row = next(row for row in rows() if row[0] == name)
    release = os.listdir(os.path.join(tree, "lib", "modules"))[0]
    return Kernel(tree, release, ",".join([CPU, *row[3:]]))


def image(kernel):
    for path in (f"boot/vmlinuz-{kernel.release}", f"lib/modules/{kernel.release}/vmlinuz"):
        if os.path.exists(os.path.join(kernel.tree, path)):
            return os.path.join(kernel.tree, path)
    raise VmError(f"{kernel.tree} holds no kernel")


def modules(kernel):
    """The modules that the root file system needs, as (name, octets), in the order to load them."""
    done = subprocess.run(["modprobe", "--dirname", kernel.tree, "--set-version", kernel.release,
                           "--all", "--show-depends", *MODULES],
                          capture_output=True, text=True, check=False)
    paths = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("insmod")]
    for path in dict.fromkeys(paths):
        with (lzma.open if path.endswith(".xz") else open)(path, "rb") as file:
            yield os.path.basename(path).removesuffix(".xz"), file.read()


def archive(files):
    """A cpio archive (newc) of these: {path: (mode, octets)}, directories without octets."""
    parts = []

    def add(number, path, mode, data):
        head = [number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path) + 1, 0]
        record = b"070701" + b"".join(b"%08X" % field for field in head) + path.encode() + b"\0"
        for part in (record, data):
            parts.append(part + bytes(-len(part) % 4))

    for number, (path, (mode, data)) in enumerate(files.items(), 1):
        add(number, path, mode, data)
    add(0, "TRAILER!!!", 0, b"")
    return b"".join(parts)


def initramfs(kernel, job, systemd):
    directory, program, plain = 0o040755, 0o100755, 0o100644
    files = {path: (directory, b"") for path in ("bin", "dev", "proc", "sys", "vm", "vm/modules")}
    loaded = []
    for name, data in modules(kernel):
        files[f"vm/modules/{name}"] = (plain, data)
        loaded.append(f"{name}\n")
    for path, source in (("bin/busybox", BUSYBOX), ("init", os.path.join(HERE, "init"))):
        with open(source, "rb") as file:
            files[path] = (program, file.read())
    for path, text in (("modules/order", "".join(loaded)), ("tree", kernel.tree), ("job", job)):
        files[f"vm/{path}"] = (plain, text.encode())
    if systemd:
        files["vm/systemd"] = (plain, b"")
    return archive(files)


def memory_file(name, data=b""):
    file = os.fdopen(os.memfd_create(name), "w+b")
    file.write(data)
    file.flush()
    return file


def start(command, fds, **more):
    """A process that ends with this one at the latest."""
    return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], pass_fds=fds,
                            stdin=subprocess.DEVNULL, **more)


def start_virtiofsd(listener, log):
    """Serves all of /, every mount of it read-only."""
    script = ('while read -r _ _ _ _ point _; do mount -o remount,bind,ro "$point"; done'
              ' </proc/self/mountinfo 2>/dev/null;'
              ' exec "$@"')
    return start(["unshare", "--mount", "sh", "-c", script, "sh", VIRTIOFSD,
                  f"--fd={listener.fileno()}", "-o",
                  "source=/,sandbox=chroot,cache=always,log_level=err"],
                 [listener.fileno()], stdout=log, stderr=log)


def port(number, path):
    return ["-chardev", f"file,id=port{number},path={path}",
            "-device", f"virtserialport,chardev=port{number},nr={number}"]


def qemu(kernel, append, fs, files):
    path = {name: f"/proc/self/fd/{file.fileno()}" for name, file in files.items()}
    return ["qemu-system-x86_64", "-machine", "q35,memory-backend=ram", "-accel", "tcg",
            "-cpu", kernel.cpu, "-smp", str(CPUS), "-m", MEMORY,
            "-object", f"memory-backend-memfd,id=ram,size={MEMORY},share=on",
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-kernel", image(kernel), "-initrd", path["initramfs"],
            "-append", f"console=ttyS0 quiet panic=-1 {append}",
            "-chardev", f"socket,id=fs,fd={fs.fileno()}",
            "-device", "vhost-user-fs-pci,chardev=fs,tag=root",
            "-chardev", f"file,id=console,path={path['console']}", "-serial", "chardev:console",
            "-device", "virtio-serial-pci", *port(1, path["output"]), *port(2, path["results"]),
            *port(3, path["status"])]


def status_of(files):
    """The words that the machine told: "begun", and later the exit status of the job."""
    return os.pread(files["status"].fileno(), 100, 0).split()


def pass_on(output, sink, files, seconds, boot_seconds):
    """What comes out of a pipe goes to sink, until everybody has closed it."""
    begin = time.monotonic()
    while True:
        past = time.monotonic() - begin
        if past > boot_seconds and not status_of(files):
            raise VmBootError(f"the machine did not start in {boot_seconds} s")
        if past > seconds:
            raise VmTimeout("out of time")
        if select.select([output], [], [], 1)[0]:
            data = os.read(output, 65536)
            if not data:
                return
            sink.write(data)
            sink.flush()


def run_once(kernel, job, seconds, append, sink, systemd):
    files = {name: memory_file(name) for name in ("results", "status", "console", "log")}
    files["initramfs"] = memory_file("initramfs", initramfs(kernel, job, systemd))
    output, printed = os.pipe()
    files["output"] = os.fdopen(printed, "wb")
    processes = []
    try:
        with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as fs:
            listener.bind("")  # any abstract name
            listener.listen(1)
            fs.connect(listener.getsockname())
            processes.append(start_virtiofsd(listener, files["log"]))
            processes.append(start(qemu(kernel, append, fs, files),
                                   [fs.fileno(), *(file.fileno() for file in files.values())],
                                   stdout=files["log"], stderr=files["log"]))
        files["output"].close()
        pass_on(output, sink, files, seconds, SYSTEMD_SECONDS if systemd else BOOT_SECONDS)
        status = status_of(files)
        if len(status) < 2:
            raise (VmError if status else VmBootError)("the machine died")
        files["results"].seek(0)
        return int(status[1]), tarfile.open(fileobj=files["results"])
    except VmError as error:
        files["results"].close()
        raise type(error)(f"{error}; its last words:\n{last_words(files)}") from None
    finally:
        os.close(output)
        for process in processes:
            process.kill()
            process.wait()
        for name in files.keys() - {"results"}:
            files[name].close()


def run(kernel, job, seconds, append="", sink=None, systemd=False):
    """Boots the kernel and runs the shell script job there, in so many seconds at most, as a service
    of systemd if asked for; what it prints goes to the binary file sink. Returns its exit status and
    its results, an open tarfile."""
    for left in reversed(range(BOOTS)):
        try:
            return run_once(kernel, job, seconds, append, sink or io.BytesIO(), systemd)
        except VmBootError as error:
            if not left:
                raise
            print(f"run_vm: {error}\nrun_vm: started again", file=sys.stderr)
    return None


def last_words(files, octets=3000):
    text = b""
    for name in ("log", "console"):
        files[name].seek(0)
        text += files[name].read()[-octets:]
    return text.decode(errors="replace").replace("\r", "")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--append", default="", help="arguments for the kernel")
    parser.add_argument("--systemd", action="store_true", help="start systemd before")
    parser.add_argument("kernel", choices=[row[0] for row in rows()])
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    job = f"cd {shlex.quote(os.getcwd())} && {shlex.join(given.command)}"
    try:
        if missing():
            raise VmError(missing())
        status, _ = run(fetch(given.kernel), job, given.seconds, given.append, sys.stdout.buffer, given.systemd)
    except VmError as error:
        print(f"run_vm: {error}", file=sys.stderr)
        sys.exit(error.status)
    sys.exit(status)


if __name__ == "__main__":
    main()
