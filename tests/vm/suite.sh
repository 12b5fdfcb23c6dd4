# shellcheck shell=sh
# Runs inside the VM, sourced by the job that test_vm.py writes: records the traffic of the cases
# and of a small storm, and leaves it all in /run/vm/results/RUN for the host to judge:
#
#   check.json, serving               what lastconnd --check says; what serves each hook
#   log, status, seconds              of the lastconnd that recorded: its exit status; from and to
#   history.db                        what it recorded
#   truth, server.tsv, clients.tsv    what cases and storm say; absent if lastconnd did not start
#
# The job sets LASTCONND, CASES, STORM and STORM_CLIENT, and STORM_COUNT.

# seconds COMMAND...: leaves in a file how long it took.
seconds() {
	read -r from _ </proc/uptime
	"$@"
	read -r to _ </proc/uptime
	echo "$from $to" >seconds
}

# Until lastconnd has said that it records; its end is an answer, too.
wait_ready() {
	left=600
	while ! grep -q ' records to ' log; do
		kill -0 "$daemon" 2>/dev/null && [ $((left -= 1)) -gt 0 ] || return 1
		sleep 0.1
	done
}

# One case after the other: under emulation a program's first run takes so long that it is preempted,
# and the kernel runs past that program for whoever else is on the processor then.
make_cases() {
	LASTCONN_PARALLEL=1 "$CASES" >truth 2>cases.log
}

storm() {
	"$STORM" serve "$STORM_COUNT" server.tsv >port &
	server=$!
	until [ -s port ]; do sleep 0.05; done
	"$STORM" spawn tcp 127.0.0.1 "$(cat port)" "$STORM_COUNT" 4 clients.tsv "$STORM_CLIENT"
	wait "$server"
}

# begin NAME [OPTIONS...]: a directory for the run, with what lastconnd would do.
begin() {
	cd /run/vm/results && mkdir -m 777 "$1" && cd "$1" || exit 1
	shift
	# shellcheck disable=SC2086 # words
	$PREFIX "$LASTCONND" --check --json "$@" >check.json 2>&1
	serving=$(grep -oE '"hook":"[^"]*","serving":[^,]*|"costs":\[[^]]*\]' check.json)
}

# record [OPTIONS...]: all of the traffic, beside a lastconnd with these options.
record() {
	echo "$serving" >serving
	# shellcheck disable=SC2086
	$PREFIX "$LASTCONND" --config /dev/null --db history.db --flush-interval 200ms \
		--sweep-interval 500ms "$@" >log 2>&1 &
	daemon=$!
	if wait_ready; then
		make_cases
		storm
		kill "$daemon"
	fi
	wait "$daemon"
	echo $? >status
}

# run NAME [OPTIONS...]: one recording, by a lastconnd that $PREFIX starts.
run() {
	begin "$@"
	shift
	seconds record "$@"
}

# rung NAME [OPTIONS...]: the same, unless an earlier run had the same hooks.
rung() {
	begin "$@"
	for other in /run/vm/results/*/serving; do
		[ "$(cat "$other")" != "$serving" ] || return 0
	done
	shift
	seconds record "$@"
}
