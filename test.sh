#!/usr/bin/env bash
# Everything Gatehouse is checked by:
#
#   ./test.sh               all of it, in about a quarter of an hour; nothing is skipped
#   ./test.sh layout go     only these parts, while working (./test.sh help lists them)
#   ./test.sh race drills mutations   what takes longer, and CI runs too: the tests
#                           once more under the race detector, a short set of drills,
#                           and faults planted in the code that the tests must notice
#
# What the tests need and this machine lacks is installed from Debian's packages,
# by name and said beforehand. Everything else happens in a temporary folder that
# is gone afterwards, a PostgreSQL of our own included.
set -euo pipefail
cd "$(dirname "$0")"

parts=(format modules vet staticcheck layout generated go browser)
alone=(race drills mutations) # only when asked for by name

main() {
	case "${1:-}" in help | -h | --help) echo "parts: ${parts[*]}; by name only: ${alone[*]}"; return ;; esac
	local wanted=("$@")
	[ $# -gt 0 ] || wanted=("${parts[@]}")
	for part in "${wanted[@]}"; do
		[[ " ${parts[*]} ${alone[*]} " == *" $part "* ]] || { echo "test.sh: there is no part \"$part\"; the parts are: ${parts[*]}" >&2; exit 2; }
	done

	tmp=$(mktemp -d "${TMPDIR:-/tmp}/gatehouse-test.XXXXXX")
	chmod 755 "$tmp" # PostgreSQL's user must reach its folder below
	trap cleanup EXIT
	trap 'exit 130' INT TERM
	export GOFLAGS="${GOFLAGS:-} -buildvcs=false"
	# One session's leftovers must not decide what is tested.
	for name in $(compgen -e | grep '^GATEHOUSE_' || true); do unset "$name"; done

	say "needs"
	install_what_is_missing "${wanted[@]}"
	local begin=$SECONDS passed=0 failed=0 report="" ok
	if needs postgres "${wanted[@]}"; then start_postgres; fi
	for part in "${wanted[@]}"; do
		say "$part"
		local from=$SECONDS
		set +e
		(set -e; "part_$part")
		ok=$?
		set -e
		if [ $ok -eq 0 ]; then passed=$((passed + 1)); ok=passed; else failed=$((failed + 1)); ok=FAILED; fi
		report+=$(printf '  %-12s %-7s %4d s' "$part" "$ok" $((SECONDS - from)))$'\n'
	done

	say "summary"
	printf '%s  %-12s %-7s %4d s\n\n' "$report" "all" "" $((SECONDS - begin))
	echo "parts: $passed passed, $failed failed"
	[ $failed -eq 0 ]
}

say() { printf '\n==== %s ====\n' "$*"; }

cleanup() {
	local status=$?
	if [ -d "$tmp/postgres" ]; then
		as_postgres "$pgbin/pg_ctl" -D "$tmp/postgres/data" -m immediate -w stop >/dev/null 2>&1 || true
	fi
	rm -rf "$tmp"
	exit $status
}

# needs WHAT PART… says whether one of the parts needs it.
needs() {
	local what=$1 part; shift
	for part in "$@"; do
		case "$what:$part" in
		postgres:go | postgres:race | postgres:mutations) return 0 ;;
		programs:go | programs:race | programs:mutations | programs:drills) return 0 ;;
		gcc:race) return 0 ;;
		browser:browser | browser:mutations) return 0 ;;
		esac
	done
	return 1
}

# ---- what must be there ----

