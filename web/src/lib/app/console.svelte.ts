import { getContext, setContext } from 'svelte'
import { Client } from '$lib/api/client.ts'
import { Problem } from '$lib/api/problem.ts'
import type { AgentState, Session } from '$lib/api/types.ts'
import { Microphone } from '$lib/audio/microphone.svelte.ts'
import { SoundPlayer } from '$lib/audio/player.svelte.ts'
import { Desk } from '$lib/desk/desk.svelte.ts'
import { TimeFormat } from '$lib/format/time.ts'
import { countryOf, dialTarget, formatAsYouType } from '$lib/format/number.ts'
import { whyUnavailable, type Reason } from '$lib/health/reason.ts'
import { m } from '$lib/paraglide/messages.js'
import { getLocale } from '$lib/paraglide/runtime.js'
import { Phone } from '$lib/phone/phone.svelte.ts'
import { Preferences } from './prefs.svelte.ts'
import { problemHint, problemText } from './problems.ts'
import { Router } from './router.svelte.ts'
import { ownStatus } from './status.ts'
import { Ticker } from './ticker.svelte.ts'
import { Toasts } from './toasts.svelte.ts'

/** Everything the screens share, joined once: who is signed in, the desk, the phone. */
export class Console {
  readonly client = new Client()
  readonly router = new Router()
  readonly prefs = new Preferences()
  readonly toasts = new Toasts()
  readonly ticker = new Ticker()
  readonly sounds = new SoundPlayer()
  readonly microphone = new Microphone()
  readonly desk = new Desk(this.client)
  readonly phone = new Phone(this.sounds, (event) => {
    if (event.type === 'ended') {
      const { call } = this.phone.state
      if (call?.leg) this.desk.offerGone(call.leg)
    }
  })

  session = $state.raw<Session | null>(null)
  /** False until it is known whether somebody is signed in. */
  ready = $state(false)
  /** The session ended by itself; the sign-in screen says so. */
  expired = $state(false)
  online = $state(navigator.onLine)
  keypadOpen = $state(false)
  helpOpen = $state(false)
  dialText = $state('')
  holdPending = $state(false)

  readonly times = $derived(new TimeFormat(getLocale(), this.session?.account.time_zone ?? 'UTC'))
  readonly reason = $derived.by<Reason | null>(() => {
    if (!this.session) return null
    const { state, draining } = this.desk
    return whyUnavailable({
      now: this.ticker.now,
      online: this.online,
      secure: window.isSecureContext,
      microphone: { status: this.microphone.status, since: this.microphone.since },
      registration: this.phone.state.registration,
      stream: state.stream,
      synced: state.synced,
      device: state.me?.device ?? null,
      draining,
      inCall: this.phone.live,
    })
  })
  readonly status = $derived(ownStatus(this.desk.state.me, this.phone.state, this.reason))
  /** The line that outgoing calls show. */
  readonly line = $derived(
    this.desk.state.lines.find((line) => line.id === this.prefs.line) ?? this.desk.state.lines[0] ?? null,
  )
  readonly country = $derived(this.line ? countryOf(this.line.number) : null)
  readonly dialTo = $derived(dialTarget(this.dialText, this.country))
  /** The server says so; the SDK does not know of it. */
  readonly held = $derived(!!this.desk.state.held[this.phone.state.call?.leg ?? ''])

  /** The agent talks on another of their devices. */
  readonly busyElsewhere = $derived(!this.phone.live && this.desk.state.me?.activity?.kind === 'on_call')
  /** There is a call and its sound comes through, whatever else is broken. */
  readonly callSounds = $derived.by(() => {
    const { call } = this.phone.state
    if (call?.phase !== 'connected' || call.reconnecting === 'media') return false
    return !call.warnings.some((name) => name === 'low-bytes-received' || name === 'ice-connectivity-lost')
  })

