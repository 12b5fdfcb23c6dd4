/* The socket filter of names, run by the kernel on packets that are made here: the privilege for
 * that is not everybody's. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "frame_make.h"
#include "source/names_filter.h"

enum { SYN = 0x02, RST = 0x04, PSH = 0x08, ACK = 0x10 };
enum { PROTOCOL_TCP = 6, PROTOCOL_UDP = 17 };
