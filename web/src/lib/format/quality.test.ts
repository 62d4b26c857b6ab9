import { describe, expect, it } from 'vitest'
import type { LegQuality } from '../api/types.ts'
import { soundedPoor } from './quality.ts'

const good: LegQuality = {
  codec: 'PCMU',
  packets_in: 1000,
  lost: 10,
  jitter_ms: 30,
  rtt_ms: 400,
  mos: 3.5,
  far_mos: 3.5,
}

describe('soundedPoor', () => {
  it('lets pass what is within all limits, and what was not measured', () => {
    expect(soundedPoor(good)).toBe(false)
    expect(soundedPoor({})).toBe(false)
    expect(soundedPoor({ codec: 'opus', lost: 3, longest_gap: 0.04 })).toBe(false)
    expect(soundedPoor({ mos: 0, far_mos: 0 })).toBe(false)
  })
  it.each<LegQuality>([{ mos: 3.49 }, { far_mos: 3.4 }, { lost: 11 }, { jitter_ms: 30.1 }, { rtt_ms: 401 }])(
    'flags %o',
    (worse) => expect(soundedPoor({ ...good, ...worse })).toBe(true),
  )
})
