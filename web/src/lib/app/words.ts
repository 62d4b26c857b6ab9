import type { Call, LegQuality } from '../api/types.ts'
import { clock } from '../format/time.ts'
import type { Reason } from '../health/reason.ts'
import { m } from '../paraglide/messages.js'
import { endWord, isTrouble, type EndWord } from '../phone/end.ts'
import type { LiveCall } from '../phone/reduce.ts'
import type { Failure, Way } from '../phone/ways.ts'
import type { Quality } from '../phone/quality.ts'
import type { OwnStatusKind } from './status.ts'

export function statusWord(kind: OwnStatusKind): string {
  const words: Record<OwnStatusKind, () => string> = {
    connecting: m.status_connecting,
    unreachable: m.status_unreachable,
    available: m.status_available,
    ringing: m.status_ringing,
    dialling: m.status_dialling,
    on_call: m.status_on_call,
    wrap_up: m.status_wrap_up,
    away: m.status_away,
    transfers_only: m.status_transfers_only,
    offline: m.status_offline,
  }
  return words[kind]()
}

export interface BannerWords {
  title: string
  /** What is being done about it. */
  doing: string
  /** What the agent can do. */
  advice: string
}

/** The banner's sentences for a reason that has stood for `since` (already in words). */
export function bannerWords(reason: Reason, since: string, inCall: boolean): BannerWords {
  const code = String(reason.error)
  const goesOn = inCall ? `${m.banner_call_goes_on()} ` : ''
  switch (reason.code) {
    case 'browser_unsupported':
      return { title: m.banner_browser(), doing: '', advice: m.banner_browser_advice() }
    case 'insecure_page':
      return { title: m.banner_insecure(), doing: '', advice: m.banner_insecure_advice() }
    case 'network_down':
      return {
        title: m.banner_network({ since }),
        doing: m.banner_network_doing(),
        advice: goesOn + m.banner_network_advice(),
      }
    case 'microphone_asking':
      return { title: m.banner_mic_asking(), doing: '', advice: m.banner_mic_asking_advice() }
    case 'microphone_blocked':
      return { title: m.banner_mic_blocked(), doing: '', advice: m.banner_mic_blocked_advice() }
    case 'microphone_missing':
      return { title: m.banner_mic_missing(), doing: m.banner_mic_doing(), advice: m.banner_mic_missing_advice() }
    case 'microphone_lost':
      return { title: m.banner_mic_lost({ since }), doing: m.banner_mic_doing(), advice: m.banner_mic_lost_advice() }
    case 'draining':
      return {
        title: m.banner_draining(),
        doing: m.banner_draining_doing(),
        advice: goesOn + m.banner_draining_advice(),
      }
    case 'token_refused':
      return {
        title: reason.error ? m.banner_token({ code }) : m.banner_token_none(),
        doing: reason.tried?.length ? m.banner_token_tried({ ways: triedText(reason.tried) }) : m.banner_token_doing(),
        advice: goesOn + m.banner_token_advice(),
      }
    case 'signalling_blocked':
      return {
        title: m.banner_blocked({ host: location.host }),
        doing: m.banner_blocked_doing(),
        advice: m.banner_blocked_advice(),
      }
    case 'elsewhere':
      return { title: m.banner_elsewhere(), doing: m.banner_signal_doing(), advice: m.banner_elsewhere_advice() }
    case 'signalling_lost':
      return {
        title: m.banner_signal({ since }),
        doing: m.banner_signal_doing(),
        advice: goesOn + m.banner_signal_advice(),
      }
    case 'server_disagrees':
      return {
        title: m.banner_disagree({ since }),
        doing: m.banner_disagree_doing(),
        advice: m.banner_disagree_advice(),
      }
    case 'stream_lost':
      return { title: m.banner_stream({ since }), doing: m.banner_stream_doing(), advice: m.banner_stream_advice() }
  }
}

function triedText(tried: readonly Failure[]): string {
  const words: Record<Way, (input: { result: string }) => string> = {
    ticket: m.banner_token_tried_ticket,
    access: m.banner_token_tried_access,
  }
  return tried
    .map(({ way, code }) => words[way]({ result: code ? m.banner_token_error({ code }) : m.banner_token_not_had() }))
    .join(', ')
}

/** How the phone came in, in a calm sentence; `time` puts a moment into words. */
export function wayText(way: { by: Way; avoided: readonly Failure[] }, time: (at: number) => string): string {
  const by = way.by === 'ticket' ? m.way_by_ticket() : m.way_by_access()
  const failed = way.avoided.find((f) => f.way === 'ticket')
  return failed ? `${by} ${m.way_tickets_failed({ time: time(failed.at) })}` : by
}