install_what_is_missing() {
	[ -x /usr/local/go/bin/go ] && PATH="$PATH:/usr/local/go/bin"
	command -v go >/dev/null || { echo "test.sh: Go 1.26 is needed and not on the PATH: https://go.dev/doc/install" >&2; exit 1; }
	local packages=()
	if needs gcc "$@"; then # the race detector links C
		command -v gcc >/dev/null || packages+=(gcc libc6-dev)
	fi
	if needs programs "$@"; then
		[ -n "$(postgres_bin)" ] || packages+=(postgresql)
		command -v oathtool >/dev/null || packages+=(oathtool)
		command -v fido2-assert >/dev/null || packages+=(fido2-tools)
	fi
	if needs browser "$@"; then
		[[ " ${packages[*]} " == *" oathtool "* ]] || command -v oathtool >/dev/null || packages+=(oathtool)
		[ -x /usr/bin/chromium ] || packages+=(chromium)
		[ -x /usr/bin/firefox-esr ] || packages+=(firefox-esr)
		node_is_enough || packages+=(nodejs)
		command -v npm >/dev/null || packages+=(npm)
		command -v zbarimg >/dev/null || packages+=(zbar-tools)
		[ -d /usr/share/fonts/truetype/dejavu ] || packages+=(fonts-dejavu-core)
	fi
	if [ ${#packages[@]} -gt 0 ]; then
		echo "installing from Debian's packages: ${packages[*]}"
		as_root apt-get update -qq
		as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >"$tmp/apt.log" 2>&1 ||
			{ cat "$tmp/apt.log" >&2; exit 1; }
	fi
	go version
	if needs postgres "$@"; then
		pgbin=$(postgres_bin)
		[ -n "$pgbin" ] || { echo "test.sh: no PostgreSQL 15 or later in /usr/lib/postgresql" >&2; exit 1; }
		"$pgbin/postgres" --version
	fi
	if needs browser "$@"; then
		node_is_enough || { echo "test.sh: Node 18.20 or later is needed; here is $(node --version)" >&2; exit 1; }
		/usr/bin/chromium --version 2>/dev/null
		echo "Node $(node --version)"
		install_npm
	fi
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else
		echo "test.sh: to install packages, run it as root once, or install sudo" >&2
		return 1
	fi
}

postgres_bin() {
	local dir best=""
	for dir in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V); do
		[ -x "$dir/initdb" ] && [ "$(basename "$(dirname "$dir")")" -ge 15 ] && best=$dir
	done
	echo "$best"
}

node_is_enough() {
	command -v node >/dev/null && node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 18 || (a == 18 && b >= 20) ? 0 : 1)'
}

# install_npm lays the pinned packages of the browser tests, once per lock file.
install_npm() (
	cd test/browser
	if ! cmp -s package-lock.json node_modules/.gatehouse-lock; then
		echo "installing from npm, as pinned in test/browser/package-lock.json: $(node -p 'Object.entries(require("./package.json").dependencies).map(([n, v]) => n + " " + v).join(", ")')"
		npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >"$tmp/npm.log" 2>&1 || { cat "$tmp/npm.log" >&2; exit 1; }
		cp package-lock.json node_modules/.gatehouse-lock
	fi
)

# ---- a PostgreSQL of our own ----

