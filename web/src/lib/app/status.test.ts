import { describe, expect, it } from 'vitest'
import type { Activity, Agent } from '../api/types.ts'
import { idlePhone, reducePhone, type PhoneInput } from '../phone/reduce.ts'
import { ownStatus } from './status.ts'

const alice: Agent = {
  id: 'a',
  name: 'Alice',
  identity: 'alice',
  state: 'online',
  state_since: '1970-01-01T00:00:10Z',
  device: { reachable: true, count: 1 },
}
const activity = (kind: Activity['kind']): Agent => ({
  ...alice,
  activity: { kind, since: '1970-01-01T00:00:20Z', call: 'c', leg: 'CA', direction: 'inbound', peer: {}, line: 'l' },
})
const after = (...inputs: PhoneInput[]) =>
  inputs.reduce((s, i) => reducePhone(s, i, 5_000), reducePhone(idlePhone(), { type: 'registered', edge: '' }, 0))
const unreachable = { code: 'signalling_lost', severity: 'unavailable', since: 7_000, error: 31005 } as const
const incoming: PhoneInput = { type: 'incoming', leg: 'CA', from: '', to: '', verified: null }

describe('ownStatus', () => {
  it('says what was chosen, and since when', () => {
    expect(ownStatus(alice, after(), null)).toEqual({ kind: 'available', tone: 'good', since: 10_000 })
    expect(ownStatus({ ...alice, state: 'away' }, after(), null).kind).toBe('away')
    expect(ownStatus({ ...alice, state: 'offline' }, after(), null).kind).toBe('offline')
    expect(ownStatus({ ...alice, state: 'transfers_only' }, after(), null).kind).toBe('transfers_only')
  })
  it('nobody is available who cannot be reached', () => {
    expect(ownStatus(alice, after(), unreachable)).toEqual({ kind: 'unreachable', tone: 'bad', since: 7_000 })
    expect(ownStatus({ ...alice, state: 'transfers_only' }, after(), unreachable).kind).toBe('unreachable')
    expect(ownStatus({ ...alice, state: 'offline' }, after(), unreachable).kind).toBe('offline')
  })
  it('a degraded console is still available', () =>
    expect(ownStatus(alice, after(), { ...unreachable, severity: 'degraded' }).kind).toBe('available'))
  it('a call comes before everything', () => {
    expect(ownStatus(alice, after(incoming), unreachable).kind).toBe('ringing')
    expect(ownStatus(alice, after(incoming, { type: 'connected', leg: '' }), unreachable)).toMatchObject({
      kind: 'on_call',
      since: 5_000,
    })
    expect(ownStatus(alice, after({ type: 'dialing', to: '', from: '' }), null).kind).toBe('dialling')
  })
  it('shows the call that another device of ours has', () => {
    expect(ownStatus(activity('on_call'), after(), null)).toMatchObject({ kind: 'on_call', since: 20_000 })
    expect(ownStatus(activity('wrap_up'), after(), null).kind).toBe('wrap_up')
  })
  it('is connecting until the first word', () => expect(ownStatus(null, after(), null).kind).toBe('connecting'))
})
