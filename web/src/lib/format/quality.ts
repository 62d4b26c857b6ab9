import type { LegQuality } from '../api/types.ts'

/**
 * Whether a leg sounded badly, by the call centre's quality flag: a score under
 * 3.5, more than 1 % of the packets lost, jitter over 30 ms or a round trip over
 * 400 ms, on the way to us or, as far as they told, to them.
 */
export function soundedPoor(q: LegQuality): boolean {
  const { lost = 0, packets_in = 0 } = q
  return (
    below(q.mos, 3.5) ||
    below(q.far_mos, 3.5) ||
    (packets_in > 0 && lost / (packets_in + lost) > 0.01) ||
    (q.jitter_ms ?? 0) > 30 ||
    (q.rtt_ms ?? 0) > 400
  )
}

/** Whether a score is known and less than the limit. */
function below(score: number | undefined, limit: number): boolean {
  return score !== undefined && score > 0 && score < limit
}
