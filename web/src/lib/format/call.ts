import type { Call, Party } from '../api/types.ts'

export type ShownKind = 'inbound' | 'outbound' | 'missed' | 'voicemail' | 'internal'

/** What a call is in the list: its outcome where that says more than its direction. */
export function callKind(call: Call): ShownKind {
  if (call.status === 'voicemail') return 'voicemail'
  if (call.direction === 'outbound') return 'outbound'
  if (call.direction === 'internal') return 'internal'
  return call.status === 'completed' ? 'inbound' : 'missed'
}

/** The one at the other end, seen from us. */
export function otherParty(call: Call, ownIdentity = ''): Party {
  if (call.direction === 'inbound') return call.from
  if (call.direction === 'internal' && ownIdentity && call.to.identity === ownIdentity) return call.from
  return call.to
}