const endWords: Record<EndWord, () => string> = {
  ended: m.end_ended,
  they_hung_up: m.end_they_hung_up,
  you_hung_up: m.end_you_hung_up,
  caller_gave_up: m.end_caller_gave_up,
  answered_elsewhere: m.end_answered_elsewhere,
  declined: m.end_declined,
  busy: m.end_busy,
  no_answer: m.end_no_answer,
  refused: m.end_refused,
  not_found: m.end_not_found,
  not_allowed: m.end_not_allowed,
  carrier: m.end_carrier,
  microphone: m.end_microphone,
  media: m.end_media,
  connection: m.end_connection,
  overload: m.end_overload,
  cancelled: m.end_cancelled,
}

function wordOf(call: LiveCall): EndWord {
  if (!call.end) return 'ended'
  return endWord(call.end.by, call.end.code, call.connectedAt !== null)
}

/** How a call ended, in a sentence. `elsewhere`: the agent talks on another device now. */
export function endText(call: LiveCall, elsewhere = false): string {
  // To the SDK a call that another device answered is one that was cancelled.
  if (elsewhere && call.end?.by === 'cancelled') return m.end_answered_elsewhere()
  return endWords[wordOf(call)]()
}

export function endIsTrouble(call: LiveCall): boolean {
  return isTrouble(wordOf(call))
}

/** How long it lasted; '' when it was never answered. */
export function endDuration(call: LiveCall): string {
  return call.connectedAt && call.endedAt ? clock((call.endedAt - call.connectedAt) / 1000) : ''
}

export function qualityText(quality: Quality): string {
  if (quality.grade === 'unknown') return m.quality_unknown()
  switch (quality.cause) {
    case 'none':
      return m.quality_good()
    case 'loss':
      return quality.grade === 'poor' ? m.quality_loss_poor() : m.quality_loss()
    case 'jitter':
      return m.quality_jitter()
    case 'delay':
      return m.quality_delay()
    case 'silence_in':
      return m.quality_silence_in()
    case 'silence_out':
      return m.quality_silence_out()
    case 'microphone_flat':
      return m.quality_microphone()
    case 'low_score':
      return m.quality_low_score()
    case 'connection':
      return m.quality_connection()
  }
}

/** How a leg of the history sounded, the codec and its losses first; empty without audio. */
export function legQualityText(q: LegQuality): string[] {
  if (!q.codec) return []
  const text = [m.detail_quality_value({ codec: q.codec, lost: q.lost ?? 0 })]
  if (q.mos) text.push(m.detail_quality_mos({ score: q.mos.toFixed(1) }))
  if (q.far_mos) text.push(m.detail_quality_far_mos({ score: q.far_mos.toFixed(1) }))
  if (q.mos) text.push(m.detail_quality_jitter({ ms: Math.round(q.jitter_ms ?? 0) }))
  if (q.rtt_ms) text.push(m.detail_quality_trip({ ms: Math.round(q.rtt_ms) }))
  return text
}

/** What became of a call of the history. */
export function callOutcome(call: Call): { text: string; tone: 'good' | 'bad' | 'quiet' } {
  switch (call.status) {
    case 'completed':
      return { text: call.talked ? clock(call.talked) : m.outcome_completed(), tone: 'quiet' }
    case 'voicemail':
      return { text: m.outcome_voicemail(), tone: 'quiet' }
    case 'abandoned':
      return { text: m.outcome_abandoned(), tone: 'bad' }
    case 'failed':
      return { text: causeText(call.cause) || m.outcome_failed(), tone: 'bad' }
    case 'not_answered':
      return call.direction === 'inbound'
        ? { text: m.outcome_missed(), tone: 'bad' }
        : { text: causeText(call.cause) || m.outcome_not_answered(), tone: 'quiet' }
    default:
      return { text: '', tone: 'quiet' }
  }
}

/** An end cause of the platform's vocabulary, in words; '' for the ones that say nothing more. */
export function causeText(cause: string | undefined): string {
  const words: Record<string, () => string> = {
    busy: m.cause_busy,
    declined: m.cause_declined,
    no_answer: m.cause_no_answer,
    cancelled: m.cause_cancelled,
    unreachable: m.cause_unreachable,
    not_found: m.cause_not_found,
    forbidden: m.cause_forbidden,
    carrier_error: m.cause_carrier_error,
    carrier_down: m.cause_carrier_down,
    no_codec: m.cause_no_codec,
    media_failed: m.cause_media_failed,
    media_lost: m.cause_media_lost,
    signal_lost: m.cause_signal_lost,
    time_limit: m.cause_time_limit,
    overload: m.cause_overload,
    shutdown: m.cause_shutdown,
    replaced: m.cause_replaced,
    failed: m.cause_failed,
  }
  return (cause && words[cause]?.()) || ''
}
