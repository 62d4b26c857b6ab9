import { untrack } from 'svelte'
import { span } from '$lib/format/ago.ts'
import { partyTitle } from '$lib/format/party.ts'
import { endText } from './words.ts'
import { m } from '$lib/paraglide/messages.js'
import { bannerWords, statusWord } from './words.ts'
import { callerOf } from './caller.ts'
import type { Console } from './console.svelte.ts'

/** What a screen reader is told: changes of state once each, a ring at once. */
export function announce(app: Console): { readonly polite: string; readonly urgent: string } {
  const said = $state({ polite: '' })
  const phase = $derived(app.phone.state.call?.phase ?? null)
  const muted = $derived(app.phone.state.call?.muted ?? false)
  const code = $derived(app.reason?.code ?? null)
  const status = $derived(app.status.kind)
  const ringing = $derived(phase === 'ringing' || (!app.phone.live && !!app.desk.state.offer))
  const urgent = $derived.by(() => {
    if (!ringing) return ''
    const { party, lineName } = callerOf(app)
    return lineName
      ? m.announce_ringing_line({ who: partyTitle(party), line: lineName })
      : m.announce_ringing({ who: partyTitle(party) })
  })
  let wasMuted = false
  let wasHeld = false
  let wasCode: string | null = null

  $effect(() => {
    // Only a change of phase speaks, not each second's measurement.
    const call = untrack(() => app.phone.state.call)
    if (phase === 'connected') said.polite = m.announce_connected()
    else if (phase === 'alerting') said.polite = m.call_alerting()
    else if (phase === 'ended' && call)
      said.polite = endText(
        call,
        untrack(() => app.busyElsewhere),
      )
  })
  $effect(() => {
    if (muted !== wasMuted && phase === 'connected') said.polite = muted ? m.announce_muted() : m.announce_unmuted()
    wasMuted = muted
  })
  $effect(() => {
    if (app.held !== wasHeld && phase === 'connected') said.polite = app.held ? m.announce_held() : m.announce_resumed()
    wasHeld = app.held
  })
  $effect(() => {
    said.polite = statusWord(status)
  })
  $effect(() => {
    if (code === wasCode) return
    if (code && app.reason) said.polite = bannerWords(app.reason, span(0), app.callSounds).title
    else if (wasCode) said.polite = m.banner_recovered()
    wasCode = code
  })

  return {
    get polite() {
      return said.polite
    },
    get urgent() {
      return urgent
    },
  }
}
