import { describe, expect, it } from 'vitest'
import { microphoneFailure } from '../audio/status.ts'
import { reference, whyUnavailable, type Vitals } from './reason.ts'

const now = 1_000_000
const well: Vitals = {
  now,
  online: true,
  secure: true,
  microphone: { status: 'on', since: 0 },
  registration: { status: 'registered', since: 0, edge: '' },
  stream: { status: 'open', since: 0, why: null },
  synced: true,
  device: { reachable: true, count: 1 },
  draining: false,
  inCall: false,
}
const lost = (ago: number, code = 31005): Vitals['registration'] => ({ status: 'lost', since: now - ago, code })
const streamLost = (ago: number): Vitals['stream'] => ({ status: 'lost', since: now - ago, why: 'network' })
const why = (change: Partial<Vitals>) => whyUnavailable({ ...well, ...change })
const unreachable = { reachable: false, count: 0 }

describe('whyUnavailable', () => {
  it('has nothing to say when all is well', () => expect(why({})).toBeNull())

  it('lets a hiccup pass', () => {
    expect(why({ registration: lost(1_000), device: unreachable })).toBeNull()
    expect(why({ stream: streamLost(3_000), synced: false })).toBeNull()
    expect(why({ registration: { status: 'starting', since: now - 5_000 }, device: unreachable })).toBeNull()
  })

  it('tells a lost connection with its first moment and code', () => {
    expect(why({ registration: lost(8_000), device: unreachable })).toEqual({
      code: 'signalling_lost',
      severity: 'unavailable',
      since: now - 8_000,
      error: 31005,
    })
  })

  it('knows when another device of the agent still rings', () => {
    expect(why({ registration: lost(8_000) })).toMatchObject({ code: 'elsewhere', severity: 'degraded' })
    // Without a live stream nobody knows.
    expect(why({ registration: lost(8_000), synced: false })).toMatchObject({ code: 'signalling_lost' })
  })

  it('names the cause of the others first', () => {
    const everything = { registration: lost(9_000), stream: streamLost(9_000), synced: false }
    expect(why({ ...everything, online: false })?.code).toBe('network_down')
    expect(why({ ...everything, draining: true })?.code).toBe('draining')
    expect(why({ ...everything, microphone: { status: 'blocked', since: 1 } })?.code).toBe('microphone_blocked')
    expect(why({ ...everything, secure: false })?.code).toBe('insecure_page')
  })

  it('does not cry offline while everything still works', () => expect(why({ online: false })).toBeNull())

  it('blocked is told at once, with its code', () => {
    const registration = { status: 'blocked', since: now, code: 31005 } as const
    expect(why({ registration })).toMatchObject({ code: 'signalling_blocked', error: 31005 })
  })

  it('refused is told at once, with its code and every way that was tried', () => {
    const tried = [{ way: 'ticket', code: 20101, at: now } as const]
    const registration = { status: 'refused', since: now, code: 20101, tried } as const
    expect(why({ registration })).toMatchObject({ code: 'token_refused', error: 20101, tried })
  })

  it('a lost stream alone is no unavailability', () => {
    expect(why({ stream: streamLost(5_000), synced: false })).toMatchObject({
      code: 'stream_lost',
      severity: 'degraded',
    })
  })

  it('the stream being opened again after a loss is still lost', () => {
    const stream: Vitals['stream'] = { status: 'opening', since: now - 9_000, why: 'network' }
    expect(why({ stream, synced: false })?.code).toBe('stream_lost')
    expect(why({ stream: { ...stream, why: null }, synced: false })).toBeNull()
  })

  it('believes the call centre when it cannot reach us', () => {
    expect(why({ device: unreachable })?.code).toBe('server_disagrees')
    expect(why({ device: unreachable, registration: { status: 'registered', since: now - 100, edge: '' } })).toBeNull()
  })

  it.each([
    ['NotAllowedError', 'blocked'],
    ['NotFoundError', 'missing'],
    ['OverconstrainedError', 'missing'],
    ['NotReadableError', 'lost'],
  ] as const)('microphone: %s', (name, status) => {
    expect(microphoneFailure(name)).toBe(status)
    expect(why({ microphone: { status, since: now } })?.code).toBe(`microphone_${status}`)
  })

  it('a question of the browser is told only when it stands', () => {
    expect(why({ microphone: { status: 'asking', since: now } })).toBeNull()
    expect(why({ microphone: { status: 'asking', since: now - 2_000 } })?.severity).toBe('degraded')
  })
})

describe('reference', () => {
  it('holds class, code, identity and UTC time', () => {
    const since = Date.parse('2025-11-22T14:03:22Z')
    const reason = { code: 'signalling_lost', severity: 'unavailable', since, error: 31005 } as const
    expect(reference(reason, 'alice')).toBe('SIG-31005-alice-1122T140322Z')
    expect(reference({ ...reason, error: 0 }, '')).toBe('SIG-1122T140322Z')
  })
})
