import type { SoundPlayer } from '$lib/audio/player.svelte.ts'
import type { PhoneAdapter, PhoneEvent } from './adapter.ts'
import { idlePhone, isLive, reducePhone, type PhoneInput, type PhoneState } from './reduce.ts'

/** How long it is shown how a call ended. */
const endedFor = 12_000

/** The telephone of the console: one call at a time, whatever carries it. */
export class Phone {
  state = $state.raw<PhoneState>(idlePhone())
  /** 0 to 1: what the far end hears of us, what we hear of it. */
  levelIn = $state(0)
  levelOut = $state(0)
  readonly live = $derived(isLive(this.state.call))

  #adapter: PhoneAdapter | null = null
  #answerWhenHere: string | null = null
  #ringing = false
  #dismiss: ReturnType<typeof setTimeout> | undefined

  constructor(
    private readonly sounds: SoundPlayer,
    private readonly onEvent: (event: PhoneEvent) => void,
  ) {}

  use(adapter: PhoneAdapter): void {
    this.#adapter = adapter
    adapter.start()
  }

  stop(): void {
    this.#adapter?.stop()
    this.#adapter = null
    this.#ringback(false)
    this.state = idlePhone()
  }

  check(): void {
    this.#adapter?.check()
  }

  /** What the adapter tells. */
  emit = (event: PhoneEvent): void => {
    if (event.type === 'volume') {
      this.levelIn = event.input
      this.levelOut = event.output
      return
    }
    this.#put(event)
    const { call } = this.state
    if (event.type === 'incoming' && this.#answerWhenHere === event.leg) this.answer()
    if (event.type === 'incoming' || event.type === 'ended') this.#answerWhenHere = null
    this.#ringback(call?.phase === 'alerting' && !call.earlyMedia)
    if (event.type === 'ended') {
      this.levelIn = this.levelOut = 0
      clearTimeout(this.#dismiss)
      this.#dismiss = setTimeout(() => this.dismiss(), endedFor)
    }
    this.onEvent(event)
  }

  dial(to: string, from: string): void {
    if (this.live) return
    clearTimeout(this.#dismiss)
    this.#adapter?.dial(to, from)
  }

  answer(): void {
    if (this.state.call?.phase === 'ringing') this.#adapter?.answer()
  }

  /** The call centre told of an offer before the SDK did: answer it as soon as it is here. */
  answerLeg(leg: string): void {
    if (this.state.call?.phase === 'ringing') this.answer()
    else this.#answerWhenHere = leg
  }

  decline(): void {
    if (this.state.call?.phase === 'ringing') this.#adapter?.decline()
  }

  hangUp(): void {
    if (this.live) this.#adapter?.hangUp()
  }

  toggleMute(): void {
    const { call } = this.state
    if (isLive(call) && call.phase !== 'ringing') this.#adapter?.mute(!call.muted)
  }

  sendDigits(digits: string): void {
    if (this.state.call?.phase !== 'connected') return
    this.#adapter?.sendDigits(digits)
    this.#put({ type: 'digits', digits })
  }

  async useDevices(microphone: string | null, speaker: string | null): Promise<void> {
    await Promise.all([this.#adapter?.useMicrophone(microphone), this.#adapter?.useSpeaker(speaker)])
  }

  dismiss(): void {
    this.#put({ type: 'dismiss' })
  }

  /** The tone that says "it rings there", when the far end's own is not heard. */
  #ringback(on: boolean): void {
    if (on === this.#ringing) return
    this.#ringing = on
    if (on) void this.sounds.play('ringback', { loop: true, volume: 0.6 })
    else this.sounds.stop('ringback')
  }

  #put(input: PhoneInput): void {
    this.state = reducePhone(this.state, input, Date.now())
  }
}
