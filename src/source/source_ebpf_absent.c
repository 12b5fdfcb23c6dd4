/* Stands for source_ebpf.c in a build without libbpf. */
#include "source/source_ebpf.h"

#include <errno.h>
#include <stdio.h>

int source_ebpf_new(const struct source_ebpf_options *options, const struct source_sink *sink,
	struct source **ret_source, struct source_ebpf_error *ret_error)
{
	(void)options;
	(void)sink;
	(void)ret_source;
	ret_error->error = ENOSYS;
	snprintf(ret_error->text, sizeof(ret_error->text),
		"this lastconnd was built without the kernel source: install one built with "
		"libbpf");
	return -1;
}

int source_ebpf_unload(const char *pin_directory, struct source_ebpf_error *ret_error)
{
	(void)pin_directory;
	(void)ret_error;
	return 0; /* can have left nothing */
}

const char *source_ebpf_library_version(void)
{
	return "absent: built without the kernel source";
}
