import { meterLevel, needle } from './level.ts'
import { microphoneFailure, type MicrophoneStatus } from './status.ts'

/**
 * The one owner of the microphone. While the agent is at work it is open, so
 * that its level can be seen and a call is answered without opening it first;
 * calls get copies (`lend`), whose muting and stopping does not touch the meter.
 */
export class Microphone {
  status = $state<MicrophoneStatus>('off')
  since = $state(Date.now())
  /** 0 to 1, about twenty times a second. */
  level = $state(0)
  /** What is open, by the browser's name for it. */
  label = $state('')
  inputs = $state<MediaDeviceInfo[]>([])
  outputs = $state<MediaDeviceInfo[]>([])

  #wanted = false
  #deviceId: string | null = null
  #stream: MediaStream | null = null
  #opening: Promise<void> | null = null
  #context: AudioContext | null = null
  #source: MediaStreamAudioSourceNode | null = null
  #timer: ReturnType<typeof setInterval> | undefined
  #permission: PermissionStatus | null = null

  constructor() {
    navigator.mediaDevices?.addEventListener('devicechange', () => void this.#devicesChanged())
    navigator.permissions
      ?.query({ name: 'microphone' as PermissionName })
      .then((status) => {
        this.#permission = status
        status.addEventListener('change', () => {
          if (status.state === 'denied' && this.#wanted) this.#close('blocked')
          else if (status.state === 'granted' && this.#wanted && !this.#stream) void this.open()
        })
      })
      .catch(() => {
        // Firefox does not know this permission; getUserMedia tells as well.
      })
  }

  /** Opens the microphone (the browser may ask the person); never rejects, see `status`. */
  open(deviceId: string | null = this.#deviceId): Promise<void> {
    this.#wanted = true
    if (this.#opening && deviceId === this.#deviceId) return this.#opening
    if (this.#stream && deviceId === this.#deviceId) return Promise.resolve()
    this.#deviceId = deviceId
    this.#opening = this.#open(deviceId).finally(() => (this.#opening = null))
    return this.#opening
  }

  close(): void {
    this.#wanted = false
    this.#close('off')
  }

  /** A copy of the open microphone for a call, or a new one when `constraints` name another device. */
  async lend(constraints: MediaStreamConstraints): Promise<MediaStream> {
    const asked = wantedDevice(constraints)
    await this.#opening
    if (this.#stream && (asked === null || asked === 'default' || asked === this.#deviceId)) return this.#stream.clone()
    return navigator.mediaDevices.getUserMedia(constraints)
  }

  async refreshDevices(): Promise<void> {
    try {
      const devices = await navigator.mediaDevices.enumerateDevices()
      this.inputs = devices.filter((d) => d.kind === 'audioinput' && d.deviceId)
      this.outputs = devices.filter((d) => d.kind === 'audiooutput' && d.deviceId)
    } catch {
      this.inputs = []
      this.outputs = []
    }
  }

  async #open(deviceId: string | null): Promise<void> {
    if (!navigator.mediaDevices?.getUserMedia) return this.#close('missing')
    if (this.#permission?.state !== 'granted' && this.status !== 'blocked') this.#set('asking')
    let stream: MediaStream
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: audioConstraints(deviceId) })
    } catch (error) {
      const name = error instanceof DOMException ? error.name : ''
      // The chosen headset is not plugged in today: take what there is.
      if (deviceId && (name === 'OverconstrainedError' || name === 'NotFoundError')) return this.#open(null)
      return this.#close(microphoneFailure(name))
    }
    if (!this.#wanted) {
      stream.getTracks().forEach((track) => track.stop())
      return
    }
    this.#release()
    this.#stream = stream
    const track = stream.getAudioTracks()[0]
    this.label = track?.label ?? ''
    track?.addEventListener('ended', () => {
      if (this.#stream === stream) this.#lost()
    })
    this.#meter(stream)
    this.#set('on')
    await this.refreshDevices()
  }

  #lost(): void {
    this.#close('lost')
    // Another microphone may have taken its place already.
    void this.open(null)
  }

  async #devicesChanged(): Promise<void> {
    await this.refreshDevices()
    if (this.#wanted && !this.#stream && this.status !== 'blocked') void this.open(this.#deviceId)
  }

  #close(status: MicrophoneStatus): void {
    this.#release()
    this.#set(status)
  }

  #set(status: MicrophoneStatus): void {
    if (status === this.status) return
    this.status = status
    this.since = Date.now()
  }

  #release(): void {
    clearInterval(this.#timer)
    this.#source?.disconnect()
    this.#source = null
    this.#stream?.getTracks().forEach((track) => track.stop())
    this.#stream = null
    this.level = 0
  }

  #meter(stream: MediaStream): void {
    this.#context ??= new AudioContext()
    const context = this.#context
    this.#source = context.createMediaStreamSource(stream)
    const analyser = context.createAnalyser()
    analyser.fftSize = 1024
    this.#source.connect(analyser)
    const samples = new Float32Array(analyser.fftSize)
    this.#timer = setInterval(() => {
      // Without a click on the page the browser holds the context back.
      if (context.state === 'suspended') void context.resume().catch(() => {})
      if (document.hidden) return
      analyser.getFloatTimeDomainData(samples)
      const level = needle(this.level, meterLevel(samples))
      if (Math.abs(level - this.level) > 0.004 || level === 0) this.level = level
    }, 50)
  }
}

export function audioConstraints(deviceId: string | null): MediaTrackConstraints {
  return {
    echoCancellation: true,
    noiseSuppression: true,
    autoGainControl: true,
    ...(deviceId && deviceId !== 'default' ? { deviceId: { exact: deviceId } } : {}),
  }
}

function wantedDevice(constraints: MediaStreamConstraints): string | null {
  const { audio } = constraints
  if (typeof audio !== 'object' || !audio.deviceId) return null
  const { deviceId } = audio
  if (typeof deviceId === 'string') return deviceId
  if (Array.isArray(deviceId)) return deviceId[0] ?? null
  const exact = deviceId.exact ?? deviceId.ideal
  return (Array.isArray(exact) ? exact[0] : exact) ?? null
}
