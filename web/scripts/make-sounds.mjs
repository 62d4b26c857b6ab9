// Makes every sound of the console from sines: the fifteen that the Voice SDK
// loads, and the console's own. Nothing is recorded, so nothing needs a
// licence, and the same source gives the same bytes.
import { mkdir, writeFile } from 'node:fs/promises'

const out = new URL('../public/sounds/', import.meta.url)
const rate = 16000

/** Samples of `seconds` of silence. */
const silence = (seconds) => new Float32Array(Math.round(seconds * rate))

/** A sum of sines [Hz, amplitude] with soft edges, so that it does not click. */
function tone(seconds, partials, { attack = 0.005, release = 0.01 } = {}) {
  const samples = silence(seconds)
  for (let i = 0; i < samples.length; i++) {
    const t = i / rate
    let value = 0
    for (const [hertz, amplitude] of partials) value += amplitude * Math.sin(2 * Math.PI * hertz * t)
    const edge = Math.min(1, t / attack, (seconds - t) / release)
    samples[i] = value * Math.max(0, edge)
  }
  return samples
}

/** A struck note: a bell-like set of partials that dies away. */
function note(seconds, hertz, loudness, decay = 4) {
  const samples = silence(seconds)
  const partials = [
    [1, 1, 1],
    [2, 0.35, 1.6],
    [3.01, 0.16, 2.6],
    [4.17, 0.07, 4],
  ]
  for (let i = 0; i < samples.length; i++) {
    const t = i / rate
    let value = 0
    for (const [ratio, amplitude, speed] of partials)
      value += amplitude * Math.exp(-decay * speed * t) * Math.sin(2 * Math.PI * hertz * ratio * t)
    samples[i] = value * loudness * Math.min(1, t / 0.004, (seconds - t) / 0.02)
  }
  return samples
}

function mix(length, ...parts) {
  const samples = silence(length)
  for (const [at, part] of parts) {
    const start = Math.round(at * rate)
    for (let i = 0; i < part.length && start + i < samples.length; i++) samples[start + i] += part[i]
  }
  return samples
}

function wav(samples) {
  const bytes = Buffer.alloc(44 + samples.length * 2)
  bytes.write('RIFF', 0)
  bytes.writeUInt32LE(36 + samples.length * 2, 4)
  bytes.write('WAVEfmt ', 8)
  bytes.writeUInt32LE(16, 16)
  bytes.writeUInt16LE(1, 20) // PCM
  bytes.writeUInt16LE(1, 22) // one channel
  bytes.writeUInt32LE(rate, 24)
  bytes.writeUInt32LE(rate * 2, 28)
  bytes.writeUInt16LE(2, 32)
  bytes.writeUInt16LE(16, 34)
  bytes.write('data', 36)
  bytes.writeUInt32LE(samples.length * 2, 40)
  samples.forEach((value, i) => bytes.writeInt16LE(Math.round(Math.max(-1, Math.min(1, value)) * 32767), 44 + i * 2))
  return bytes
}

// ITU-T Q.23: one frequency of the row, one of the column.
const rows = [697, 770, 852, 941]
const columns = [1209, 1336, 1477]
const keys = ['123', '456', '789', '*0#']
const keyName = { '*': 's', '#': 'h' }

const sounds = {
  // Two rising pairs of notes and a rest; loops without a seam.
  incoming: mix(
    4,
    [0.0, note(1.2, 587.33, 0.26)],
    [0.16, note(1.2, 880.0, 0.26)],
    [0.62, note(1.2, 587.33, 0.22)],
    [0.78, note(1.6, 987.77, 0.24)],
  ),
  outgoing: mix(0.5, [0, note(0.4, 880, 0.1, 10)], [0.09, note(0.4, 1174.66, 0.1, 10)]),
  disconnect: mix(0.6, [0, note(0.4, 587.33, 0.16, 9)], [0.13, note(0.45, 440, 0.16, 8)]),
  // ITU-T E.180: the caller's ringing tone of North America, 2 s on, 4 s off.
  ringback: mix(6, [0, tone(2, [[440, 0.11], [480, 0.11]])]), // prettier-ignore
  test: mix(1.6, [0, note(1.2, 523.25, 0.24)], [0.18, note(1.2, 659.25, 0.24)], [0.36, note(1.2, 783.99, 0.24)]),
}
keys.forEach((line, row) =>
  [...line].forEach((key, column) => {
    sounds[`dtmf${keyName[key] ?? key}`] = tone(0.18, [
      [rows[row], 0.16],
      [columns[column], 0.2],
    ])
  }),
)

await mkdir(out, { recursive: true })
await Promise.all(Object.entries(sounds).map(([name, samples]) => writeFile(new URL(`${name}.wav`, out), wav(samples))))
