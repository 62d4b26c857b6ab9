import { describe, expect, it } from 'vitest'
import { judgeQuality } from './quality.ts'

const fine = { jitter: 2, rtt: 20, mos: 4.3, loss: 0, codec: 'pcmu' }

describe('judgeQuality', () => {
  it.each([
    ['nothing measured yet', [], null, 'unknown', 'none'],
    ['all is well', [], fine, 'good', 'none'],
    ['1 % is still well', [], { ...fine, loss: 0.01 }, 'good', 'none'],
    ['2 % loss', [], { ...fine, loss: 0.02 }, 'fair', 'loss'],
    ['5 % loss', [], { ...fine, loss: 0.05 }, 'poor', 'loss'],
    ['jitter', [], { ...fine, jitter: 31 }, 'fair', 'jitter'],
    ['delay', [], { ...fine, rtt: 401 }, 'fair', 'delay'],
    ['a score below 3', [], { ...fine, mos: 2.9 }, 'poor', 'low_score'],
    ['no score yet', [], { ...fine, mos: null }, 'good', 'none'],
    ['a warning outweighs a good sample', ['high-rtt'], fine, 'fair', 'delay'],
    ['the worst warning is told', ['high-jitter', 'low-bytes-received'], fine, 'poor', 'silence_in'],
    ['an unknown warning is no reason', ['new-thing'], fine, 'good', 'none'],
  ] as const)('%s', (_name, warnings, sample, grade, cause) => {
    expect(judgeQuality(warnings, sample, false)).toEqual({ grade, cause })
  })

  it('does not blame the microphone of a muted call', () => {
    expect(judgeQuality(['constant-audio-input-level'], fine, true)).toEqual({ grade: 'good', cause: 'none' })
  })
})
