#!/usr/bin/env python3
"""What a lastconnd gives up, as the kernel tells of its threads; and that it still does all of its
work afterwards, as the user whom the history belongs to."""
import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess

import harness

CLIENT = os.path.realpath(os.path.join(harness.BUILD, "tests", "support", "resolve_client"))
CAPS = {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_DAC_READ_SEARCH": 2, "CAP_NET_ADMIN": 12,
        "CAP_NET_RAW": 13, "CAP_SYS_PTRACE": 19, "CAP_SYS_ADMIN": 21, "CAP_PERFMON": 38,
        "CAP_BPF": 39}
NOBODY = harness.NOBODY
DEFAULT_CAPTURE = struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1)  # no packets


def status_of(pid):
    """/proc/PID/status of each thread, the first one first."""
    tasks = f"/proc/{pid}/task"
    found = []
    for task in sorted(os.listdir(tasks), key=int):
        with contextlib.suppress(FileNotFoundError):
            with open(f"{tasks}/{task}/status", encoding="utf-8") as file:
                found.append(dict(line.rstrip("\n").split(":\t", 1) for line in file
                                  if ":\t" in line))
    return found


def capabilities(status, which="CapPrm"):
    held = int(status[which], 16)
    names = {number: name for name, number in CAPS.items()}
    return {names.get(i, str(i)) for i in range(64) if held >> i & 1}


def has_seccomp():
    return os.path.exists("/proc/sys/kernel/seccomp")


