# shellcheck shell=bash
# Sourced by contrib/try, contrib/test and .ci/run: installs the Debian packages that are missing.
# Needs root or sudo only when something is missing; says in one line what it cannot get.

# packages_of KIND...: the names that contrib/packages lists for these kinds (build, test).
packages_of() {
	local kind
	for kind in "$@"; do
		awk -v kind="$kind" '$1 == kind { print $2 }' "$LASTCONN_ROOT/contrib/packages"
	done
}

# packages_missing NAME...: those that are not installed.
packages_missing() {
	local name state
	for name in "$@"; do
		state=$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null || true)
		[ "$state" = installed ] || echo "$name"
	done
}

# as_root COMMAND...: through sudo when not root. Fails with one line when there is no way.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		echo "${0##*/}: needs root for '$1', and there is no sudo: run it as root" >&2
		return 1
	fi
}

# packages_install KIND...: makes sure that all of them are there.
packages_install() {
	local wanted missing
	if ! command -v dpkg-query >/dev/null; then
		echo "${0##*/}: not a Debian system; assuming that these are there:" \
			"$(packages_of "$@" | tr '\n' ' ')" >&2
		return 0
	fi
	mapfile -t wanted < <(packages_of "$@")
	mapfile -t missing < <(packages_missing "${wanted[@]}")
	[ "${#missing[@]}" -gt 0 ] || return 0
	echo "${0##*/}: installing ${missing[*]}" >&2
	if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 install -y \
		--no-install-recommends "${missing[@]}" >/dev/null; then
		# the package lists may be old or absent
		as_root apt-get -qq update || true
		as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 \
			install -y --no-install-recommends "${missing[@]}" >/dev/null || {
			echo "${0##*/}: could not install: ${missing[*]}" >&2
			return 1
		}
	fi
}
