import {
  AsYouType,
  getCountries,
  getCountryCallingCode,
  parsePhoneNumberFromString,
  type CountryCode,
} from 'libphonenumber-js/min'

/** Calling codes that several countries share, with the one that most people mean. */
const shared: Record<string, CountryCode> = {
  '1': 'US',
  '7': 'RU',
  '39': 'IT',
  '44': 'GB',
  '47': 'NO',
  '61': 'AU',
  '212': 'MA',
  '262': 'RE',
  '290': 'SH',
  '358': 'FI',
  '590': 'GP',
  '599': 'CW',
}

function countryOfCallingCode(code: string): CountryCode | null {
  return shared[code] ?? getCountries().find((country) => getCountryCallingCode(country) === code) ?? null
}

/** The country of an E.164 number, also of one whose length is wrong; null when it has none. */
export function countryOf(number: string): CountryCode | null {
  if (!number.startsWith('+')) return null
  const parsed = parsePhoneNumberFromString(number)
  if (parsed?.country) return parsed.country
  if (parsed?.countryCallingCode) return countryOfCallingCode(parsed.countryCallingCode)
  const typed = new AsYouType()
  typed.input(number)
  const code = typed.getCallingCode()
  return typed.getCountry() ?? (code ? countryOfCallingCode(code) : null)
}

/** A number as people write it: +1 415 555 0132. What is no number stays as it is. */
export function formatNumber(number: string): string {
  if (number.startsWith('client:')) return number.slice('client:'.length)
  if (!/^\+?\d+$/.test(number)) return number
  const parsed = parsePhoneNumberFromString(number)
  if (parsed?.isPossible()) return parsed.formatInternational()
  if (!number.startsWith('+')) return number
  // Too short or too long: calling code apart, the rest in threes from the front, four at the end.
  const code = parsed?.countryCallingCode ?? ''
  const rest = code ? number.slice(1 + code.length) : number.slice(1)
  return (code ? `+${code} ` : '+') + groups(rest)
}

function groups(digits: string): string {
  const parts: string[] = []
  while (digits.length > 4) {
    parts.push(digits.slice(0, 3))
    digits = digits.slice(3)
  }
  if (digits) parts.push(digits)
  return parts.join(' ')
}

const dialable = /^[+\d*#]*$/

/** What may stand in the dial field: digits with separators, or the name of a colleague's device. */
export function cleanDialInput(text: string): string {
  const compact = text.replace(/[\s().\-/\u00a0\u2011\u2013]/g, '').replace(/^tel:/i, '')
  return dialable.test(compact) ? compact : text.trimStart()
}

/** The field's text as it is typed, for a caller in `country`. */
export function formatAsYouType(text: string, country: CountryCode | null): string {
  const compact = cleanDialInput(text)
  if (!dialable.test(compact) || /[*#]/.test(compact)) return compact
  if (compact.length < 3) return compact
  return new AsYouType(country ?? undefined).input(compact)
}

/** Whom to dial for what was typed: E.164, `client:name`, or null when nobody. */
export function dialTarget(text: string, country: CountryCode | null): string | null {
  const compact = cleanDialInput(text)
  if (!dialable.test(compact)) {
    const name = compact.replace(/^client:/, '').trim()
    return /^[\w.@-]{1,120}$/.test(name) ? `client:${name}` : null
  }
  if (compact.replace(/\D/g, '').length < 2) return null
  if (compact.startsWith('+')) return /^\+\d{2,15}$/.test(compact) ? compact : null
  const international = compact.startsWith('00') ? `+${compact.slice(2)}` : null
  if (international && /^\+\d{4,15}$/.test(international)) return international
  if (!country || /[*#]/.test(compact)) return null
  return parsePhoneNumberFromString(compact, country)?.number ?? null
}
