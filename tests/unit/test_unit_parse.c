/* Cgroup paths as service managers and container engines really make them, and as people fake
 * them. */
#include "process/unit_parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ID           "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID2          "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define UID          "74c13223-5a00-11e9-b385-42010a80018d"
#define UID_         "74c13223_5a00_11e9_b385_42010a80018d"
#define STATIC_UID   "c704ef4c297ab11032b83ce52cbfc87b"
#define USER_SLICE   "/user.slice/user-1000.slice"
#define USER_MANAGER USER_SLICE "/user@1000.service"

struct row {
	const char *cgroup, *unit, *user_unit, *runtime, *container, *pod;
};

static void expect_unit(const char *cgroup, const char *unit, const char *user_unit)
{
	struct unit_names names;

	unit_parse(cgroup, &names);
	assert_string_equal(names.unit, unit);
	assert_string_equal(names.user_unit, user_unit);
}

static void expect(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct unit_names names;

		unit_parse(rows[i].cgroup, &names);
		assert_string_equal(names.unit, rows[i].unit);
		assert_string_equal(names.user_unit, rows[i].user_unit);
		assert_string_equal(names.runtime, rows[i].runtime);
		assert_string_equal(names.container, rows[i].container);
		assert_string_equal(names.pod, rows[i].pod);
	}
}

#define EXPECT(rows) expect(rows, sizeof(rows) / sizeof((rows)[0]))

static void the_unit_is_the_first_below_the_slices(void **state)
{
	(void)state;
	expect_unit("/system.slice/ssh.service", "ssh.service", "");
	expect_unit(
		"/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service", "");
	expect_unit(USER_SLICE "/session-3.scope", "session-3.scope", "");
	expect_unit("/init.scope", "init.scope", "");
	expect_unit("/system.slice/srv-nfs.mount", "srv-nfs.mount", "");
	expect_unit("/system.slice/system-systemd\\x2dfsck.slice/systemd-fsck@dev-sda1.service",
		"systemd-fsck@dev-sda1.service", "");
}

static void groups_that_a_service_makes_for_itself_are_of_the_service(void **state)
{
	(void)state;
	expect_unit("/system.slice/docker.service/init", "docker.service", "");
	expect_unit("/system.slice/foo.service/sub.slice", "foo.service", "");
	expect_unit("/system.slice/foo.service/evil.service", "foo.service", "");
	expect_unit(USER_SLICE "/session-3.scope/sshd.service", "session-3.scope", "");
}

static void units_of_a_users_manager_are_kept_apart(void **state)
{
	(void)state;
	expect_unit(
		USER_MANAGER "/app.slice/firefox.service", "user@1000.service", "firefox.service");
	expect_unit(USER_MANAGER "/init.scope", "user@1000.service", "init.scope");
	expect_unit(USER_MANAGER "/app.slice/app-gnome\\x2dterminal.slice/vte-spawn-1.scope",
		"user@1000.service", "vte-spawn-1.scope");
	expect_unit(USER_MANAGER "/system.slice/sshd.service/evil.service", "user@1000.service",
		"sshd.service");
	expect_unit(USER_MANAGER, "user@1000.service", "");
	expect_unit("/capsule.slice/capsule@web.service/app.slice/nginx.service",
		"capsule@web.service", "nginx.service");
	expect_unit("/system.slice/user@root.service/a.service", "user@root.service", "");
}

static void without_service_or_scope_the_last_slice_stands(void **state)
{
	(void)state;
	expect_unit(USER_SLICE, "user-1000.slice", "");
	expect_unit("/machine.slice/what.ever/x.service", "machine.slice", "");
	expect_unit(USER_MANAGER "/app.slice", "user@1000.service", "app.slice");
}

static void names_that_systemd_escaped_or_would_refuse(void **state)
{
	(void)state;
	expect_unit("/system.slice/_cpu.service", "cpu.service", "");
	expect_unit("/system.slice/getty@.service", "system.slice", "");
	expect_unit("/@a.service", "", "");
	expect_unit("/a b.service", "", "");
	expect_unit("/.service/.scope/.slice", "", "");
	expect_unit("/sub/ssh.service", "", "");
	expect_unit("/", "", "");
	expect_unit("", "", "");
	expect_unit("///", "", "");
}

