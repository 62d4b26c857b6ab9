import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Problem } from '../api/problem.ts'
import type { PhoneEvent } from './adapter.ts'

class Emitter {
  #handlers = new Map<string, ((...args: unknown[]) => void)[]>()
  on(name: string, handler: (...args: unknown[]) => void): void {
    this.#handlers.set(name, [...(this.#handlers.get(name) ?? []), handler])
  }
  emit(name: string, ...args: unknown[]): void {
    this.#handlers.get(name)?.forEach((handle) => handle(...args))
  }
}

/** The SDK's Device as far as registering goes: every token shown gets the server's verdict 20 ms later. */
class PretendDevice extends Emitter {
  static isSupported = true
  static all: PretendDevice[] = []
  state = 'unregistered'
  edge = 'here'
  audio = null
  socket = true
  constructor(public token: string) {
    super()
    PretendDevice.all.push(this)
  }
  register(): Promise<void> {
    this.state = 'registering'
    this.listen()
    return new Promise(() => {})
  }
  updateToken(token: string): void {
    this.token = token
    if (this.socket) this.listen()
    else this.emit('error', { code: 31009 })
  }
  destroy(): void {
    this.state = 'destroyed'
  }
  listen(): void {
    const { token } = this
    setTimeout(() => {
      if (this.state === 'destroyed' || !this.socket) return
      const code = verdict(token)
      if (code) {
        this.emit('error', { code })
        if (code === 20151 && dismiss) this.drop()
      } else if (this.state !== 'registered') {
        this.state = 'registered'
        this.emit('registered')
      }
    }, 20)
  }
  /** The connection is gone, and back after `ms` (never: the server said so). */
  drop(ms = 0): void {
    this.socket = false
    this.state = 'unregistered'
    this.emit('unregistered')
    if (!ms) return
    setTimeout(() => {
      this.socket = true
      this.listen()
    }, ms)
  }
}

vi.mock('@twilio/voice-sdk', () => ({
  Device: PretendDevice,
  Call: { Codec: {}, State: {}, CallDirection: {} },
}))

let broken: Set<string>
let used: Set<string>
let dismiss: boolean
let withheld: Record<string, number>
let asked: { way: string; instead?: { kind: string; code: number } }[]
let events: PhoneEvent[]
let latency: number
let phone: { start(): void; stop(): void; check(): void }

function verdict(token: string): number {
  const kind = token.split('-')[0] ?? ''
  if (broken.has(kind)) return dismiss ? 20151 : 20101
  if (kind !== 'ticket') return 0
  if (used.has(token)) return 20104
  used.add(token)
  return 0
}

const seen = (type: PhoneEvent['type']) => events.filter((e) => e.type === type)
const device = () => PretendDevice.all.at(-1) as PretendDevice
const after = (ms: number) => vi.advanceTimersByTimeAsync(ms)

beforeEach(async () => {
  vi.useFakeTimers()
  PretendDevice.all = []
  broken = new Set()
  used = new Set()
  dismiss = false
  withheld = {}
  asked = []
  events = []
  latency = 20
  vi.stubGlobal('window', new EventTarget())
  vi.stubGlobal('location', { host: 'dialtone.example' })
  const { SdkPhone } = await import('./sdk.ts')
  phone = new SdkPhone({
    async token(way, instead) {
      asked.push({ way, instead })
      await new Promise((done) => setTimeout(done, latency))
      if (withheld[way] !== undefined) throw new Problem(withheld[way], 'No', '')
      return {
        token: `${way}-${asked.length}`,
        kind: way,
        identity: 'alice',
        expires_at: new Date(Date.now() + (way === 'ticket' ? 120_000 : 3_600_000)).toISOString(),
        ways: ['ticket', 'access'],
      }
    },
    emit: (event) => events.push(event),
    getUserMedia: () => Promise.reject(new Error('none')),
    speaker: () => null,
    version: '1',
  })
})

