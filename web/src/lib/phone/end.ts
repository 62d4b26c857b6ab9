import type { EndedBy } from './adapter.ts'

/** How a call ended, in the words of the catalogue's keys. */
export type EndWord =
  | 'ended'
  | 'they_hung_up'
  | 'you_hung_up'
  | 'caller_gave_up'
  | 'answered_elsewhere'
  | 'declined'
  | 'busy'
  | 'no_answer'
  | 'refused'
  | 'not_found'
  | 'not_allowed'
  | 'carrier'
  | 'microphone'
  | 'media'
  | 'connection'
  | 'overload'
  | 'cancelled'

const byCode: Record<number, EndWord> = {
  31486: 'busy',
  31480: 'no_answer',
  31487: 'no_answer',
  31408: 'no_answer',
  31603: 'refused',
  31404: 'not_found',
  21218: 'not_found',
  13224: 'not_found',
  31403: 'not_allowed',
  20403: 'not_allowed',
  13214: 'not_allowed',
  31201: 'not_allowed',
  31401: 'microphone',
  31402: 'microphone',
  31208: 'microphone',
  31003: 'media',
  53400: 'media',
  53402: 'media',
  53405: 'media',
  31500: 'carrier',
  31000: 'carrier',
  31002: 'carrier',
  31005: 'connection',
  31009: 'connection',
  53000: 'connection',
  53001: 'connection',
  31206: 'overload',
  31429: 'overload',
}

/** The word for an end; `wasConnected` tells a hang-up from a call given up before it was answered. */
export function endWord(by: EndedBy, code: number, wasConnected: boolean): EndWord {
  if (code && byCode[code]) return byCode[code]
  switch (by) {
    case 'us':
      return wasConnected ? 'you_hung_up' : 'cancelled'
    case 'them':
      return wasConnected ? 'they_hung_up' : 'no_answer'
    case 'cancelled':
      return 'caller_gave_up'
    case 'declined':
      return 'declined'
    case 'elsewhere':
      return 'answered_elsewhere'
    case 'error':
      return 'connection'
  }
}

/** Whether an end needs the agent's attention rather than being the usual course. */
export function isTrouble(word: EndWord): boolean {
  return ['not_found', 'not_allowed', 'carrier', 'microphone', 'media', 'connection', 'overload'].includes(word)
}

/** SDK errors that mean "this token will not do": a new one may. */
export function isTokenRefusal(code: number): boolean {
  return [
    20101, 20102, 20103, 20104, 20105, 20106, 20107, 20151, 20157, 31201, 31202, 31203, 31204, 31205, 31207,
  ].includes(code)
}
