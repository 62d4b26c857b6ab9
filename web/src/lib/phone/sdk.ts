import { Call, Device } from '@twilio/voice-sdk'
import type { DeviceToken } from '../api/types.ts'
import { Problem } from '../api/problem.ts'
import type { PhoneAdapter, PhoneEvent, SavedCall } from './adapter.ts'
import { isTokenRefusal } from './end.ts'
import { forget, recall, remember } from './resume.ts'
import * as policy from './ways.ts'

export interface SdkPhoneOptions {
  /** Asks for a token of a kind; `insteadOf` is what failed before it. */
  token(way: policy.Way, insteadOf?: { kind: string; code: number }, signal?: AbortSignal): Promise<DeviceToken>
  emit(event: PhoneEvent): void
  /** The microphone's owner hands out copies of what is already open. */
  getUserMedia(constraints: MediaStreamConstraints): Promise<MediaStream>
  speaker(): string | null
  version: string
}

const watchEvery = 5_000
/** The SDK reconnects by itself; when it has not succeeded for this long, begin anew. */
const rebuildAfter = 25_000
const refreshBefore = 60_000
/** How long the server may take to give a token while there is another way to try, and when there is none. */
const issueLimit = { another: 2_000, last: 10_000 }
/** A refusal comes within a round trip; a token without one for so long was accepted. */
const settleAfter = 3_000
/** A revocation concerns what was issued until then, in whole seconds. */
const revokedFor = 1_100
/** Around a lost connection the refusal of the old ticket may cross the new one. */
const crossing = 400
const resumeLimit = 12_000
const dialLimit = 60_000
// A key sounds for 160 ms, then 70 ms of nothing.
const keyEvery = 240

const dtmf = [...'0123456789'].map((key) => [`dtmf${key}`, `/sounds/dtmf${key}.wav`])
const sounds = {
  ...Object.fromEntries(dtmf),
  dtmfs: '/sounds/dtmfs.wav',
  dtmfh: '/sounds/dtmfh.wav',
  incoming: '/sounds/incoming.wav',
  outgoing: '/sounds/outgoing.wav',
  disconnect: '/sounds/disconnect.wav',
}

/**
 * Each `connected` from the server points the SDK's telemetry at the vendor's
 * host, also that of a call in progress; it stays with the host of this page.
 */
function keepTelemetryHere(device: Device): void {
  const { _publisher: publisher } = device as unknown as { _publisher?: { setHost?(host: string): void } }
  if (!publisher?.setHost) return
  publisher.setHost(location.host)
  publisher.setHost = () => {}
}

/** No way in is left in this round. */
class Exhausted extends Error {}

/** The telephone on the unmodified Voice SDK, pointed at the host that served the page. */
export class SdkPhone implements PhoneAdapter {
  #device: Device | null = null
  #call: Call | null = null
  #keys: string[] = []
  #pressing: ReturnType<typeof setTimeout> | undefined
  #started = false
  #building = false
  #registered = false
  #everRegistered = false
  #socketErrors = 0
  #attempt = 0
  #lastCode = 0
  #downSince = 0
  #ways = policy.noWays()
  /** When to ask for the next token; ms since the epoch. */
  #renewAt = Infinity
  #renewing: Promise<void> | null = null
  #takenAt = 0
  /** The newest token has neither let the device in nor been refused. */
  #unjudged = false
  #refusedAt = 0
  /** The server told the device to stop: only a new one comes back. */
  #dismissed = false
  #settle: ReturnType<typeof setTimeout> | undefined
  #retry: ReturnType<typeof setTimeout> | undefined
  #watch: ReturnType<typeof setInterval> | undefined
  #weHungUp = false
  #saved: Omit<SavedCall, 'token' | 'savedAt'> | null = null

  constructor(private readonly options: SdkPhoneOptions) {}

