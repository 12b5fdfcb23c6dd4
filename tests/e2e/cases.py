#!/usr/bin/env python3
"""Judges what lastconn recorded of the traffic of tests/support/cases. Standard library only.

    cases.py TRUTH FLOWS [--degraded SLOT,...]

TRUTH is what `cases` printed, FLOWS what `lastconn sql 'SELECT * FROM flows' --format jsonl` says.
Prints a line for each case: right, degraded, wrong, missing, failed or skipped, with what differs.
Exit status 0 if nothing is wrong, missing or failed.

Every line of truth must have one record that is the same in all the columns it names, and no other
record may speak of the same ends or of the same processes. With --degraded (the slots of the
kernel source that are not served by their best program) a record may know less: another process if
its method is not exact, smaller counters, no outcome. It must never be wrong and say exact.
"""
import argparse
import collections
import json
import sys

ENDS = ("local_ip", "local_port", "remote_ip", "remote_port")
PROCESS = ("pid", "inner_pid", "uid", "process_start_us", "comm", "exe", "cmdline", "opener_pid",
           "opener_exe")
COUNTERS = ("octets_out", "octets_in", "packets_out", "packets_in")
START_TOLERANCE_US = 50000  # /proc tells ticks of 10 ms, and the wall clock is adjusted
# slots that cost nothing else than what is_less() and unseen() say of them
NARROW = {"accept", "connect", "packet", "release"}
# slots that tell of owners only: never of what was sent
OWNERS = {"use", "splice", "accept", "bind", "process", "snapshot"}
# sources and slots without which names are not heard
NAMING = {"names", "procfs"}
# cases of which only the best program of a slot sees anything
NEEDS = {"no_route_multipath": "connect"}
BAD = ("wrong", "missing", "failed")

Verdict = collections.namedtuple("Verdict", "case grade text")


def load(lines):
    return [json.loads(line) for line in lines if line.strip()]


def sanitize(text):
    """As util/utf8.h stores octets: what is not UTF-8 becomes \\xNN."""
    octets = text.encode("latin-1")
    if octets.startswith(b"/memfd:"):
        octets = octets[1:]
    return octets.removesuffix(b" (deleted)").decode("utf-8", "backslashreplace")


def cmdline(argv):
    """As process/process_text.h joins arguments."""
    words = [sanitize(word) for word in argv]
    if len(words) == 1:
        return words[0]
    return " ".join(f"'{word}'" if not word or set(word) & set(" \t\n\"'\\") else word
                    for word in words)


def expect(line):
    """The columns of a record that a line of truth demands."""
    wanted = {key: value for key, value in line.items() if key not in ("case", "end", "argv")}
    for key in ("comm", "exe", "opener_exe"):
        if key in wanted:
            wanted[key] = sanitize(wanted[key])
    if "argv" in line:
        wanted["cmdline"] = cmdline(line["argv"])
    if "opener_pid" in wanted:
        wanted["opener_pid"] = wanted["opener_pid"] or None
    wanted.setdefault("open", 0)
    return wanted


def is_same(column, wanted, found):
    if isinstance(wanted, list):
        return found in wanted
    if column == "process_start_us":
        return found is not None and abs(found - wanted) <= START_TOLERANCE_US
    return found == wanted


def differences(wanted, flow):
    """{column: (wanted, found)} where they are not the same."""
    return {column: (value, flow.get(column)) for column, value in wanted.items()
            if column in flow and not is_same(column, value, flow[column])}


def speaks_of(flow, line):
    """Whether the record has the ends that the line names, in its network namespace: the same ends
    exist in those of other cases."""
    if flow.get("netns") and line.get("netns") and flow["netns"] != line["netns"]:
        return False
    return all(flow[column] == line[column] for column in ENDS if column in line)


def is_less_owner(column, found, flow, degraded):
    """The same of the columns that tell whose the flow is."""
    if degraded <= NARROW:
        return "accept" in degraded and flow["method"] != "exact" and \
            not any(flow[octets] for octets in ("octets_out", "octets_in"))
    if column in ("opener_pid", "opener_exe") and found is None:
        return True
    return flow["method"] != "exact"


def is_as_swept(column, pair, flow):
    """The same of a flow whose end nobody told: it stays as the last sweep saw it."""
    wanted, found = pair
    if column in PROCESS or column in ("method", "netns"):
        return flow["method"] != "exact"
    return column in ("open", "outcome", "error") or column in COUNTERS and found < wanted


