/* Reads a cgroup path component by component. Whatever has another form is no error: it has no unit
 * and no container. Names that do not fit are passed over.
 *
 * The forms: systemd src/basic/cgroup-util.c; runc libcontainer/cgroups (cgroupfs and systemd
 * drivers); kubelet pkg/kubelet/cm; podman libpod/container_internal_linux.go; lxc
 * src/lxc/cgroups/cgfsng.c; systemd-nspawn's payload; flatpak and snapd's scopes. */
#include "process/unit_parse.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct part {
	const char *text;
	size_t length;
};

enum { ID_LENGTH = 64, UUID_LENGTH = 36, STATIC_POD_LENGTH = 32 };

static bool next_part(const char **at, struct part *part)
{
	*at += strspn(*at, "/");
	part->text = *at;
	part->length = strcspn(*at, "/");
	*at += part->length;
	return part->length > 0;
}

static bool is(const struct part *part, const char *text)
{
	return part->length == strlen(text) && memcmp(part->text, text, part->length) == 0;
}

static bool skip_prefix(struct part *part, const char *prefix)
{
	size_t length = strlen(prefix);

	if (part->length <= length || memcmp(part->text, prefix, length) != 0)
		return false;
	part->text += length;
	part->length -= length;
	return true;
}

static bool skip_suffix(struct part *part, const char *suffix)
{
	size_t length = strlen(suffix);

	if (part->length <= length ||
		memcmp(part->text + part->length - length, suffix, length) != 0)
		return false;
	part->length -= length;
	return true;
}

/* Drops all up to and with the last occurrence of a word. */
static bool skip_past(struct part *part, const char *word)
{
	size_t length = strlen(word);

	for (size_t end = part->length; end >= length; end--) {
		if (memcmp(part->text + end - length, word, length) != 0)
			continue;
		part->text += end;
		part->length -= end;
		return part->length > 0;
	}
	return false;
}

static bool is_of(const struct part *part, const char *characters)
{
	for (size_t i = 0; i < part->length; i++)
		if (!part->text[i] || !strchr(characters, part->text[i]))
			return false;
	return part->length > 0;
}

static bool copy(char *dst, size_t size, const struct part *part)
{
	if (part->length == 0 || part->length >= size)
		return false;
	memcpy(dst, part->text, part->length);
	dst[part->length] = '\0';
	return true;
}

/* As systemd's unit_name_is_valid(), of the types that have processes; no templates. */
static bool is_unit(const struct part *part)
{
	static const char *const types[] = {
		".service", ".scope", ".slice", ".socket", ".mount", ".swap"};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct part stem = *part;

		if (part->length < UNIT_NAME_SIZE && skip_suffix(&stem, types[i]))
			return stem.text[0] != '@' && stem.text[stem.length - 1] != '@' &&
			       is_of(&stem, "0123456789abcdefghijklmnopqrstuvwxyz"
					    "ABCDEFGHIJKLMNOPQRSTUVWXYZ:-_.\\@");
	}
	return false;
}

/* The first unit that is no slice, else the last of the slices before. Returns what follows it. */
static const char *take_unit(const char *path, char unit[UNIT_NAME_SIZE])
{
	const char *at = path;
	struct part part;

	while (next_part(&at, &part)) {
		skip_prefix(&part, "_"); /* cg_escape(): "_cpu.service" */
		if (!is_unit(&part))
			return path;
		copy(unit, UNIT_NAME_SIZE, &part);
		path = at;
		if (!skip_suffix(&part, ".slice"))
			return path;
	}
	return path;
}

/* Below them another manager names units: user@1000.service, capsule@name.service. */
static bool is_user_manager(const char *unit)
{
	struct part part = {unit, strlen(unit)};

	if (!skip_suffix(&part, ".service"))
		return false;
	return skip_prefix(&part, "capsule@") ||
	       (skip_prefix(&part, "user@") && is_of(&part, "0123456789"));
}

static bool is_id(const struct part *part)
{
	return part->length == ID_LENGTH && is_of(part, "0123456789abcdef");
}

/* A UUID, its dashes perhaps escaped to underscores; or the hash of a static pod. */
static bool is_pod_uid(const struct part *part)
{
	if (!is_of(part, "0123456789abcdef-_"))
		return false;
	if (part->length != UUID_LENGTH)
		return part->length == STATIC_POD_LENGTH && is_of(part, "0123456789abcdef");
	return strchr("-_", part->text[8]) && part->text[13] == part->text[8] &&
	       part->text[18] == part->text[8] && part->text[23] == part->text[8];
}

/* "pod<uid>", "kubepods-burstable-pod<uid>.slice"; "machine-libpod_pod_<id>.slice", and with the
 * cgroupfs driver "libpod_parent/<id>". */
static bool take_pod(struct part part, const struct part *parent, struct unit_names *names)
{
	bool slice = skip_suffix(&part, ".slice"), found;

	if (slice)
		found = (skip_past(&part, "-pod") && is_pod_uid(&part)) ||
			(skip_past(&part, "-libpod_pod_") && is_id(&part));
	else
		found = (skip_prefix(&part, "pod") && is_pod_uid(&part)) ||
			(is(parent, "libpod_parent") && is_id(&part));
	if (!found || !copy(names->pod, sizeof(names->pod), &part))
		return false;
	for (char *at = names->pod; *at; at++)
		if (*at == '_')
			*at = '-';
	return true;
}

