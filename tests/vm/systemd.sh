# shellcheck shell=sh
# Runs inside the VM as a service of its systemd: the life of the package there. Leaves in
# /run/vm/results, for test_systemd.py to judge:
#
#   installed, traffic, restarted, hung, removed
#                 of each step: what systemd says of the service (show), what it logged since the step
#                 before (journal), and of some more
#
# The job sets DEB.
set -u
export DEBIAN_FRONTEND=noninteractive
rm -f /usr/sbin/policy-rc.d # of a container that this machine's root file system may come from
cd /run/vm/results || exit 1

# step NAME: a directory, with what is known at the end of this step.
step() {
	mkdir "$1"
	systemctl show lastconnd.service >"$1/show"
	journalctl --unit lastconnd.service --output cat --quiet --no-pager --cursor-file cursor >"$1/journal"
}

# until_said WORD: in the service's log, since the last step.
until_said() {
	for _ in $(seq 600); do
		journalctl --unit lastconnd.service --output cat --quiet --no-pager \
			--after-cursor "$(cat cursor)" | grep -q "$1" && return
		sleep 0.2
	done
	echo "the service never said '$1'"
}

# until_restarts COUNT: systemd started it again so often, and it records.
until_restarts() {
	for _ in $(seq 600); do
		[ "$(systemctl show --property NRestarts --value lastconnd.service)" = "$1" ] &&
			systemctl is-active --quiet lastconnd.service && return
		sleep 0.2
	done
	echo "the service was not started again"
}

# until_recorded COUNT: of the connections below.
flows="FROM flows WHERE remote_port IN (9, 10)"
until_recorded() {
	for _ in $(seq 60); do
		lastconn sql --format csv "SELECT count(*) $flows" | grep -q "^$1" && return
		sleep 1
	done
	echo "the connections were not recorded"
}

# Manuals would be indexed, which takes minutes here.
dpkg --no-triggers --path-exclude='/usr/share/man/*' -i "$DEB" || exit 1
step installed
grep -E '^(Uid|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):' \
	"/proc/$(systemctl show --property MainPID --value lastconnd.service)/status" >installed/status
systemd-analyze security --no-pager lastconnd.service | tail -n 1 >installed/exposure

curl --silent --max-time 20 http://127.0.0.1:9/
systemctl reload lastconnd.service
until_said "configuration reread"
step traffic

# A connection while no daemon runs.
systemctl stop lastconnd.service
curl --silent --max-time 20 http://127.0.0.1:10/
systemctl start lastconnd.service
until_recorded 2
step restarted
lastconn sql --format json "SELECT exe, remote_port, outcome, method $flows" >restarted/flows
lastconn sql --format json 'SELECT what, detail FROM coverage' >restarted/coverage

# One that hangs is killed by the watchdog, and comes again.
mkdir -p /run/systemd/system/lastconnd.service.d
printf '[Service]\nWatchdogSec=20\n' >/run/systemd/system/lastconnd.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart lastconnd.service
kill -STOP "$(systemctl show --property MainPID --value lastconnd.service)"
until_restarts 1
step hung

# What it left in the kernel goes with it, the history only when that is asked for.
dpkg --no-triggers --remove lastconn || exit 1
step removed
ls /sys/fs/bpf >removed/pins
ls /var/lib/lastconn >removed/history
dpkg --no-triggers --purge lastconn || exit 1
ls /sys/fs/bpf /var/lib /etc >removed/purged
