#!/usr/bin/env bash
# npm-ci.sh DIR: installs the packages of DIR's lock file unless they are those
# that were installed last.
set -euo pipefail
cd "$(dirname "$0")/../$1"

want=$(sha256sum package.json package-lock.json | sha256sum)
stamp=node_modules/.installed
if [[ ! -f $stamp || $(<"$stamp") != "$want" ]]; then
	echo "npm ci in $1"
	PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --no-audit --no-fund --loglevel=error
	printf '%s\n' "$want" >"$stamp"
fi
