#!/usr/bin/env bash
# Installs what the tests need and is missing: Debian packages, and the npm
# packages of the lock files. Run again, it does nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

# program:package
needs=(chromium:chromium sipp:sip-tester baresip:baresip-core certutil:libnss3-tools)
missing=()
for need in "${needs[@]}"; do
	command -v "${need%%:*}" >/dev/null || missing+=("${need##*:}")
done

if ((${#missing[@]})); then
	command -v apt-get >/dev/null || { echo "no apt-get here: install ${missing[*]} by hand" >&2; exit 1; }
	echo "installing ${missing[*]}"
	as_root=()
	if [[ $(id -u) != 0 ]]; then
		command -v sudo >/dev/null || { echo "not root and no sudo: install ${missing[*]} by hand" >&2; exit 1; }
		as_root=(sudo)
	fi
	"${as_root[@]}" apt-get update -q
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
fi

for dir in web e2e; do
	[[ -f $dir/package-lock.json ]] || continue
	scripts/npm-ci.sh "$dir"
done
