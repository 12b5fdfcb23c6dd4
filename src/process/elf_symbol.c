/* By the section headers, which every C library has; one that was stripped of them is malformed
 * here. Limit: the size of the file, which bounds each loop. */
#include "process/elf_symbol.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#else
#define MACHINE EM_NONE
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BYTE_ORDER_HERE ELFDATA2LSB
#else
#define BYTE_ORDER_HERE ELFDATA2MSB
#endif

struct file {
	const uint8_t *octets;
	size_t size;
	Elf64_Ehdr header;
};

static bool is_within(const struct file *file, uint64_t at, uint64_t size)
{
	return at <= file->size && size <= file->size - at;
}

/* The index-th of a table of records of this size. */
static bool copy_record(
	const struct file *file, uint64_t table, uint64_t index, void *ret_record, size_t size)
{
	uint64_t at = index * size;

	if (!is_within(file, table, 0) || !is_within(file, table + at, size))
		return false;
	memcpy(ret_record, file->octets + table + at, size);
	return true;
}

static int read_header(struct file *file)
{
	const Elf64_Ehdr *header = &file->header;

	if (file->size < EI_NIDENT || memcmp(file->octets, ELFMAG, SELFMAG) != 0 ||
		file->octets[EI_CLASS] != ELFCLASS64 || file->octets[EI_DATA] != BYTE_ORDER_HERE)
		return -ENOEXEC;
	if (!copy_record(file, 0, 0, &file->header, sizeof(file->header)))
		return -EBADMSG;
	if (header->e_machine != MACHINE || header->e_type != ET_DYN)
		return -ENOEXEC;
	if ((header->e_shnum && header->e_shentsize != sizeof(Elf64_Shdr)) ||
		(header->e_phnum && header->e_phentsize != sizeof(Elf64_Phdr)))
		return -EBADMSG;
	return 0;
}

/* The symbols for other files, and their names. */
static int find_symbols(const struct file *file, Elf64_Shdr *ret_symbols, Elf64_Shdr *ret_names)
{
	Elf64_Shdr section, names;

	for (uint32_t i = 0; i < file->header.e_shnum; i++) {
		if (!copy_record(file, file->header.e_shoff, i, &section, sizeof(section)))
			return -EBADMSG;
		if (section.sh_type != SHT_DYNSYM)
			continue;
		if (section.sh_link >= file->header.e_shnum ||
			!copy_record(file, file->header.e_shoff, section.sh_link, &names,
				sizeof(names)) ||
			!is_within(file, section.sh_offset, section.sh_size) ||
			!is_within(file, names.sh_offset, names.sh_size))
			return -EBADMSG;
		*ret_symbols = section;
		*ret_names = names;
		return 0;
	}
	return -EBADMSG;
}

static bool has_name(
	const struct file *file, const Elf64_Shdr *names, const Elf64_Sym *symbol, const char *name)
{
	size_t size = strlen(name) + 1;

	return symbol->st_name <= names->sh_size && size <= names->sh_size - symbol->st_name &&
	       memcmp(file->octets + names->sh_offset + symbol->st_name, name, size) == 0;
}

/* Of an address in memory. */
static int offset_of(const struct file *file, uint64_t address, uint64_t *ret_offset)
{
	Elf64_Phdr segment;

	for (uint32_t i = 0; i < file->header.e_phnum; i++) {
		if (!copy_record(file, file->header.e_phoff, i, &segment, sizeof(segment)))
			return -EBADMSG;
		if (segment.p_type != PT_LOAD || !(segment.p_flags & PF_X) ||
			address < segment.p_vaddr || address - segment.p_vaddr >= segment.p_filesz)
			continue;
		if (!is_within(file, segment.p_offset, segment.p_filesz))
			return -EBADMSG;
		*ret_offset = segment.p_offset + (address - segment.p_vaddr);
		return 0;
	}
	return -EBADMSG;
}

int elf_symbol_offset(const uint8_t *octets, size_t size, const char *name, uint64_t *ret_offset)
{
	struct file file = {.octets = octets, .size = size};
	Elf64_Shdr symbols, names;
	Elf64_Sym symbol;
	int error = read_header(&file);

	if (!error)
		error = find_symbols(&file, &symbols, &names);
	if (error)
		return error;
	for (uint64_t i = 0; i < symbols.sh_size / sizeof(symbol); i++)
		if (copy_record(&file, symbols.sh_offset, i, &symbol, sizeof(symbol)) &&
			ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_shndx != SHN_UNDEF &&
			has_name(&file, &names, &symbol, name))
			return offset_of(&file, symbol.st_value, ret_offset);
	return -ENOENT;
}
