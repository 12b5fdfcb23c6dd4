/* Fuzz target: shared libraries, which every user can make. Checked beside what the sanitizers see:
 * a function that is found lies in the file. Seeds: corpus_elf_symbol_make.py. */
#undef NDEBUG /* the asserts are the test */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "process/elf_symbol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *file = malloc(size ? size : 1); /* of its very size, for the sanitizer */
	uint64_t offset = 0;
	int error;

	assert(file);
	if (size)
		memcpy(file, data, size);
	error = elf_symbol_offset(file, size, "getaddrinfo", &offset);
	assert(error == 0 || error == -ENOEXEC || error == -EBADMSG || error == -ENOENT);
	assert(error || offset < size);
	free(file);
	return 0;
}
