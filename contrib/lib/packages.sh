# shellcheck shell=bash
# Sourced by contrib/try, contrib/test, contrib/deb and .ci/run: installs the Debian packages that are missing.
# Needs root or sudo only when something is missing; says in one line what it cannot get.

# packages_of KIND...: the names that contrib/packages lists for these kinds (build, package, test, vm).
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

# as_root COMMAND...: through sudo when not root.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

# may_be_root: is there a way to run as_root?
may_be_root() {
	[ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null
}

apt_install() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 install -y \
		--no-install-recommends "$@" >/dev/null
}

# packages_install KIND...: makes sure that all of them are there.
packages_install() {
	local wanted missing
	mapfile -t wanted < <(packages_of "$@")
	if ! command -v dpkg-query >/dev/null; then
		echo "${0##*/}: not a Debian system; taking these for granted: ${wanted[*]}" >&2
		return 0
	fi
	mapfile -t missing < <(packages_missing "${wanted[@]}")
	[ "${#missing[@]}" -gt 0 ] || return 0
	if ! may_be_root; then
		echo "${0##*/}: missing packages, and neither root nor sudo to install them:" \
			"apt-get install ${missing[*]}" >&2
		return 1
	fi
	echo "${0##*/}: installing ${missing[*]}" >&2
	apt_install "${missing[@]}" 2>/dev/null && return 0
	as_root apt-get -qq update >/dev/null || true # the lists may be old or absent
	apt_install "${missing[@]}" && return 0
	echo "${0##*/}: could not install: ${missing[*]}" >&2
	return 1
}
