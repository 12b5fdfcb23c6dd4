"""Makes small histories row by row, from the schema of this checkout: what a test says of a flow
is what the database holds, and the roll-ups agree with it. Standard library only."""
import glob
import ipaddress
import os
import sqlite3

import harness

APPLICATION_ID = 0x4c434f4e
SECOND, HOUR, DAY = 10**6, 3600 * 10**6, 86400 * 10**6
PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "ipv6-icmp": 58}
DIRECTIONS = {"unknown": 0, "out": 1, "in": 2}
METHODS = ("unknown", "exact", "inherited", "listener", "snapshot", "pktap", "procfs")
FAILED = ("refused", "timeout", "unreachable")


def service_port(direction, remote_port, local_port):
    """As flow_key_service_port."""
    if direction == "out":
        return remote_port
    if direction == "in":
        return local_port
    return min((port for port in (remote_port, local_port) if port), default=0)


class History:
    """A database being written. Times are microseconds since 1970."""

    def __init__(self, path, settled=None, ledger=(0, 0, 0)):
        """settled: what the roll-ups count, as under load: end of the flows, and of those of remotes
        below a number another end (a row of rollup_state). ledger: of these the first days that the
        ledger does not count, and of remotes below a number (the other columns of that row)."""
        self.path, self.settled, self.ledger = path, settled, ledger
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode = WAL")
        folder = os.path.join(harness.ROOT, "schema")
        migrations = sorted(glob.glob(os.path.join(folder, "[0-9]*.sql")))
        for name in [*migrations, os.path.join(folder, "views.sql")]:
            with open(name, encoding="utf-8") as file:
                self.db.executescript(file.read())
        number = int(os.path.basename(migrations[-1])[:4])
        self.db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self.db.execute(f"PRAGMA user_version = {number}")
        self.db.execute("BEGIN")
        self.ids = {}
        self.serial = 0
        self.boot = self.row("boot", boot_uuid="b", start_us=1)
        self.run = self.row("run", boot=self.boot, pid=1, host="box", version="0.0",
                            start_us=SECOND, heartbeat_us=2 * SECOND)
        self.db.execute("UPDATE rollup_state SET ledger_day = ?, ledger_next_day = ?,"
                        " ledger_remote = ?", ledger)
        if settled:
            self.db.execute("UPDATE rollup_state SET settled_us = ?, cut_us = ?, cut_remote = ?", settled)

    def insert(self, table, **values):
        names = ", ".join(values)
        marks = ", ".join("?" * len(values))
        return self.db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})",
                               tuple(values.values())).lastrowid

    def row(self, table, **values):
        """The id of a dictionary row, made once."""
        key = (table, *values.items())
        if key not in self.ids:
            self.ids[key] = self.insert(table, **values)
        return self.ids[key]

    def executable(self, path, flags=0):
        return self.row("executable", path=path, flags=flags) if path else 0

    def actor(self, exe, parent_exe="", uid=0, unit=None, container=None, flags=0):
        unit_id = 0
        if unit or container:
            unit_id = self.row("unit", cgroup=f"/{unit}/{container}", unit=unit,
                               container=container)
        return self.row("actor", executable=self.executable(exe, flags),
                        parent_executable=self.executable(parent_exe), uid=uid, unit=unit_id)

    def process(self, pid, exe, parent=None, start_us=SECOND, uid=0, cmdline=None, comm=None,
                parent_exe="", unit=None, container=None, loginuid=None, ppid=None, flags=0,
                exe_flags=0):
        actor = self.actor(exe, parent_exe, uid, unit, container, exe_flags)
        process = self.insert(
            "process", boot=self.boot, start_ns=start_us * 1000, pid=pid, exec_id=1,
            start_us=start_us, actor=actor, parent=parent, ppid=ppid, loginuid=loginuid,
            inner_pid=pid, netns=4026531840, flags=flags, comm=comm or exe[-15:] or "x",
            cmdline=exe if cmdline is None else cmdline)
        self.ids[("actor of", process)] = actor
        self.ids[("executable of", process)] = self.executable(exe, exe_flags)
        return process

    def remote(self, ip, name=None, source=""):
        name_id = 0
        if name:
            name_id = self.row("name", name=name, reversed=".".join(reversed(name.split("."))))
        return self.row("remote", address=ipaddress.ip_address(ip).packed, ip=ip, name=name_id,
                        name_source=source or ("dns" if name else ""))

    def evidence(self, name, ip, first_us, last_us=None, source="dns", process=None, owner=None,
                 ttl=60, times=1, **more):
        """Row of name_evidence."""
        last_us = last_us or first_us
        ids = [self.row("name", name=text, reversed=".".join(reversed(text.split("."))))
               if text else 0 for text in (name, owner)]
        self.insert("name_evidence", name=ids[0], owner=ids[1], ip=ip or "",
                    address=ipaddress.ip_address(ip).packed if ip else b"", source=source,
                    process=process, first_us=first_us, last_us=last_us,
                    until_us=last_us + ttl * SECOND, times=times, ttl_s=ttl,
                    **{"ech": 0, "alpn": "", **more})

    def local(self, ip):
        return self.row("local", address=ipaddress.ip_address(ip).packed, ip=ip, netns=1)

    def columns(self, process, remote, protocol, direction, outcome, method, remote_port,
                local_port, octets, name, local, opener, name_source):
        """What flow and open_flow have in common."""
        return {
            "actor": self.ids[("actor of", process)] if process else 0, "process": process,
            "opener": opener, "remote": self.remote(remote, name, name_source), "local": self.local(local),
            "remote_port": remote_port, "local_port": local_port,
            "kind": self.row("kind", protocol_id=PROTOCOLS[protocol], protocol=protocol,
                             direction=direction, outcome=outcome, error=0, method=method,
                             source="ebpf"),
            "octets_out": octets[0], "octets_in": octets[1], "packets_out": 3, "packets_in": 2,
            "retransmits": 0, "rtt_us": 1000}

    def flow(self, process, remote, start_us, end_us, protocol="tcp", direction="out",
             outcome="closed", method="exact", remote_port=443, local_port=40000,
             octets=(100, 2000), name=None, local="192.0.2.10", opener=None, name_source=""):
        values = self.columns(process, remote, protocol, direction, outcome, method, remote_port,
                              local_port, octets, name, local, opener, name_source)
        while self.db.execute("SELECT 1 FROM flow WHERE end_us = ?", (end_us,)).fetchone():
            end_us += 1
        self.insert("flow", end_us=end_us, duration_us=end_us - start_us, **values)
        self.db.execute(
            "INSERT INTO flow_hour VALUES (?, 1, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " flows = flows + 1, failed = failed + excluded.failed,"
            " octets_out = octets_out + excluded.octets_out,"
            " octets_in = octets_in + excluded.octets_in,"
            " max_duration_us = max(max_duration_us, excluded.max_duration_us)",
            (end_us // HOUR, outcome in FAILED, *octets, end_us - start_us))
        if self.is_counted(values["remote"], end_us):
            self.roll_up(process, values, start_us, end_us, protocol, direction, outcome, method)
        return end_us

    def is_counted(self, remote, end_us):
        if not self.settled:
            return True
        settled_us, cut_us, cut_remote = self.settled
        return end_us <= settled_us or (end_us <= cut_us and remote < cut_remote)

    def roll_up(self, process, values, start_us, end_us, protocol, direction, outcome, method):
        port = service_port(direction, values["remote_port"], values["local_port"])
        executable = self.ids[("executable of", process)] if process else 0
        self.db.execute(
            "INSERT INTO contact_day VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET flows = flows + 1, failed = failed + excluded.failed,"
            " octets_out = octets_out + excluded.octets_out,"
            " octets_in = octets_in + excluded.octets_in,"
            " first_us = min(first_us, excluded.first_us),"
            " last_us = max(last_us, excluded.last_us),"
            " hours = hours | excluded.hours, methods = methods | excluded.methods",
            (end_us // DAY, values["remote"], values["actor"], PROTOCOLS[protocol], port,
             DIRECTIONS[direction], outcome in FAILED, values["octets_out"], values["octets_in"],
             start_us, end_us, 1 << (end_us // HOUR % 24), 1 << METHODS.index(method)))
        day, next_day, remote = self.ledger
        counts = end_us // DAY < (next_day if values["remote"] < remote else day)
        self.db.execute(
            "INSERT INTO contact VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " flows = flows + excluded.flows, first_us = min(first_us, excluded.first_us),"
            " last_us = max(last_us, excluded.last_us)"
            " WHERE excluded.flows OR excluded.first_us < first_us",
            (values["remote"] % 2, values["remote"], executable, PROTOCOLS[protocol], port,
             DIRECTIONS[direction], start_us, end_us, int(counts), process))

    def open_flow(self, process, remote, start_us, seen_us, protocol="tcp", direction="out",
                  method="exact", remote_port=443, local_port=40000, octets=(10, 20), name=None,
                  local="192.0.2.10", opener=None, name_source=""):
        values = self.columns(process, remote, protocol, direction, "open", method, remote_port,
                              local_port, octets, name, local, opener, name_source)
        self.serial += 1
        self.insert("open_flow", run=self.run, serial=self.serial, start_us=start_us,
                    seen_us=seen_us, **values)
        return self.serial

    def listener(self, process, ip, port, from_us, until_us=None, protocol="tcp"):
        self.serial += 1
        self.insert("listener", run=self.run, socket=self.serial, process=process,
                    local=self.local(ip), local_port=port, protocol_id=PROTOCOLS[protocol],
                    protocol=protocol, method="exact", from_us=from_us, until_us=until_us)

    def commit(self):
        self.db.execute("COMMIT")
        self.db.execute("BEGIN")

    def close(self):
        self.db.execute("COMMIT")
        self.db.close()
        return self.path