static void containers_of_docker(void **state)
{
	static const struct row rows[] = {
		{"/docker/" ID, "", "", "docker", ID, ""},
		{"/" ID, "", "", "", ID, ""},
		{"/system.slice/docker-" ID ".scope", "docker-" ID ".scope", "", "docker", ID, ""},
		{"/system.slice/docker-" ID ".scope/init.scope", "docker-" ID ".scope", "",
			"docker", ID, ""},
		{USER_MANAGER "/user.slice/docker-" ID ".scope", "user@1000.service",
			"docker-" ID ".scope", "docker", ID, ""},
		{"/system.slice/docker.service", "docker.service", "", "", "", ""},
		{"/ecs/0f9e8d7c6b5a4f3e2d1c0b9a8f7e6d5c/" ID, "", "", "", ID, ""},
		{"/actions_job/" ID, "", "", "", ID, ""},
	};

	(void)state;
	EXPECT(rows);
}

static void containers_of_podman(void **state)
{
	static const struct row rows[] = {
		{"/machine.slice/libpod-" ID ".scope", "libpod-" ID ".scope", "", "podman", ID, ""},
		{"/machine.slice/libpod-" ID ".scope/container", "libpod-" ID ".scope", "",
			"podman", ID, ""},
		{"/libpod_parent/libpod-" ID, "", "", "podman", ID, ""},
		{"/libpod_parent/" ID2 "/libpod-" ID, "", "", "podman", ID, ID2},
		{USER_MANAGER "/user.slice/libpod-" ID ".scope/container", "user@1000.service",
			"libpod-" ID ".scope", "podman", ID, ""},
		{"/machine.slice/machine-libpod_pod_" ID2 ".slice/libpod-" ID ".scope",
			"libpod-" ID ".scope", "", "podman", ID, ID2},
		{USER_MANAGER "/user.slice/user-libpod_pod_" ID2 ".slice/libpod-" ID
			      ".scope/container",
			"user@1000.service", "libpod-" ID ".scope", "podman", ID, ID2},
		{"/system.slice/web.service/libpod-payload-" ID, "web.service", "", "podman", ID,
			""},
		{USER_MANAGER "/app.slice/web.service/libpod-payload-" ID, "user@1000.service",
			"web.service", "podman", ID, ""},
	};

	(void)state;
	EXPECT(rows);
}

static void containers_of_kubernetes(void **state)
{
	static const struct row rows[] = {
		{"/kubepods/besteffort/pod" UID "/" ID, "", "", "", ID, UID},
		{"/kubepods/burstable/pod" UID "/" ID, "", "", "", ID, UID},
		{"/kubepods/pod" UID "/" ID, "", "", "", ID, UID},
		{"/kubepods/burstable/pod" STATIC_UID "/" ID, "", "", "", ID, STATIC_UID},
		{"/kubepods/burstable/pod" UID "/crio-" ID, "", "", "cri-o", ID, UID},
		{"/kubelet/kubepods/burstable/pod" UID "/" ID, "", "", "", ID, UID},
		{"/kubepods.slice/kubepods-pod" UID_ ".slice/cri-containerd-" ID ".scope",
			"cri-containerd-" ID ".scope", "", "containerd", ID, UID},
		{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_
		 ".slice/cri-containerd-" ID ".scope",
			"cri-containerd-" ID ".scope", "", "containerd", ID, UID},
		{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" STATIC_UID
		 ".slice/crio-" ID ".scope/container",
			"crio-" ID ".scope", "", "cri-o", ID, STATIC_UID},
		{"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" UID_
		 ".slice/docker-" ID ".scope",
			"docker-" ID ".scope", "", "docker", ID, UID},
		{"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/"
		 "kubelet-kubepods-burstable-pod" UID_ ".slice/cri-containerd-" ID ".scope",
			"cri-containerd-" ID ".scope", "", "containerd", ID, UID},
		{"/system.slice/containerd.service/kubepods-burstable-pod" UID_
		 ".slice:cri-containerd:" ID,
			"containerd.service", "", "containerd", ID, UID},
		{"/kubepods-besteffort-pod" UID_ ".slice:cri-containerd:" ID, "", "", "containerd",
			ID, UID},
	};

	(void)state;
	EXPECT(rows);
}

