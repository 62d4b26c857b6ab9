import type { Sample } from './adapter.ts'

export type QualityGrade = 'unknown' | 'good' | 'fair' | 'poor'

/** What is worst about a call's sound, in the words of the catalogue's keys. */
export type QualityCause =
  | 'none'
  | 'loss'
  | 'jitter'
  | 'delay'
  | 'silence_in' // nothing arrives from the far end
  | 'silence_out' // nothing leaves this browser
  | 'microphone_flat' // the microphone gives a constant level
  | 'low_score'
  | 'connection'

export interface Quality {
  grade: QualityGrade
  cause: QualityCause
}

const byWarning: Record<string, Quality> = {
  'ice-connectivity-lost': { grade: 'poor', cause: 'connection' },
  'low-bytes-received': { grade: 'poor', cause: 'silence_in' },
  'low-bytes-sent': { grade: 'poor', cause: 'silence_out' },
  'high-packet-loss': { grade: 'poor', cause: 'loss' },
  'high-packets-lost-fraction': { grade: 'poor', cause: 'loss' },
  'constant-audio-input-level': { grade: 'fair', cause: 'microphone_flat' },
  'high-jitter': { grade: 'fair', cause: 'jitter' },
  'high-rtt': { grade: 'fair', cause: 'delay' },
  'low-mos': { grade: 'poor', cause: 'low_score' },
}

/** Worst first: the one that a person on the phone notices most is told. */
const order = Object.keys(byWarning)

/**
 * A call's quality from the SDK's standing warnings and its latest sample.
 * Limits are the call centre's quality flag: jitter 30 ms, loss 1 %, round
 * trip 400 ms, MOS 3.5 (3 is poor); three times the limit is poor.
 */
export function judgeQuality(warnings: readonly string[], sample: Sample | null, muted: boolean): Quality {
  for (const name of order) {
    if (!warnings.includes(name)) continue
    // A muted microphone is silent on purpose.
    if (muted && (name === 'constant-audio-input-level' || name === 'low-bytes-sent')) continue
    return byWarning[name]!
  }
  if (!sample) return { grade: 'unknown', cause: 'none' }
  if (sample.loss > 0.03) return { grade: 'poor', cause: 'loss' }
  if (sample.jitter > 90) return { grade: 'poor', cause: 'jitter' }
  if (sample.rtt > 1200) return { grade: 'poor', cause: 'delay' }
  if (sample.mos !== null && sample.mos < 3) return { grade: 'poor', cause: 'low_score' }
  if (sample.loss > 0.01) return { grade: 'fair', cause: 'loss' }
  if (sample.jitter > 30) return { grade: 'fair', cause: 'jitter' }
  if (sample.rtt > 400) return { grade: 'fair', cause: 'delay' }
  if (sample.mos !== null && sample.mos < 3.5) return { grade: 'fair', cause: 'low_score' }
  return { grade: 'good', cause: 'none' }
}
