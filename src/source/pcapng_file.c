/* One buffer holds one block, as long as the longest so far; it grows as octets come and never on
 * the word of a length alone. Blocks that nobody wants are read into nothing. */
#include "source/pcapng_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER_AT_FIRST = 64 * 1024 };

struct pcapng_file {
	FILE *file;
	uint8_t *buffer;
	size_t size;
	uint64_t octets;
	struct pcapng pcapng;
};

static const char *why_short(const struct pcapng_file *file)
{
	return ferror(file->file) ? strerror(errno) : "ends within a block";
}

/* Reads into the buffer at an offset. NULL, or why not. */
static const char *read_at(struct pcapng_file *file, size_t offset, size_t length)
{
	size_t got = fread(file->buffer + offset, 1, length, file->file);

	file->octets += got;
	return got == length ? NULL : why_short(file);
}

static const char *grow(struct pcapng_file *file)
{
	uint8_t *buffer = realloc(file->buffer, 2 * file->size);

	if (!buffer)
		return strerror(ENOMEM);
	file->buffer = buffer;
	file->size *= 2;
	return NULL;
}

static const char *read_rest(struct pcapng_file *file, size_t length)
{
	const char *why = NULL;
	size_t at = PCAPNG_HEAD;

	while (!why && at < length) {
		size_t part = length < file->size ? length - at : file->size - at;

		why = read_at(file, at, part);
		at += part;
		if (!why && at < length)
			why = grow(file);
	}
	return why;
}

static const char *pass_over(struct pcapng_file *file, size_t length)
{
	const char *why = NULL;

	for (size_t rest = length - PCAPNG_HEAD; !why && rest > 0;) {
		size_t part = rest < file->size ? rest : file->size;

		why = read_at(file, 0, part);
		rest -= part;
	}
	return why;
}

static const char *read_block(struct pcapng_file *file, struct pcapng_content *ret_content)
{
	struct pcapng_block block;
	const char *why = pcapng_begin_block(&file->pcapng, file->buffer, &block);

	ret_content->kind = PCAPNG_OTHER;
	if (why)
		return why;
	if (!block.wanted)
		return pass_over(file, block.length);
	why = read_rest(file, block.length);
	if (why)
		return why;
	pcapng_read_block(&file->pcapng, &block, file->buffer, ret_content);
	return ret_content->kind == PCAPNG_DAMAGED ? ret_content->why : NULL;
}

int pcapng_file_next(struct pcapng_file *file, struct pcapng_content *ret_content)
{
	const char *why = NULL;

	do {
		size_t got = fread(file->buffer, 1, PCAPNG_HEAD, file->file);

		file->octets += got;
		if (got == 0 && !ferror(file->file))
			return 0;
		why = got == PCAPNG_HEAD ? read_block(file, ret_content) : why_short(file);
	} while (!why && ret_content->kind == PCAPNG_OTHER);
	if (!why)
		return 1;
	ret_content->kind = PCAPNG_DAMAGED;
	ret_content->why = why;
	return -1;
}

int pcapng_file_new(FILE *stream, struct pcapng_file **ret_file, const char **ret_why)
{
	struct pcapng_file *file = calloc(1, sizeof(*file));
	struct pcapng_content content = {.why = strerror(ENOMEM)};

	if (file)
		file->buffer = malloc(BUFFER_AT_FIRST);
	if (file && file->buffer) {
		file->file = stream;
		file->size = BUFFER_AT_FIRST;
		if (pcapng_file_next(file, &content) > 0) {
			*ret_file = file;
			return 0;
		}
	}
	pcapng_file_free(file);
	*ret_why = content.why ? content.why : "is empty";
	return -1;
}

void pcapng_file_free(struct pcapng_file *file)
{
	if (!file)
		return;
	free(file->buffer);
	free(file);
}

uint64_t pcapng_file_octets(const struct pcapng_file *file)
{
	return file->octets;
}
