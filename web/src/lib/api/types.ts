/**
 * The shapes of docs/api.md, by hand until they are generated from the
 * OpenAPI document. Times are RFC 3339 in UTC, durations seconds, numbers
 * E.164, ids opaque.
 */

export type Role = 'admin' | 'team_lead' | 'agent'
export type AgentState = 'online' | 'away' | 'transfers_only' | 'offline'
export type CallKind = 'all' | 'inbound' | 'outbound' | 'missed' | 'voicemail'
export type Direction = 'inbound' | 'outbound' | 'internal'

export interface Session {
  user: { id: string; name: string; email: string; role: Role; identity: string }
  csrf: string
  account: { id: string; name: string; time_zone: string }
  demo: boolean
  version: string
}

export interface SignInMethods {
  password: boolean
  passkeys: boolean
  oidc: { id: string; name: string; url: string }[] | null
}

/** What `navigator.credentials.get` is asked for, as JSON, and the ceremony's id. */
export interface PasskeyRequest {
  id: string
  publicKey: PublicKeyCredentialRequestOptionsJSON
}

export interface DeviceToken {
  token: string
  kind: string
  identity: string
  expires_at: string
  /** What the account has open, in the order to try. */
  ways?: string[] | null
}

/** Empty fields are left out; an anonymous caller is `{}`. */
export interface Party {
  number?: string
  name?: string
  identity?: string
  country?: string
}

export interface Activity {
  kind: 'ringing' | 'on_call' | 'wrap_up'
  since: string
  call: string
  leg: string
  direction: Direction
  peer: Party
  line: string
}

export interface Agent {
  id: string
  name: string
  identity: string
  state: AgentState
  state_since: string
  device: { reachable: boolean; since?: string | null; count: number }
  activity?: Activity | null
}

export interface Line {
  id: string
  number: string
  name: string
  agents_online: number
  agents_reachable: number
  waiting: number
}

export type CallStatus = 'completed' | 'not_answered' | 'voicemail' | 'abandoned' | 'failed'

export interface CallLeg {
  leg: string
  party: Party
  agent?: string
  started_at?: string | null
  ringing_at?: string | null
  answered_at?: string | null
  ended_at?: string | null
  status: string
  cause?: string
  quality?: LegQuality | null
}

/** What went through a leg; the far_ ones are what the party's own side reported. */
export interface LegQuality {
  codec?: string
  packets_in?: number
  lost?: number
  longest_gap?: number
  jitter_ms?: number
  rtt_ms?: number
  mos?: number
  far_lost?: number
  far_mos?: number
}

export interface Call {
  id: string
  direction: Direction
  from: Party
  to: Party
  line?: string
  agent?: string
  status: CallStatus
  cause?: string
  offered_at?: string | null
  answered_at?: string | null
  ended_at?: string | null
  talked?: number
  held?: number
  voicemail?: string
  legs?: CallLeg[] | null
}

export interface Missed {
  id: string
  call: string
  line: string
  from: Party
  at: string
  why: 'missed' | 'declined' | 'unreachable'
}

export interface Voicemail {
  id: string
  call: string
  line: string
  from: Party
  at: string
  duration: number
  heard: boolean
  heard_by?: string
}

export interface Warning {
  code: string
  severity: string
  text: string
  since: string
  subject?: string
}

export interface Snapshot {
  me: Agent
  lines: Line[]
  agents: Agent[]
  missed: Missed[]
  voicemails_unheard: number
  warnings?: Warning[] | null
}

/** An offer: the SDK's `incoming` with `CallSid` = `leg` belongs to it. */
export interface Ringing {
  leg: string
  call: string
  line: Line
  from: Party
  waited: number
  contacts?: Call[] | null
}

export interface Held {
  call: string
  leg: string
  on: boolean
}

export type ByeReason = 'signed_out' | 'shutdown' | 'too_slow'

/** What the event stream says, by event name. */
export type StreamEvent =
  | { type: 'snapshot'; data: Snapshot }
  | { type: 'agent'; data: Agent }
  | { type: 'line'; data: Line }
  | { type: 'ringing'; data: Ringing }
  | { type: 'held'; data: Held }
  | { type: 'missed'; data: Missed }
  | { type: 'voicemail'; data: Voicemail }
  | { type: 'call'; data: Call }
  | { type: 'warnings'; data: Warning[] }
  | { type: 'bye'; data: { reason: ByeReason } }

export const streamEventTypes: ReadonlySet<string> = new Set([
  'snapshot',
  'agent',
  'line',
  'ringing',
  'held',
  'missed',
  'voicemail',
  'call',
  'warnings',
  'bye',
])
