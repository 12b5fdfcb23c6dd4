/* Cgroup paths as systemd, docker, podman, containerd, cri-o, kubernetes and LXC make them. */
#include "process/unit_parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void expect(const char *cgroup, const char *unit, const char *container)
{
	struct unit_names names;

	unit_parse(cgroup, &names);
	assert_string_equal(names.unit, unit);
	assert_string_equal(names.container, container);
}

static void the_unit_is_the_last_service_or_scope(void **state)
{
	(void)state;
	expect("/system.slice/ssh.service", "ssh.service", "");
	expect("/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service", "");
	expect("/user.slice/user-1000.slice/session-3.scope", "session-3.scope", "");
	expect("/user.slice/user-1000.slice/user@1000.service/app.slice/firefox.service",
		"firefox.service", "");
	expect("/init.scope", "init.scope", "");
}

static void groups_that_a_service_makes_for_itself_are_of_the_service(void **state)
{
	(void)state;
	expect("/system.slice/docker.service/init", "docker.service", "");
	expect("/system.slice/foo.service/sub.slice", "foo.service", "");
}

static void without_service_or_scope_the_last_slice_stands(void **state)
{
	(void)state;
	expect("/user.slice/user-1000.slice", "user-1000.slice", "");
	expect("/machine.slice", "machine.slice", "");
}

static void containers_of_engines_are_found(void **state)
{
	(void)state;
	expect("/system.slice/docker-" ID ".scope", "docker-" ID ".scope", ID);
	expect("/machine.slice/libpod-" ID ".scope/container", "libpod-" ID ".scope", ID);
	expect("/docker/" ID, "", ID);
	expect("/kubepods/burstable/pod12-34/" ID, "", ID);
	expect("/kubepods.slice/kubepods-pod1.slice/cri-containerd-" ID ".scope",
		"cri-containerd-" ID ".scope", ID);
	expect("/kubepods.slice/kubepods-pod1.slice/crio-" ID ".scope", "crio-" ID ".scope", ID);
	expect("/lxc.payload.web/system.slice/nginx.service", "nginx.service", "web");
}

static void the_monitor_of_a_container_is_outside_of_it(void **state)
{
	(void)state;
	expect("/machine.slice/libpod-conmon-" ID ".scope", "libpod-conmon-" ID ".scope", "");
}

static void what_only_looks_like_a_container_is_none(void **state)
{
	(void)state;
	expect("/docker/0123456789abcdef", "", "");
	expect("/docker/" ID "0", "", "");
	expect("/docker/0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF", "", "");
	expect("/.service/.scope/.slice", "", "");
	expect("/", "", "");
	expect("", "", "");
	expect("///", "", "");
}

static void a_component_too_long_for_a_name_is_passed_over(void **state)
{
	char path[1024] = "/a.slice/";

	(void)state;
	memset(path + strlen(path), 'x', 400);
	strcat(path, ".service/b");
	expect(path, "a.slice", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_unit_is_the_last_service_or_scope),
		cmocka_unit_test(groups_that_a_service_makes_for_itself_are_of_the_service),
		cmocka_unit_test(without_service_or_scope_the_last_slice_stands),
		cmocka_unit_test(containers_of_engines_are_found),
		cmocka_unit_test(the_monitor_of_a_container_is_outside_of_it),
		cmocka_unit_test(what_only_looks_like_a_container_is_none),
		cmocka_unit_test(a_component_too_long_for_a_name_is_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
