import type { Stream } from '../desk/reduce.ts'
import type { Registration } from '../phone/reduce.ts'
import type { MicrophoneStatus } from '../audio/status.ts'
import type { Failure } from '../phone/ways.ts'

/** Everything that decides whether this agent can be reached. */
export interface Vitals {
  /** ms since the epoch */
  now: number
  online: boolean
  secure: boolean
  microphone: { status: MicrophoneStatus; since: number }
  registration: Registration
  stream: Stream
  synced: boolean
  /** The call centre's view of this agent's devices; null before the first snapshot. */
  device: { reachable: boolean; count: number } | null
  /** The server announced that it stops. */
  draining: boolean
  inCall: boolean
}

export type ReasonCode =
  | 'browser_unsupported'
  | 'insecure_page'
  | 'network_down'
  | 'microphone_asking'
  | 'microphone_blocked'
  | 'microphone_missing'
  | 'microphone_lost'
  | 'draining'
  | 'token_refused'
  | 'signalling_blocked'
  | 'elsewhere'
  | 'signalling_lost'
  | 'server_disagrees'
  | 'stream_lost'

export interface Reason {
  code: ReasonCode
  /** unavailable: calls do not reach this browser; degraded: they do, but something is wrong. */
  severity: 'unavailable' | 'degraded'
  since: number
  /** The SDK's or the browser's error code, 0 when there is none. */
  error: number
  /** Of a refusal: the ways in that were tried, in order. */
  tried?: readonly Failure[]
}

/** How long a hiccup may last before it is worth a banner (ms). */
const grace = { signalling: 2_000, stream: 4_000, starting: 6_000, disagree: 5_000 }

/**
 * Why calls cannot reach this browser, or null when they can. When several
 * things are wrong, the one that explains the others comes first: a dead
 * network before the socket that it broke.
 */
export function whyUnavailable(v: Vitals): Reason | null {
  const { registration, stream, now } = v
  const unavailable = (code: ReasonCode, since: number, error = 0): Reason => ({
    code,
    severity: 'unavailable',
    since,
    error,
  })
  const degraded = (code: ReasonCode, since: number, error = 0): Reason => ({
    code,
    severity: 'degraded',
    since,
    error,
  })

  if (!v.secure) return unavailable('insecure_page', registration.since)
  if (registration.status === 'unsupported') return unavailable('browser_unsupported', registration.since)

  const signallingDown = registration.status !== 'registered' && registration.status !== 'off'
  const streamDown = stream.status === 'lost' || (stream.status === 'opening' && stream.why !== null)

  if (!v.online && (signallingDown || streamDown))
    return unavailable(
      'network_down',
      Math.min(signallingDown ? registration.since : now, streamDown ? stream.since : now),
    )

  const { microphone } = v
  if (microphone.status === 'blocked') return unavailable('microphone_blocked', microphone.since, 31401)
  if (microphone.status === 'missing') return unavailable('microphone_missing', microphone.since, 31402)
  if (microphone.status === 'lost') return unavailable('microphone_lost', microphone.since, 31402)
  if (microphone.status === 'asking' && now - microphone.since > 1_200)
    return degraded('microphone_asking', microphone.since)

  if (v.draining && (signallingDown || streamDown)) return unavailable('draining', stream.since)

  if (registration.status === 'refused') {
    const { since, code, tried } = registration
    return { ...unavailable('token_refused', since, code), tried }
  }
  if (registration.status === 'blocked') return unavailable('signalling_blocked', registration.since, registration.code)
  if (signallingDown) {
    const limit = registration.status === 'starting' ? grace.starting : grace.signalling
    if (now - registration.since > limit) {
      const error = registration.status === 'lost' ? registration.code : 0
      if (v.synced && v.device?.reachable) return degraded('elsewhere', registration.since, error)
      return unavailable('signalling_lost', registration.since, error)
    }
    return null
  }

  if (streamDown && now - stream.since > grace.stream) return degraded('stream_lost', stream.since)

  // Our socket says registered, the call centre says that it cannot reach us: believe the call centre.
  if (
    registration.status === 'registered' &&
    v.synced &&
    v.device &&
    !v.device.reachable &&
    now - Math.max(registration.since, stream.since) > grace.disagree
  )
    return unavailable('server_disagrees', Math.max(registration.since, stream.since))

  return null
}

/**
 * A reference that an operator can look up: what went wrong, for whom, since
 * when (UTC). It holds no phone number and no token.
 */
export function reference(reason: Reason, identity: string): string {
  const short: Record<ReasonCode, string> = {
    browser_unsupported: 'BRW',
    insecure_page: 'TLS',
    network_down: 'NET',
    microphone_asking: 'MIC',
    microphone_blocked: 'MIC',
    microphone_missing: 'MIC',
    microphone_lost: 'MIC',
    draining: 'DRN',
    token_refused: 'TOK',
    signalling_blocked: 'CRT',
    elsewhere: 'SIG',
    signalling_lost: 'SIG',
    server_disagrees: 'REG',
    stream_lost: 'EVT',
  }
  const at = new Date(reason.since).toISOString()
  const parts = [short[reason.code]]
  if (reason.error) parts.push(String(reason.error))
  if (identity) parts.push(identity)
  parts.push(`${at.slice(5, 10).replace('-', '')}T${at.slice(11, 19).replaceAll(':', '')}Z`)
  return parts.join('-')
}
