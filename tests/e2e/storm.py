"""What a storm (tests/support/storm.c) did, and whether that was recorded."""
import collections
import contextlib
import os

import harness


@contextlib.contextmanager
def namespace(case):
    """What stands before a command that takes part in a storm: its loopback acknowledges at once.
    Else a FIN may wait for a timer, and the connection ends in whatever process is interrupted by
    that; this kernel may hide some of them (those of a sandbox) from tracing programs."""
    with case.namespace() as path:
        inside = ("nsenter", f"--net={path}")
        for address in ("127.0.0.0/8", "127.0.0.1"):
            case.run_program(*inside, "ip", "route", "replace", "local", address, "dev", "lo",
                             "table", "local", "proto", "kernel", "scope", "host",
                             "src", "127.0.0.1", "quickack", "1")
        yield inside


def read_truth(paths, port):
    """What happened, as the records that must be there: a multiset, because the kernel may give
    a client port to two clients one after the other."""
    clients, servers = collections.Counter(), collections.Counter()
    for line in harness.lines(*paths):
        words = line.split()
        if words[0] == "client":
            pid, ident, own_port, octets = map(int, words[1:])
            cmdline = f"{harness.STORM_CLIENT} tcp 127.0.0.1 {port} {ident}"
            clients[pid, harness.STORM_CLIENT, cmdline, own_port, port, octets, 0] += 1
        else:
            pid, peer_port, octets = map(int, words[1:])
            servers[pid, harness.STORM, peer_port, port, 0, octets] += 1
    return clients, servers


def differences(truth, found, limit=10):
    """Readable: what is missing and what nobody did."""
    missing, extra = truth - found, found - truth
    return "".join(
        f"\n{sum(part.values())} {name}, such as:\n" +
        "\n".join(f"    {item}" for item in list(part)[:limit])
        for name, part in (("missing", missing), ("not in the truth", extra)) if part)


def check(case, daemon, port, truth, count):
    """Every connection of the truth is recorded once, as it was, and nothing else."""
    flows = daemon.flows(port)
    check_ends(case, flows, port, truth, count)
    check_common(case, flows)


def check_ends(case, flows, port, truth, count):
    clients, servers = read_truth(truth, port)
    case.assertEqual((sum(clients.values()), sum(servers.values())), (count, count))
    found_clients = collections.Counter(
        (f["pid"], f["exe"], f["cmdline"], f["local_port"], f["remote_port"],
         f["octets_out"], f["octets_in"]) for f in flows if f["direction"] == "out")
    found_servers = collections.Counter(
        (f["pid"], f["exe"], f["remote_port"], f["local_port"],
         f["octets_out"], f["octets_in"]) for f in flows if f["direction"] == "in")
    case.assertEqual(differences(clients, found_clients), "", "the clients' records")
    case.assertEqual(differences(servers, found_servers), "", "the server's records")
    case.assertEqual(len(flows), 2 * count)


def check_common(case, flows):
    columns = ("open", "protocol", "outcome", "local_ip", "remote_ip", "method", "uid",
               "source", "opener_pid")
    kinds = collections.Counter(tuple(flow[c] for c in columns) for flow in flows)
    expected = (0, "tcp", "closed", "127.0.0.1", "127.0.0.1", "exact", os.getuid(), "ebpf",
                None)
    case.assertEqual(dict(kinds), {expected: len(flows)}, columns)
    parents = {flow["parent_exe"] for flow in flows if flow["direction"] == "out"}
    case.assertEqual(parents, {harness.STORM})
    for flow in flows:
        case.assertGreater(flow["end_us"], flow["start_us"] - 1)
