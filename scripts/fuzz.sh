#!/usr/bin/env bash
# fuzz.sh TIME: runs every fuzz target for TIME. What it finds is written to the
# package's testdata/fuzz: fix, and commit both.
set -euo pipefail
cd "$(dirname "$0")/.."

for package in $(go list ./...); do
	for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		echo "== $package $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$1" -fuzzminimizetime 5s "$package"
	done
done
