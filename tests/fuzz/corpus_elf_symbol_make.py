#!/usr/bin/env python3
"""Writes the seeds of fuzz_elf_symbol: shared libraries of one function, for the two machines, and
what is none. Usage: corpus_elf_symbol_make.py FOLDER"""
import os
import struct
import sys

NAME = b"\0getaddrinfo\0"
HEADER, SEGMENT, SECTION, SYMBOL = 64, 56, 64, 24
X86_64, AARCH64 = 62, 183
FUNCTION = 0x12


def library(machine, elf_class=2, address=0x3004, index=1, name=NAME):
    segments = HEADER
    sections = segments + SEGMENT
    symbols = sections + 3 * SECTION
    names = symbols + 2 * SYMBOL
    code = names + len(name)
    out = b"\x7fELF" + bytes([elf_class, 1, 1]) + bytes(9)
    out += struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, segments, sections, 0, HEADER, SEGMENT, 1,
                       SECTION, 3, 0)
    out += struct.pack("<IIQQQQQQ", 1, 5, code, 0x3000, 0, 16, 16, 4096)
    out += bytes(SECTION)
    out += struct.pack("<IIQQQQIIQQ", 0, 11, 0, 0, symbols, 2 * SYMBOL, 2, 0, 8, SYMBOL)
    out += struct.pack("<IIQQQQIIQQ", 0, 3, 0, 0, names, len(name), 0, 0, 1, 0)
    out += bytes(SYMBOL)
    out += struct.pack("<IBBHQQ", 1, FUNCTION, 0, index, address, 8)
    return out + name + bytes(16)


def main():
    folder = sys.argv[1]
    # The files named by a hash are what libFuzzer found beside them, as in corpus_make.py.
    seeds = {"x86_64": library(X86_64), "aarch64": library(AARCH64),
             "32bit": library(X86_64, elf_class=1), "wanted": library(X86_64, index=0),
             "outside": library(X86_64, address=0x4000),
             "no_nul": library(X86_64, name=NAME[:-1]), "script": b"#!/bin/sh\nexit 0\n",
             "cut": library(X86_64)[:-20]}
    os.makedirs(folder, exist_ok=True)
    for name, octets in seeds.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(octets)


if __name__ == "__main__":
    main()
