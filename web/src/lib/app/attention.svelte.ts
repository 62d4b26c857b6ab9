import { formatNumber } from '$lib/format/number.ts'
import { timer } from '$lib/format/time.ts'
import { partyTitle } from '$lib/format/party.ts'
import { m } from '$lib/paraglide/messages.js'
import { callerOf } from './caller.ts'
import type { Console } from './console.svelte.ts'

/** The ring, the page's title, its icon and the browser's notification: what is seen from another window. */
export function attention(app: Console): void {
  const ringing = $derived(
    app.phone.state.call?.phase === 'ringing' ||
      (!app.phone.live && !!app.desk.state.offer && app.phone.state.registration.status === 'registered'),
  )
  const leg = $derived(app.phone.state.call?.leg || app.desk.state.offer?.leg || '')

  $effect(() => {
    if (!ringing) return
    void app.sounds.play('incoming', { loop: true })
    return () => app.sounds.stop('incoming')
  })

  // Any click or key lets the page sound from then on.
  $effect(() => {
    if (!app.sounds.blocked) return
    const allowed = () => {
      app.sounds.unblock()
      if (ringing) void app.sounds.play('incoming', { loop: true })
    }
    window.addEventListener('pointerdown', allowed, { once: true })
    window.addEventListener('keydown', allowed, { once: true })
    return () => {
      window.removeEventListener('pointerdown', allowed)
      window.removeEventListener('keydown', allowed)
    }
  })

  $effect(() => {
    if (!ringing || !leg) return
    const { party, lineName, lineNumber } = callerOf(app)
    if (!('Notification' in window) || Notification.permission !== 'granted') return
    let shown: Notification
    try {
      shown = new Notification(m.notify_title({ who: partyTitle(party) }), {
        body: lineName ? m.notify_body({ line: lineName, number: formatNumber(lineNumber) }) : m.notify_body_plain(),
        tag: `dialtone-ring-${leg}`,
        icon: '/icons/ring.svg',
        requireInteraction: true,
        silent: true,
      })
    } catch {
      return // Android: only from a service worker
    }
    shown.onclick = () => {
      window.focus()
      shown.close()
    }
    return () => shown.close()
  })

  const icon = $derived.by(() => {
    if (ringing) return 'ring'
    if (app.phone.live) return 'call'
    if (app.reason?.severity === 'unavailable') return 'alert'
    return app.status.kind === 'away' || app.status.kind === 'offline' ? 'away' : 'idle'
  })
  $effect(() => {
    document.getElementById('favicon')?.setAttribute('href', `/icons/${icon}.svg`)
  })

  const title = $derived.by(() => {
    if (ringing) return m.title_ringing({ who: partyTitle(callerOf(app).party) })
    const { call } = app.phone.state
    if (call?.phase === 'connected' && call.connectedAt)
      return m.title_on_call({
        time: timer((app.ticker.now - call.connectedAt) / 1000),
        who: partyTitle(callerOf(app).party),
      })
    if (app.reason?.severity === 'unavailable') return m.title_unavailable()
    const screens = { phone: '', history: m.nav_history(), voicemail: m.nav_voicemail(), settings: m.nav_settings() }
    const name = screens[app.router.screen as keyof typeof screens] ?? ''
    return name ? `${name} · Dialtone` : 'Dialtone'
  })
  $effect(() => {
    document.title = title
  })
}
