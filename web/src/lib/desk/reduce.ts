import type * as api from '../api/types.ts'

/** The offer that rings at this agent now, as the call centre told it. */
export interface Offer extends api.Ringing {
  /** When it was heard of, ms since the epoch; `waited` counts from here. */
  at: number
}

export type StreamStatus = 'off' | 'opening' | 'open' | 'lost'

export interface Stream {
  status: StreamStatus
  /** Since when it has this status, ms since the epoch. */
  since: number
  why: 'network' | 'refused' | 'shutdown' | 'too_slow' | 'silent' | null
}

/** What the call centre knows, as far as this agent may see it. */
export interface DeskState {
  stream: Stream
  /** A snapshot has come since the stream was last opened. */
  synced: boolean
  me: api.Agent | null
  lines: api.Line[]
  agents: api.Agent[]
  missed: api.Missed[]
  unheard: number
  warnings: api.Warning[]
  offer: Offer | null
  /** The latest offer, kept after it was answered: who it is, and what was last said. */
  lastOffer: Offer | null
  /** Which legs the server says are on hold. */
  held: Record<string, boolean>
}

export function emptyDesk(): DeskState {
  return {
    stream: { status: 'off', since: 0, why: null },
    synced: false,
    me: null,
    lines: [],
    agents: [],
    missed: [],
    unheard: 0,
    warnings: [],
    offer: null,
    lastOffer: null,
    held: {},
  }
}

export type DeskInput =
  | { type: 'stream'; status: StreamStatus; why?: Stream['why'] }
  | { type: 'event'; event: api.StreamEvent }
  | { type: 'me'; agent: api.Agent }
  | { type: 'seen'; missed: string }
  | { type: 'heard'; delta: number }
  | { type: 'offer_gone'; leg: string }

/** What the desk is after `input`. Pure: `now` is ms since the epoch. */
export function reduceDesk(state: DeskState, input: DeskInput, now: number): DeskState {
  switch (input.type) {
    case 'stream': {
      const why = input.why ?? (input.status === 'opening' ? state.stream.why : null)
      // Lost, tried again and lost again is one loss, since its first moment.
      const since = input.status === state.stream.status ? state.stream.since : now
      return {
        ...state,
        stream: { status: input.status, since, why },
        synced: input.status === 'open' ? state.synced : false,
      }
    }
    case 'me':
      return withAgent(state, input.agent)
    case 'seen':
      return { ...state, missed: state.missed.filter((m) => m.id !== input.missed) }
    case 'heard':
      return { ...state, unheard: Math.max(0, state.unheard + input.delta) }
    case 'offer_gone':
      return state.offer?.leg === input.leg ? { ...state, offer: null } : state
    case 'event':
      return reduceEvent(state, input.event, now)
  }
}

function reduceEvent(state: DeskState, event: api.StreamEvent, now: number): DeskState {
  switch (event.type) {
    case 'snapshot': {
      const { me, lines, agents, missed, voicemails_unheard, warnings } = event.data
      const ringing = me.activity?.kind === 'ringing' ? me.activity.leg : null
      return {
        ...state,
        synced: true,
        me,
        lines: lines ?? [],
        agents: agents ?? [],
        missed: newestFirst(missed ?? []),
        unheard: voicemails_unheard,
        warnings: warnings ?? [],
        offer: state.offer && state.offer.leg === ringing ? state.offer : null,
      }
    }
    case 'agent':
      return withAgent(state, event.data)
    case 'line':
      return { ...state, lines: upsert(state.lines, event.data) }
    case 'ringing': {
      const offer = { ...event.data, at: now }
      return { ...state, offer, lastOffer: offer }
    }
    case 'held':
      return { ...state, held: { ...state.held, [event.data.leg]: event.data.on } }
    case 'missed': {
      const missed = newestFirst(upsert(state.missed, event.data))
      return { ...state, missed, offer: state.offer?.call === event.data.call ? null : state.offer }
    }
    case 'voicemail':
      return { ...state, unheard: event.data.heard ? state.unheard : state.unheard + 1 }
    case 'call': {
      const legs = new Set((event.data.legs ?? []).map((l) => l.leg))
      const held = Object.fromEntries(Object.entries(state.held).filter(([leg]) => !legs.has(leg)))
      return { ...state, held, offer: state.offer?.call === event.data.id ? null : state.offer }
    }
    case 'warnings':
      return { ...state, warnings: event.data ?? [] }
    case 'bye':
      return state
  }
}

function withAgent(state: DeskState, agent: api.Agent): DeskState {
  const agents = upsert(state.agents, agent)
  if (state.me && agent.id !== state.me.id) return { ...state, agents }
  const ringsAt = agent.activity?.kind === 'ringing' ? agent.activity.leg : null
  const offer = state.offer && state.offer.leg === ringsAt ? state.offer : null
  return { ...state, agents, me: agent, offer }
}

function upsert<T extends { id: string }>(list: T[], item: T): T[] {
  const at = list.findIndex((other) => other.id === item.id)
  return at < 0 ? [...list, item] : list.with(at, item)
}

function newestFirst(missed: api.Missed[]): api.Missed[] {
  return missed.toSorted((a, b) => Date.parse(b.at) - Date.parse(a.at))
}
