#!/usr/bin/env bash
# test.sh [STAGE…]: the stages of "make test", all of them in this order when
# none is named. Says how long each took; the last lines are those of go test.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p .cache/test
results=.cache/test/results
: >"$results"
times=()

# The race detector needs a C compiler; without one the tests run without it.
race=(-race)
if [[ $(go env CGO_ENABLED) != 1 ]] || ! command -v "$(go env CC)" >/dev/null; then
	race=()
	echo "no C compiler: tests run without the race detector" >&2
fi

gotest() {
	# Keeps the lines of the packages, to show them again at the end.
	local status=0
	go test "$@" 2>&1 | tee .cache/test/last || status=$?
	grep -E '^(ok|FAIL|---|panic)' .cache/test/last >>"$results" || true
	return "$status"
}

stage_setup() {
	scripts/setup.sh
	scripts/web.sh
}

stage_check() {
	local unformatted
	unformatted=$(git ls-files -co --exclude-standard '*.go' | xargs go tool -modfile=tools/go.mod gofumpt -l)
	if [[ -n $unformatted ]]; then
		echo "not formatted (make format):"
		echo "$unformatted"
		return 1
	fi
	go vet ./...
	go tool -modfile=tools/go.mod staticcheck ./...
}

stage_web() {
	cd web
	npm run -s lint
	npm run -s check
	npm test -s
}

# Commands, codecs and the matrix of tokens compute, and share next to nothing
# between goroutines: under the race detector they cost minutes and find nothing
# that the packages they call do not.
unraced='/cmd/|/media/(opus|g722)$|/token/check$'

stage_unit() {
	local all
	all=$(go list ./... | grep -v /e2e)
	gotest "${race[@]}" -shuffle=on $(grep -vE "$unraced" <<<"$all")
	gotest -shuffle=on $(grep -E "$unraced" <<<"$all")
}

# One at a time: they measure audio, and two browsers on two cores disturb each other.
stage_e2e() {
	go list ./e2e/... 2>/dev/null | grep -q . || return 0
	gotest -shuffle=on -count=1 -p 1 -timeout 10m ./e2e/...
}

run() {
	local began=$SECONDS status
	echo "== $1"
	# Within a condition set -e would not hold in the stage.
	set +e
	(set -e; "stage_$1")
	status=$?
	set -e
	if ((status)); then
		echo "== $1 failed after $((SECONDS - began)) s" >&2
		exit 1
	fi
	times+=("$(printf '%-6s %4d s' "$1" $((SECONDS - began)))")
}

stages=("$@")
((${#stages[@]})) || stages=(setup check web unit e2e)
for s in "${stages[@]}"; do
	run "$s"
done
echo "== times"
printf '%s\n' "${times[@]}" "$(printf '%-6s %4d s' all $SECONDS)"
echo "== packages"
cat "$results"