afterEach(() => {
  phone.stop()
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

describe('coming in', () => {
  it('by a ticket', async () => {
    phone.start()
    await after(100)
    expect(device().state).toBe('registered')
    expect(seen('way')).toEqual([{ type: 'way', by: 'ticket', avoided: [] }])
    // Its date is the one to use it by: nothing to renew.
    await after(1_000_000)
    expect(asked).toHaveLength(1)
  })

  it('by an access token when tickets are refused, over the same device, within 200 ms, without alarm', async () => {
    broken.add('ticket')
    phone.start()
    await after(200)
    expect(PretendDevice.all).toHaveLength(1)
    expect(device().state).toBe('registered')
    expect(asked).toEqual([
      { way: 'ticket', instead: undefined },
      { way: 'access', instead: { kind: 'ticket', code: 20101 } },
    ])
    expect(seen('way')).toMatchObject([{ by: 'access', avoided: [{ way: 'ticket', code: 20101 }] }])
    expect([...seen('refused'), ...seen('lost')]).toEqual([])
  })

  it('by an access token when no ticket can be had', async () => {
    withheld.ticket = 503
    phone.start()
    await after(200)
    expect(device().state).toBe('registered')
    expect(asked.at(-1)).toEqual({ way: 'access', instead: { kind: 'ticket', code: 0 } })
  })

  it('by a new device when the server told the old one to stop', async () => {
    broken.add('ticket')
    dismiss = true
    phone.start()
    await after(300)
    expect(PretendDevice.all).toHaveLength(2)
    expect(device().state).toBe('registered')
    expect(device().token).toMatch(/^access/)
  })

  it('tells every way that was tried when none works, and goes on trying', async () => {
    broken.add('ticket').add('access')
    phone.start()
    await after(400)
    expect(seen('refused')).toMatchObject([
      {
        code: 20101,
        tried: [
          { way: 'ticket', code: 20101 },
          { way: 'access', code: 20101 },
        ],
      },
    ])
    expect(asked).toHaveLength(2)
    broken.clear()
    await after(2_000)
    expect(device().state).toBe('registered')
    expect(asked).toHaveLength(3)
    expect(asked.at(-1)?.instead).toBeUndefined()
  })

  it('does not blame a way for a network that is away', async () => {
    withheld.ticket = 0
    phone.start()
    await after(100)
    expect(asked.map((a) => a.way)).toEqual(['ticket'])
    delete withheld.ticket
    await after(2_000)
    expect(seen('way')).toMatchObject([{ by: 'ticket', avoided: [] }])
  })
})

describe('after a lost connection', () => {
  it.each([
    ['the fresh ticket is there before the SDK is back', 100, 20],
    ['the SDK is back first, and the used ticket is refused', 30, 60],
    ['the refusal of the used ticket crosses the fresh one', 30, 40],
  ])('%s: registered again by a ticket, one more is asked for', async (_, back, takes) => {
    phone.start()
    await after(100)
    latency = takes
    device().drop(back)
    await after(1_000)
    expect(PretendDevice.all).toHaveLength(1)
    expect(device().state).toBe('registered')
    expect(asked).toEqual([{ way: 'ticket' }, { way: 'ticket' }])
    expect(seen('refused')).toEqual([])
    expect(seen('way').at(-1)).toMatchObject({ by: 'ticket', avoided: [] })
  })

  it('changes way when tickets broke meanwhile', async () => {
    phone.start()
    await after(100)
    broken.add('ticket')
    device().drop(100)
    await after(400)
    expect(device().state).toBe('registered')
    expect(seen('way').at(-1)).toMatchObject({ by: 'access' })
  })
})

describe('after a revocation', () => {
  it('comes back as soon as a new token counts, by the same way and with a new device', async () => {
    phone.start()
    await after(100)
    device().emit('error', { code: 20151 })
    device().drop()
    await after(1_000)
    expect(asked).toHaveLength(1)
    await after(500)
    expect(PretendDevice.all).toHaveLength(2)
    expect(device().state).toBe('registered')
    expect(asked[1]).toEqual({ way: 'ticket', instead: undefined })
    expect(seen('way').at(-1)).toEqual({ type: 'way', by: 'ticket', avoided: [] })
    expect(seen('refused')).toEqual([])
  })
})

describe('a renewal', () => {
  it('is made before an access token ends, and tries tickets again', async () => {
    broken.add('ticket')
    phone.start()
    await after(200)
    broken.clear()
    await after(3_600_000)
    expect(asked.slice(2).map((a) => a.way)).toEqual(['ticket'])
    expect(seen('way').at(-1)).toEqual({ type: 'way', by: 'ticket', avoided: [] })
  })

  it('whose ticket is refused changes way, and the agent stays registered', async () => {
    phone.start()
    await after(100)
    broken.add('ticket')
    await after(60_000)
    device().emit('tokenWillExpire')
    await after(4_000)
    expect(asked.slice(1).map((a) => a.way)).toEqual(['ticket', 'access'])
    expect(seen('way').at(-1)).toMatchObject({ by: 'access' })
    expect([...seen('refused'), ...seen('lost')]).toEqual([])
  })
})
