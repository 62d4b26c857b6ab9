import type { Client } from './client.ts'
import { Problem } from './problem.ts'
import { SSEParser } from './sse.ts'
import { streamEventTypes, type StreamEvent } from './types.ts'

/** Silence that means a broken stream: a comment comes every 15 s. */
const silenceLimit = 40_000
const backoffFirst = 500
const backoffMost = 10_000

export interface StreamListener {
  onOpen(): void
  onEvent(event: StreamEvent): void
  /** The stream is gone; it is being opened again unless the session ended. */
  onLost(why: 'network' | 'refused' | 'shutdown' | 'too_slow' | 'silent'): void
}

/**
 * Keeps the event stream open until `stop`: opens it again with a growing
 * pause, at once when the browser comes back online or `nudge` is called, and
 * takes a stream that says nothing for 40 s as broken.
 */
export class EventStream {
  #stopped = true
  #attempt = 0
  #abort: AbortController | null = null
  #wake: (() => void) | null = null
  #lastHeard = 0

  constructor(
    private readonly client: Client,
    private readonly listener: StreamListener,
  ) {}

  start(): void {
    if (!this.#stopped) return
    this.#stopped = false
    this.#attempt = 0
    void this.#run()
  }

  stop(): void {
    this.#stopped = true
    this.#abort?.abort()
    this.#wake?.()
  }

  /** Something changed (network, wake-up, a click): try now, or check that it lives. */
  nudge(): void {
    if (this.#wake) this.#wake()
    else if (this.#lastHeard > 0 && Date.now() - this.#lastHeard > silenceLimit / 2) this.#abort?.abort('silent')
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const why = await this.#once()
      if (this.#stopped) return
      this.listener.onLost(why)
      await this.#pause(why === 'too_slow' ? 0 : Math.min(backoffMost, backoffFirst * 2 ** this.#attempt++))
    }
  }

  async #once(): Promise<'network' | 'refused' | 'shutdown' | 'too_slow' | 'silent'> {
    const abort = (this.#abort = new AbortController())
    let watch: ReturnType<typeof setInterval> | undefined
    try {
      this.#lastHeard = Date.now()
      watch = setInterval(() => {
        if (Date.now() - this.#lastHeard > silenceLimit) abort.abort('silent')
      }, 5_000)
      const response = await this.client.events(abort.signal)
      this.listener.onOpen()
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
      const parser = new SSEParser()
      for (;;) {
        const { value, done } = await reader.read()
        if (done) return 'network'
        this.#lastHeard = Date.now()
        for (const item of parser.feed(value)) {
          if (item.kind !== 'event' || !streamEventTypes.has(item.event)) continue
          const event = { type: item.event, data: JSON.parse(item.data) } as StreamEvent
          if (event.type === 'snapshot') this.#attempt = 0
          this.listener.onEvent(event)
          if (event.type === 'bye') {
            if (event.data.reason === 'signed_out') {
              this.#stopped = true
              this.client.onSignedOut()
            }
            return event.data.reason === 'too_slow' ? 'too_slow' : 'shutdown'
          }
        }
      }
    } catch (error) {
      if (error instanceof Problem && error.status === 401) this.#stopped = true
      if (error instanceof Problem && error.status > 0) return 'refused'
      return abort.signal.reason === 'silent' ? 'silent' : 'network'
    } finally {
      clearInterval(watch)
      abort.abort()
      this.#abort = null
    }
  }

  #pause(ms: number): Promise<void> {
    const jittered = ms * (0.7 + Math.random() * 0.6)
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#wake = null
        window.removeEventListener('online', done)
        resolve()
      }
      const timer = setTimeout(done, jittered)
      window.addEventListener('online', done)
      this.#wake = done
    })
  }
}
