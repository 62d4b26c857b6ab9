/**
 * Which kind of token the phone shows the server, and what it does when one is
 * refused. Pure: the adapter asks, tells what came of it, and keeps the state.
 *
 * A round begins with the wish for a token and ends when the server has let the
 * device in, or when every way has failed once. Within a round no way is tried
 * twice and nothing waits; only between rounds is there a back-off.
 */

export type Way = 'ticket' | 'access'

/** Best first: a ticket cannot be mis-read, an access token needs no store. */
export const wayOrder: readonly Way[] = ['ticket', 'access']

/** How long a way that failed is not the first choice (ms). */
export const rememberFor = 5 * 60_000

export interface Failure {
  way: Way
  /** The SDK's error code; 0: the token could not be had. */
  code: number
  /** ms since the epoch */
  at: number
}

export interface Ways {
  /** What the account has open, as the server last said. */
  open: readonly Way[]
  /** The last failure of each way that has not worked since. */
  failures: readonly Failure[]
  /** What failed in this round, in order. */
  tried: readonly Failure[]
  /** Whose token the server sees now. */
  shown: Way | null
  /** How the device came in; null while it is out. */
  by: Way | null
  /** Fresh tokens in a row that were refused as used or expired. */
  stale: number
}

export function noWays(): Ways {
  return { open: wayOrder, failures: [], tried: [], shown: null, by: null, stale: 0 }
}

export function isWay(kind: string): kind is Way {
  return (wayOrder as readonly string[]).includes(kind)
}

/** The SDK's codes for a token that was good once: used tickets and expired tokens. */
export function isStale(code: number): boolean {
  return code === 20104 || code === 31205
}

/**
 * The way to try now; null when all have failed in this round. Ways that failed
 * lately come after the others, closed ones last: what is known of them may be old.
 */
export function nextWay(ways: Ways, now: number): Way | null {
  const failing = (way: Way) => ways.failures.some((f) => f.way === way && now - f.at < rememberFor)
  const rank = (way: Way) => (ways.open.includes(way) ? (failing(way) ? 1 : 0) : 2)
  const left = wayOrder.filter((way) => !ways.tried.some((f) => f.way === way))
  return left.sort((a, b) => rank(a) - rank(b))[0] ?? null
}

/** What to tell the server about the change of way, if there was one in this round. */
export function insteadOf(ways: Ways): { kind: Way; code: number } | undefined {
  const last = ways.tried.at(-1)
  return last && { kind: last.way, code: last.code }
}

/** The server gave a token, of the kind that it chose; `open` is null when it did not say. */
export function issued(ways: Ways, kind: string, open: readonly string[] | null): Ways {
  return {
    ...ways,
    shown: isWay(kind) ? kind : ways.shown,
    open: open === null ? ways.open : wayOrder.filter((way) => open.includes(way)),
  }
}

/** The server gave none. */
export function notIssued(ways: Ways, way: Way, now: number): Ways {
  return fail(ways, { way, code: 0, at: now })
}

/** There was no answer in time: nothing for this round, but no fault to remember. */
export function late(ways: Ways, way: Way, now: number): Ways {
  return { ...ways, stale: 0, tried: [...ways.tried, { way, code: 0, at: now }] }
}

/**
 * The token was refused. One that is used up or expired says nothing about its
 * way the first time: a fresh one will do. A fresh one refused as stale does.
 */
export function refused(ways: Ways, code: number, now: number): Ways {
  if (!ways.shown) return ways
  if (isStale(code) && ways.stale === 0) return { ...ways, by: null, stale: 1 }
  return { ...fail(ways, { way: ways.shown, code, at: now }), by: null }
}

/** The device is out, for a reason that says nothing about its way. */
export function out(ways: Ways): Ways {
  return { ...ways, by: null }
}

/** The device is in. */
export function accepted(ways: Ways): Ways {
  return {
    ...ways,
    by: ways.shown,
    stale: 0,
    tried: [],
    failures: ways.failures.filter((f) => f.way !== ways.shown),
  }
}

/** Begins a new round after one in which nothing worked. */
export function newRound(ways: Ways): Ways {
  return { ...ways, tried: [], stale: 0 }
}

/** The better ways that did not work the last time and are not closed: what the details mention. */
export function avoided(ways: Ways): Failure[] {
  const limit = ways.by ? wayOrder.indexOf(ways.by) : 0
  return ways.failures.filter((f) => wayOrder.indexOf(f.way) < limit && ways.open.includes(f.way))
}

function fail(ways: Ways, failure: Failure): Ways {
  return {
    ...ways,
    stale: 0,
    tried: [...ways.tried, failure],
    failures: [...ways.failures.filter((f) => f.way !== failure.way), failure],
  }
}
