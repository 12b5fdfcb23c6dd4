#!/usr/bin/env python3
"""What goes wrong under the history: a full disk, one that turns read-only, a database that is
locked, deleted, replaced, cut off, damaged or too new. Each fault is a real one. After it the file
is sound, what was committed is there, and lastconnd goes on or has said in one line why not.

LASTCONN_HANG: for how many seconds the database is locked under load (default 10)."""
import contextlib
import errno
import glob
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import time

import harness

HANG = float(os.environ.get("LASTCONN_HANG", "10"))
PEERS = 100         # flows of a socket
SENT_TO = 20000     # and the first of their ports
TCP = "protocol = 'tcp'"  # a datagram's sender may have been given the same port
MIB = 1 << 20


class Faults(harness.Case):

    def setUp(self):
        super().setUp()
        self.need_kernel()

    # -- traffic, all of which is known

    def connect(self, count=1):
        """TCP connections of this process, all to one port; the port."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(60 * harness.SLOW)
            for _ in range(count):
                with socket.create_connection(listener.getsockname()):
                    listener.accept()[0].close()
            return listener.getsockname()[1]

    def commit(self, daemon, count=5):
        """Connections that are in the database; their port."""
        port = self.connect(count)
        daemon.wait_flows(port, 2 * count, f"open = 0 AND {TCP}")
        return port

    def send(self, sockets):
        """Datagrams: PEERS flows of each socket, which nobody receives."""
        for _ in range(sockets):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                for peer in range(PEERS):
                    sender.sendto(b"x", ("127.0.0.1", SENT_TO + peer))
        return sockets * PEERS

    def sent(self, daemon):
        """How many of those flows are recorded."""
        return daemon.rows("SELECT count(*) AS n FROM flow WHERE remote_port >= ?1 AND"
                           " remote_port < ?2", SENT_TO, SENT_TO + PEERS)[0]["n"]

    # -- what must hold after every fault

    def check_sound(self, path):
        with contextlib.closing(sqlite3.connect(path)) as connection:
            self.assertEqual(connection.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            self.assertEqual(connection.execute("PRAGMA foreign_key_check").fetchall(), [])

    def check_there(self, path, port, count=5):
        found = harness.rows(path, "SELECT 1 FROM flows WHERE ?1 IN (local_port, remote_port)"
                             f" AND {TCP}", port)
        self.assertEqual(len(found), 2 * count)

    def said(self, daemon, *words):
        """The one line of the log that has these words."""
        lines = [line for line in daemon.log().splitlines()
                 if all(word in line for word in words)]
        return harness.one(self, lines, f"{words} in\n{daemon.log()}")

    def wait_said(self, daemon, *words, seconds=30):
        harness.wait_until(f"{words} in the log", lambda: any(
            all(word in line for word in words) for line in daemon.log().splitlines()), seconds)
        return self.said(daemon, *words)

    def run_briefly(self, database):
        """A lastconnd that must refuse to start; its exit status and what it said."""
        done = self.run_daemon("--db", database, "--config", os.devnull)
        return done.returncode, done.stderr.splitlines()

    def start_waiting(self, database):
        """A daemon that cannot open the database yet."""
        daemon = harness.Daemon(self, harness.FAST, database)
        self.daemons.append(daemon)
        self.addCleanup(daemon.discard)
        self.wait_said(daemon, "waiting for that")
        self.assertIsNone(daemon.process.poll())
        return daemon

    # -- disks

    def mount(self, *arguments):
        place = self.path("disk")
        os.mkdir(place)
        self.run_program("mount", *arguments, place)
        self.addCleanup(subprocess.run, ["umount", "-l", place], check=True)
        return place

    def fill(self, place):
        """Until nothing fits any more; the file that did it."""
        path = os.path.join(place, "filler")
        with open(path, "ab", buffering=0) as file:
            for size in (64 * 1024, 4096):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError as error:
                    self.assertEqual(error.errno, errno.ENOSPC)
        return path


class Disk(Faults):

    def ext4(self):
        """The image of a small one, and where it is mounted."""
        self.need_program("mkfs.ext4")
        image = self.path("image")
        with open(image, "wb") as file:
            file.truncate(48 * MIB)
        self.run_program("mkfs.ext4", "-q", image)
        return image, self.mount("-o", "loop,errors=remount-ro", image)

    def test_a_full_disk_makes_room_among_the_oldest_and_goes_on(self):
        disk = self.mount("-t", "tmpfs", "-o", "size=24m", "tmpfs")
        database = os.path.join(disk, "history.db")
        daemon = self.start_daemon(database=database)
        count = 0
        for _ in range(10):
            count += self.send(15)
            harness.wait_until("the flows", lambda: self.sent(daemon) == count)
        ballast = database + ".ballast"
        self.assertEqual(os.stat(ballast).st_size, 4 * MIB)
        self.fill(disk)
        harness.wait_until("the disk is full", lambda: self.send(15) and
                           not os.path.exists(ballast), 90)
        self.wait_said(daemon, "full", "keeping records in memory")
        self.commit(daemon)
        self.fill(disk)  # what is left of the ballast, too
        forgotten = []
        for _ in range(60):  # what is reserved in the files lasts for some
            self.send(15)
            port = self.commit(daemon)
            forgotten = daemon.rows("SELECT pruned FROM retention WHERE what = 'flow'")
            if forgotten:
                break
        self.assertGreater(harness.one(self, forgotten)["pruned"], 0)
        self.said(daemon, "keeping records in memory")
        self.assertEqual(daemon.rows("SELECT * FROM coverage WHERE what = 'queue full'"), [])
        daemon.stop()
        self.check_sound(database)
        self.check_there(database, port)
        os.unlink(os.path.join(disk, "filler"))
        again = self.start_daemon(database=database)
        self.assertTrue(os.path.exists(ballast), "laid anew when there is room")
        self.check_there(database, port)
        again.stop()

    def test_a_disk_that_is_full_at_the_start_takes_the_ballast(self):
        disk = self.mount("-t", "tmpfs", "-o", "size=24m", "tmpfs")
        database = os.path.join(disk, "history.db")
        daemon = self.start_daemon(database=database)
        port = self.commit(daemon)
        daemon.stop()
        self.fill(disk)
        daemon = self.start_daemon(database=database)
        self.assertFalse(os.path.exists(database + ".ballast"))
        after = self.commit(daemon)
        daemon.stop()
        self.check_sound(database)
        self.check_there(database, port)
        self.check_there(database, after)

    def test_a_disk_without_room_for_a_reserve_is_waited_for_when_it_is_full(self):
        disk = self.mount("-t", "tmpfs", "-o", "size=6m", "tmpfs")
        database = os.path.join(disk, "history.db")
        daemon = self.start_daemon("--queue-memory", "1M", database=database)
        port = self.commit(daemon)
        self.assertFalse(os.path.exists(database + ".ballast"), "there is no room for it")
        filler = self.fill(disk)
        sent = 0
        deadline = time.monotonic() + 90 * harness.SLOW
        while not daemon.log().count("keeping records in memory"):
            self.assertLess(time.monotonic(), deadline, "the disk is not full")
            sent += self.send(15)
            time.sleep(0.1)  # the rate of the traffic
        for _ in range(20):
            sent += self.send(15)
            time.sleep(0.1)  # the rate of the traffic
        os.unlink(filler)
        self.wait_said(daemon, "writing again")
        after = self.commit(daemon)
        harness.wait_until("the hole", lambda: daemon.rows(
            "SELECT 1 FROM coverage WHERE what = 'queue full'"))
        self.said(daemon, "keeping records in memory")
        daemon.stop()
        self.check_sound(database)
        self.check_there(database, port)
        self.check_there(database, after)

    def test_a_disk_without_a_reserve_that_is_full_at_the_start_is_waited_for(self):
        disk = self.mount("-t", "tmpfs", "-o", "size=6m", "tmpfs")
        database = os.path.join(disk, "history.db")
        daemon = self.start_daemon(database=database)
        before = self.commit(daemon)
        daemon.stop()
        filler = self.fill(disk)
        daemon = self.start_waiting(database)
        os.unlink(filler)
        daemon.wait_notified("READY=1")
        after = self.commit(daemon)
        self.said(daemon, "waiting for that")
        daemon.stop()
        self.check_sound(database)
        for port in (before, after):
            self.check_there(database, port)

    def test_a_disk_that_turns_read_only_is_waited_for(self):
        image, disk = self.ext4()
        database = os.path.join(disk, "history.db")
        daemon = self.start_daemon("--shutdown-timeout", "2s", database=database)
        port = self.commit(daemon)
        os.sync()
        with open("/proc/mounts", encoding="utf-8") as mounts:
            device = next(line.split()[0] for line in mounts if line.split()[1] == disk)
        trigger = f"/sys/fs/ext4/{os.path.basename(device)}/trigger_fs_error"
        if not os.path.exists(trigger):
            self.skipTest("this kernel's ext4 has no trigger_fs_error")
        with open(trigger, "w", encoding="ascii") as file:
            file.write("a test of lastconn")
        with self.assertRaises(OSError):
            open(os.path.join(disk, "x"), "wb").close()
        self.connect(5)
        self.wait_said(daemon, "keeping records in memory")
        self.check_there(database, port)
        daemon.process.terminate()
        self.assertEqual(daemon.process.wait(30 * harness.SLOW), 1)
        self.said(daemon, "keeping records in memory")
        self.said(daemon, "records were lost")
        # Such a disk becomes writable only after it was unmounted and checked.
        self.run_program("umount", disk)
        subprocess.run(["e2fsck", "-fy", image], capture_output=True, check=False)
        self.run_program("mount", "-o", "loop", image, disk)
        again = self.start_daemon(database=database)
        after = self.commit(again)
        again.stop()
        self.check_sound(database)
        for of in (port, after):
            self.check_there(database, of)
        hole = again.rows("SELECT * FROM coverage WHERE what = 'down'")
        self.assertEqual(len(hole), 1, hole)

    @staticmethod
    def is_stuck(path):
        """Does this thread wait for the disk?"""
        with open(path, encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "D"

    def test_a_disk_that_does_not_answer_is_waited_for(self):
        _, disk = self.ext4()
        database = os.path.join(disk, "history.db")
        daemon = self.start_daemon(database=database)
        before = self.commit(daemon)
        self.run_program("fsfreeze", "--freeze", disk)
        try:
            between = self.connect(5)
            harness.wait_until("the writer hangs", lambda: any(
                self.is_stuck(path) for path in glob.glob(f"/proc/{daemon.pid}/task/*/stat")))
            daemon.signal(signal.SIGUSR1)  # the loop goes on
            self.wait_said(daemon, "flows")
        finally:
            self.run_program("fsfreeze", "--unfreeze", disk)
        daemon.wait_flows(between, 10)
        daemon.stop()
        self.check_sound(database)
        self.check_there(database, before)

    def read_only(self, how="remount,ro"):
        """A disk of which that was made, and a database on it, closed well."""
        disk = self.mount("-t", "tmpfs", "-o", "size=16m", "tmpfs")
        database = os.path.join(disk, "history.db")
        self.start_daemon(database=database).stop()
        self.run_program("mount", "-o", how, disk)
        return disk, database

    def test_a_disk_that_is_read_only_at_the_start_is_waited_for(self):
        disk, database = self.read_only()
        daemon = self.start_waiting(database)
        self.said(daemon, "Read-only file system", "mount it writable", "waiting for that")
        self.run_program("mount", "-o", "remount,rw", disk)
        daemon.wait_notified("READY=1")
        port = self.commit(daemon)
        daemon.stop()
        self.said(daemon, "Read-only file system")
        self.check_sound(database)
        self.check_there(database, port)

    def test_waiting_for_a_read_only_disk_ends_with_a_signal(self):
        _, database = self.read_only()
        daemon = self.start_waiting(database)
        daemon.process.terminate()
        self.assertEqual(daemon.process.wait(30 * harness.SLOW), -signal.SIGTERM)

    def test_a_disk_that_is_writable_again_but_not_from_here_is_for_the_next_start(self):
        """As a service with mounts of its own has it: those keep their flags."""
        disk, database = self.read_only()
        other = self.path("other")
        os.mkdir(other)
        self.run_program("mount", "--bind", disk, other)
        self.addCleanup(subprocess.run, ["umount", "-l", other], check=True)
        daemon = self.start_waiting(database)
        self.run_program("mount", "-o", "remount,rw", other)
        self.run_program("mount", "-o", "remount,bind,ro", disk)
        self.assertEqual(daemon.process.wait(30 * harness.SLOW), 1)
        self.said(daemon, "may be written, but not from here")
        status, lines = self.run_briefly(database)
        self.assertEqual(status, 2, lines)

    def test_a_mount_that_is_read_only_is_named_once(self):
        _, database = self.read_only("remount,bind,ro")
        status, lines = self.run_briefly(database)
        self.assertEqual(status, 2, lines)
        self.assertIn("may be written, but not from here", harness.one(self, lines))

    def test_a_directory_that_may_not_be_written_is_named_once(self):
        if os.geteuid() != 0:
            self.skipTest("only root drops to another user")
        self.need_program("setpriv")
        directory = self.path("theirs")
        os.mkdir(directory, 0o755)
        done = subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", harness.LASTCONND,
             "--source", "procfs", "--db", os.path.join(directory, "history.db"), "--config",
             os.devnull], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("Permission denied", harness.one(self, done.stderr.splitlines()))


class File(Faults):

    def start(self):
        daemon = self.start_daemon()
        return daemon, self.commit(daemon)

    def aside(self):
        """The damaged file that was set aside."""
        found = [path for path in glob.glob(self.path("history.db.damaged-*"))
                 if not path.endswith(("-wal", "-shm"))]
        return harness.one(self, found)

    def check_lost(self, lose):
        """The name of the database is taken from under it; the daemon that goes on there."""
        daemon, port = self.start()
        kept = self.path("kept.db")
        os.link(daemon.db, kept)
        lose(daemon.db)
        self.assertEqual(daemon.process.wait(30 * harness.SLOW), 1)
        self.said(daemon, "was removed, renamed or replaced", "start lastconnd again")
        self.check_sound(kept)
        self.check_there(kept, port)
        again = self.start_daemon()
        port = self.commit(again)
        again.stop()
        self.check_sound(again.db)
        self.check_there(again.db, port)
        return again

    def test_a_database_that_is_deleted_ends_it_and_the_next_begins_anew(self):
        self.check_lost(os.unlink)

    def test_a_database_that_is_replaced_ends_it_and_both_are_whole(self):
        other = self.start_daemon(database=self.path("other.db"))
        others = self.commit(other)
        other.stop()
        again = self.check_lost(lambda path: os.replace(other.db, path))
        self.check_there(again.db, others)
        hole = harness.one(self, again.rows("SELECT * FROM coverage WHERE what = 'down'"))
        self.assertEqual(hole["detail"], "stopped")

    def check_cut(self, size):
        daemon, _ = self.start()
        with contextlib.closing(sqlite3.connect(daemon.db)) as connection:
            connection.execute("PRAGMA wal_checkpoint").fetchall()
        os.truncate(daemon.db, size)
        self.end_damaged(daemon)
        again = self.start_daemon()
        after = self.commit(again)
        again.stop()
        self.check_sound(again.db)
        self.check_there(again.db, after)

    def end_damaged(self, daemon):
        """It sets the file aside and ends."""
        self.assertEqual(daemon.process.wait(60 * harness.SLOW), 1)
        self.said(daemon, "cannot record any more")
        self.said(daemon, "is now", "the next start begins a new history")
        self.assertTrue(os.path.exists(self.aside()))

    def test_a_database_that_is_emptied_is_set_aside(self):
        self.check_cut(0)

    def test_a_database_that_is_cut_off_is_set_aside(self):
        self.check_cut(3 * 2048 + 100)

    def damage(self, path):
        """Overwrites the tree of flows, of a file that nobody has open; a copy of what it was."""
        kept = self.path("kept.db")
        shutil.copy(path, kept)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            page = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'flow'"
                                      ).fetchone()[0]
            size = connection.execute("PRAGMA page_size").fetchone()[0]
        with open(path, "r+b") as file:
            file.seek((page - 1) * size)
            file.write(b"\xde\xad\xbe\xef" * (size // 4))
        return kept

    def test_a_damaged_page_is_met_at_the_start(self):
        daemon, port = self.start()
        daemon.stop()
        self.damage(daemon.db)
        again = self.start_daemon()
        after = self.commit(again)
        again.stop()
        self.said(again, "malformed", "is now", "a new history begins")
        self.check_sound(again.db)
        self.check_there(again.db, after)
        with contextlib.closing(sqlite3.connect(self.aside())) as connection:
            actors = connection.execute("SELECT count(*) FROM actor").fetchone()[0]
        self.assertGreater(actors, 0, "what is whole in it can be read")
        self.assertGreater(port, 0)

    def test_a_database_without_its_head_is_set_aside_at_the_start(self):
        daemon, _ = self.start()
        daemon.stop()
        with open(daemon.db, "r+b") as file:
            file.write(bytes(2048))
        size = os.stat(daemon.db).st_size
        again = self.start_daemon()
        self.said(again, "is now", "a new history begins")
        self.assertEqual(os.stat(self.aside()).st_size, size)
        after = self.commit(again)
        again.stop()
        self.check_there(again.db, after)

    def test_file_after_file_is_damaged_and_the_disk_is_not_filled_with_them(self):
        daemon, _ = self.start()
        daemon.stop()
        for number in range(4):
            with open(f"{daemon.db}.damaged-20200101T00000{number}Z", "wb"):
                pass
        with open(daemon.db, "r+b") as file:
            file.write(bytes(2048))
        before = harness.digest(daemon.db)
        status, lines = self.run_briefly(daemon.db)
        self.assertEqual(status, 2, lines)
        self.assertIn("move them away", harness.one(self, lines))
        self.assertEqual(harness.digest(daemon.db), before)

    def test_a_file_that_was_never_ours_is_left_alone(self):
        path = self.path("diary.txt")
        with open(path, "w", encoding="ascii") as file:
            file.write("dear diary\n" * 200)
        before = sorted(os.listdir(self.directory)), harness.digest(path)
        status, lines = self.run_briefly(path)
        self.assertEqual(status, 2, lines)
        self.assertIn("is not a database", harness.one(self, lines))
        self.assertEqual((sorted(os.listdir(self.directory)), harness.digest(path)), before)

    def test_a_newer_schema_ends_it_for_good_and_is_left_alone(self):
        daemon, port = self.start()
        daemon.stop()
        with contextlib.closing(sqlite3.connect(daemon.db)) as connection:
            connection.execute("PRAGMA user_version = 9999")
        status, lines = self.run_briefly(daemon.db)
        self.assertEqual(status, 2, lines)
        self.assertIn("upgrade this one", harness.one(self, lines))
        self.check_sound(daemon.db)
        self.check_there(daemon.db, port)


class Locked(Faults):

    @contextlib.contextmanager
    def locked(self, database):
        with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            yield
            connection.execute("ROLLBACK")

    def test_a_lock_of_seconds_costs_nothing(self):
        daemon = self.start_daemon()
        before = self.commit(daemon)
        with self.locked(daemon.db):
            between = self.connect(5)
            self.wait_said(daemon, "locked", "keeping records in memory")
            self.check_there(daemon.db, before)
        daemon.wait_flows(between, 10)
        self.said(daemon, "writing again")
        daemon.stop()
        self.check_sound(daemon.db)
        for port in (before, between):
            self.check_there(daemon.db, port)
        self.assertEqual(daemon.rows("SELECT * FROM coverage WHERE what = 'queue full'"), [])

    def test_a_database_that_is_locked_at_the_start_is_waited_for(self):
        first = self.start_daemon()
        before = self.commit(first)
        first.stop()
        with self.locked(first.db):
            daemon = self.start_waiting(first.db)
            between = self.connect(5)
        daemon.wait_notified("READY=1")
        daemon.wait_flows(between, 10)
        self.said(daemon, "waiting for that")
        daemon.stop()
        self.check_sound(daemon.db)
        for port in (before, between):
            self.check_there(daemon.db, port)

    def test_who_waits_for_a_database_can_be_stopped(self):
        first = self.start_daemon()
        before = self.commit(first)
        first.stop()
        with self.locked(first.db):
            daemon = self.start_waiting(first.db)
            daemon.process.terminate()
            daemon.process.wait(10 * harness.SLOW)
        self.check_sound(first.db)
        self.check_there(first.db, before)

    def test_a_long_reader_costs_nothing(self):
        daemon = self.start_daemon()
        before = self.commit(daemon)
        with contextlib.closing(sqlite3.connect(daemon.db, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            seen = reader.execute("SELECT count(*) FROM flow").fetchone()
            for _ in range(5):
                self.send(10)
                after = self.commit(daemon)
            self.assertEqual(reader.execute("SELECT count(*) FROM flow").fetchone(), seen)
        self.assertNotIn("keeping records in memory", daemon.log())
        daemon.stop()
        self.check_sound(daemon.db)
        for port in (before, after):
            self.check_there(daemon.db, port)

    def memory(self, daemon):
        with open(f"/proc/{daemon.pid}/status", encoding="ascii") as status:
            line = next(line for line in status if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1024

    def test_a_writer_that_hangs_under_load_has_bounds_and_leaves_a_hole(self):
        """5,000 flows a second, and nothing is written: the queue fills up to its limit, what finds
        no room is counted, and memory is what it was before and the queue."""
        queue = 4 * MIB
        daemon = self.start_daemon(
            "--queue-memory", "4M", "--ring-size", "16M",
            environment={"ASAN_OPTIONS": "quarantine_size_mb=1:malloc_context_size=1"})
        warm = 0
        for _ in range(4):
            warm += self.send(50)
            harness.wait_until("the flows", lambda: self.sent(daemon) == warm)
        before, most, sent = self.memory(daemon), 0, 0
        began = time.time()
        with self.locked(daemon.db):
            while time.time() < began + HANG:
                sent += self.send(5)
                most = max(most, self.memory(daemon))
                time.sleep(max(0, began + sent / 5000 - time.time()))  # the rate
        ended = time.time()
        after = self.commit(daemon)
        if sent < 2000 * HANG:
            self.skipTest(f"only {sent / HANG:.0f} flows a second on this machine")
        # two batches more are being filled and written
        self.assertLess(most - before, queue + 8 * MIB)
        harness.wait_until("the hole", lambda: daemon.rows(
            "SELECT 1 FROM coverage WHERE what = 'queue full'"))
        daemon.stop()
        self.check_sound(daemon.db)
        self.check_there(daemon.db, after)
        hole = harness.one(self, daemon.rows(
            "SELECT from_us / 1e6 AS begin, until_us / 1e6 AS end, count FROM coverage"
            " WHERE what = 'queue full'"))
        recorded = self.sent(daemon) - warm
        self.assertGreaterEqual(recorded + hole["count"], sent, "what is missing is counted")
        self.assertLess(recorded, sent)
        self.assertTrue(began - 5 < hole["begin"] < ended < hole["end"] + 5, (began, hole, ended))
        told = self.ask(daemon.db, "coverage")
        self.assertTrue(any(row["what"] == "queue full" for row in told), told)
        self.said(daemon, "keeping records in memory")


if __name__ == "__main__":
    harness.main()
