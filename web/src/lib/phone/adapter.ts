import type { Failure, Way } from './ways.ts'

/**
 * What the console needs of a telephone. There are two: the Voice SDK
 * (sdk.ts), and a pretend one for development (fake.ts). An adapter tells what
 * happens through `PhoneEvent`s and never throws out of a method.
 */
export interface PhoneAdapter {
  /** Registers and goes on trying for ever, until `stop`. */
  start(): void
  stop(): void
  /** Looks at the connection now: a new network, a waking laptop, a click on "Try now". */
  check(): void
  dial(to: string, from: string): void
  answer(): void
  decline(): void
  hangUp(): void
  mute(on: boolean): void
  sendDigits(digits: string): void
  useMicrophone(deviceId: string | null): Promise<void>
  useSpeaker(deviceId: string | null): Promise<void>
}

/** One second of a call as the SDK measured it. */
export interface Sample {
  /** ms */
  jitter: number
  /** ms */
  rtt: number
  /** 1 to 4.5; null in the first seconds */
  mos: number | null
  /** 0 to 1 */
  loss: number
  codec: string
}

export type EndedBy = 'us' | 'them' | 'cancelled' | 'declined' | 'error' | 'elsewhere'

export type PhoneEvent =
  | { type: 'registering' }
  | { type: 'registered'; edge: string }
  /** The connection for calls is gone; it is being restored. */
  | { type: 'lost'; code: number }
  /** How the device came in, and which better ways did not work. */
  | { type: 'way'; by: Way; avoided: readonly Failure[] }
  /** No way in worked: the last one's code (0: no token could be had), and all that were tried. */
  | { type: 'refused'; code: number; tried: readonly Failure[] }
  /** The socket never opened although the page's server answers. */
  | { type: 'blocked'; code: number }
  | { type: 'unsupported' }
  | { type: 'stopped' }
  | { type: 'incoming'; leg: string; from: string; to: string; verified: boolean | null }
  | { type: 'dialing'; to: string; from: string }
  | { type: 'resuming'; leg: string; saved: SavedCall }
  | { type: 'leg'; leg: string }
  | { type: 'ringing'; earlyMedia: boolean }
  | { type: 'accepting' }
  | { type: 'connected'; leg: string }
  | { type: 'reconnecting'; what: 'signalling' | 'media' }
  | { type: 'reconnected' }
  | { type: 'muted'; on: boolean }
  | { type: 'warning'; name: string }
  | { type: 'warning_cleared'; name: string }
  | { type: 'sample'; sample: Sample }
  /** 0 to 1 each: what is sent and what is heard. */
  | { type: 'volume'; input: number; output: number }
  | { type: 'ended'; by: EndedBy; code: number }

/** What a reloaded page needs to find its call again. */
export interface SavedCall {
  token: string
  leg: string
  direction: 'in' | 'out'
  peer: string
  line: string
  /** ms since the epoch */
  answeredAt: number
  savedAt: number
}
