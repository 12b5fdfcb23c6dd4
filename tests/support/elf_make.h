/* A shared library of one function, as small as it can be: for the tests of elf_symbol and its
 * fuzz corpus. */
#ifndef LASTCONN_TEST_ELF_MAKE_H
#define LASTCONN_TEST_ELF_MAKE_H

#include <elf.h>
#include <stddef.h>
#include <string.h>

#if defined(__aarch64__)
#define ELF_MAKE_MACHINE EM_AARCH64
#else
#define ELF_MAKE_MACHINE EM_X86_64
#endif

enum { ELF_MAKE_CODE = 0x40, ELF_MAKE_ADDRESS = 0x3000 }; /* octets; where they are in memory */

struct elf_make {
	Elf64_Ehdr header;
	Elf64_Phdr segments[2];
	Elf64_Shdr sections[3];
	Elf64_Sym symbols[3];
	char names[32];
	unsigned char code[ELF_MAKE_CODE];
};

/* The function is at the code's 16th octet; before it stands one that is only wanted. */
static inline struct elf_make elf_make(const char *function)
{
	struct elf_make file = {
		.header = {.e_type = ET_DYN,
			.e_machine = ELF_MAKE_MACHINE,
			.e_phoff = offsetof(struct elf_make, segments),
			.e_phnum = 2,
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_shoff = offsetof(struct elf_make, sections),
			.e_shnum = 3,
			.e_shentsize = sizeof(Elf64_Shdr)},
		.segments = {{.p_type = PT_LOAD, .p_flags = PF_R, .p_filesz = ELF_MAKE_ADDRESS * 2},
			{.p_type = PT_LOAD,
				.p_flags = PF_R | PF_X,
				.p_offset = offsetof(struct elf_make, code),
				.p_vaddr = ELF_MAKE_ADDRESS,
				.p_filesz = ELF_MAKE_CODE}},
		.sections = {[1] = {.sh_type = SHT_DYNSYM,
				     .sh_link = 2,
				     .sh_offset = offsetof(struct elf_make, symbols),
				     .sh_size = sizeof(file.symbols)},
			[2] = {.sh_type = SHT_STRTAB,
				.sh_offset = offsetof(struct elf_make, names),
				.sh_size = sizeof(file.names)}},
		.symbols = {[1] = {.st_name = 1, .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC)},
			[2] = {.st_name = 1,
				.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
				.st_shndx = 1,
				.st_value = ELF_MAKE_ADDRESS + 16}},
	};

	memcpy(file.header.e_ident, ELFMAG, SELFMAG);
	file.header.e_ident[EI_CLASS] = ELFCLASS64;
	file.header.e_ident[EI_DATA] = ELFDATA2LSB;
	strncpy(file.names + 1, function, sizeof(file.names) - 2);
	return file;
}

#endif