  constructor() {
    this.client.onSignedOut = () => this.#sessionEnded()
    window.addEventListener('online', () => {
      this.online = true
      this.recheck()
    })
    window.addEventListener('offline', () => (this.online = false))
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) this.recheck()
    })
    // A laptop that slept: time has jumped and every socket is suspect.
    this.ticker.onJump = () => this.recheck()
  }

  async begin(): Promise<void> {
    try {
      this.#signedIn(await this.client.session())
    } catch (error) {
      this.#toSignIn()
      if (error instanceof Problem && error.status !== 401) this.report(error)
    }
    this.ready = true
  }

  async signIn(name: string, password: string): Promise<void> {
    this.#signedIn(await this.client.signIn(name, password))
  }

  async signInWithPasskey(id: string, credential: unknown): Promise<void> {
    this.#signedIn(await this.client.signInWithPasskey(id, credential))
  }

  async signOut(): Promise<void> {
    if (this.phone.live) {
      this.toasts.show({ text: m.toast_busy() })
      return
    }
    this.#stop()
    try {
      await this.client.signOut()
    } catch (error) {
      if (!(error instanceof Problem && error.status === 401)) this.report(error)
    }
    this.expired = false
    this.session = null
    this.router.go('/sign-in')
  }

  /** Looks at every connection now. */
  recheck(): void {
    if (!this.session) return
    this.desk.nudge()
    this.phone.check()
    const { status } = this.microphone
    if (status === 'lost' || status === 'missing') void this.microphone.open(this.prefs.microphone)
  }

  /** Says what went wrong and what to do about it. */
  report(error: unknown, text?: string): void {
    this.toasts.show({ tone: 'bad', text: text ?? problemText(error), hint: problemHint(error) })
  }

  call(to: string): void {
    if (this.phone.live) {
      this.toasts.show({ text: m.toast_busy() })
      return
    }
    this.prefs.lastDialled = to
    this.dialText = ''
    this.keypadOpen = false
    this.phone.dial(to, this.line?.number ?? '')
  }

  dial(): void {
    if (this.dialTo) this.call(this.dialTo)
    // An empty field gives the last number back, as phones do.
    else if (!this.dialText && this.prefs.lastDialled) this.dialText = this.prefs.lastDialled
  }

  /** A key of the pad: a digit of the number while idle, a tone during a call. */
  press(digit: string): void {
    if (this.phone.state.call?.phase === 'connected') {
      // The SDK lets the agent hear the tone that it sends.
      this.phone.sendDigits(digit)
      return
    }
    if (this.phone.live) return
    this.dialText = formatAsYouType(this.dialText + digit, this.country)
    const name = digit === '*' ? 's' : digit === '#' ? 'h' : digit
    if (this.prefs.keyTones && name !== '+') void this.sounds.play(`dtmf${name}`, { volume: 0.35 })
  }

  answer(): void {
    const { offer } = this.desk.state
    if (this.phone.state.call?.phase === 'ringing') this.phone.answer()
    else if (offer) this.phone.answerLeg(offer.leg)
    this.keypadOpen = false
  }

  /** Off duty the microphone is let go, and with it the browser's recording mark. */
  async microphoneFollows(state: AgentState): Promise<void> {
    if (state === 'offline' && !this.phone.live) this.microphone.close()
    else if (this.microphone.status === 'off') await this.microphone.open(this.prefs.microphone)
  }

  async toggleHold(): Promise<void> {
    const { call } = this.phone.state
    if (!call?.leg || call.phase !== 'connected' || this.holdPending) return
    this.holdPending = true
    try {
      await this.client.hold(call.leg, !this.held)
    } catch (error) {
      this.report(error)
    }
    this.holdPending = false
  }

  #signedIn(session: Session): void {
    this.session = session
    this.expired = false
    if (this.router.screen === 'sign-in') this.router.go('/', { replace: true })
    this.sounds.useOutputs(this.prefs.ringer, this.prefs.speaker)
    void this.sounds.prepare()
    this.desk.start()
    void this.#startPhone(session)
  }

  async #startPhone(session: Session): Promise<void> {
    void this.microphone.open(this.prefs.microphone)
    if (__FAKE_PHONE__) {
      const { FakePhone } = await import('$lib/phone/fake.ts')
      this.phone.use(new FakePhone(this.phone.emit))
      return
    }
    const { SdkPhone } = await import('$lib/phone/sdk.ts')
    if (this.session !== session) return
    this.phone.use(
      new SdkPhone({
        token: (way, insteadOf, signal) => this.client.deviceToken(way, insteadOf, signal),
        emit: this.phone.emit,
        getUserMedia: (constraints) => this.microphone.lend(constraints),
        speaker: () => this.prefs.speaker,
        version: session.version,
      }),
    )
  }

  #sessionEnded(): void {
    if (!this.session) return
    this.#stop()
    this.expired = true
    this.session = null
    this.#toSignIn()
  }

  #toSignIn(): void {
    // Its address may say why a company's sign-in failed.
    if (this.router.screen !== 'sign-in') this.router.go('/sign-in', { replace: true })
  }

  #stop(): void {
    this.desk.stop()
    this.phone.stop()
    this.microphone.close()
    this.sounds.stop('incoming')
  }
}

const key = Symbol('console')

export function provideConsole(app: Console): Console {
  return setContext(key, app)
}

export function useConsole(): Console {
  return getContext<Console>(key)
}
