import { describe, expect, it } from 'vitest'
import type * as api from '../api/types.ts'
import { emptyDesk, reduceDesk, type DeskInput } from './reduce.ts'

const now = 1_000_000
const alice: api.Agent = {
  id: 'a1',
  name: 'Alice',
  identity: 'alice',
  state: 'online',
  state_since: '2025-01-01T00:00:00Z',
  device: { reachable: true, count: 1 },
  activity: null,
}
const line: api.Line = {
  id: 'l1',
  number: '+15550199',
  name: 'Main',
  agents_online: 1,
  agents_reachable: 1,
  waiting: 0,
}
const ringing = (leg: string): api.Agent => ({
  ...alice,
  activity: { kind: 'ringing', since: '', call: 'c1', leg, direction: 'inbound', peer: {}, line: 'l1' },
})
const missed = (id: string, at: string): api.Missed => ({ id, call: 'c1', line: 'l1', from: {}, at, why: 'missed' })

const snapshot: DeskInput = {
  type: 'event',
  event: { type: 'snapshot', data: { me: alice, lines: [line], agents: [alice], missed: [], voicemails_unheard: 2 } },
}
const offer: DeskInput = {
  type: 'event',
  event: { type: 'ringing', data: { leg: 'CA1', call: 'c1', line, from: {}, waited: 3 } },
}
const run = (...inputs: DeskInput[]) => inputs.reduce((state, input) => reduceDesk(state, input, now), emptyDesk())
const agent = (data: api.Agent): DeskInput => ({ type: 'event', event: { type: 'agent', data } })

describe('reduceDesk', () => {
  it('takes a snapshot as the whole truth', () => {
    const state = run(snapshot)
    expect(state).toMatchObject({ synced: true, me: alice, unheard: 2, lines: [line], warnings: [] })
  })

  it('keeps an offer while the agent rings with it and drops it afterwards', () => {
    expect(run(snapshot, offer, agent(ringing('CA1'))).offer?.leg).toBe('CA1')
    expect(run(snapshot, offer, agent(ringing('CA1')), agent(alice)).offer).toBeNull()
    expect(run(snapshot, offer, agent(ringing('CA2'))).offer).toBeNull()
  })

  it("does not drop an offer because of another agent's change", () => {
    expect(run(snapshot, offer, agent({ ...alice, id: 'b', name: 'Bob' })).offer?.leg).toBe('CA1')
  })

  it('drops an offer that became a missed call or ended', () => {
    expect(run(snapshot, offer, { type: 'event', event: { type: 'missed', data: missed('m', '') } }).offer).toBeNull()
    const ended = { id: 'c1', direction: 'inbound', from: {}, to: {}, status: 'abandoned' } as api.Call
    expect(run(snapshot, offer, { type: 'event', event: { type: 'call', data: ended } }).offer).toBeNull()
  })

  it('lists missed calls newest first and once', () => {
    const old = missed('m1', '2025-01-01T10:00:00Z')
    const young = missed('m2', '2025-01-01T11:00:00Z')
    const add = (data: api.Missed): DeskInput => ({ type: 'event', event: { type: 'missed', data } })
    expect(run(snapshot, add(old), add(young), add(old)).missed.map((m) => m.id)).toEqual(['m2', 'm1'])
    expect(run(snapshot, add(old), { type: 'seen', missed: 'm1' }).missed).toEqual([])
  })

  it('counts unheard voicemails, never below zero', () => {
    const voicemail = { id: 'v', call: 'c', line: 'l1', from: {}, at: '', duration: 3, heard: false }
    expect(run(snapshot, { type: 'event', event: { type: 'voicemail', data: voicemail } }).unheard).toBe(3)
    expect(run(snapshot, { type: 'heard', delta: -5 }).unheard).toBe(0)
  })

  it('is unsynced as soon as the stream is lost, and one loss keeps its first moment', () => {
    let state = run(snapshot)
    state = reduceDesk(state, { type: 'stream', status: 'lost', why: 'silent' }, 5)
    state = reduceDesk(state, { type: 'stream', status: 'lost', why: 'network' }, 9)
    expect(state.synced).toBe(false)
    expect(state.stream).toEqual({ status: 'lost', since: 5, why: 'network' })
    expect(state.me).toEqual(alice)
  })

  it('forgets the hold of a leg whose call ended', () => {
    const held: DeskInput = { type: 'event', event: { type: 'held', data: { call: 'c1', leg: 'CA1', on: true } } }
    const ended = { id: 'c1', direction: 'inbound', from: {}, to: {}, status: 'completed', legs: [{ leg: 'CA1' }] }
    expect(run(snapshot, held).held).toEqual({ CA1: true })
    expect(run(snapshot, held, { type: 'event', event: { type: 'call', data: ended as api.Call } }).held).toEqual({})
  })
})