  start(): void {
    if (this.#started) return
    if (!Device.isSupported) {
      this.options.emit({ type: 'unsupported' })
      return
    }
    this.#started = true
    // Before any Device exists, so that it runs before the Device's own
    // listener, which hangs up: a reloaded page takes its call up again.
    window.addEventListener('pagehide', this.#keepCall, { capture: true })
    this.#watch = setInterval(this.#look, watchEvery)
    void this.#build()
  }

  stop(): void {
    if (!this.#started) return
    this.#started = false
    clearInterval(this.#watch)
    clearTimeout(this.#retry)
    clearTimeout(this.#settle)
    window.removeEventListener('pagehide', this.#keepCall, { capture: true })
    forget()
    this.#destroy()
    this.options.emit({ type: 'stopped' })
  }

  check(): void {
    if (!this.#started) return
    this.#attempt = 0
    this.#renewIfDue()
    if (!this.#registered && !this.#call) {
      void this.#build()
    }
  }

  dial(to: string, from: string): void {
    if (this.#call) return
    this.options.emit({ type: 'dialing', to, from })
    this.#saved = { leg: '', direction: 'out', peer: to, line: from, answeredAt: 0 }
    void this.#connect({ params: from ? { To: to, From: from } : { To: to } }, dialLimit)
  }

  answer(): void {
    if (!this.#call || this.#call.status() !== Call.State.Pending) return
    this.options.emit({ type: 'accepting' })
    this.#call.accept({ rtcConstraints: { audio: true } })
  }

  decline(): void {
    this.#call?.reject()
  }

  hangUp(): void {
    this.#weHungUp = true
    if (this.#call) this.#call.disconnect()
    else this.#device?.disconnectAll()
  }

  mute(on: boolean): void {
    this.#call?.mute(on)
  }

  // A browser forgets the keys it has yet to send when the next one comes
  // (RTCDTMFSender.insertDTMF replaces them), so keys go one at a time.
  sendDigits(digits: string): void {
    this.#keys.push(...digits)
    if (this.#pressing === undefined) this.#pressKey()
  }

  #pressKey(): void {
    const key = this.#keys.shift()
    if (key === undefined || !this.#call) {
      this.#keys = []
      this.#pressing = undefined
      return
    }
    try {
      this.#call.sendDigits(key)
    } catch {
      // Only for a character that is no digit, which the keypad does not have.
    }
    this.#pressing = setTimeout(() => this.#pressKey(), keyEvery)
  }

  async useMicrophone(deviceId: string | null): Promise<void> {
    const audio = this.#device?.audio
    // Without a call the next one takes what the microphone's owner has open.
    if (!audio || !this.#call) return
    const id = deviceId ?? 'default'
    if (audio.availableInputDevices.has(id)) await audio.setInputDevice(id).catch(() => {})
  }

  async useSpeaker(deviceId: string | null): Promise<void> {
    const audio = this.#device?.audio
    if (!audio?.isOutputSelectionSupported) return
    const id = deviceId ?? 'default'
    if (audio.availableOutputDevices.has(id)) await audio.speakerDevices.set(id).catch(() => {})
  }

  // The connection.

  async #build(): Promise<void> {
    if (this.#building || this.#call || !this.#started) return
    this.#building = true
    clearTimeout(this.#retry)
    this.#destroy()
    this.options.emit({ type: 'registering' })
    this.#downSince = Date.now()
    try {
      const token = await this.#acquire()
      if (!this.#started) return
      this.#device = this.#newDevice(token)
      // It settles only with an answer; events tell the rest.
      this.#device.register().catch(() => {
        if (Date.now() - this.#refusedAt > crossing) this.#again(this.#lastCode)
      })
    } catch (error) {
      this.#noToken(error)
    } finally {
      this.#building = false
    }
  }

  /** A token of the best way that the server gives one for. Throws Exhausted, or the Problem of no answer. */
  async #acquire(): Promise<string> {
    for (;;) {
      const way = policy.nextWay(this.#ways, Date.now())
      if (!way) throw new Exhausted()
      const more = this.#ways.tried.length < policy.wayOrder.length - 1
      const limit = AbortSignal.timeout(more ? issueLimit.another : issueLimit.last)
      try {
        const answer = await this.options.token(way, policy.insteadOf(this.#ways), limit)
        this.#ways = policy.issued(this.#ways, answer.kind, answer.ways ?? null)
        // A ticket's date is the one to use it by; the SDK tells when its session ends.
        const expires = answer.kind === 'ticket' ? Infinity : Date.parse(answer.expires_at) || Infinity
        this.#renewAt = expires - refreshBefore - watchEvery
        this.#takenAt = Date.now()
        this.#unjudged = true
        return answer.token
      } catch (error) {
        // No answer at all, or nobody signed in any more: no fault of the way.
        if (!(error instanceof Problem) || error.status === 401) throw error
        if (error.status !== 0) this.#ways = policy.notIssued(this.#ways, way, Date.now())
        else if (more && limit.aborted) this.#ways = policy.late(this.#ways, way, Date.now())
        else throw error
      }
    }
  }

  /** Shows the server a fresh token over the same device. */
  #renew(): Promise<void> {
    return (this.#renewing ??= this.#acquire()
      .then((token) => {
        clearTimeout(this.#retry)
        if (!this.#started || !this.#device) return
        if (this.#dismissed && !this.#call) {
          this.#destroy()
          this.#device = this.#newDevice(token)
          this.#device.register().catch(() => {})
          return
        }
        this.#device.updateToken(token)
        // A device that stays registered is told nothing but a refusal.
        clearTimeout(this.#settle)
        if (this.#registered) this.#settle = setTimeout(() => this.#accepted(), settleAfter)
      })
      .catch((error) => this.#noToken(error))
      .finally(() => (this.#renewing = null)))
  }

  #noToken(error: unknown): void {
    if (!this.#started) return
    if (error instanceof Exhausted) {
      const { tried } = this.#ways
      const code = tried.findLast((f) => f.code)?.code ?? 0
      this.#ways = policy.newRound(this.#ways)
      // What the server let in before stays in until its time is over.
      if (!this.#registered) this.options.emit({ type: 'refused', code, tried: [...tried] })
      this.#again(code)
      return
    }
    this.#ways = policy.newRound(this.#ways)
    if (!this.#device) this.options.emit({ type: 'lost', code: 0 })
    this.#again(this.#lastCode, this.#device !== null)
  }

  #accepted(): void {
    clearTimeout(this.#settle)
    this.#unjudged = false
    this.#ways = policy.accepted(this.#ways)
    this.#attempt = 0
    const { by } = this.#ways
    if (by) this.options.emit({ type: 'way', by, avoided: policy.avoided(this.#ways) })
  }

  #newDevice(token: string): Device {
    this.#socketErrors = 0
    this.#everRegistered = false
    this.#dismissed = false
    const options = {
      // Private options of the SDK: where signalling and telemetry go.
      chunderw: location.host,
      eventgw: location.host,
      appName: 'dialtone-console',
      appVersion: this.options.version,
      closeProtection: true,
      codecPreferences: [Call.Codec.PCMU, Call.Codec.Opus],
      enableImprovedSignalingErrorPrecision: true,
      getUserMedia: this.options.getUserMedia,
      maxCallSignalingTimeoutMs: 30_000,
      sounds,
      tokenRefreshMs: refreshBefore,
    }
    const device = new Device(token, options)
    keepTelemetryHere(device)
    // The console rings by itself: at once, and on the ringer of its choice.
    device.audio?.incoming(false)
    device.audio?.on('deviceChange', () => void this.useSpeaker(this.options.speaker()))
    const live = (handle: () => void) => () => {
      if (this.#device === device) handle()
    }
    device.on(
      'registered',
      live(() => this.#onRegistered(device)),
    )
    device.on(
      'unregistered',
      live(() => this.#onUnregistered()),
    )
    device.on(
      'tokenWillExpire',
      live(() => {
        // The SDK keeps the timers of earlier tokens, too.
        if (Date.now() - this.#takenAt > 2 * watchEvery) this.#renewAt = 0
        this.#renewIfDue()
      }),
    )
    device.on('error', (error: { code?: number; originalError?: { retryAfter?: number } }, call?: Call) => {
      // 31005 with a time to wait: the server could not check the token, as when its tickets are away.
      const unchecked = error.originalError?.retryAfter !== undefined
      if (this.#device === device && !call) this.#onError(error.code ?? 0, unchecked)
    })
    device.on('incoming', (call: Call) => {
      if (this.#device === device) this.#onIncoming(call)
    })
    return device
  }

  #onRegistered(device: Device): void {
    this.#registered = true
    this.#everRegistered = true
    this.#lastCode = 0
    clearTimeout(this.#retry)
    void this.useSpeaker(this.options.speaker())
    this.options.emit({ type: 'registered', edge: device.edge ?? '' })
    this.#accepted()
    this.#resume(device)
  }

  #onUnregistered(): void {
    if (this.#registered) this.#downSince = Date.now()
    this.#registered = false
    clearTimeout(this.#settle)
    const justRefused = Date.now() - this.#refusedAt < 2 * crossing
    if (justRefused) this.#dismissed = true
    this.options.emit({ type: 'lost', code: this.#lastCode })
    // A ticket opens the door once. The SDK is back in 100 ms, so that it finds
    // a fresh one, or gets it as soon as the used one is refused.
    if (this.#ways.by === 'ticket') {
      this.#ways = policy.out(this.#ways)
      void this.#renew()
    }
  }

  #onError(code: number, unchecked: boolean): void {
    // Said of every token that is given to a closed socket; the loss itself is told otherwise.
    if (code === 31009) return
    this.#lastCode = code
    if (isTokenRefusal(code) || unchecked) {
      this.#onRefused(code)
      return
    }
    if (this.#registered) return
    this.#socketErrors++
    if (this.#socketErrors >= 2 && !this.#everRegistered && (code === 31000 || code === 31005)) void this.#askWhy(code)
    else this.options.emit({ type: 'lost', code })
  }

  #onRefused(code: number): void {
    const now = Date.now()
    this.#refusedAt = now
    clearTimeout(this.#settle)
    // It is the token before that was refused; the next is on its way.
    if (this.#renewing) return
    if (this.#registered && !this.#unjudged && !policy.isStale(code)) {
      // Nothing was shown: what let the device in was revoked, which is no fault of
      // the way. Tokens of the same second are refused with it.
      this.#ways = policy.out(this.#ways)
      clearTimeout(this.#retry)
      this.#retry = setTimeout(() => void this.#renew(), revokedFor)
      return
    }
    if (policy.isStale(code) && now - this.#takenAt < crossing && this.#ways.stale === 0) {
      const takenAt = this.#takenAt
      this.#ways = policy.refused(this.#ways, code, now)
      setTimeout(() => {
        if (this.#started && !this.#registered && this.#takenAt === takenAt) void this.#renew()
      }, crossing)
      return
    }
    this.#ways = policy.refused(this.#ways, code, now)
    void this.#renew()
  }

  /** The socket fails: is the server away, or is it only the socket that something refuses? */
  async #askWhy(code: number): Promise<void> {
    const device = this.#device
    const answers = await fetch('/healthz', { cache: 'no-store' }).then(
      (response) => response.ok,
      () => false,
    )
    if (this.#device !== device || this.#registered) return
    this.options.emit({ type: answers ? 'blocked' : 'lost', code })
  }

  /** Tries again after a pause: with a new device, or with the one that is there. */
  #again(code: number, keep = false): void {
    if (!this.#started) return
    clearTimeout(this.#retry)
    const pause = Math.min(30_000, 1_000 * 2 ** this.#attempt++) * (0.7 + Math.random() * 0.6)
    this.#lastCode = code
    this.#renewAt = Math.max(this.#renewAt, Date.now() + pause)
    this.#retry = setTimeout(() => {
      const stay = this.#device && (keep || this.#call || this.#registered)
      void (stay ? this.#renew() : this.#build())
    }, pause)
  }

  #look = (): void => {
    this.#renewIfDue()
    if (!this.#registered && !this.#call && Date.now() - this.#downSince > rebuildAfter) void this.#build()
  }

  #renewIfDue(): void {
    if (this.#device && Date.now() >= this.#renewAt) void this.#renew()
  }

  #destroy(): void {
    const device = this.#device
    this.#device = null
    this.#registered = false
    device?.destroy()
  }

  // The call.

  #onIncoming(call: Call): void {
    if (this.#call) {
      call.reject()
      return
    }
    const { CallSid = '', From = '' } = call.parameters
    const line = call.customParameters.get('line') ?? ''
    this.#saved = { leg: CallSid, direction: 'in', peer: From, line, answeredAt: 0 }
    this.#follow(call)
    this.options.emit({
      type: 'incoming',
      leg: CallSid,
      from: From,
      to: line,
      verified: call.callerInfo?.isVerified ?? null,
    })
  }

  async #connect(options: Device.ConnectOptions, limit: number): Promise<void> {
    this.#weHungUp = false
    try {
      if (!this.#device) throw new Error('no device')
      const call = await this.#device.connect({ ...options, rtcConstraints: { audio: true } })
      if (this.#weHungUp) {
        this.#follow(call)
        call.disconnect()
        return
      }
      this.#follow(call)
      this.#announceLeg(call)
      const guard = setTimeout(() => {
        if (this.#call === call && call.status() === Call.State.Connecting) call.disconnect()
      }, limit)
      call.once('disconnect', () => clearTimeout(guard))
    } catch {
      this.options.emit({ type: 'ended', by: 'error', code: 31009 })
    }
  }

  #resume(device: Device): void {
    const saved = recall(Date.now())
    forget()
    if (!saved || this.#device !== device) return
    this.options.emit({ type: 'resuming', leg: saved.leg, saved })
    this.#saved = saved
    void this.#connect({ connectToken: saved.token }, resumeLimit)
  }

  #follow(call: Call): void {
    const { emit } = this.options
    this.#call = call
    this.#weHungUp = false
    let errorCode = 0
    let ended = false
    let lastVolume = 0
    const end = (event: PhoneEvent & { type: 'ended' }) => {
      if (ended) return
      ended = true
      if (this.#call === call) this.#call = null
      this.#saved = null
      forget()
      void this.#device?.audio?.unsetInputDevice().catch(() => {})
      emit(event)
    }
    call.on('ringing', (earlyMedia: boolean) => {
      this.#announceLeg(call)
      emit({ type: 'ringing', earlyMedia })
    })
    call.on('accept', () => {
      const leg = call.parameters.CallSid ?? ''
      if (this.#saved) this.#saved = { ...this.#saved, leg, answeredAt: this.#saved.answeredAt || Date.now() }
      emit({ type: 'connected', leg })
    })
    call.on('disconnect', () =>
      end({
        type: 'ended',
        by: this.#weHungUp ? 'us' : errorCode ? 'error' : 'them',
        code: this.#weHungUp ? 0 : errorCode,
      }),
    )
    call.on('cancel', () => end({ type: 'ended', by: 'cancelled', code: 0 }))
    call.on('reject', () => end({ type: 'ended', by: 'declined', code: 0 }))
    call.on('error', (error: { code?: number }) => {
      errorCode = error.code ?? 0
      // A failure before there was a connection ends the call without a
      // `disconnect`; the status turns within the same task.
      queueMicrotask(() => {
        if (call.status() === Call.State.Closed) end({ type: 'ended', by: 'error', code: errorCode })
      })
    })
    call.on('transportClose', () =>
      queueMicrotask(() => {
        // A ring does not survive its socket: the server offers the call again.
        const pending = !call.parameters.CallSid || this.#saved?.answeredAt === 0
        if (call.direction === Call.CallDirection.Incoming && pending) {
          call.ignore()
          end({ type: 'ended', by: 'error', code: 53001 })
        } else if (call.status() === Call.State.Closed) end({ type: 'ended', by: 'error', code: 53001 })
      }),
    )
    call.on('reconnecting', (error: { code?: number }) =>
      emit({ type: 'reconnecting', what: error.code === 53001 ? 'signalling' : 'media' }),
    )
    call.on('reconnected', () => emit({ type: 'reconnected' }))
    call.on('mute', (on: boolean) => emit({ type: 'muted', on }))
    call.on('warning', (name: string) => emit({ type: 'warning', name }))
    call.on('warning-cleared', (name: string) => emit({ type: 'warning_cleared', name }))
    call.on('sample', (sample: { jitter: number; rtt: number; mos: number | null; packetsLostFraction: number }) =>
      emit({
        type: 'sample',
        sample: {
          jitter: sample.jitter || 0,
          rtt: sample.rtt || 0,
          mos: sample.mos ?? null,
          loss: (sample.packetsLostFraction || 0) / 100,
          codec: call.codec ?? '',
        },
      }),
    )
    call.on('volume', (input: number, output: number) => {
      const now = performance.now()
      if (now - lastVolume < 90) return
      lastVolume = now
      emit({ type: 'volume', input, output })
    })
  }

  #announceLeg(call: Call): void {
    const leg = call.parameters.CallSid ?? ''
    if (leg.startsWith('CA')) this.options.emit({ type: 'leg', leg })
  }

  #keepCall = (event: PageTransitionEvent): void => {
    const token = this.#call?.connectToken
    if (!token || !this.#saved?.answeredAt) return
    event.stopImmediatePropagation()
    remember({ ...this.#saved, token, savedAt: Date.now() })
  }
}
