/* Where a function lies in the file of a shared library. Pure.
 *
 * For uprobes, which the kernel sets by the offset in a file. Any user can have a library of his
 * own making looked at, so nothing in the file is believed; libelf makes no such promise. Only what
 * this machine's programs of 64 bits can load counts. */
#ifndef LASTCONN_PROCESS_ELF_SYMBOL_H
#define LASTCONN_PROCESS_ELF_SYMBOL_H

#include <stddef.h>
#include <stdint.h>

/* The function that the library exports under this name, of the first such symbol. Returns 0;
 * -ENOEXEC: no ELF file of this machine; -EBADMSG: cut or malformed; -ENOENT: no such function. */
int elf_symbol_offset(const uint8_t *file, size_t size, const char *name, uint64_t *ret_offset);

#endif
