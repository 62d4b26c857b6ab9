import { describe, expect, it } from 'vitest'
import { clock, secondsSince, timer, TimeFormat } from './time.ts'

describe('clock', () => {
  it.each([
    [0, '0:00', '00:00'],
    [7.9, '0:07', '00:07'],
    [192, '3:12', '03:12'],
    [725, '12:05', '12:05'],
    [3729, '1:02:09', '1:02:09'],
    [-3, '0:00', '00:00'],
  ])('%d s', (seconds, short, wide) => {
    expect(clock(seconds)).toBe(short)
    expect(timer(seconds)).toBe(wide)
  })
})

describe('secondsSince', () => {
  it('counts from API times and from ms', () => {
    expect(secondsSince('1970-01-01T00:00:10Z', 15_000)).toBe(5)
    expect(secondsSince(10_000, 15_500)).toBe(5.5)
  })
  it('is 0 without a time and for a clock that runs ahead', () => {
    expect(secondsSince(null, 5)).toBe(0)
    expect(secondsSince('nonsense', 5)).toBe(0)
    expect(secondsSince(9_000, 5_000)).toBe(0)
  })
})

describe('TimeFormat', () => {
  const format = new TimeFormat('en', 'America/New_York')
  const now = Date.parse('2025-03-12T03:30:00Z') // still the 11th, 23:30, in New York

  it("uses the account's zone", () => {
    expect(format.time('2025-03-11T23:05:00Z')).toBe('19:05')
    expect(format.dayKey('2025-03-12T02:00:00Z')).toBe('2025-03-11')
    expect(format.utc('2025-03-12T02:00:00Z')).toBe('2025-03-12 02:00:00 UTC')
  })
  it.each([
    ['2025-03-12T01:00:00Z', 'Today'],
    ['2025-03-11T03:30:00Z', 'Yesterday'],
    ['2025-03-08T15:00:00Z', 'Saturday'],
    ['2025-01-02T15:00:00Z', 'Thursday, January 2'],
    ['2024-12-31T15:00:00Z', 'December 31, 2024'],
    ['', ''],
  ])('%s is %s', (at, day) => expect(format.day(at, now)).toBe(day))

  it.each([
    ['2025-03-12T01:00:00Z', 'today, 21:00'],
    ['2025-03-11T03:30:00Z', 'yesterday, 23:30'],
    ['2025-03-12T15:00:00Z', 'tomorrow, 11:00'],
    ['2025-03-14T15:00:00Z', 'Friday, 11:00'],
    ['2025-03-08T15:00:00Z', 'Saturday, 10:00'],
    ['2025-01-02T15:00:00Z', 'Jan 2, 10:00'],
    ['2024-12-31T15:00:00Z', 'Dec 31, 2024, 10:00'],
    ['', ''],
  ])('%s within a sentence is %s', (at, moment) => expect(format.moment(at, now)).toBe(moment))

  it('falls back to UTC when the zone is unknown', () => {
    expect(new TimeFormat('en', 'Mars/Olympus').time('2025-03-11T23:05:00Z')).toBe('23:05')
  })
})
