/* The comments in which ptcpdump (github.com/mozillazg/ptcpdump) writes a packet's process into
 * pcapng files. Pure; reads strangers' octets. */
#ifndef LASTCONN_DECODE_PROCESS_COMMENT_H
#define LASTCONN_DECODE_PROCESS_COMMENT_H

#include "decode/captured.h"

/* Adds what one comment of a packet tells; begin with a process that is all zero but uid. What is
 * no such comment changes nothing. process borrows from text. */
void process_comment_read(struct captured_process *process, const char *text, size_t length);

#endif
