#!/usr/bin/env python3
"""Shows that each check of house.py finds what it is for, and lets pass what is in order."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.realpath(os.path.join(HERE, "..", ".."))
HEAD = "/* Why this file exists. */\n"


class House(unittest.TestCase):

    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="lastconn-house-")
        self.addCleanup(shutil.rmtree, self.root)
        shutil.copy(os.path.join(ROOT, ".clang-format"), self.root)
        shutil.copy(os.path.join(ROOT, ".clang-tidy"), self.root)

    def write(self, path, text, mode=0o644):
        full = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(full, mode)
        return full

    def check(self, name, tool=None, **environment):
        """Exit status and output of a check over the made-up tree."""
        if tool and not shutil.which(tool):
            self.skipTest(f"{tool} is not installed")
        done = subprocess.run(
            [sys.executable, os.path.join(HERE, "house.py"), name, self.root],
            capture_output=True, text=True, check=False, env={**os.environ, **environment})
        self.assertEqual(done.stderr, "")
        return done.returncode, done.stdout

    def assert_found(self, name, *words, **more):
        status, output = self.check(name, **more)
        self.assertEqual(status, 1, output)
        for word in words:
            self.assertIn(word, output)

    def test_includes_in_order_pass(self):
        self.write("src/util/log.h", HEAD)
        self.write("src/flow/flow_key.h", HEAD + '#include "util/log.h"\n')
        self.write("src/flow/flow_key.c",
                   HEAD + '#include "flow/flow_key.h"\n\n#include <string.h>\n')
        self.write("src/store/sql.c", HEAD + "#include <sqlite3.h>\n")
        self.assertEqual(self.check("layers"), (0, ""))

    def test_an_upward_arrow_is_found(self):
        self.write("src/flow/flow_key.c", HEAD + '#include "store/store.h"\n')
        self.assert_found("layers", "src/flow/flow_key.c:2: store/store.h: flow/ stands below")

    def test_a_sideways_arrow_is_found(self):
        self.write("src/query/main.c", HEAD + '#include "daemon/config.h"\n')
        self.assert_found("layers", "query/ stands below daemon/")

    def test_a_library_away_from_home_is_found(self):
        for header, home in (("sqlite3.h", "store"), ("pcap/pcap.h", "source"),
                             ("bpf/libbpf.h", "source"), ("uv.h", "daemon")):
            self.write("src/query/main.c", HEAD + f"#include <{header}>\n")
            self.assert_found("layers", f"{header} belongs to {home}/ only")

    def test_a_system_call_in_a_pure_folder_is_found(self):
        self.write("src/flow/flow_table.c", HEAD + "#include <unistd.h>\n")
        self.assert_found("layers", "flow/ does no system calls")

    def test_a_header_that_is_not_first_is_found(self):
        self.write("src/util/log.h", HEAD)
        self.write("src/util/log.c", HEAD + '#include <stdio.h>\n\n#include "util/log.h"\n')
        self.assert_found("layers", "its own header util/log.h comes first")

    def test_a_unit_with_too_many_rights_is_found(self):
        with open(os.path.join(ROOT, "contrib", "lastconnd.service"), encoding="utf-8") as file:
            unit = file.read()
        granted = re.search("^CapabilityBoundingSet=(.*)$", unit, re.MULTILINE)[1].lower().split()
        kept = ",".join(name.replace("cap_", "+") for name in granted)
        self.write("contrib/openrc/lastconnd", f"capabilities_kept={kept}\n")
        self.write("contrib/lastconnd.service", unit)
        self.assertEqual(self.check("unit", tool="systemd-analyze"), (0, ""))
        self.write("contrib/lastconnd.service", unit.replace("ProtectSystem=", "#ProtectSystem="))
        self.assert_found("unit", "contrib/lastconnd.service:1: its exposure is ")
        self.write("contrib/openrc/lastconnd", f"capabilities_kept={kept},+sys_admin\n")
        self.assert_found("unit", "there is no capability cap_sys_admin")

    def test_an_included_source_and_a_path_that_is_not_from_src_are_found(self):
        self.write("src/util/a.c", HEAD + '#include "util/b.c"\n#include "log.h"\n')
        self.assert_found("layers", "src/util/a.c:2: util/b.c", "src/util/a.c:3: log.h")

    def test_a_folder_out_of_the_architecture_is_found(self):
        self.write("src/misc/stuff.c", HEAD)
        self.assert_found("layers", "misc/ is no folder")

    def test_long_files_and_functions_are_found(self):
        short = "static int good(void)\n{\n" + "\t;\n" * 90 + "}\n"
        self.write("src/util/good.c", HEAD + short)
        self.assertEqual(self.check("sizes"), (0, ""))
        long = "static int bad(int a,\n\tint b)\n{\n" + "\t;\n" * 98 + "}\n"
        self.write("src/util/bad.c", HEAD + short + "\n" + long)
        self.write("src/util/big.c", HEAD + "int a;\n" * 800)
        self.write("src/util/big.h", HEAD + "extern int a;\n" * 150)
        self.assert_found("sizes", "src/util/bad.c:96: bad: 102 lines", "src/util/big.c:801",
                          "src/util/big.h:151")

    def test_a_file_without_its_first_comment_is_found(self):
        self.write("src/util/bare.c", "int a;\n")
        self.assert_found("sizes", "src/util/bare.c:1")

    def test_bad_formatting_is_found(self):
        good = HEAD + "int main(void)\n{\n\treturn 0;\n}\n"
        self.write("src/util/a.c", good)
        self.assertEqual(self.check("format", "clang-format-14"), (0, ""))
        self.write("bpf/b.c", good.replace("\treturn", "    return"))
        self.assert_found("format", "bpf/b.c:3", tool="clang-format-14")

    def test_a_careless_script_is_found(self):
        self.write("contrib/good", "#!/bin/sh\necho \"$1\"\n", 0o755)
        self.assertEqual(self.check("shell", "shellcheck"), (0, ""))
        self.write("contrib/bad", "#!/bin/sh\nrm -rf $1/x\n", 0o755)
        self.assert_found("shell", "contrib/bad:2", tool="shellcheck")

    def test_a_broken_man_page_is_found(self):
        self.write("contrib/man/x.8", ".TH X 8\n.SH NAME\n.nonsense\n")
        self.assert_found("man", "contrib/man/x.8:", tool="mandoc")

    def test_an_option_that_the_papers_do_not_know_is_found(self):
        program = "#!/bin/sh\ncat <<'end'\n{}\nend\n"
        self.write("src/daemon/lastconnd", program.format(
            "      --db FILE    the history (/x.db)\n  -h, --help    print this"), 0o755)
        self.write("src/query/lastconn", program.format(
            "  who HOST     Which programs\n  --db FILE    history"), 0o755)
        self.write("contrib/man/lastconnd.8", ".It Fl -db Ar file\n.It Fl h , Fl -help\n")
        self.write("contrib/man/lastconn.conf.5", ".It Ic db\n")
        conf = self.write("contrib/lastconn.conf", "#db = /x.db\n")
        self.write("contrib/man/lastconn.1", ".It Cm who Ar host\n.It Fl -db Ar file\n")
        self.write("contrib/completions/bash/lastconn", "commands='who'\noptions='--db'\n")
        self.assertEqual(self.check("options", LASTCONN_BUILD=self.root), (0, ""))
        self.write("contrib/man/lastconnd.8", ".It Fl -db Ar file\n")
        self.write("contrib/man/lastconn.conf.5", ".It Ic db\n.It Ic rate\n")
        self.write(conf, "#db = /y.db\n")
        self.write("contrib/completions/bash/lastconn", "commands=''\noptions='--db'\n")
        self.assert_found("options", "lastconnd.8:1: option help is missing",
                          "conf.5:1: there is no key rate", "db = /y.db, but the default is /x.db",
                          "bash/lastconn:1: command who is missing", LASTCONN_BUILD=self.root)

    def test_a_bug_is_found_by_clang_tidy(self):
        path = self.write("src/util/a.c", HEAD + "int f(int *p);\nint f(int *p)\n{\n"
                          "\tif (p)\n\t\treturn 1;\n\treturn *p;\n}\n")
        self.write("compile_commands.json",
                   f'[{{"directory": "{self.root}", "command": "cc -c {path}", "file": "{path}"}}]')
        self.assert_found("tidy", "src/util/a.c:7", tool="run-clang-tidy-14",
                          LASTCONN_BUILD=self.root)


if __name__ == "__main__":
    unittest.main(verbosity=2)
