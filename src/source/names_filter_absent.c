/* Stands for names_filter.c in a build without libbpf. */
#include "source/names_filter.h"

#include <errno.h>

int names_filter_load(void)
{
	return -ENOSYS;
}
