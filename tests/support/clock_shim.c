/* LD_PRELOADed into a program it sets that program's clocks, as no test may set those of the
 * machine: CLOCK_SHIM names a file with two native 64-bit numbers, which the test changes while the
 * program runs: nanoseconds that CLOCK_REALTIME is set ahead (or back), and those that the machine
 * was suspended (CLOCK_REALTIME and CLOCK_BOOTTIME go on then, CLOCK_MONOTONIC does not). What the
 * kernel stamps, as events of BPF programs, has the clocks of the machine. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S INT64_C(1000000000)

static const volatile int64_t *shifts; /* set, suspended */

__attribute__((constructor)) static void map_shifts(void)
{
	const char *path = getenv("CLOCK_SHIM");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *map = MAP_FAILED;

	if (fd >= 0)
		map = mmap(NULL, 2 * sizeof(*shifts), PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		_exit(127);
	shifts = map;
	close(fd);
}

int clock_gettime(clockid_t id, struct timespec *now)
{
	int64_t shift_ns = 0, ns;

	if (syscall(SYS_clock_gettime, id, now) < 0)
		return -1;
	if (shifts && id == CLOCK_REALTIME)
		shift_ns = shifts[0] + shifts[1];
	if (shifts && id == CLOCK_BOOTTIME)
		shift_ns = shifts[1];
	ns = now->tv_sec * NS_PER_S + now->tv_nsec + shift_ns;
	now->tv_sec = ns / NS_PER_S;
	now->tv_nsec = ns % NS_PER_S;
	return 0;
}
