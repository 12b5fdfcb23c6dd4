#!/usr/bin/env python3
"""Whatever lastconnd is given wrong: one line on stderr that names it, a non-zero exit status,
nothing created and nothing lost."""
import os
import shutil
import socket
import sqlite3
import struct

import harness

# value, what the line must say besides the option and the value
BAD_DURATIONS = ("", "x", "-5s", "5", "5 parsecs", "1.5s", "99999999999999999999h", "5s5s")
BAD_SIZES = ("", "x", "-1", "8Q", "99999999999999999999", "1.5M", "0")
BAD_NUMBERS = ("", "x", "-1", "many", "99999999999999999999", "1e3", "0")
BAD_OPTIONS = {
    "--active-timeout": BAD_DURATIONS, "--idle-timeout": BAD_DURATIONS,
    "--sweep-interval": BAD_DURATIONS, "--reconcile-interval": (*BAD_DURATIONS, "10ms"),
    "--flush-interval": BAD_DURATIONS,
    "--max-flows": BAD_NUMBERS, "--max-processes": BAD_NUMBERS,
    "--max-listeners": BAD_NUMBERS, "--max-names": BAD_NUMBERS, "--max-peers": BAD_NUMBERS,
    "--queue-memory": BAD_SIZES, "--ring-size": (*BAD_SIZES, "3M"),
    "--synchronous": ("", "off", "NORMAL"), "--log-level": ("", "loud"),
    "--source": ("", "EBPF", "packets"), "--privileges": ("", "DROP", "some"), "--user": ("",),
    "--cmdline": ("", "MASKED", "some"),
    "--ignore": ("", "ntpd"),
    "--local": ("", "300.1.1.1", "10.0.0.0/33", "2001:db8::/129", "host", "1.2.3.4/x"),
    "--disable-slot": ("", "no-such-slot"),
    "--disable-program": ("", "no_such_program"),
    "--pin": ("",), "--metrics-file": ("",), "--db": ("",), "--read": ("",), "--config": ("",),
}


