#!/usr/bin/env python3
"""The rules of the house that a program can check. Standard library only.

    house.py layers [ROOT]     #include lines: arrows point downward only, libraries stay at home
    house.py sizes [ROOT]      files of at most 800 lines, functions of at most 100
    house.py format [ROOT]     clang-format-14 over every C file
    house.py shell [ROOT]      shellcheck over the scripts
    house.py man [ROOT]        mandoc's lint over the man pages
    house.py options [ROOT]    --help of the programs in LASTCONN_BUILD against man pages,
                               lastconn.conf and completion
    house.py unit [ROOT]       systemd-analyze over the unit: hardened enough, and OpenRC
                               gives no other capabilities
    house.py tidy [ROOT]       clang-tidy over src/ as LASTCONN_BUILD compiles it

One line a finding, "file:line: what". Exit status 0 in order, 1 findings, 77 a tool is missing.
test_house.py shows that each check can fail.
"""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

# a folder includes itself and these (architecture.md)
LAYERS = {
    "util": (),
    "flow": ("util",),
    "decode": ("util", "flow"),
    "process": ("util", "flow"),
    "source": ("util", "flow", "decode", "process"),
    "store": ("util", "flow", "process"),
    "daemon": ("util", "flow", "decode", "process", "source", "store"),
    "query": ("util", "flow", "process", "store"),
}
# which folder may know which library
LIBRARIES = {
    r"bpf/|linux/bpf|.*\.skel\.h$|libelf\.h$|gelf\.h$": ("source",),
    r"pcap(/|\.h$)|pcap-": ("source",),
    r"linux/(netlink|inet_diag|sock_diag|netfilter)": ("source",),
    r"sqlite3": ("store",),
    r"uv(/|\.h$)": ("daemon",),
    r"ini\.h$": ("daemon",),
    r"cap-ng\.h$|seccomp\.h$": ("daemon",),
    r"openssl/|arpa/nameser": ("decode",),
    r"systemd/": ("daemon",),
}
# these do no system calls and know no clock
PURE = ("flow", "decode", "process")
IMPURE = r"(sys/(socket|stat|mman|epoll|wait|time)|fcntl|unistd|time|pthread|signal)\.h$"
INCLUDE = re.compile(r'\s*#\s*include\s+([<"])([^>"]+)[>"]')
MAX_FILE, MAX_FUNCTION, MAX_HEADER = 800, 100, 150
MAX_EXPOSURE = 2.5
SKIP = 77


def c_files(root, *folders):
    for folder in folders:
        for path, _, names in sorted(os.walk(os.path.join(root, folder))):
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    yield os.path.join(path, name)


def lines_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


def check_include(folder, quoted, name):
    """What is wrong with this #include in this folder of src/, or None."""
    for pattern, homes in LIBRARIES.items():
        if re.match(pattern, name) and folder not in homes:
            return f"{name} belongs to {' and '.join(homes)}/ only"
    if folder in PURE and re.match(IMPURE, name):
        return f"{name}: {folder}/ does no system calls and knows no clock"
    if name.endswith(".c"):
        return f"{name}: a .c file is never included"
    if not quoted:
        return None
    target = name.split("/")[0]
    if target in LAYERS and target != folder and target not in LAYERS[folder]:
        return f"{name}: {folder}/ stands below {target}/"
    if "/" not in name and not name.endswith((".skel.h", "flow_event.h")):
        return f"{name}: include by path from src/"
    return None


