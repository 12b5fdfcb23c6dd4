#!/usr/bin/env python3
"""In a root of its own, systemctl as far as the package's scripts use it: starts and stops lastconnd
with command line, user and capabilities of the installed unit, and writes down what it was asked for.
"""
import os
import re
import signal
import subprocess
import sys
import time

UNIT = "/lib/systemd/system/lastconnd.service"
MACHINES = "/usr/bin/systemctl.machine"  # the real one: links of units need no service manager
PID, LOG = "/run/lastconnd.pid", "/run/lastconnd.log"
PATIENCE_S = 60 * float(os.environ.get("LASTCONN_SLOW", "1"))


def unit():
    with open(UNIT, encoding="utf-8") as file:
        return dict(re.findall(r"^(\w+)=(.*)$", file.read(), re.MULTILINE))


def pid():
    try:
        with open(PID, encoding="ascii") as file:
            number = int(file.read())
        os.kill(number, 0)
        return number
    except (FileNotFoundError, ProcessLookupError):
        return None


def wait(what, probe):
    deadline = time.monotonic() + PATIENCE_S
    while not probe():
        if time.monotonic() > deadline:
            sys.exit(f"systemctl: {what}: not within {PATIENCE_S:.0f} s")
        time.sleep(0.05)


def said(word):
    with open(LOG, encoding="utf-8") as file:
        return word in file.read()


def start():
    if pid():
        return
    keys = unit()
    kept = ",".join(name.lower().replace("cap_", "+") for name in keys["AmbientCapabilities"].split())
    command = ["setpriv", "--reuid", keys["User"], "--regid", keys["Group"], "--clear-groups",
               "--no-new-privs", "--inh-caps", kept, "--ambient-caps", kept,
               "--bounding-set", "-all," + kept, *keys["ExecStart"].split()]
    # /sys/fs/bpf is closed to the user; the unit opens a path to its own directory
    os.chmod("/sys/fs/bpf", 0o711)
    with open(LOG, "wb") as log:
        daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                  start_new_session=True)
    with open(PID, "w", encoding="ascii") as file:
        file.write(str(daemon.pid))
    wait("lastconnd records", lambda: daemon.poll() is not None or said(" records to "))
    if daemon.poll() is not None:
        os.unlink(PID)
        sys.exit(f"systemctl: lastconnd ended with {daemon.returncode}")


def stop():
    number = pid()
    if number:
        os.kill(number, signal.SIGTERM)
        wait("lastconnd ends", lambda: not pid())
    if os.path.exists(PID):
        os.unlink(PID)


def main():
    with open("/run/systemctl.log", "a", encoding="utf-8") as log:
        print(*sys.argv[1:], file=log)
    verbs = [word for word in sys.argv[1:] if not word.startswith("-")]
    ours = "lastconnd.service" in verbs
    if verbs[0] in ("is-enabled", "preset"):
        os.execl(MACHINES, MACHINES, "--root=/", "--preset-mode=enable-only", *verbs)
    if verbs[0] == "is-active":
        sys.exit(0 if ours and pid() else 3)
    if ours and verbs[0] in ("stop", "restart"):
        stop()
    if ours and verbs[0] in ("start", "restart"):
        start()


if __name__ == "__main__":
    main()