static bool take_container(struct unit_names *names, const char *runtime, const struct part *part)
{
	if (!copy(names->container, sizeof(names->container), part))
		return false;
	names->runtime = runtime;
	return true;
}

/* "docker/<id>", "docker-<id>.scope", "libpod-<id>" and the like; not libpod-conmon-<id>, which is
 * the monitor outside of the container. Without a prefix the path may not tell whose it is. */
static bool take_engine_id(struct part part, const struct part *parent, struct unit_names *names)
{
	static const struct {
		const char *prefix, *runtime;
	} engines[] = {
		{"docker-", "docker"},
		{"libpod-payload-", "podman"}, /* --cgroups=split: in the service that runs it */
		{"libpod-", "podman"},
		{"cri-containerd-", "containerd"},
		{"containerd-", "containerd"},
		{"nerdctl-", "containerd"},
		{"crio-", "cri-o"},
	};

	skip_suffix(&part, ".scope");
	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++) {
		struct part id = part;

		if (skip_prefix(&id, engines[i].prefix) && is_id(&id))
			return take_container(names, engines[i].runtime, &id);
	}
	return is_id(&part) && take_container(names, is(parent, "docker") ? "docker" : "", &part);
}

/* A kubelet with the systemd driver over a containerd without it: "<slice>:cri-containerd:<id>". */
static bool take_mixed_drivers(
	struct part part, const struct part *parent, struct unit_names *names)
{
	struct part slice = part;

	if (!skip_past(&part, ":cri-containerd:") || !is_id(&part))
		return false;
	slice.length -= part.length + strlen(":cri-containerd:");
	take_pod(slice, parent, names);
	return take_container(names, "containerd", &part);
}

static bool take_lxc(struct part part, const struct part *parent, struct unit_names *names)
{
	if (!skip_prefix(&part, "lxc.payload.") && !is(parent, "lxc") && !is(parent, "lxc.payload"))
		return false;
	return take_container(names, "lxc", &part);
}

/* Where systemd escaped a character of the name as \x2d. */
static void unescape(char *name)
{
	char *to = name;

	for (const char *from = name; *from; to++) {
		char digits[3] = {0};
		long octet;

		*to = *from++;
		if (*to != '\\' || from[0] != 'x' || !from[1])
			continue;
		memcpy(digits, from + 1, 2);
		octet = strtol(digits, NULL, 16);
		if (octet <= ' ' || octet >= 0x7f)
			continue;
		*to = (char)octet;
		from += 3;
	}
	*to = '\0';
}

/* systemd-nspawn itself is in "supervisor" beside the payload. */
static bool take_nspawn(struct part part, struct part parent, struct unit_names *names)
{
	bool found =
		is(&part, "payload") &&
		((skip_prefix(&parent, "systemd-nspawn@") && skip_suffix(&parent, ".service")) ||
			(skip_prefix(&parent, "machine-") && skip_suffix(&parent, ".scope")));

	if (!found || !take_container(names, "systemd-nspawn", &parent))
		return false;
	unescape(names->container);
	return true;
}

/* "app-flatpak-org.mozilla.firefox-2891.scope", "snap.lxd.daemon.service". */
static bool take_application(struct part part, struct unit_names *names)
{
	struct part number = part;

	if (!is_unit(&part))
		return false;
	if (skip_prefix(&part, "snap.")) {
		const char *dot = memchr(part.text, '.', part.length);

		part.length = dot ? (size_t)(dot - part.text) : 0;
		return take_container(names, "snap", &part);
	}
	if (!skip_suffix(&number, ".scope") || !skip_past(&number, "-") ||
		!is_of(&number, "0123456789") || !skip_suffix(&part, ".scope") ||
		!skip_prefix(&part, "app-flatpak-") || part.length <= number.length + 1)
		return false;
	part.length -= number.length + 1;
	if (!take_container(names, "flatpak", &part))
		return false;
	unescape(names->container);
	return true;
}

static void take_containers(const char *path, struct unit_names *names)
{
	struct part part, parent = {"", 0};

	for (; next_part(&path, &part); parent = part) {
		if (take_pod(part, &parent, names))
			continue;
		if (take_engine_id(part, &parent, names) ||
			take_mixed_drivers(part, &parent, names) ||
			take_lxc(part, &parent, names) || take_nspawn(part, parent, names) ||
			take_application(part, names))
			return;
	}
}

void unit_parse(const char *cgroup, struct unit_names *ret_names)
{
	const char *rest;

	memset(ret_names, 0, sizeof(*ret_names));
	ret_names->runtime = "";
	rest = take_unit(cgroup, ret_names->unit);
	if (is_user_manager(ret_names->unit))
		take_unit(rest, ret_names->user_unit);
	take_containers(cgroup, ret_names);
}

/* cgroups(7): "hierarchy-ID:controller-list:cgroup-path", v2 is hierarchy 0. */
const char *unit_parse_file(const char *text, size_t *ret_length)
{
	const char *best = "";
	size_t length, best_length = 0;

	for (; *text; text += length + (text[length] == '\n')) {
		const char *path = strchr(text, ':');
		size_t path_length;

		length = strcspn(text, "\n");
		path = path ? strchr(path + 1, ':') : NULL;
		if (!path || path >= text + length)
			continue;
		path_length = (size_t)(text + length - ++path);
		if (best_length <= 1 || (path_length > 1 && strncmp(text, "0:", 2) == 0)) {
			best = path;
			best_length = path_length;
		}
	}
	*ret_length = best_length;
	return best;
}
