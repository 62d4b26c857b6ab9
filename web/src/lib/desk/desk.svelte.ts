import type { Client } from '$lib/api/client.ts'
import { EventStream } from '$lib/api/stream.ts'
import type { AgentState, StreamEvent } from '$lib/api/types.ts'
import { emptyDesk, reduceDesk, type DeskInput, type DeskState } from './reduce.ts'

/** The call centre's side of the console: its state, kept live by the event stream. */
export class Desk {
  state = $state.raw<DeskState>(emptyDesk())
  draining = $state(false)

  #stream: EventStream
  #listeners = new Set<(event: StreamEvent) => void>()

  constructor(private readonly client: Client) {
    this.#stream = new EventStream(client, {
      onOpen: () => this.#put({ type: 'stream', status: 'open' }),
      onLost: (why) => {
        if (why === 'shutdown') this.draining = true
        this.#put({ type: 'stream', status: 'lost', why })
      },
      onEvent: (event) => {
        if (event.type === 'snapshot') this.draining = false
        this.#put({ type: 'event', event })
        for (const listener of this.#listeners) listener(event)
      },
    })
  }

  start(): void {
    this.state = emptyDesk()
    this.#put({ type: 'stream', status: 'opening' })
    this.#stream.start()
  }

  stop(): void {
    this.#stream.stop()
    this.draining = false
    this.state = emptyDesk()
  }

  nudge(): void {
    this.#stream.nudge()
  }

  /** Calls `listener` for each event until the returned function is called. */
  listen(listener: (event: StreamEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async setState(state: AgentState): Promise<void> {
    this.#put({ type: 'me', agent: await this.client.setState(state) })
  }

  async seen(missed: string): Promise<void> {
    this.#put({ type: 'seen', missed })
    await this.client.missedSeen(missed)
  }

  async seenAll(): Promise<void> {
    await Promise.all(this.state.missed.map((m) => this.seen(m.id)))
  }

  /** One voicemail fewer (or more) is unheard, by this agent's hand. */
  countHeard(delta: number): void {
    this.#put({ type: 'heard', delta })
  }

  offerGone(leg: string): void {
    this.#put({ type: 'offer_gone', leg })
  }

  lineName(id: string | undefined): string {
    return this.state.lines.find((line) => line.id === id)?.name ?? ''
  }

  agentName(id: string | undefined): string {
    return this.state.agents.find((agent) => agent.id === id)?.name ?? ''
  }

  #put(input: DeskInput): void {
    this.state = reduceDesk(this.state, input, Date.now())
  }
}