class BadInput(harness.Case):

    def check_refused(self, done, *words, status=(1, 2)):
        """One line, from lastconnd, with every word in it."""
        self.assertIn(done.returncode, status, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertTrue(done.stderr.startswith("lastconnd: "), done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertTrue(done.stderr.endswith("\n"), done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)

    def check_untouched(self, run, *words, status=(1, 2)):
        """The same, and the directory holds what it held (and the lock file, if it came to it)."""
        before = self.content()
        self.check_refused(run(), *words, status=status)
        self.assertEqual(self.content(), before)

    def content(self):
        found = harness.digest(self.directory)
        return {name: found[name] for name in found if not name.endswith(".lock")}

    def write(self, name, content):
        path = self.path(name)
        with open(path, "wb") as file:
            file.write(content)
        return path


class Options(BadInput):

    def test_every_option_refuses_bad_values(self):
        database = self.path("history.db")
        capture = self.write("empty.pcap", pcap_header())
        for option, values in BAD_OPTIONS.items():
            given = [] if option == "--db" else ["--db", database]
            if option != "--read" and not option.startswith("--disable-"):
                given += ["-r", capture]
            for value in values:
                if option.startswith("--disable-") and value and harness.kernel_reason():
                    continue
                with self.subTest(option=option, value=value):
                    self.check_untouched(lambda: self.run_daemon(*given, option, value),
                                         option, value,
                                         status=(1, 2) if option.startswith("--disable-") else (2,))

    def test_an_option_without_its_value(self):
        for option in BAD_OPTIONS:
            with self.subTest(option):
                self.check_untouched(lambda: self.run_daemon(option), option, status=(2,))

    def test_unknown_options_and_stray_words(self):
        for words in (["--colour"], ["--db=x", "--color=blue"], ["-Z"], ["history.db"],
                      ["--version=3"]):
            with self.subTest(words):
                self.check_untouched(lambda: self.run_daemon(*words), words[-1].split("=")[0],
                                     status=(2,))

    def test_a_configuration_file_with_mistakes(self):
        lines = {
            "colour = blue": "colour",
            "active-timeout = soon": "soon",
            "active-timeout": "",
            "= 5": "",
            "max-flows = -1": "-1",
            "config = /other": "config",
            "[other]\nmax-flows = 5": "other",
        }
        for text, word in lines.items():
            config = self.write("bad.conf", f"# head\n\nidle-timeout = 1m\n{text}\n".encode())
            number = 3 + len(text.split("\n"))
            with self.subTest(text):
                self.check_untouched(
                    lambda: self.run_daemon("--config", config, "--db", self.path("x.db")),
                    f"{config}:{number}:", word, status=(2,))

    def test_a_configuration_file_that_is_not_there(self):
        self.check_untouched(lambda: self.run_daemon("--config", self.path("none.conf")),
                             self.path("none.conf"), status=(2,))

    def test_a_configuration_file_that_is_a_directory(self):
        self.check_untouched(lambda: self.run_daemon("--config", self.directory),
                             self.directory, status=(2,))


def pcap_header(link_type=1, magic=0xa1b2c3d4):
    return struct.pack("<IHHiIII", magic, 2, 4, 0, 0, 65535, link_type)


def udp_packet(second, length=20, octets=None):
    """One pcap record: Ethernet, IPv4, UDP. octets: how much of it was kept."""
    frame = (b"\x02" * 12 + b"\x08\x00" +
             struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + length, 0, 0, 64, 17, 0,
                         socket.inet_aton("192.0.2.1"), socket.inet_aton("198.51.100.2")) +
             struct.pack("!HHHH", 5353, 53, 8 + length, 0) + b"d" * length)
    kept = frame[:octets] if octets else frame
    return struct.pack("<IIII", 1700000000 + second, 0, len(kept), len(frame)) + kept


class Captures(BadInput):

    def read(self, path):
        return self.run_daemon("-r", path, "--db", self.path("capture.db"))

    def test_files_that_are_no_captures(self):
        cases = {"missing": None, "empty": b"", "text": b"this is not a capture\n" * 10,
                 "zeros": bytes(1000), "short": pcap_header()[:11],
                 "link": pcap_header(link_type=9999)}
        for name, content in cases.items():
            path = self.path(name) if content is None else self.write(name, content)
            with self.subTest(name):
                self.check_untouched(lambda: self.read(path), path, status=(1,))

    def test_a_directory(self):
        os.mkdir(self.path("folder"))
        self.check_untouched(lambda: self.read(self.path("folder")), self.path("folder"),
                             status=(1,))

    def test_a_truncated_file_keeps_what_came_before(self):
        packets = b"".join(udp_packet(second) for second in range(5))
        path = self.write("cut.pcap", pcap_header() + packets + udp_packet(6)[:-9])
        self.check_refused(self.read(path), path, status=(1,))
        self.check_kept(5 * 20)

    def test_garbage_within_a_file(self):
        packets = b"".join(udp_packet(second) for second in range(5))
        path = self.write("bad.pcap", pcap_header() + packets + b"\xff" * 64)
        self.check_refused(self.read(path), path, status=(1,))
        self.check_kept(5 * 20)

    def check_kept(self, octets):
        """What came before the damage is there, and the damage is in the coverage table."""
        database = self.path("capture.db")
        flow = harness.one(self, harness.rows(database, "SELECT * FROM flows"))
        self.assert_flow(flow, {"local_ip": "192.0.2.1", "remote_ip": "198.51.100.2",
                                "octets_out": octets, "packets_out": octets // 20,
                                "start_us": 1700000000000000})
        gap = harness.rows(database, "SELECT * FROM coverage WHERE missed = 'some'")
        self.assertEqual(harness.one(self, gap)["what"], "file truncated")

    def test_damaged_packets_are_counted_and_passed_over(self):
        bad = bytearray(udp_packet(2))
        bad[16 + 14] = 0x4f  # an IPv4 header longer than its packet
        path = self.write("odd.pcap", pcap_header() + udp_packet(1) + bytes(bad) +
                          udp_packet(3, octets=20) + udp_packet(4))
        done = self.read(path)
        self.assertEqual(done.returncode, 0, done.stderr)
        flow = harness.one(self, harness.rows(self.path("capture.db"), "SELECT * FROM flows"))
        self.assertEqual(flow["octets_out"], 40)


class Databases(BadInput):
    """Each with a capture file, which needs no kernel."""

    def setUp(self):
        super().setUp()
        self.capture = self.write("fine.pcap", pcap_header() + udp_packet(1))

    def read(self, database, **more):
        return self.run_daemon("-r", self.capture, "--db", database, **more)

    def test_a_directory(self):
        os.mkdir(self.path("folder"))
        self.check_untouched(lambda: self.read(self.path("folder")), self.path("folder"),
                             status=(1,))

    def test_a_directory_that_is_not_there(self):
        path = self.path("none/history.db")
        self.check_untouched(lambda: self.read(path), path, status=(1,))

    def test_a_text_file(self):
        path = self.write("text.db", b"my notes, which nobody may touch\n" * 100)
        self.check_untouched(lambda: self.read(path), path, status=(1,))

    def test_a_device(self):
        self.check_untouched(lambda: self.read("/dev/null"), "/dev/null", status=(1,))

    def test_somebody_elses_database(self):
        path = self.path("other.db")
        other = sqlite3.connect(path)
        other.execute("CREATE TABLE recipes (name TEXT)")
        other.execute("INSERT INTO recipes VALUES ('soup')")
        other.commit()
        other.close()
        self.check_untouched(lambda: self.read(path), path, status=(1,))

    def test_a_database_of_a_newer_lastconn(self):
        path = self.path("new.db")
        self.assertEqual(self.read(path).returncode, 0)
        newer = sqlite3.connect(path)
        newer.execute("PRAGMA user_version = 9999")
        newer.commit()
        newer.close()
        self.check_untouched(lambda: self.read(path), path, "newer", status=(1,))

    def as_nobody(self):
        """What makes lastconnd run as nobody: it is copied to where nobody can read it."""
        self.need_root()
        setpriv = self.need_program("setpriv")
        os.chmod(self.directory, 0o755)
        os.chmod(self.capture, 0o644)
        shutil.copy(harness.LASTCONND, self.path("lastconnd"))
        prefix = (setpriv, f"--reuid={harness.NOBODY}", f"--regid={harness.NOBODY}",
                  "--clear-groups")
        return lambda *options: self.run_daemon(*options, prefix=prefix,
                                                program=self.path("lastconnd"))

    def test_a_place_without_permission(self):
        run = self.as_nobody()
        path = self.path("history.db")
        self.check_untouched(lambda: run("-r", self.capture, "--db", path), path, status=(1,))

    def test_a_read_only_database(self):
        run = self.as_nobody()
        path = self.path("history.db")
        self.assertEqual(self.read(path).returncode, 0)
        os.chmod(path, 0o444)
        self.check_untouched(lambda: run("-r", self.capture, "--db", path), path, status=(1,))
        os.chmod(path, 0o000)
        self.check_untouched(lambda: run("-r", self.capture, "--db", path), path, status=(1,))

    def test_a_second_daemon_on_the_same_database(self):
        daemon = self.start_daemon()
        done = self.run_daemon("--db", daemon.db)
        self.check_refused(done, daemon.db, str(daemon.pid), status=(1,))
        self.check_refused(self.read(daemon.db), daemon.db, str(daemon.pid), status=(1,))
        daemon.stop()

    def test_reading_a_capture_needs_no_privileges(self):
        run = self.as_nobody()
        os.mkdir(self.path("mine"))
        os.chown(self.path("mine"), harness.NOBODY, harness.NOBODY)
        done = run("-r", self.capture, "--db", self.path("mine/history.db"))
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)

    def test_recording_without_root(self):
        self.need_kernel()
        run = self.as_nobody()
        os.chmod(self.directory, 0o777)
        self.check_untouched(lambda: run("--source", "ebpf", "--db", self.path("history.db")),
                             "root", status=(1,))


class Kernel(BadInput):

    def test_a_kernel_that_refuses_the_programs(self):
        self.need_kernel()
        setpriv = self.need_program("setpriv")
        prefix = (setpriv, "--bounding-set=-bpf,-perfmon,-sys_admin")
        self.check_untouched(
            lambda: self.run_daemon("--source", "ebpf", "--db", self.path("history.db"),
                                    prefix=prefix),
            "CAP_BPF", status=(1,))

    def test_a_build_without_the_kernel_source(self):
        if os.environ.get("LASTCONN_EBPF", "1") == "1":
            self.skipTest("this build has the kernel source")
        self.check_untouched(
            lambda: self.run_daemon("--source", "ebpf", "--db", self.path("history.db")),
            "kernel source", status=(1,))


if __name__ == "__main__":
    harness.main()
