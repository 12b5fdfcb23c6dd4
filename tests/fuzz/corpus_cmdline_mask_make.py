#!/usr/bin/env python3
"""Writes the seeds of fuzz_cmdline_mask: every fourth command line in the tables of its unit
test. Usage: corpus_cmdline_mask_make.py FOLDER"""
import ast
import hashlib
import os
import re
import sys

TABLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "unit", "test_cmdline_mask.c")


def main():
    with open(TABLES, encoding="ascii") as file:
        text = file.read()
    for literal in re.findall(r'^\t\{?("(?:[^"\\]|\\.)*"),', text, re.MULTILINE)[::4]:
        octets = ast.literal_eval(literal).replace("|", "\0").encode()
        name = hashlib.sha1(octets).hexdigest()
        with open(os.path.join(sys.argv[1], name), "wb") as file:
            file.write(octets)


if __name__ == "__main__":
    main()
