#!/usr/bin/env python3
"""Real programs, each found by `lastconn who` and shown right by `lastconn ps`."""
import json
import os
import pwd
import re
import subprocess

import harness

PAGE = "a page for the test\n" * 50


def cells(rows):
    """Every value of every row as text, those of lists one by one."""
    values = [value for row in rows for value in row.values()]
    return [str(item) for value in values
            for item in (value if isinstance(value, list) else [value])]


class Programs(harness.Case):

    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()

    def web_server(self, prefix=()):
        """Python's; its process and port."""
        with open(self.path("page.txt"), "w", encoding="ascii") as page:
            page.write(PAGE)
        os.chmod(self.directory, 0o755)
        server = self.start_program(*prefix, harness.PYTHON, "-u", "-m", "http.server", "0",
                                    "--bind", "127.0.0.1", "--directory", self.directory,
                                    stderr=subprocess.DEVNULL)
        return server, int(re.search(r"port (\d+)", self.read_line(server)).group(1))

    def curl(self, port, prefix=()):
        """Fetches the page; curl's pid (or that of what starts it) and its command line."""
        curl = self.need_program("curl")
        command = [curl, "-sS", "-o", "/dev/null", f"http://127.0.0.1:{port}/page.txt"]
        client = self.start_program(*prefix, *command)
        self.finish(client)
        return client.pid, curl, " ".join(command)

    def check_answers(self, port, exe, cmdline, uid=0, parent=None, address="127.0.0.1"):
        """`who` finds the program, `ps` and the view show it right; its flow."""
        flows = self.daemon.wait_flows(port, 1, f"open = 0 AND exe = '{exe}'")
        flow = flows[-1]
        self.assert_flow(flow, {"exe": exe, "uid": uid, "cmdline": cmdline, "method": "exact",
                                "comm": os.path.basename(exe)[:15]})
        who = self.ask(self.daemon.db, "who", address, "--port", str(port))
        self.assertIn(exe, cells(who), f"who {address} --port {port}")
        for argument in (str(flow["pid"]), exe):
            shown = cells(self.ask(self.daemon.db, "ps", argument))
            for wanted in (exe, cmdline, str(flow["pid"])):
                self.assertIn(wanted, shown, f"ps {argument}")
            self.assertTrue({str(uid), pwd.getpwuid(uid).pw_name} & set(shown), shown)
        if parent:
            self.assertEqual(flow["parent_exe"], parent)
            self.assertTrue(any(parent in cell for cell in shown), f"{parent} in {shown}")
        return flow

    def test_curl_and_the_web_server(self):
        server, port = self.web_server()
        pid, curl, cmdline = self.curl(port)
        flow = self.check_answers(port, curl, cmdline, os.getuid(),
                                  os.readlink("/proc/self/exe"))
        self.assert_flow(flow, {"pid": pid, "ppid": os.getpid(), "direction": "out"})
        self.assertGreater(flow["octets_in"], len(PAGE))
        served = harness.one(self, self.daemon.wait_flows(
            port, 1, "open = 0 AND direction = 'in'"))
        self.assert_flow(served, {
            "pid": server.pid, "exe": os.readlink(f"/proc/{server.pid}/exe"),
            "octets_in": flow["octets_out"], "octets_out": flow["octets_in"]})
        listeners = self.daemon.rows("SELECT * FROM listeners WHERE local_port = ?", port)
        self.assertEqual(harness.one(self, listeners)["pid"], server.pid)

    def test_netcat(self):
        nc = self.need_program("nc")
        port = self.free_port()
        server = self.start_program(nc, "-l", "127.0.0.1", str(port))
        self.wait_listening(port)
        client = self.start_program(nc, "-N", "127.0.0.1", str(port), stdin=subprocess.PIPE)
        client.stdin.write("fourteen octets"[:14])
        client.stdin.close()
        client.stdin = None
        self.assertEqual(self.finish(server), "fourteen octet")
        self.finish(client)
        self.daemon.wait_flows(port, 2)
        self.check_answers(port, nc, f"{nc} -l 127.0.0.1 {port}", os.getuid())
        found = {f["direction"]: f for f in self.daemon.flows(port)}
        self.assert_flow(found["out"], {"pid": client.pid, "octets_out": 14,
                                        "cmdline": f"{nc} -N 127.0.0.1 {port}"})
        self.assert_flow(found["in"], {"pid": server.pid, "octets_in": 14})

    def wait_listening(self, port, table="tcp", state="0A"):
        """Until /proc/net shows the port: no connection of ours must disturb the server."""
        local = f"0100007F:{port:04X}"

        def probe():
            with open(f"/proc/net/{table}", encoding="ascii") as file:
                return any(words[1] == local and words[3] == state
                           for words in map(str.split, file))
        harness.wait_until(f"a listener on port {port}", probe)

    def test_dig_and_a_resolver(self):
        dig, dnsmasq = self.need_program("dig"), self.need_program("dnsmasq")
        port = self.free_port()
        resolver = self.start_program(
            dnsmasq, "--keep-in-foreground", f"--port={port}", "--listen-address=127.0.0.1",
            "--bind-interfaces", "--no-resolv", "--no-hosts", "--conf-file=/dev/null",
            "--user=root", "--pid-file=", "--address=/lastconn.test/192.0.2.7")
        self.wait_listening(port, "udp", "07")
        command = (dig, "@127.0.0.1", "-p", str(port), "+short", "+tries=1", "+nocookie",
                   "www.lastconn.test", "A")
        asking = self.start_program(*command)
        self.assertEqual(self.finish(asking).strip(), "192.0.2.7")
        self.daemon.wait_flows(port, 1, "direction = 'in' AND octets_out > 0")
        flow = self.check_answers(port, dig, " ".join(command), os.getuid())
        self.assert_flow(flow, {"pid": asking.pid, "protocol": "udp", "direction": "out",
                                "packets_out": 1, "packets_in": 1})
        served = self.daemon.flows(port, "direction = 'in'")[-1]
        self.assert_flow(served, {"exe": dnsmasq, "pid": resolver.pid,
                                  "octets_in": flow["octets_out"],
                                  "octets_out": flow["octets_in"]})

    def test_a_named_thread_is_shown_as_its_process(self):
        server = self.start_program(harness.PYTHON, harness.TALK, "serve", "127.0.0.1", "1")
        port = json.loads(self.read_line(server))["port"]
        talk = json.loads(self.run_program(
            harness.PYTHON, harness.TALK, "talk", "127.0.0.1", str(port), "10",
            "--thread", "Socket Thread").stdout)
        self.finish(server)
        flow = self.daemon.wait_flows(port, 1, "open = 0 AND direction = 'out'")[0]
        self.assert_flow(flow, {key: talk[key] for key in ("pid", "exe", "cmdline", "comm")})
        shown = self.ask(self.daemon.db, "ps", str(talk["pid"]))
        self.assertIn(talk["cmdline"], cells(shown))
        for row in self.daemon.rows("SELECT comm FROM processes"):
            self.assertNotEqual(row["comm"], "Socket Thread")

    def test_a_program_of_another_user(self):
        setpriv = self.need_program("setpriv")
        _, port = self.web_server()
        prefix = (setpriv, f"--reuid={harness.NOBODY}", f"--regid={harness.NOBODY}",
                  "--clear-groups")
        pid, curl, cmdline = self.curl(port, prefix)
        flow = self.check_answers(port, curl, cmdline, harness.NOBODY)
        self.assertEqual(flow["pid"], pid)

    def test_a_program_in_a_network_namespace(self):
        ip = self.need_program("ip")
        name = f"lastconn-prog-{os.getpid()}"
        self.run_program(ip, "netns", "add", name)
        try:
            self.run_program(ip, "-n", name, "link", "set", "lo", "up")
            inode = os.stat(f"/run/netns/{name}").st_ino
            prefix = (ip, "netns", "exec", name)
            server, port = self.web_server(prefix)
            pid, curl, cmdline = self.curl(port, prefix)
            server.terminate()
            server.wait(30)
        finally:
            self.run_program(ip, "netns", "delete", name)
        flow = self.check_answers(port, curl, cmdline, os.getuid())
        self.assert_flow(flow, {"pid": pid, "netns": inode})

    def test_a_program_in_a_pid_namespace(self):
        unshare = self.need_program("unshare")
        _, port = self.web_server()
        starter, curl, cmdline = self.curl(port, (unshare, "-pf"))
        flow = self.check_answers(port, curl, cmdline, os.getuid(), unshare)
        self.assertEqual(flow["ppid"], starter)

    def test_a_script_whose_process_is_gone_before_anybody_could_look(self):
        _, port = self.web_server()
        curl = self.need_program("curl")
        script = self.path("fetch")
        with open(script, "w", encoding="ascii") as file:
            file.write(f"#!/bin/sh\nexec {curl} -sS -o /dev/null http://127.0.0.1:{port}/\n")
        os.chmod(script, 0o755)
        pids = set()
        for _ in range(20):
            process = self.start_program(script)
            self.finish(process)
            pids.add(process.pid)
        flows = self.daemon.wait_flows(port, 20, "open = 0 AND direction = 'out'")
        self.assertEqual({flow["pid"] for flow in flows}, pids)
        self.assertEqual({(flow["exe"], flow["cmdline"]) for flow in flows},
                         {(curl, f"{curl} -sS -o /dev/null http://127.0.0.1:{port}/")})


if __name__ == "__main__":
    harness.main()
