#!/usr/bin/env python3
"""What is stored of command lines. Processes run with secrets in their arguments, in their parents'
and in a capture file; then every octet of the database, its log and the metrics is searched."""
import contextlib
import os
import socket
import subprocess
import sys

import harness

sys.path.insert(0, os.path.join(harness.ROOT, "tests", "replay"))
import capture_make as make  # noqa: E402

SECRET = "S3cr3t"  # a part of all of them
CLIENT = """
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"x")
s.recv(1)
"""
ARGUMENTS = ("--password", SECRET + "-word", f"--api-key={SECRET}-key", f"DB_TOKEN={SECRET} token",
             "-H", f"Authorization: Bearer {SECRET}bearer",
             f"https://user:{SECRET}pass@host.example/", "--author", "somebody")
MASKED = ("--password *** --api-key=*** DB_TOKEN=*** -H 'Authorization: ***'"
          " https://user:***@host.example/ --author somebody")


class CommandLines(harness.Case):

    def everything(self):
        """All octets of all files of the test."""
        names = sorted(os.listdir(self.directory))
        self.assertIn("history.db", names)
        found = b""
        for name in names:
            if name.endswith(".notify"):
                continue
            with contextlib.suppress(FileNotFoundError), open(self.path(name), "rb") as file:
                found += file.read()
        return found

    def talk(self, daemon):
        """A process with secrets, whose parent has one in its script; the flow of it."""
        program = self.path("client.py")
        with open(program, "w", encoding="ascii") as file:
            file.write(CLIENT)
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(60 * harness.SLOW)
            port = server.getsockname()[1]
            # not the last command, or the shell would become the program
            script = f'MYSQL_PWD={SECRET}env; "$@"; exit $?'
            process = self.start_program("/bin/sh", "-c", script, "sh", harness.PYTHON, program,
                                         str(port), *ARGUMENTS)
            accepted, _ = server.accept()
            with accepted:
                found = daemon.wait_flows(port, 1, "direction = 'out' AND cmdline IS NOT NULL"
                                          " OR direction = 'out' AND exe LIKE '%python%'")
                accepted.sendall(b"x")
                self.finish(process)
        return found[0]

    def record(self, *options, kernel=False):
        """The flow, and whether the secrets are anywhere while it runs and after."""
        source = () if kernel else ("--source", "procfs")
        daemon = self.start_daemon(*source, "--metrics-file", self.path("metrics"), "--log-level",
                                   "debug", *options, kernel=kernel)
        flow = self.talk(daemon)
        parent = daemon.rows("SELECT cmdline FROM processes WHERE pid = ? AND exe = ?",
                             flow["ppid"], flow["parent_exe"])
        running = SECRET.encode() in self.everything()
        daemon.stop()
        return flow["cmdline"], parent[0]["cmdline"], running or SECRET.encode() in self.everything()

    def check_masked(self, *options, kernel):
        own, parent, found = self.record(*options, kernel=kernel)
        self.assertTrue(own.endswith(" " + MASKED), own)
        self.assertIn("MYSQL_PWD=*** ", parent)
        self.assertFalse(found)

    def test_secrets_are_masked_unless_told_otherwise(self):
        self.check_masked(kernel=True)

    def test_polling_masks_them_too(self):
        self.check_masked("--cmdline", "masked", kernel=False)

    def test_full_keeps_them(self):
        own, parent, found = self.record("--cmdline", "full")
        self.assertIn(f"--password {SECRET}-word ", own)
        self.assertIn(f"MYSQL_PWD={SECRET}env", parent)
        self.assertTrue(found)  # or the search finds nothing

    def test_exe_keeps_how_the_program_was_called(self):
        own, parent, found = self.record("--cmdline", "exe")
        self.assertEqual((own, parent), (harness.PYTHON, "/bin/sh"))
        self.assertFalse(found)

    def test_none_keeps_nothing(self):
        own, parent, found = self.record("--cmdline", "none")
        self.assertEqual((own, parent), (None, None))
        self.assertFalse(found)

    def read(self, *options):
        """Of a capture file in which ptcpdump wrote comments: what is stored of them, and all."""
        texts = (f"PID: 321\nCmd: /usr/bin/curl\nArgs: curl -u me:{SECRET} --token {SECRET} http://x",
                 f"ParentPID: 300\nParentCmd: /bin/sh\nParentArgs: sh -c curl -u me:{SECRET} http://x")
        talk = make.Talk(client="192.0.2.1").handshake().close()
        comments = [(1, text.encode()) for text in texts]
        capture = make.pcapng([make.RAW], [(us, packet, 0, comments)
                                           for us, packet, *_ in talk.packets])
        self.assertIn(SECRET.encode(), capture)
        path = self.path("named.pcapng")
        with open(path, "wb") as file:
            file.write(capture)
        database = self.read_capture(path, "--local", "192.0.2.1", *options,
                                     database=self.path("history.db"))
        os.unlink(path)
        rows = harness.rows(database, "SELECT pid, cmdline FROM processes")
        return {row["pid"]: row["cmdline"] for row in rows}, SECRET.encode() in self.everything()

    def test_those_of_a_capture_file_are_masked(self):
        found, secret = self.read()
        self.assertEqual(found, {321: "curl -u me:*** --token *** http://x",
                                 300: "sh -c curl -u me:*** http://x"})
        self.assertFalse(secret)

    def test_check_tells_the_mode(self):
        done = self.run_daemon("--check", "--cmdline", "exe")
        self.assertRegex(done.stdout, r"\n  command lines +exe: ")

    def test_the_query_tool_shows_the_mask(self):
        self.read()
        done = subprocess.run([harness.LASTCONN, "ps", "321", "--db", self.path("history.db")],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertIn("curl -u me:*** --token *** http://x", done.stdout, done.stderr)


if __name__ == "__main__":
    harness.main()
