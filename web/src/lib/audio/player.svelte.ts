type Sink = HTMLAudioElement & { setSinkId?: (id: string) => Promise<void> }

/**
 * The console's own sounds: the ring, the caller's ringing tone, key tones,
 * the test. Each has one element, so that playing it again restarts it.
 */
export class SoundPlayer {
  /** The browser did not let a sound play because nobody has clicked on the page yet. */
  blocked = $state(false)

  #elements = new Map<string, Sink>()
  #ringer = ''
  #speaker = ''

  useOutputs(ringer: string | null, speaker: string | null): void {
    this.#ringer = ringer ?? ''
    this.#speaker = speaker ?? ''
    for (const [name, element] of this.#elements) void this.#route(name, element)
  }

  /** Loads what must sound without delay, and finds out whether the browser lets it. */
  async prepare(): Promise<void> {
    this.#element('incoming')
    this.#element('ringback')
    await this.play('dtmf0', { volume: 0 })
    this.stop('dtmf0')
  }

  /** A click on the page has allowed sound. */
  unblock(): void {
    this.blocked = false
  }

  async play(name: string, { loop = false, volume = 1 } = {}): Promise<void> {
    const element = this.#element(name)
    element.loop = loop
    element.volume = volume
    element.currentTime = 0
    await this.#route(name, element)
    try {
      await element.play()
      this.blocked = false
    } catch (error) {
      if (error instanceof DOMException && error.name === 'NotAllowedError') this.blocked = true
    }
  }

  stop(name: string): void {
    const element = this.#elements.get(name)
    if (!element) return
    element.pause()
    element.currentTime = 0
  }

  #element(name: string): Sink {
    let element = this.#elements.get(name)
    if (!element) {
      element = new Audio(`/sounds/${name}.wav`) as Sink
      element.preload = 'auto'
      this.#elements.set(name, element)
    }
    return element
  }

  async #route(name: string, element: Sink): Promise<void> {
    const wanted = name === 'incoming' || name === 'test-ring' ? this.#ringer : this.#speaker
    const id = wanted === 'default' ? '' : wanted
    if (!element.setSinkId || element.sinkId === id) return
    // A speaker that is gone: the system's own is better than silence.
    await element.setSinkId(id).catch(() => {})
  }
}
