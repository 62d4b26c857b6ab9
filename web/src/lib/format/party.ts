import type { Party } from '../api/types.ts'
import { m } from '../paraglide/messages.js'
import { getLocale } from '../paraglide/runtime.js'
import { countryOf, formatNumber } from './number.ts'

/** How a party is called: its name, else its number, else its device, else that it withheld it. */
export function partyTitle(party: Party): string {
  return party.name || (party.number ? formatNumber(party.number) : '') || party.identity || m.party_anonymous()
}

/** The number below the name; '' when the title says it already. */
export function partyNumber(party: Party): string {
  return party.name && party.number ? formatNumber(party.number) : ''
}

export function partyCountry(party: Party): string {
  return party.country || (party.number ? (countryOf(party.number) ?? '') : '')
}

/** What one dials to reach a party; '' for an anonymous one. */
export function partyAddress(party: Party): string {
  return party.number || (party.identity ? `client:${party.identity}` : '')
}

/** The party behind what the SDK shows: E.164 or `client:name`. */
export function partyOf(address: string): Party {
  if (address.startsWith('client:')) return { identity: address.slice('client:'.length) }
  return /\d/.test(address) ? { number: address } : {}
}

export function countryName(country: string): string {
  try {
    return new Intl.DisplayNames(getLocale(), { type: 'region' }).of(country) ?? country
  } catch {
    return country
  }
}
