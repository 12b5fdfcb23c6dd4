/* The kernel's part of hearing names: a socket filter that lets through only packets which may tell
 * one, see bpf/names.bpf.c. */
#ifndef LASTCONN_SOURCE_NAMES_FILTER_H
#define LASTCONN_SOURCE_NAMES_FILTER_H

/* Returns the program's descriptor for SO_ATTACH_BPF, which the caller closes, or negative errno:
 * -EPERM without CAP_BPF, -ENOSYS in a build without libbpf. Sockets keep the program. */
int names_filter_load(void);

#endif