static void containers_of_other_engines(void **state)
{
	static const struct row rows[] = {
		{"/default/" ID, "", "", "", ID, ""},
		{"/system.slice/nerdctl-" ID ".scope", "nerdctl-" ID ".scope", "", "containerd", ID,
			""},
		{"/lxc/101/ns/system.slice/nginx.service", "", "", "lxc", "101", ""},
		{"/lxc.payload/web/init.scope", "", "", "lxc", "web", ""},
		{"/lxc.payload.web/system.slice/nginx.service", "", "", "lxc", "web", ""},
		{"/lxc.payload.project_web-2", "", "", "lxc", "project_web-2", ""},
		{USER_MANAGER "/app.slice/run.scope/lxc.payload.web", "user@1000.service",
			"run.scope", "lxc", "web", ""},
		{"/machine.slice/systemd-nspawn@debian.service/payload/system.slice/nginx.service",
			"systemd-nspawn@debian.service", "", "systemd-nspawn", "debian", ""},
		{"/machine.slice/machine-my\\x2dhost.scope/payload", "machine-my\\x2dhost.scope",
			"", "systemd-nspawn", "my-host", ""},
		{USER_MANAGER "/app.slice/app-flatpak-org.mozilla.firefox-2891.scope",
			"user@1000.service", "app-flatpak-org.mozilla.firefox-2891.scope",
			"flatpak", "org.mozilla.firefox", ""},
		{USER_MANAGER "/app.slice/snap.firefox.firefox-3d3ad8a2-65b4-4d2a-b1b7.scope",
			"user@1000.service", "snap.firefox.firefox-3d3ad8a2-65b4-4d2a-b1b7.scope",
			"snap", "firefox", ""},
		{"/system.slice/snap.lxd.daemon.service", "snap.lxd.daemon.service", "", "snap",
			"lxd", ""},
	};

	(void)state;
	EXPECT(rows);
}

static void the_outer_container_is_the_hosts(void **state)
{
	static const struct row rows[] = {
		{"/docker/" ID "/docker/" ID2, "", "", "docker", ID, ""},
		{"/system.slice/docker-" ID ".scope/kubelet.slice/kubelet-kubepods-pod" UID_
		 ".slice/cri-containerd-" ID2 ".scope",
			"docker-" ID ".scope", "", "docker", ID, ""},
		{"/lxc.payload.web/docker/" ID, "", "", "lxc", "web", ""},
	};

	(void)state;
	EXPECT(rows);
}

static void the_monitor_of_a_container_is_outside_of_it(void **state)
{
	static const struct row rows[] = {
		{"/machine.slice/libpod-conmon-" ID ".scope", "libpod-conmon-" ID ".scope", "", "",
			"", ""},
		{"/kubepods.slice/kubepods-pod" UID_ ".slice/crio-conmon-" ID ".scope",
			"crio-conmon-" ID ".scope", "", "", "", UID},
		{"/lxc.monitor.web", "", "", "", "", ""},
		{"/machine.slice/systemd-nspawn@debian.service/supervisor",
			"systemd-nspawn@debian.service", "", "", "", ""},
		{"/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/emulator",
			"machine-qemu\\x2d1\\x2dvm.scope", "", "", "", ""},
	};

	(void)state;
	EXPECT(rows);
}