class Privilege(harness.Case):

    def setUp(self):
        super().setUp()
        self.need_root()
        os.chmod(self.directory, 0o755)
        self.home = self.path("home")
        os.mkdir(self.home, 0o750)

    def give(self, *paths, uid=NOBODY):
        for path in paths:
            os.chown(path, uid, uid)

    def assert_dropped(self, daemon, uid=0):
        statuses = status_of(daemon.pid)
        self.assertGreater(len(statuses), 1)
        for status in statuses:
            self.assertEqual(set(status["Uid"].split()), {str(uid)})
            self.assertEqual(int(status["CapBnd"], 16), 0)
            self.assertEqual(int(status["CapAmb"], 16), 0)
            self.assertEqual(int(status["CapInh"], 16), 0)
            self.assertEqual(status["CapEff"], status["CapPrm"])
            self.assertEqual(status["NoNewPrivs"], "1")
            if has_seccomp():
                self.assertEqual(status["Seccomp"], "2")
        return [capabilities(status) for status in statuses]

    def talk_once(self, daemon, *prefix):
        """A short-lived process's connection, with what the history says of it."""
        server = self.start_program(*prefix, harness.PYTHON, harness.TALK, "serve", "127.0.0.1", "1")
        port = json.loads(self.read_line(server))["port"]
        truth = [json.loads(line) for line in self.run_program(
            *prefix, harness.PYTHON, harness.TALK, "talk", "127.0.0.1", str(port), "100")
            .stdout.splitlines()][-1]
        flow = harness.one(self, daemon.wait_flows(port, 1, "open = 0 AND direction = 'out'"))
        self.assert_flow(flow, {"pid": truth["pid"], "octets_out": 100, "method": "exact"})
        self.finish(server)
        return flow

    # -- the user

    def test_root_becomes_the_user_whom_the_history_belongs_to(self):
        self.give(self.home)
        daemon = self.start_daemon(database=f"{self.home}/history.db")
        self.assert_dropped(daemon, NOBODY)
        self.talk_once(daemon)
        with self.namespace() as namespace:
            self.talk_once(daemon, "nsenter", f"--net={namespace}")
        daemon.stop()
        for name in os.listdir(self.home):
            self.assertEqual(os.stat(f"{self.home}/{name}").st_uid, NOBODY, name)
        again = self.start_daemon(database=f"{self.home}/history.db")
        self.talk_once(again)
        again.stop()

    def test_where_that_user_cannot_write_root_stays_and_says_what_would_help(self):
        lock = f"{self.home}/history.db.lock"
        for path in (f"{self.home}/history.db", lock):
            with open(path, "w", encoding="ascii"):
                pass
            os.chmod(path, 0o640)
        self.give(self.home, f"{self.home}/history.db")
        daemon = self.start_daemon(database=f"{self.home}/history.db")
        line = next(l for l in daemon.log().splitlines() if "goes on as root" in l)
        self.assertIn(lock, line)
        self.assertIn("chown", line)
        held = self.assert_dropped(daemon)
        self.assertLessEqual({"CAP_DAC_OVERRIDE", "CAP_CHOWN"}, held[0])
        self.talk_once(daemon)
        self.assertEqual(os.stat(f"{self.home}/history.db-wal").st_uid, NOBODY)
        daemon.stop()

    def test_a_history_of_root_stays_with_root(self):
        daemon = self.start_daemon(database=f"{self.home}/history.db")
        held = self.assert_dropped(daemon)
        self.assertNotIn("CAP_DAC_OVERRIDE", set().union(*held))
        daemon.stop()

    def test_a_user_by_name_who_cannot_write_is_refused_with_the_mend(self):
        database = f"{self.home}/history.db"
        for user, words in (("nobody", "chown"), ("no-such-user", "there is no user")):
            done = self.run_daemon("--db", database, "--source", "procfs", "--user", user)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
            self.assertIn(words, done.stderr)
            self.assertEqual(os.listdir(self.home), [])

    def test_a_user_by_name_is_become(self):
        self.give(self.home)
        daemon = self.start_daemon("--user", "nobody", database=f"{self.home}/history.db")
        self.assert_dropped(daemon, NOBODY)
        daemon.stop()

    def test_root_stays_root_if_told_to(self):
        self.give(self.home)
        daemon = self.start_daemon("--user", "none", database=f"{self.home}/history.db")
        self.assert_dropped(daemon)
        self.talk_once(daemon)
        daemon.stop()

    # -- what is kept

    def test_the_threads_have_what_check_says_and_no_more(self):
        daemon = self.start_daemon()
        held = self.assert_dropped(daemon)
        done = self.run_daemon("--check", "--json", "--db", daemon.db)
        told = {line["what"] for line in json.loads(done.stdout)["privileges"]
                if line["stage"] == "capabilities" and line["what"].startswith("CAP_")}
        self.assertEqual(set().union(*held), told)
        self.assertLessEqual(held[0], {"CAP_NET_ADMIN", "CAP_BPF", "CAP_SYS_ADMIN"})
        daemon.stop()

    def test_without_the_c_library_hook_nobody_may_look_into_processes(self):
        daemon = self.start_daemon("--disable-slot", "resolve")
        held = set().union(*self.assert_dropped(daemon))
        self.assertFalse(held & {"CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH", "CAP_PERFMON"}, held)
        self.talk_once(daemon)
        daemon.stop()

    def test_without_ambient_rights_a_user_drops_what_it_has(self):
        self.give(self.home)
        caps = "+bpf,+perfmon,+net_admin,+net_raw,+sys_ptrace"
        daemon = self.start_daemon(database=f"{self.home}/history.db", prefix=(
            "setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups",
            "--inh-caps", f"-all,{caps}", "--ambient-caps", f"-all,{caps}",
            "--bounding-set", f"-all,{caps}"))
        for status in status_of(daemon.pid):
            self.assertFalse(capabilities(status) & {"CAP_NET_RAW"}, status)
            self.assertEqual(int(status["CapAmb"], 16), 0)
            self.assertEqual(status["NoNewPrivs"], "1")
        self.talk_once(daemon)
        daemon.stop()

    def test_all_can_be_kept(self):
        daemon = self.start_daemon("--privileges", "keep")
        for status in status_of(daemon.pid):
            self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("0", "0"))
            self.assertIn("CAP_SYS_ADMIN", capabilities(status))
        self.talk_once(daemon)
        daemon.stop()

    def test_polling_still_sees_owners_and_namespaces(self):
        self.give(self.home)
        daemon = self.start_daemon("--source", "procfs", database=f"{self.home}/history.db",
                                   kernel=False)
        self.assert_dropped(daemon, NOBODY)
        with self.namespace() as namespace:
            server = self.start_program("nsenter", f"--net={namespace}", harness.PYTHON, harness.TALK,
                                        "serve", "127.0.0.1", "1")
            port = json.loads(self.read_line(server))["port"]
            found = harness.wait_until("the listener", lambda: daemon.rows(
                "SELECT pid FROM listeners WHERE local_port = ?", port))
            self.assertEqual(found[0]["pid"], server.pid)
            daemon.stop()

    # -- work afterwards

    def make_root(self):
        """A C library of its own, where only its owner may look."""
        root = self.path("root")
        os.mkdir(root, 0o700)
        loaded = self.run_program("ldd", CLIENT).stdout.split()
        for word in loaded:
            if word.startswith("/"):
                os.makedirs(os.path.dirname(root + word), exist_ok=True)
                shutil.copy(os.path.realpath(word), root + word)
        os.makedirs(f"{root}/etc")
        with open(f"{root}/etc/hosts", "w", encoding="ascii") as file:
            file.write("127.0.0.1 one.test\n")
        shutil.copy(CLIENT, f"{root}/client")
        return root

    def test_new_c_libraries_are_found_and_probed(self):
        self.give(self.home)
        daemon = self.start_daemon(database=f"{self.home}/history.db")
        if "no hook for 'resolve'" in daemon.log():
            self.lack("the hook resolve is not served")
        self.assert_dropped(daemon, NOBODY)
        with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
            port = server.getsockname()[1]
            client = self.start_program("chroot", self.make_root(), "/client", "one.test",
                                        str(port), stdin=subprocess.PIPE)

            def named():
                client.stdin.write("\n")
                client.stdin.flush()
                self.read_line(client)
                server.accept()[0].close()
                return daemon.rows("SELECT 1 FROM flows WHERE remote_port = ? AND"
                                   " remote_name = 'one.test'", port)
            harness.wait_until("a name", named)
            client.stdin.close()
            client.wait(30)
        daemon.stop()

    def test_the_configuration_is_read_again_and_log_and_checkpoint_go_on(self):
        self.give(self.home)
        config = self.path("lastconnd.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write("log-level = info\n")
        daemon = self.start_daemon("--config", config, database=f"{self.home}/history.db")
        with open(f"{config}.new", "w", encoding="ascii") as file:
            file.write("log-level = debug\n")
        os.rename(f"{config}.new", config)
        daemon.signal(signal.SIGHUP)
        harness.wait_until("the reload", lambda: "changed: log-level" in daemon.log())
        daemon.signal(signal.SIGUSR1)
        self.talk_once(daemon)
        daemon.stop()
        self.assertEqual(os.path.getsize(f"{self.home}/history.db-wal")
                         if os.path.exists(f"{self.home}/history.db-wal") else 0, 0)

    def make_bpf_fs(self):
        bpffs = self.path("bpf")
        os.mkdir(bpffs)
        self.run_program("mount", "-t", "bpf", "bpf", bpffs)
        self.addCleanup(subprocess.run, ["umount", bpffs], check=True)
        return os.path.join(bpffs, "lastconn")

    def test_pins_are_left_adopted_and_removed(self):
        self.need_kernel()
        self.give(self.home)
        pin = self.make_bpf_fs()
        first = self.start_daemon("--pin", pin, database=f"{self.home}/history.db")
        self.assert_dropped(first, NOBODY)
        self.talk_once(first)
        first.stop()
        self.assertEqual(os.stat(pin).st_uid, NOBODY)
        server = self.start_program(harness.PYTHON, harness.TALK, "serve", "127.0.0.1", "1")
        port = json.loads(self.read_line(server))["port"]
        self.run_program(harness.PYTHON, harness.TALK, "talk", "127.0.0.1", str(port), "7")
        second = self.start_daemon("--pin", pin, database=f"{self.home}/history.db")
        self.assertIn("goes on with the programs of the last run", second.log())
        second.wait_flows(port, 2)
        second.signal(signal.SIGINT)
        self.assertEqual(second.process.wait(60 * harness.SLOW), 0)
        self.assertEqual(os.listdir(pin), [])

    # -- reading files

    def test_before_the_first_octet_of_a_file_everything_is_dropped(self):
        self.give(self.home)
        process = subprocess.Popen(
            [harness.LASTCONND, "-r", "-", "--db", f"{self.home}/x.db"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.kill)

        def dropped():
            status = status_of(process.pid)[0]
            return status if status["Seccomp"] == "2" else None
        status = harness.wait_until("the filter", dropped)
        self.assertEqual(capabilities(status), set())
        self.assertEqual(capabilities(status, "CapBnd"), set())
        self.assertEqual(status["NoNewPrivs"], "1")
        self.assertEqual(set(status["Uid"].split()), {str(NOBODY)})
        _, errors = process.communicate(DEFAULT_CAPTURE, timeout=60 * harness.SLOW)
        self.assertEqual(process.returncode, 0, errors)
        self.assertEqual(os.stat(f"{self.home}/x.db").st_uid, NOBODY)

    def test_files_that_only_others_may_read_are_read_all_the_same(self):
        capture = self.path("other.pcap")
        with open(capture, "wb") as file:
            file.write(DEFAULT_CAPTURE)
        os.chmod(capture, 0o600)
        self.give(capture, uid=NOBODY)
        done = self.run_daemon("-r", capture, "--db", f"{self.home}/x.db")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.give(self.home, uid=NOBODY - 1)
        done = self.run_daemon("-r", capture, "--db", f"{self.home}/y.db")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_recorders_user_is_no_matter_where_that_user_cannot_work(self):
        capture = self.path("x.pcap")
        with open(capture, "wb") as file:
            file.write(DEFAULT_CAPTURE)
        self.give(self.home, uid=NOBODY - 1)
        for name, prefix in (("x.db", ()), ("y.db", (
                "setpriv", "--reuid", str(NOBODY - 1), "--regid", str(NOBODY - 1),
                "--clear-groups"))):
            done = self.run_daemon("-r", capture, "--db", f"{self.home}/{name}", "--user",
                                   "nobody", prefix=prefix)
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_pipes_of_a_shell_are_read(self):
        capture = self.path("x.pcap")
        with open(capture, "wb") as file:
            file.write(DEFAULT_CAPTURE)
        self.run_program("bash", "-c", f"{harness.LASTCONND} -r <(cat {capture})"
                                       f" --db {self.home}/x.db")
        self.run_program("bash", "-c", f"{harness.LASTCONND} -r /dev/stdin --db {self.home}/y.db"
                                       f" <{capture}")


if __name__ == "__main__":
    harness.main()
