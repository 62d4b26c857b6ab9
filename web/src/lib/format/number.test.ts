import { describe, expect, it } from 'vitest'
import { cleanDialInput, countryOf, dialTarget, formatAsYouType, formatNumber } from './number.ts'

describe('formatNumber', () => {
  it.each([
    ['+14155550132', '+1 415 555 0132'],
    ['+493012345678', '+49 30 12345678'],
    ['+15550199', '+1 555 0199'],
    ['client:bob', 'bob'],
    ['anonymous', 'anonymous'],
    ['', ''],
  ])('%s', (number, text) => expect(formatNumber(number)).toBe(text))
})

describe('countryOf', () => {
  it.each([
    ['+14155550132', 'US'],
    ['+16045550132', 'CA'],
    ['+15550199', 'US'],
    ['+442079460958', 'GB'],
    ['4930', null],
    ['', null],
  ])('%s', (number, country) => expect(countryOf(number)).toBe(country))
})

describe('dialTarget', () => {
  it.each([
    ['+1 555 0105', '+15550105'],
    ['(415) 555-0132', '+14155550132'],
    ['415.555.0132', '+14155550132'],
    ['0049 30 12345678', '+493012345678'],
    ['tel:+49-30-12345678', '+493012345678'],
    ['bob', 'client:bob'],
    ['client:bob', 'client:bob'],
    ['5', null],
    ['', null],
    ['*#', null],
    ['two words', null],
    ['+12345678901234567', null],
  ])('%s', (text, target) => expect(dialTarget(text, 'US')).toBe(target))

  it('needs a country for a national number', () => expect(dialTarget('4155550132', null)).toBeNull())
})

describe('typing', () => {
  it('formats nationally and internationally', () => {
    expect(formatAsYouType('4155550132', 'US')).toBe('(415) 555-0132')
    expect(formatAsYouType('+4930123456', 'US')).toBe('+49 30 123456')
  })
  it('leaves service codes and names alone', () => {
    expect(formatAsYouType('*67', 'US')).toBe('*67')
    expect(formatAsYouType('bob', 'US')).toBe('bob')
  })
  it('cleans what was pasted', () => expect(cleanDialInput(' +1 (415)\u00a0555‑0132')).toBe('+14155550132'))
})
