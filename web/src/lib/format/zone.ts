import { parseDate } from '@internationalized/date'

/** The instant at which a day (2026-03-03) is over in a zone, as the API writes times. */
export function endOfDay(date: string, zone: string): string {
  return parseDate(date).add({ days: 1 }).toDate(zone).toISOString().replace('.000Z', 'Z')
}

/** The last day before an instant in a zone: the other way round. */
export function lastDay(at: string, zone: string): string {
  return new Intl.DateTimeFormat('en-CA', { timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit' }).format(
    Date.parse(at) - 1,
  )
}
