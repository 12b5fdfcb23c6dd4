/* A link to the function, which Linux has since 6.6 and some kernels grant where they want
 * CAP_SYS_ADMIN for what follows. Else perf events of the kernel's "uprobe" PMU. Such an event runs
 * its BPF program on every processor, though it counts on one only. Since Linux 5.15 there are
 * links between the two, which hold both and can be pinned; before, the event holds the program. */
#include "source/ebpf_uprobe.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <link.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PMU "/sys/bus/event_source/devices/uprobe/"

/* The number in a line like "6" or "config:0". */
static int read_number(const char *path, const char *format, unsigned *ret_number)
{
	FILE *file = fopen(path, "re");
	int got;

	if (!file)
		return -errno;
	got = fscanf(file, format, ret_number);
	fclose(file);
	return got == 1 ? 0 : -EINVAL;
}

static int open_event(int file_fd, uint64_t offset, bool at_return)
{
	struct perf_event_attr attributes = {.size = sizeof(attributes)};
	unsigned type = 0, return_bit = 0;
	char path[64];
	int fd, error = read_number(PMU "type", "%u", &type);

	if (!error)
		error = read_number(PMU "format/retprobe", "config:%u", &return_bit);
	if (error)
		return error;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file_fd);
	attributes.type = type;
	attributes.config = (uint64_t)at_return << return_bit;
	attributes.config1 = (uint64_t)(uintptr_t)path; /* of uprobe_path */
	attributes.config2 = offset;
	fd = (int)syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The part of union bpf_attr that BPF_LINK_CREATE wants; younger than the headers may be. */
static int link_function(int program_fd, int file_fd, uint64_t offset, bool at_return)
{
	char path[64];
	struct {
		uint32_t program, target, attach_type, flags;
		uint64_t path, offsets, counters, cookies;
		uint32_t count, probe_flags, pid, zero;
	} wanted = {.program = (uint32_t)program_fd,
		.attach_type = EBPF_UPROBE_ATTACH_TYPE,
		.path = (uint64_t)(uintptr_t)path,
		.offsets = (uint64_t)(uintptr_t)&offset,
		.count = 1,
		.probe_flags = at_return}; /* BPF_F_UPROBE_MULTI_RETURN */

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file_fd);
	return (int)syscall(SYS_bpf, BPF_LINK_CREATE, &wanted, sizeof(wanted));
}

static int link_event(int program_fd, int file_fd, uint64_t offset, bool at_return)
{
	int event = open_event(file_fd, offset, at_return), link, error = 0;

	if (event < 0)
		return event;
	link = bpf_link_create(program_fd, event, BPF_PERF_EVENT, NULL);
	if ((link < 0 && ioctl(event, PERF_EVENT_IOC_SET_BPF, program_fd) < 0) ||
		ioctl(event, PERF_EVENT_IOC_ENABLE, 0) < 0)
		error = -errno;
	if (!error && link < 0)
		return event;
	close(event);
	if (error && link >= 0)
		close(link);
	return error ? error : link;
}

int ebpf_uprobe_attach(int program_fd, int file_fd, uint64_t offset, bool at_return)
{
	int link = link_function(program_fd, file_fd, offset, at_return);

	return link >= 0 ? link : link_event(program_fd, file_fd, offset, at_return);
}

/* Has a frame of its own, and is neither inlined nor merged with another. */
__attribute__((noinline)) static void own_function(void)
{
	__asm__ volatile("" ::: "memory");
}

struct place {
	uintptr_t address;
	uint64_t offset;
	bool found;
};

static int find_segment(struct dl_phdr_info *object, size_t size, void *ctx)
{
	struct place *place = ctx;

	(void)size;
	for (unsigned i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
		uintptr_t begin = object->dlpi_addr + segment->p_vaddr;

		if (segment->p_type == PT_LOAD && place->address >= begin &&
			place->address - begin < segment->p_filesz) {
			place->offset = segment->p_offset + (place->address - begin);
			place->found = true;
		}
	}
	return 1; /* the executable comes first */
}

static int own_offset(uint64_t *ret_offset)
{
	struct place place = {.address = (uintptr_t)own_function};

	dl_iterate_phdr(find_segment, &place);
	if (!place.found)
		return -ENOENT;
	*ret_offset = place.offset;
	return 0;
}

/* Only read, write, exit and sigreturn are left; anything else kills. Then exit_group would, too.
 */
static void run_restricted(void)
{
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
	own_function();
	syscall(SYS_exit, 0);
}

static int return_restricted(void)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		return -errno;
	if (child == 0)
		run_restricted();
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? 0 : -ENOTRECOVERABLE;
}

/* at_work: what happens meanwhile; NULL nothing. */
static int probe_own(int begin_fd, int end_fd, int (*at_work)(void))
{
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), begin, end, error;
	uint64_t offset;

	if (file < 0)
		return -errno;
	error = own_offset(&offset);
	begin = error ? error : ebpf_uprobe_attach(begin_fd, file, offset, false);
	end = begin < 0 ? begin : ebpf_uprobe_attach(end_fd, file, offset, true);
	error = end < 0 ? end : 0;
	if (!error && at_work)
		error = at_work();
	if (begin >= 0)
		close(begin);
	if (end >= 0)
		close(end);
	close(file);
	return error;
}

int ebpf_uprobe_check(int begin_fd, int end_fd)
{
	return probe_own(begin_fd, end_fd, NULL);
}

int ebpf_uprobe_try(int begin_fd, int end_fd)
{
	return probe_own(begin_fd, end_fd, return_restricted);
}