def check_layers(root):
    for path in c_files(root, "src"):
        folder = os.path.relpath(path, os.path.join(root, "src")).split(os.sep)[0]
        if folder not in LAYERS:
            yield path, 1, f"{folder}/ is no folder of the architecture"
            continue
        first = None
        for number, line in enumerate(lines_of(path), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            first = first or match[2]
            wrong = check_include(folder, match[1] == '"', match[2])
            if wrong:
                yield path, number, wrong
        own = os.path.splitext(os.path.relpath(path, os.path.join(root, "src")))[0] + ".h"
        if path.endswith(".c") and os.path.exists(os.path.join(root, "src", own)) and first != own:
            yield path, 1, f"its own header {own} comes first"


def functions(lines):
    """(name, first line, lines) of each function: bodies open and close in the first column."""
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line.startswith("}") and start:
            head = number_of_head(lines, start)
            yield re.split(r"\(", lines[head - 1])[0].split()[-1:], head, number - head + 1
            start = None


def number_of_head(lines, brace):
    """The line at which the function begins whose brace is here."""
    head = brace - 1
    while head > 1 and lines[head - 2].strip() and not re.search(r"[;}/]\s*$|^#", lines[head - 2]):
        head -= 1
    return head


def check_sizes(root):
    for path in c_files(root, "src", "bpf", "tests"):
        lines = lines_of(path)
        if len(lines) > MAX_FILE:
            yield path, len(lines), f"{len(lines)} lines; at most {MAX_FILE}"
        if path.endswith(".h") and path.startswith(os.path.join(root, "src")) and \
                len(lines) > MAX_HEADER:
            yield path, len(lines), f"{len(lines)} lines; a header has at most {MAX_HEADER}"
        for name, number, count in functions(lines):
            if count > MAX_FUNCTION:
                yield path, number, f"{' '.join(name)}: {count} lines; at most {MAX_FUNCTION}"
        if not lines or not lines[0].startswith(("/*", "//")):
            yield path, 1, "the first comment says why the file exists"


def run_tool(root, paths, *command):
    done = subprocess.run([*command, *paths], capture_output=True, text=True, check=False, cwd=root)
    return done.returncode, done.stdout + done.stderr


def need_tool(*names):
    for name in names:
        if shutil.which(name):
            return name
    print(f"skipped: none of {', '.join(names)} is installed")
    sys.exit(SKIP)


def check_format(root):
    tool = need_tool("clang-format-14")
    paths = list(c_files(root, "src", "bpf", "tests"))
    status, output = run_tool(root, paths, tool, "--style=file", "--dry-run", "-Werror")
    for match in re.finditer(r"^([^\s:]+):(\d+):\d+: error: (.*)$", output, re.MULTILINE):
        yield match[1], int(match[2]), match[3]
    if status and "error:" not in output:
        yield root, 0, output.strip()


def scripts(root):
    """Files of contrib/ and .ci/ that a shell reads."""
    for folder in ("contrib", ".ci", "tests"):
        for path, _, names in sorted(os.walk(os.path.join(root, folder))):
            for name in sorted(names):
                full = os.path.join(path, name)
                with open(full, "rb") as file:
                    head = file.read(64)
                if re.match(rb"#!.*\b((ba|da)?sh|openrc-run)\b|# shellcheck shell=", head):
                    yield full


def check_shell(root):
    tool = need_tool("shellcheck")
    status, output = run_tool(root, list(scripts(root)), tool, "-x", "-f", "gcc", "-S", "style")
    for line in output.splitlines():
        match = re.match(r"([^:]+):(\d+):\d+: (.*)", line)
        if match:
            yield match[1], int(match[2]), match[3]
    if status > 1:
        yield root, 0, output.strip()


def check_man(root):
    tool = need_tool("mandoc")
    pages = sorted(glob.glob(os.path.join(root, "contrib", "man", "*.[1-9]")))
    if not pages:
        return
    _, output = run_tool(root, pages, tool, "-Tlint", "-Wwarning")
    for match in re.finditer(r"^mandoc: ([^:]+):(\d+):\d+: (.*)$", output, re.MULTILINE):
        if "referenced manual not found" not in match[3]:
            yield match[1], int(match[2]), match[3]


def found_in(root, path, pattern):
    """What the groups of pattern match in a file, line by line."""
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return re.findall(pattern, file.read(), re.MULTILINE)


def help_of(folder, program, pattern):
    build = os.environ.get("LASTCONN_BUILD", "build/dev")
    path = os.path.join(build, "src", folder, program)
    if not os.path.exists(path):
        print(f"skipped: {path} is not built")
        sys.exit(SKIP)
    done = subprocess.run([path, "--help"], capture_output=True, text=True, check=True)
    return re.findall(pattern, done.stdout, re.MULTILINE)


def compare(path, what, told, wanted):
    for name in sorted(set(wanted) - set(told)):
        yield path, 1, f"{what} {name} is missing"
    for name in sorted(set(told) - set(wanted)):
        yield path, 1, f"there is no {what} {name}"


def check_daemon_options(root):
    option = r"^ +(?:-\w, )?--([\w-]+).*?(?:\(([^()]*)\))?$"
    defaults = dict(help_of("daemon", "lastconnd", option))
    keys = set(defaults) - {"config", "read", "filter", "check", "json", "selftest", "unload", "version",
                            "help", "retention-now", "dry-run"}
    page, keys_page, conf = ("contrib/man/lastconnd.8", "contrib/man/lastconn.conf.5",
                             "contrib/lastconn.conf")
    yield from compare(page, "option", found_in(root, page, r"^\.It.* Fl -([\w-]+)"), defaults)
    yield from compare(keys_page, "key", found_in(root, keys_page, r"^\.It Ic ([\w-]+)"), keys)
    shown = found_in(root, conf, r"^#([a-z-]+) = (.*)$")
    yield from compare(conf, "key", dict(shown), keys)
    for key, value in shown:
        if defaults.get(key) and value != defaults[key]:
            yield conf, 1, f"{key} = {value}, but the default is {defaults[key]}"


def check_query_options(root):
    page, completion = "contrib/man/lastconn.1", "contrib/completions/bash/lastconn"
    wanted = help_of("query", "lastconn", r"^  --(\w+)")
    commands = help_of("query", "lastconn", r"^  (\w+) .*[A-Z]")
    named = " ".join(found_in(root, page, r"^\.It (.*Fl .*)$"))
    yield from compare(page, "option", re.findall(r" -(\w+)", " " + named), wanted)
    yield from compare(page, "command", found_in(root, page, r"^\.It Cm (\w+)"), commands)
    listed = " ".join(found_in(root, completion, r"options='([^']*)'"))
    yield from compare(completion, "option", re.findall(r"--(\w+)", listed), wanted)
    listed = " ".join(found_in(root, completion, r"commands='([^']*)'"))
    yield from compare(completion, "command", listed.split(), commands)


def check_options(root):
    yield from check_daemon_options(root)
    yield from check_query_options(root)


def check_capabilities(root):
    """The OpenRC script gives those of the unit."""
    unit, script = "contrib/lastconnd.service", "contrib/openrc/lastconnd"
    granted = " ".join(found_in(root, unit, r"^CapabilityBoundingSet=(.*)$")).lower().split()
    kept = " ".join(found_in(root, script, r"^capabilities_kept=(.*)$")).split(",")
    yield from compare(script, "capability", [name.replace("+", "cap_") for name in kept], granted)


def check_unit(root):
    """The exposure that systemd itself finds, out of 10. Its releases differ a little; what counts is
    the one of Debian 12."""
    tool = need_tool("systemd-analyze")
    path = "contrib/lastconnd.service"
    with tempfile.TemporaryDirectory() as directory:
        unit = os.path.join(directory, os.path.basename(path))
        with open(unit, "w", encoding="utf-8") as file:
            file.write("\n".join(lines_of(os.path.join(root, path))).replace("@LASTCONN_SBINDIR@", "/bin"))
        _, output = run_tool(root, [unit], tool, "security", "--offline=true", "--no-pager")
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", output)
    if not found:
        yield path, 1, "systemd-analyze does not rate it: " + output.strip().replace("\n", "; ")
    elif float(found[1]) >= MAX_EXPOSURE:
        yield path, 1, f"its exposure is {found[1]}; below {MAX_EXPOSURE} is wanted"
    yield from check_capabilities(root)


def check_tidy(root):
    tool = need_tool("run-clang-tidy-14")
    build = os.environ.get("LASTCONN_BUILD", os.path.join(root, "build", "dev"))
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        compiled = {entry["file"] for entry in json.load(file)}
    paths = sorted(compiled & set(c_files(root, "src")))
    _, output = run_tool(root, paths, tool, "-quiet", "-p", build, "-j", str(os.cpu_count()))
    output = re.sub(r"\033\[[0-9;]*m", "", output)
    findings = re.findall(r"^([^\s:]+):(\d+):\d+: (?:error|warning): (.*)$", output, re.MULTILINE)
    for path, number, text in sorted(set(findings)):
        yield path, int(number), text


CHECKS = {"layers": check_layers, "sizes": check_sizes, "format": check_format,
          "shell": check_shell, "man": check_man, "options": check_options,
          "unit": check_unit, "tidy": check_tidy}


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in CHECKS:
        sys.exit(f"usage: house.py {'|'.join(CHECKS)} [ROOT]")
    here = os.path.dirname(os.path.realpath(__file__))
    root = os.path.realpath(sys.argv[2] if len(sys.argv) == 3 else os.path.join(here, "..", ".."))
    found = list(CHECKS[sys.argv[1]](root))
    for path, number, text in found:
        print(f"{os.path.relpath(os.path.join(root, path), root)}:{number}: {text}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
