import { describe, expect, it } from 'vitest'
import { idlePhone, reducePhone, type PhoneInput, type PhoneState } from './reduce.ts'

const run = (...inputs: PhoneInput[]): PhoneState =>
  inputs.reduce((state, input, i) => reducePhone(state, input, (i + 1) * 1000), idlePhone())

const incoming: PhoneInput = { type: 'incoming', leg: 'CA1', from: '+15550100', to: '+15550199', verified: null }
const dialing: PhoneInput = { type: 'dialing', to: '+15550105', from: '+15550199' }

describe('the registration', () => {
  it('keeps the first moment of a loss through every attempt', () => {
    const state = run(
      { type: 'registering' },
      { type: 'registered', edge: 'here' },
      { type: 'lost', code: 31005 },
      { type: 'registering' },
      { type: 'lost', code: 31009 },
    )
    expect(state.registration).toEqual({ status: 'lost', since: 3000, code: 31009 })
  })

  it('says refused rather than lost when both are true', () => {
    const state = run(
      { type: 'registering' },
      { type: 'refused', code: 20101, tried: [{ way: 'ticket', code: 20101, at: 0 }] },
      { type: 'lost', code: 31005 },
    )
    expect(state.registration).toMatchObject({ status: 'refused', code: 20101, tried: [{ way: 'ticket' }] })
  })

  it('recovers, and a heartbeat does not restart its clock', () => {
    const state = run(
      { type: 'registering' },
      { type: 'lost', code: 31005 },
      { type: 'registered', edge: '' },
      { type: 'registered', edge: '' },
    )
    expect(state.registration).toMatchObject({ status: 'registered', since: 3000 })
  })
})

describe('a call', () => {
  it('rings, is answered and ends', () => {
    expect(run(incoming).call).toMatchObject({ phase: 'ringing', direction: 'in', leg: 'CA1' })
    expect(run(incoming, { type: 'accepting' }).call?.phase).toBe('answering')
    const state = run(incoming, { type: 'accepting' }, { type: 'connected', leg: 'CA1' })
    expect(state.call).toMatchObject({ phase: 'connected', connectedAt: 3000 })
    const ended = reducePhone(state, { type: 'ended', by: 'them', code: 0 }, 9000)
    expect(ended.call).toMatchObject({ phase: 'ended', endedAt: 9000, end: { by: 'them', code: 0 } })
    expect(reducePhone(ended, { type: 'dismiss' }, 9999).call).toBeNull()
  })

  it('goes out: dialling, alerting, connected; early media stays known', () => {
    const state = run(dialing, { type: 'ringing', earlyMedia: true }, { type: 'ringing', earlyMedia: false })
    expect(state.call).toMatchObject({ phase: 'alerting', earlyMedia: true })
    expect(run(dialing, { type: 'leg', leg: 'CA9' }, { type: 'connected', leg: '' }).call?.leg).toBe('CA9')
  })

  it('does not lose its start when media comes back', () => {
    const state = run(
      incoming,
      { type: 'connected', leg: 'CA1' },
      { type: 'reconnecting', what: 'media' },
      { type: 'connected', leg: 'CA1' },
    )
    expect(state.call).toMatchObject({ connectedAt: 2000, reconnecting: null })
  })

  it('ignores late events of a call that ended', () => {
    const state = run(incoming, { type: 'ended', by: 'cancelled', code: 0 }, { type: 'muted', on: true })
    expect(state.call).toMatchObject({ phase: 'ended', muted: false })
  })

  it('does not dismiss a call that goes on', () => {
    expect(run(incoming, { type: 'dismiss' }).call?.phase).toBe('ringing')
  })

  it('keeps what went wrong until it is cleared, each once', () => {
    const state = run(incoming, { type: 'warning', name: 'high-jitter' }, { type: 'warning', name: 'high-jitter' })
    expect(state.call?.warnings).toEqual(['high-jitter'])
    expect(reducePhone(state, { type: 'warning_cleared', name: 'high-jitter' }, 1).call?.warnings).toEqual([])
  })

  it('a resumed call keeps the time since its answer', () => {
    const saved = { token: 't', leg: 'CA1', direction: 'in' as const, peer: '+1', line: '', answeredAt: 5, savedAt: 9 }
    expect(run({ type: 'resuming', leg: 'CA1', saved }).call).toMatchObject({
      connectedAt: 5,
      resumed: true,
      reconnecting: 'media',
    })
  })
})
