import type { PhoneAdapter, PhoneEvent, Sample } from './adapter.ts'

/**
 * A telephone that pretends, for looking at every state without a node. It is
 * built only in mode "fake" and is driven by `window.fakePhone`.
 */
export class FakePhone implements PhoneAdapter {
  #timers: ReturnType<typeof setTimeout>[] = []
  #pulse: ReturnType<typeof setInterval> | undefined
  #leg = ''

  constructor(private readonly emit: (event: PhoneEvent) => void) {
    Object.assign(window, { fakePhone: this })
  }

  start(): void {
    this.emit({ type: 'registering' })
    this.#later(60, { type: 'registered', edge: 'fake' })
  }

  stop(): void {
    this.#quiet()
    this.emit({ type: 'stopped' })
  }

  check(): void {}

  dial(to: string, from: string): void {
    this.#leg = `CA${String(Date.now()).padStart(32, '0')}`
    this.emit({ type: 'dialing', to, from })
    this.#later(500, { type: 'leg', leg: this.#leg })
    this.#later(520, { type: 'ringing', earlyMedia: false })
    if (to.endsWith('101')) this.#later(1_800, { type: 'ended', by: 'error', code: 31486 })
    else if (!to.endsWith('102')) this.#timers.push(setTimeout(() => this.#connect(), 2_400))
  }

  answer(): void {
    this.emit({ type: 'accepting' })
    this.#timers.push(setTimeout(() => this.#connect(), 120))
  }

  decline(): void {
    this.end('declined', 0)
  }

  hangUp(): void {
    this.end('us', 0)
  }

  mute(on: boolean): void {
    this.emit({ type: 'muted', on })
  }

  sendDigits(): void {}
  async useMicrophone(): Promise<void> {}
  async useSpeaker(): Promise<void> {}

  // For development: `fakePhone.ring('CA1', '+1…')` in the browser's console.

  ring(leg: string, from: string, line = ''): void {
    this.#leg = leg
    this.emit({ type: 'incoming', leg, from, to: line, verified: true })
  }

  tell(event: PhoneEvent): void {
    this.emit(event)
  }

  end(by: 'us' | 'them' | 'declined' | 'cancelled' | 'error', code: number): void {
    this.#quiet()
    this.emit({ type: 'ended', by, code })
  }

  #connect(): void {
    this.emit({ type: 'connected', leg: this.#leg })
    let seconds = 0
    this.#pulse = setInterval(() => {
      seconds += 0.1
      const speech = Math.max(0, Math.sin(seconds * 2.1) * 0.5 + Math.sin(seconds * 7) * 0.2)
      this.emit({ type: 'volume', input: Math.max(0, Math.cos(seconds * 1.4)) * 0.4, output: speech })
      if (Math.round(seconds * 10) % 10 === 0) this.emit({ type: 'sample', sample: good })
    }, 100)
  }

  #later(ms: number, event: PhoneEvent): void {
    this.#timers.push(setTimeout(() => this.emit(event), ms))
  }

  #quiet(): void {
    this.#timers.forEach(clearTimeout)
    this.#timers = []
    clearInterval(this.#pulse)
  }
}

const good: Sample = { jitter: 3, rtt: 41, mos: 4.4, loss: 0, codec: 'pcmu' }
