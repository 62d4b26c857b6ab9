/**
 * A meter's reading for samples in −1…1: 0 for silence, 1 for the loudest,
 * logarithmic between −60 dB and −6 dB, as one hears.
 */
export function meterLevel(samples: Float32Array): number {
  let sum = 0
  for (const sample of samples) sum += sample * sample
  const rms = Math.sqrt(sum / Math.max(1, samples.length))
  if (rms <= 0) return 0
  const decibels = 20 * Math.log10(rms)
  return Math.min(1, Math.max(0, (decibels + 60) / 54))
}

/** Rises at once and falls slowly, as a needle does. */
export function needle(previous: number, level: number): number {
  return level > previous ? level : Math.max(level, previous * 0.82 - 0.005)
}
