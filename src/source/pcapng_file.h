/* Reads a pcapng file block by block: what libpcap does not hand on (decode/pcapng.h says what). */
#ifndef LASTCONN_SOURCE_PCAPNG_FILE_H
#define LASTCONN_SOURCE_PCAPNG_FILE_H

#include <stdio.h>

#include "decode/pcapng.h"

struct pcapng_file;

/* Reads the first block. Returns 0, or -1 with *ret_why, a text that lives for ever. The file stays
 * the caller's, who closes it after pcapng_file_free. */
int pcapng_file_new(FILE *file, struct pcapng_file **ret_file, const char **ret_why);
void pcapng_file_free(struct pcapng_file *file);

/* The next packet, process or section. 1, 0 at the end of the file, or -1 with ret_content->why: it
 * cannot be read any further. What is returned is valid until the next call. */
int pcapng_file_next(struct pcapng_file *file, struct pcapng_content *ret_content);

uint64_t pcapng_file_octets(const struct pcapng_file *file); /* read so far */

#endif
