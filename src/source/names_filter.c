/* The object is closed at once: the descriptor keeps the program, the program its table. */
#include "source/names_filter.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>

#include "names.skel.h"

int names_filter_load(void)
{
	struct names_bpf *object = names_bpf__open_and_load();
	int error = -errno, fd;

	if (!object)
		return error;
	fd = fcntl(bpf_program__fd(object->progs.may_tell_name), F_DUPFD_CLOEXEC, 0);
	error = -errno;
	names_bpf__destroy(object);
	return fd < 0 ? error : fd;
}