def is_less(column, pair, flow, degraded):
    """Whether a degraded source may have put this into a record."""
    wanted, found = pair
    if column == "remote_name":
        return found is None and bool(NAMING & degraded)
    if "connect" in degraded and column in ("error", "outcome") and not flow["error"]:
        return flow["outcome"] == "unreachable"
    if "release" in degraded and flow["protocol"] != "tcp" and flow["outcome"] == "open":
        return is_as_swept(column, pair, flow)
    if column in PROCESS or column == "method":
        return is_less_owner(column, found, flow, degraded)
    if degraded <= OWNERS | NARROW:
        return False
    if column in COUNTERS:
        return found is None or found < wanted
    if column == "netns":
        return not found
    if "procfs" in degraded and flow["protocol"] != "tcp" and column == "outcome":
        # what ICMP told the socket is not seen by polling, and the kernel tells the ends of UDP only
        return found == "closed" or found == "lost" and flow["protocol"] != "udp"
    return column in ("outcome", "direction") and found in ("lost", "idle", "unknown") or \
        column == "error" and not found


def grade_of(different, flow, degraded):
    if not different:
        return "right"
    if degraded and all(is_less(column, pair, flow, degraded) for column, pair in different.items()):
        return "degraded"
    return "wrong"


def describe(line, flow, different):
    ends = f"{flow['local_ip']}:{flow['local_port']} - {flow['remote_ip']}:{flow['remote_port']}"
    listed = ", ".join(f"{column} {found!r}, not {wanted!r}"
                       for column, (wanted, found) in sorted(different.items()))
    return f"{line['end']} ({ends}): {listed}" if listed else ""


def match(lines, flows):
    """Pairs each line of truth with the unused record that differs least; None if there is none.
    The second value are the records that nobody claimed."""
    left = list(flows)
    pairs = []
    for line in lines:
        candidates = [flow for flow in left if speaks_of(flow, line)]
        best = min(candidates, key=lambda flow: len(differences(expect(line), flow)), default=None)
        if best is not None:
            left.remove(best)
        pairs.append((line, best))
    return pairs, left


def unseen(line, degraded):
    """The line less what a degraded slot never sees: of the frames of AF_PACKET only their number, and
    not the end of the socket."""
    if "packet" not in degraded or not line["case"].startswith("packet_"):
        return line
    lost = (*ENDS, "octets_out", "outcome")
    return {**{key: value for key, value in line.items() if key not in lost}, "protocol": "packet",
            "open": [0, 1]}


def is_extra(flow, lines):
    """Whether a record that nobody claimed is one too many."""
    return next((line for line in lines if flow["pid"] == line["pid"] or "local_port" in line and
                 flow["remote_port"] and speaks_of(flow, line)), None)


def judge(truth, flows, degraded=()):
    """A list of verdicts: one for each line of truth, and one for each record too many."""
    degraded = set(degraded)
    verdicts = [Verdict(line["case"], "skipped" if "skip" in line else "failed",
                        line.get("skip") or line.get("fail"))
                for line in truth if "skip" in line or "fail" in line]
    lines = [unseen(line, degraded) for line in truth if "end" in line]
    pairs, left = match(lines, flows)
    for line, flow in pairs:
        if flow is None:
            ends = " ".join(str(line[column]) for column in ENDS if column in line)
            grade = "degraded" if NEEDS.get(line["case"]) in degraded else "missing"
            verdicts.append(Verdict(line["case"], grade, f"{line['end']} ({ends})"))
            continue
        different = differences(expect(line), flow)
        verdicts.append(Verdict(line["case"], grade_of(different, flow, degraded),
                                describe(line, flow, different)))
    for flow in left:
        line = is_extra(flow, lines)
        if line:
            verdicts.append(Verdict(line["case"], "wrong", f"a record too many: {flow}"))
    return verdicts


def by_case(verdicts):
    """{case: (its worst grade, the texts that tell why, the worst ones first)}"""
    order = ("right", "skipped", "degraded", "missing", "failed", "wrong")
    cases = {}
    for case, grade, text in sorted(verdicts, key=lambda verdict: -order.index(verdict.grade)):
        texts = cases.setdefault(case, (grade, []))[1]
        if text:
            texts.append(f"{grade}: {text}")
    return cases


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("truth", type=argparse.FileType())
    parser.add_argument("flows", type=argparse.FileType())
    parser.add_argument("--degraded", default="")
    arguments = parser.parse_args()
    degraded = [slot for slot in arguments.degraded.split(",") if slot]
    cases = by_case(judge(load(arguments.truth), load(arguments.flows), degraded))
    if not cases:
        sys.exit("cases.py: there is no truth to judge by")
    for case, (grade, texts) in sorted(cases.items()):
        print(f"{case:<28} {grade}")
        for text in texts[:8]:
            print(f"{'':<28} {text}")
    grades = collections.Counter(grade for grade, _ in cases.values())
    print(", ".join(f"{count} {grade}" for grade, count in sorted(grades.items())))
    sys.exit(any(grade in BAD for grade in grades))


if __name__ == "__main__":
    main()
