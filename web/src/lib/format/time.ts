/** 0:07, 12:05, 1:02:09: whole seconds that have passed, for timers. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds))
  const two = (n: number) => String(n).padStart(2, '0')
  const hours = Math.floor(whole / 3600)
  const minutes = Math.floor(whole / 60) % 60
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`
}

/** Like `clock`, with two digits for the minutes, so that a running timer keeps its width. */
export function timer(seconds: number): string {
  const text = clock(seconds)
  return text.length < 5 ? `0${text}` : text
}

/** Seconds between a time of the API and `now` (ms); 0 without a time. */
export function secondsSince(at: string | number | null | undefined, now: number): number {
  const ms = typeof at === 'number' ? at : at ? Date.parse(at) : NaN
  return Number.isFinite(ms) ? Math.max(0, (now - ms) / 1000) : 0
}

/** Writes times of the API in the account's zone, and in UTC for the hover. */
export class TimeFormat {
  readonly #time: Intl.DateTimeFormat
  readonly #weekday: Intl.DateTimeFormat
  readonly #date: Intl.DateTimeFormat
  readonly #dateYear: Intl.DateTimeFormat
  readonly #short: Intl.DateTimeFormat
  readonly #shortYear: Intl.DateTimeFormat
  readonly #key: Intl.DateTimeFormat
  readonly #relative: Intl.RelativeTimeFormat

  constructor(
    readonly locale: string,
    zone: string,
  ) {
    const timeZone = validZone(zone)
    const format = (options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat(locale, { timeZone, ...options })
    this.#time = format({ hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
    this.#weekday = format({ weekday: 'long' })
    this.#date = format({ weekday: 'long', day: 'numeric', month: 'long' })
    this.#dateYear = format({ day: 'numeric', month: 'long', year: 'numeric' })
    this.#short = format({ day: 'numeric', month: 'short' })
    this.#shortYear = format({ day: 'numeric', month: 'short', year: 'numeric' })
    this.#key = new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' })
    this.#relative = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' })
  }

  time(at: string): string {
    return valid(at) ? this.#time.format(new Date(at)) : ''
  }

  /** Today, yesterday, a weekday of this week, or the date. */
  day(at: string, now: number): string {
    if (!valid(at)) return ''
    const date = new Date(at)
    const days = this.#daysFrom(at, now)
    if (days === 0 || days === -1) return capital(this.#relative.format(days, 'day'))
    if (days < 0 && days > -7) return capital(this.#weekday.format(date))
    return capital((this.#sameYear(at, now) ? this.#date : this.#dateYear).format(date))
  }

  /** The day in short and the time, within a sentence: "today, 14:02", "Mar 3, 9:15". */
  moment(at: string, now: number): string {
    if (!valid(at)) return ''
    const days = this.#daysFrom(at, now)
    const time = this.time(at)
    if (Math.abs(days) <= 1) return `${this.#relative.format(days, 'day')}, ${time}`
    if (Math.abs(days) < 7) return `${this.#weekday.format(new Date(at))}, ${time}`
    return `${(this.#sameYear(at, now) ? this.#short : this.#shortYear).format(new Date(at))}, ${time}`
  }

  #daysFrom(at: string, now: number): number {
    return Math.round((Date.parse(this.dayKey(at)) - Date.parse(this.#key.format(now))) / 86_400_000)
  }

  #sameYear(at: string, now: number): boolean {
    return this.dayKey(at).slice(0, 4) === this.#key.format(now).slice(0, 4)
  }

  /** The day as 2025-11-22, for grouping. */
  dayKey(at: string): string {
    return valid(at) ? this.#key.format(new Date(at)) : ''
  }

  /** For the hover: the instant in UTC. */
  utc(at: string): string {
    return valid(at) ? `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC` : ''
  }
}

function valid(at: string): boolean {
  return Number.isFinite(Date.parse(at))
}

function validZone(zone: string): string {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone })
    return zone || 'UTC'
  } catch {
    return 'UTC'
  }
}

function capital(text: string): string {
  return text.charAt(0).toLocaleUpperCase() + text.slice(1)
}
