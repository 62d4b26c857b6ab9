import type { EndedBy, PhoneEvent, Sample } from './adapter.ts'
import type { Failure, Way } from './ways.ts'

export type Registration =
  | { status: 'off'; since: number }
  | { status: 'starting'; since: number }
  | { status: 'registered'; since: number; edge: string }
  | { status: 'lost'; since: number; code: number }
  | { status: 'refused'; since: number; code: number; tried: readonly Failure[] }
  | { status: 'blocked'; since: number; code: number }
  | { status: 'unsupported'; since: number }

export type CallPhase =
  | 'ringing' // somebody calls us
  | 'answering' // we said yes, media is being set up
  | 'dialing' // we call, nothing heard of the far end yet
  | 'alerting' // the far end rings
  | 'connected'
  | 'ended' // shown for a moment, so that one sees how it ended

export interface LiveCall {
  /** The CallSid; '' until the server has named an outgoing call. */
  leg: string
  direction: 'in' | 'out'
  phase: CallPhase
  /** What the SDK knows of the far end: E.164, `client:name`, or ''. */
  peer: string
  /** The number of our line, '' when unknown. */
  line: string
  startedAt: number
  connectedAt: number | null
  endedAt: number | null
  muted: boolean
  earlyMedia: boolean
  verified: boolean | null
  reconnecting: 'signalling' | 'media' | null
  warnings: string[]
  sample: Sample | null
  digits: string
  resumed: boolean
  end: { by: EndedBy; code: number } | null
}

export interface PhoneState {
  registration: Registration
  /** How the device came in the last time. */
  way: { by: Way; avoided: readonly Failure[] } | null
  call: LiveCall | null
}

export function idlePhone(): PhoneState {
  return { registration: { status: 'off', since: 0 }, way: null, call: null }
}

export type PhoneInput = PhoneEvent | { type: 'digits'; digits: string } | { type: 'dismiss' }

/** Whether a call is going on (ringing and dialling included). */
export function isLive(call: LiveCall | null): call is LiveCall {
  return call !== null && call.phase !== 'ended'
}

/** What the phone is after `input`. Pure: `now` is ms since the epoch. */
export function reducePhone(state: PhoneState, input: PhoneInput, now: number): PhoneState {
  const { call } = state
  switch (input.type) {
    case 'registering':
      // Trying again after a loss is still that loss until it succeeded.
      if (state.registration.status !== 'off' && state.registration.status !== 'registered') return state
      return { ...state, registration: { status: 'starting', since: now } }
    case 'registered': {
      const since = state.registration.status === 'registered' ? state.registration.since : now
      return { ...state, registration: { status: 'registered', since, edge: input.edge } }
    }
    case 'lost':
    case 'refused':
    case 'blocked': {
      const { registration } = state
      const troubled = registration.status !== 'registered' && registration.status !== 'off'
      // A loss during which a token was refused is a refusal, but since the loss began.
      if (input.type === 'lost' && (registration.status === 'refused' || registration.status === 'blocked'))
        return state
      const since = troubled ? registration.since : now
      const { code } = input
      if (input.type === 'refused')
        return { ...state, registration: { status: 'refused', since, code, tried: input.tried } }
      return { ...state, registration: { status: input.type, since, code } }
    }
    case 'way':
      return { ...state, way: { by: input.by, avoided: input.avoided } }
    case 'unsupported':
      return { ...state, registration: { status: 'unsupported', since: now } }
    case 'stopped':
      return { ...state, registration: { status: 'off', since: now }, way: null }

    case 'incoming':
      return {
        ...state,
        call: {
          ...newCall('in', 'ringing', now),
          leg: input.leg,
          peer: input.from,
          line: input.to,
          verified: input.verified,
        },
      }
    case 'dialing':
      return { ...state, call: { ...newCall('out', 'dialing', now), peer: input.to, line: input.from } }
    case 'resuming':
      return {
        ...state,
        call: {
          ...newCall(input.saved.direction, 'connected', now),
          leg: input.leg,
          peer: input.saved.peer,
          line: input.saved.line,
          startedAt: input.saved.answeredAt,
          connectedAt: input.saved.answeredAt,
          reconnecting: 'media',
          resumed: true,
        },
      }
    case 'dismiss':
      return call?.phase === 'ended' ? { ...state, call: null } : state
  }

  if (!isLive(call)) return state
  const live = (change: Partial<LiveCall>): PhoneState => ({ ...state, call: { ...call, ...change } })
  switch (input.type) {
    case 'leg':
      return live({ leg: input.leg })
    case 'accepting':
      return call.phase === 'ringing' ? live({ phase: 'answering' }) : state
    case 'ringing':
      return call.phase === 'dialing' || call.phase === 'alerting'
        ? live({ phase: 'alerting', earlyMedia: call.earlyMedia || input.earlyMedia })
        : state
    case 'connected':
      return live({
        phase: 'connected',
        leg: input.leg || call.leg,
        connectedAt: call.connectedAt ?? now,
        reconnecting: null,
      })
    case 'reconnecting':
      return live({ reconnecting: input.what })
    case 'reconnected':
      return live({ reconnecting: null })
    case 'muted':
      return live({ muted: input.on })
    case 'warning':
      return call.warnings.includes(input.name) ? state : live({ warnings: [...call.warnings, input.name] })
    case 'warning_cleared':
      return live({ warnings: call.warnings.filter((name) => name !== input.name) })
    case 'sample':
      return live({ sample: input.sample })
    case 'digits':
      return live({ digits: (call.digits + input.digits).slice(-32) })
    case 'ended':
      return live({ phase: 'ended', endedAt: now, end: { by: input.by, code: input.code }, reconnecting: null })
    case 'volume':
      return state
  }
}

function newCall(direction: 'in' | 'out', phase: CallPhase, now: number): LiveCall {
  return {
    leg: '',
    direction,
    phase,
    peer: '',
    line: '',
    startedAt: now,
    connectedAt: null,
    endedAt: null,
    muted: false,
    earlyMedia: false,
    verified: null,
    reconnecting: null,
    warnings: [],
    sample: null,
    digits: '',
    resumed: false,
    end: null,
  }
}
