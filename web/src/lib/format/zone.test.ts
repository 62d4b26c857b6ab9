import { describe, expect, it } from 'vitest'
import { endOfDay, lastDay } from './zone.ts'

describe('the end of a day', () => {
  it.each([
    ['2026-03-03', 'Europe/Lisbon', '2026-03-04T00:00:00Z'],
    ['2026-07-03', 'Europe/Lisbon', '2026-07-03T23:00:00Z'],
    // The clock goes forward that night.
    ['2026-03-07', 'America/New_York', '2026-03-08T05:00:00Z'],
    ['2026-03-08', 'America/New_York', '2026-03-09T04:00:00Z'],
    ['2026-12-31', 'Asia/Tokyo', '2026-12-31T15:00:00Z'],
  ])('%s in %s', (date, zone, at) => {
    expect(endOfDay(date, zone)).toBe(at)
    expect(lastDay(at, zone)).toBe(date)
  })
})