static void what_only_looks_like_a_container_is_none(void **state)
{
	static const struct row rows[] = {
		{"/docker/0123456789abcdef", "", "", "", "", ""},
		{"/docker/" ID "0", "", "", "", "", ""},
		{"/docker/0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF", "", "",
			"", "", ""},
		{"/kubepods/burstable/pod12-34", "", "", "", "", ""},
		{"/kubepods.slice/kubepods-pod1.slice", "kubepods-pod1.slice", "", "", "", ""},
		{"/podman", "", "", "", "", ""},
		{"/machine.slice/machine-.scope/payload", "machine-.scope", "", "", "", ""},
		{"/system.slice/app-flatpak-.scope", "app-flatpak-.scope", "", "", "", ""},
		{"/system.slice/app-flatpak-1.scope", "app-flatpak-1.scope", "", "", "", ""},
		{"/system.slice/snap..service", "snap..service", "", "", "", ""},
		{"/system.slice/snap.service/a.b", "snap.service", "", "", "", ""},
	};

	(void)state;
	EXPECT(rows);
}

static void an_escaped_name_gives_no_control_characters(void **state)
{
	static const struct row rows[] = {
		{"/machine-a\\x0ab\\xffc\\x1bd\\x2.scope/payload",
			"machine-a\\x0ab\\xffc\\x1bd\\x2.scope", "", "systemd-nspawn",
			"a\\x0ab\\xffc\\x1bd\\x2", ""},
	};

	(void)state;
	EXPECT(rows);
}

static void a_component_too_long_for_a_name_is_passed_over(void **state)
{
	char path[1024] = "/a.slice/";

	(void)state;
	memset(path + strlen(path), 'x', 400);
	strcat(path, ".service/b");
	expect_unit(path, "a.slice", "");
	strcpy(path, "/lxc.payload.");
	memset(path + strlen("/lxc.payload."), 'y', 400);
	expect_unit(path, "", "");
}

static void expect_path(const char *text, const char *path)
{
	size_t length;
	const char *found = unit_parse_file(text, &length);

	assert_int_equal(length, strlen(path));
	assert_memory_equal(found, path, length);
}

static void the_hierarchy_that_tells_most_is_read(void **state)
{
	(void)state;
	expect_path("0::/system.slice/a.service\n", "/system.slice/a.service");
	expect_path("9:name=systemd:/a\n4:memory:/b\n0::/c:d\n", "/c:d");
	expect_path("5:pids:/\n4:cpu,cpuacct:/docker/x\n1:name=systemd:/y\n0::/\n", "/docker/x");
	expect_path("0::/\n4:memory:/docker/x", "/docker/x");
	expect_path("4:memory:/\n0::/\n", "/");
	expect_path("", "");
	expect_path("0\n:\n4:memory\n", "");
}

/* Every prefix of every form: nothing is read behind its end. */
static void a_path_may_end_anywhere(void **state)
{
	static const char whole[] =
		"/user.slice/user@1.service/machine-a\\x2db.scope/payload/lxc/"
		"app-flatpak-a-1.scope/kubepods-pod" UID_ ".slice:cri-containerd:" ID;
	struct unit_names names;

	(void)state;
	for (size_t length = 0; length < sizeof(whole); length++) {
		char *path = strndup(whole, length);

		assert_non_null(path);
		unit_parse(path, &names);
		free(path);
	}
	assert_string_equal(names.container, "a-b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_unit_is_the_first_below_the_slices),
		cmocka_unit_test(groups_that_a_service_makes_for_itself_are_of_the_service),
		cmocka_unit_test(units_of_a_users_manager_are_kept_apart),
		cmocka_unit_test(without_service_or_scope_the_last_slice_stands),
		cmocka_unit_test(names_that_systemd_escaped_or_would_refuse),
		cmocka_unit_test(containers_of_docker),
		cmocka_unit_test(containers_of_podman),
		cmocka_unit_test(containers_of_kubernetes),
		cmocka_unit_test(containers_of_other_engines),
		cmocka_unit_test(the_outer_container_is_the_hosts),
		cmocka_unit_test(the_monitor_of_a_container_is_outside_of_it),
		cmocka_unit_test(what_only_looks_like_a_container_is_none),
		cmocka_unit_test(an_escaped_name_gives_no_control_characters),
		cmocka_unit_test(a_component_too_long_for_a_name_is_passed_over),
		cmocka_unit_test(the_hierarchy_that_tells_most_is_read),
		cmocka_unit_test(a_path_may_end_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