# as_postgres runs a command as the database's own user, never as root. Somebody
# who is not root is good enough.
as_postgres() {
	if [ "$(id -u)" -eq 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi
}

# scratch is memory where there is plenty of it: each test makes a database, and a
# database is three hundred files.
scratch() {
	local free
	free=$(df --output=avail -B1M /dev/shm 2>/dev/null | tail -n 1) || true
	if [ -w /dev/shm ] && [ "${free:-0}" -ge 2048 ]; then echo /dev/shm; else echo "$tmp"; fi
}

start_postgres() {
	local dir password port
	pghome=$(mktemp -d "$(scratch)/gatehouse-postgres.XXXXXX")
	chmod 755 "$pghome"
	dir=$pghome/postgres
	mkdir -m 700 "$dir"
	password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
	echo "$password" >"$dir/password"
	[ "$(id -u)" -ne 0 ] || chown -R postgres "$dir"
	as_postgres "$pgbin/initdb" -D "$dir/data" -U postgres --auth=scram-sha-256 --pwfile="$dir/password" \
		--encoding=UTF8 --locale=C.UTF-8 --no-sync >"$tmp/initdb.log" 2>&1 || { cat "$tmp/initdb.log" >&2; exit 1; }
	# A crash may lose everything here, so nothing waits for the disk.
	for try in 1 2 3 4 5; do
		port=$((20000 + RANDOM % 12000))
		as_postgres "$pgbin/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t 60 -o "-p $port -c listen_addresses=127.0.0.1 \
			-c unix_socket_directories=$dir -c fsync=off -c synchronous_commit=off -c full_page_writes=off \
			-c max_connections=300 -c shared_buffers=64MB -c deadlock_timeout=50ms" start >/dev/null 2>&1 && break
		[ "$try" -lt 5 ] || { echo "test.sh: PostgreSQL did not start:" >&2; cat "$dir/log" >&2; exit 1; }
	done
	export GATEHOUSE_TEST_POSTGRES="postgres://postgres:$password@127.0.0.1:$port/postgres?sslmode=disable"
	echo "PostgreSQL runs on 127.0.0.1:$port for this run only"
}

# ---- the parts ----

go_files() { git ls-files --cached --others --exclude-standard '*.go'; }

part_format() {
	local wrong
	wrong=$(go_files | xargs gofmt -l)
	if [ -n "$wrong" ]; then echo "not as gofmt writes it: $wrong"; return 1; fi
}

# go.mod lists what is imported and nothing else, and the modules are what go.sum says.
part_modules() {
	go mod tidy -diff
	go mod verify
}

part_vet() {
	go vet ./...
	go vet -tags drill ./cmd/gatehouse
}

# staticcheck has a module of its own, so that it never enters the program's.
part_staticcheck() {
	(cd tools && go build -o "$tmp/staticcheck" honnef.co/go/tools/cmd/staticcheck)
	"$tmp/staticcheck" ./...
}

part_layout() { go test -count=1 .; }

# What is generated is made again and must not differ.
part_generated() {
	build_program
	local name differs=0
	while read -r name command; do
		echo "$name ← gatehouse $command"
		# shellcheck disable=SC2086 # the command is a list of words
		"$tmp/gatehouse" $command >"$tmp/made" || return 1
		diff -u "$name" "$tmp/made" || differs=1
	done <<-END
		docs/events.md events kinds --markdown
		docs/configuration.md config docs
		deploy/gatehouse.example.yaml config example
	END
	if [ $differs -ne 0 ]; then echo "make them again as shown and commit them"; return 1; fi
}

# Unit tests and stories, on SQLite and PostgreSQL, as the program is built …
part_go() { CGO_ENABLED=0 go test -count=1 -timeout 20m ./...; }

# … and once more under the race detector, which needs C and its own time. What
# compares times has run above: here it would compare the detector's. What runs on
# every database runs here on PostgreSQL and the standby, the richest two, and what
# breaks a step at every point has been through all of them above.
part_race() {
	CGO_ENABLED=1 go test -race -count=1 -timeout 40m \
		-skip 'TestHowLongARefusalTakesTellsNothing|TestATimingDifferenceIsFound|TestWhereverACallBreaks|TestNoOrderOfCommits|/^sqlite$|/pool_of_one' ./...
}

build_program() {
	[ -x "$tmp/gatehouse" ] || CGO_ENABLED=0 go build -o "$tmp/gatehouse" ./cmd/gatehouse
}

# The pages in a real Chromium. What measures has the machine to itself.
part_browser() {
	build_program
	CGO_ENABLED=0 go build -tags drill -o "$tmp/gatehouse-drill" ./cmd/gatehouse
	export GATEHOUSE_BIN=$tmp/gatehouse GATEHOUSE_DRILL_BIN=$tmp/gatehouse-drill
	cd test/browser
	local failed=0
	export -f walk
	export tmp
	# Two files at a time (three are no faster on two cores), by size: the long ones first, so that none is waited for at the end.
	# shellcheck disable=SC2012,SC2016 # names of our own; walk's shell expands $0
	ls -S ./*.test.mjs | grep -v lighthouse | xargs -P 2 -n 1 bash -c 'walk "$0"' || failed=1
	walk ./lighthouse.test.mjs || failed=1
	echo "seconds by file, and how many of a processor's:"
	sort -rn "$tmp/walks"
	return $failed
}

# walk runs one file of browser tests and prints all it said when it is done, and
# notes how long it took.
walk() {
	local name=${1##*/} failed=0 TIMEFORMAT='%0R %0U'
	{ time node --test --test-reporter=spec "$1" >"$tmp/$name.log" 2>&1 || failed=1; } 2>"$tmp/$name.time"
	printf '%4d %4d  %s\n' $(cat "$tmp/$name.time") "$name" >>"$tmp/walks"
	flock "$tmp/walks" cat "$tmp/$name.log"
	return $failed
}

# Each control: a small mutation of the program that a named test must catch.
part_mutations() {
	go run ./test/mutate
}

# A short set of drills: real processes, real faults. The clock moves in some.
part_drills() {
	CGO_ENABLED=0 go build -tags drill -o "$tmp/gatehouse-drill" ./cmd/gatehouse
	"$tmp/gatehouse-drill" drill short
}

main "$@"
