import type { SavedCall } from './adapter.ts'

const key = 'dialtone.call'
/** The server holds a call for 30 s after its signalling went away. */
const holds = 25_000

/** Keeps what a reloaded page needs; for this tab only. */
export function remember(call: SavedCall): void {
  try {
    sessionStorage.setItem(key, JSON.stringify(call))
  } catch {
    // A browser without storage cannot take its call up again, and says so.
  }
}

export function forget(): void {
  try {
    sessionStorage.removeItem(key)
  } catch {
    // nothing was kept
  }
}

/** The call that this tab had before it was reloaded, if the server can still be holding it. */
export function recall(now: number): SavedCall | null {
  try {
    const text = sessionStorage.getItem(key)
    return text ? parseSaved(text, now) : null
  } catch {
    return null
  }
}

export function parseSaved(text: string, now: number): SavedCall | null {
  let saved: unknown
  try {
    saved = JSON.parse(text)
  } catch {
    return null
  }
  if (!saved || typeof saved !== 'object') return null
  const { token, leg, direction, peer, line, answeredAt, savedAt } = saved as Partial<SavedCall>
  if (typeof token !== 'string' || typeof leg !== 'string' || !leg) return null
  if (typeof answeredAt !== 'number' || typeof savedAt !== 'number') return null
  if (now < savedAt || now - savedAt > holds) return null
  return {
    token,
    leg,
    direction: direction === 'out' ? 'out' : 'in',
    peer: typeof peer === 'string' ? peer : '',
    line: typeof line === 'string' ? line : '',
    answeredAt,
    savedAt,
  }
}
