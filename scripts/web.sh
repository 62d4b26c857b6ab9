#!/usr/bin/env bash
# Builds the console into web/dist unless nothing of it changed since.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p .cache
exec 9>.cache/web.lock
flock 9 # one build at a time

scripts/npm-ci.sh web
# What the build makes itself (translations, sounds, flags) is left out: git ignores it.
want=$(git ls-files -co --exclude-standard -- web ':!web/embed.go' ':!web/dev' | sort | while read -r f; do
	if [[ -f $f ]]; then sha256sum "$f"; fi
done | sha256sum)
stamp=.cache/web.built
if [[ -f $stamp && $(<"$stamp") == "$want" && -f web/dist/index.html ]]; then
	exit 0
fi
echo "building the console"
(cd web && npm run -s build)
touch web/dist/.gitkeep
printf '%s\n' "$want" >"$stamp"
