import type { Agent } from '../api/types.ts'
import type { Reason } from '../health/reason.ts'
import type { PhoneState } from '../phone/reduce.ts'

export type OwnStatusKind =
  | 'connecting'
  | 'unreachable'
  | 'available'
  | 'ringing'
  | 'dialling'
  | 'on_call'
  | 'wrap_up'
  | 'away'
  | 'transfers_only'
  | 'offline'

export type Tone = 'good' | 'busy' | 'warn' | 'bad' | 'quiet'

export interface OwnStatus {
  kind: OwnStatusKind
  tone: Tone
  /** ms since the epoch, or null when no time is worth showing. */
  since: number | null
}

/**
 * The agent's own state as the header says it. What the phone does comes
 * before what was chosen, and "cannot be reached" before "available": an
 * agent whose device is away is not available, whatever the state says.
 */
export function ownStatus(me: Agent | null, phone: PhoneState, reason: Reason | null): OwnStatus {
  const { call } = phone
  if (call && call.phase !== 'ended') {
    if (call.phase === 'ringing') return { kind: 'ringing', tone: 'busy', since: null }
    if (call.phase === 'connected') return { kind: 'on_call', tone: 'busy', since: call.connectedAt }
    return { kind: 'dialling', tone: 'busy', since: null }
  }
  if (!me) return { kind: 'connecting', tone: 'quiet', since: null }
  if (me.activity?.kind === 'ringing') return { kind: 'ringing', tone: 'busy', since: null }
  // On a call on another of the agent's devices.
  if (me.activity?.kind === 'on_call') return { kind: 'on_call', tone: 'busy', since: ms(me.activity.since) }
  if (me.activity?.kind === 'wrap_up') return { kind: 'wrap_up', tone: 'warn', since: ms(me.activity.since) }
  const since = ms(me.state_since)
  switch (me.state) {
    case 'offline':
      return { kind: 'offline', tone: 'quiet', since }
    case 'away':
      return { kind: 'away', tone: 'warn', since }
    case 'transfers_only':
    case 'online':
      if (reason?.severity === 'unavailable') return { kind: 'unreachable', tone: 'bad', since: reason.since }
      if (phone.registration.status === 'starting') return { kind: 'connecting', tone: 'quiet', since: null }
      return me.state === 'online'
        ? { kind: 'available', tone: 'good', since }
        : { kind: 'transfers_only', tone: 'warn', since }
  }
}

function ms(at: string): number | null {
  const value = Date.parse(at)
  return Number.isFinite(value) ? value : null
}
