/* Hides the secrets of a command line before anybody writes it down. Pure, bounded, allocates
 * nothing. */
#ifndef LASTCONN_PROCESS_CMDLINE_MASK_H
#define LASTCONN_PROCESS_CMDLINE_MASK_H

#include <stdbool.h>
#include <stddef.h>

#define CMDLINE_MASK "***" /* whatever the secret's length */

/* Copies arguments, each ended by NUL (the last one perhaps not), with CMDLINE_MASK for each secret
 * in them. cut: they may go on behind length. Returns the octets written; what does not fit is cut.
 */
size_t cmdline_mask(char *dst, size_t dst_size, const char *arguments, size_t length, bool cut);

#endif
