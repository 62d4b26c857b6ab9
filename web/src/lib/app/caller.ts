import type { Call, Party } from '../api/types.ts'
import { partyOf } from '../format/party.ts'
import type { Console } from './console.svelte.ts'

export interface Caller {
  party: Party
  lineName: string
  lineNumber: string
  /** When the caller began to wait, ms since the epoch; null when nobody told. */
  waitingSince: number | null
  contacts: Call[]
}

/** Who the present call is with, from all that is known: the offer, the activity, and at least the SDK. */
export function callerOf(app: Console): Caller {
  const { call } = app.phone.state
  const { offer, lastOffer, me, lines } = app.desk.state
  const leg = call && call.phase !== 'ended' ? call.leg : (offer?.leg ?? '')
  const known = lastOffer?.leg === leg && leg ? lastOffer : null
  const activity = me?.activity && me.activity.leg === leg ? me.activity : null
  const fromSdk = partyOf(call?.peer ?? '')
  const party = known?.from ?? (activity && !isEmpty(activity.peer) ? activity.peer : fromSdk)
  const line =
    known?.line ??
    lines.find((l) => l.id === activity?.line || (!!call?.line && (l.number === call.line || l.id === call.line)))
  return {
    party: isEmpty(party) ? fromSdk : party,
    lineName: line?.name ?? '',
    lineNumber: line?.number ?? (call?.line?.startsWith('+') ? call.line : ''),
    waitingSince: known ? known.at - known.waited * 1000 : null,
    contacts: known?.contacts ?? [],
  }
}

function isEmpty(party: Party): boolean {
  return !party.number && !party.name && !party.identity
}
