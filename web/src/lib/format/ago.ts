import { m } from '../paraglide/messages.js'

/** A span in words short enough for a sentence: "8 s", "3 min", "1 h 05 min". */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds))
  if (whole < 60) return m.span_seconds({ n: whole })
  if (whole < 3600) return m.span_minutes({ n: Math.floor(whole / 60) })
  const hours = Math.floor(whole / 3600)
  if (hours < 48) return m.span_hours({ h: hours, n: String(Math.floor(whole / 60) % 60).padStart(2, '0') })
  return m.span_days({ n: Math.floor(hours / 24) })
}
