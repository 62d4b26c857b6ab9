#!/bin/sh
# Speaks the built-in prompts into internal/talk/prompts/*.wav (8 kHz, 16 bit, mono).
# Needs espeak-ng and sox; run it from the project's root after a change of the texts.
set -eu
out=internal/talk/prompts
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

say() { # NAME TEXT
	espeak-ng -v en-us -s 165 -p 45 -w "$tmp/raw.wav" "$2"
	# Level, cut the silence around, and leave 150 ms before the next sound. -D: no
	# dither, so that a second run gives the same bytes.
	sox -D "$tmp/raw.wav" -r 8000 -b 16 -c 1 "$out/$1.wav" \
		highpass 120 norm -6 silence 1 0.02 0.5% reverse silence 1 0.02 0.5% reverse pad 0.05 0.15
}

say voicemail "Thank you for calling. Nobody can take your call right now. Please leave a message after the tone, and press hash when you are done."
say available "Thank you for calling. Please hold the line."
say wait "All our agents are busy. Please hold the line, or press 1 to leave a message."
say closed "Thank you for calling. We cannot take your call right now. Please try again later."
say goodbye "Thank you. Goodbye."
