import { Problem, problemOf } from './problem.ts'
import type * as api from './types.ts'

const base = '/api/v1'

export interface Page<K extends string, T> {
  items: T[]
  next: string
  /** Which key the items came under; only for the reader. */
  readonly kind?: K
}

interface SendOptions {
  signingIn?: boolean
  keepalive?: boolean
  signal?: AbortSignal
}

/**
 * The console's API: typed requests by the session's cookie. Every method
 * rejects with a Problem and with nothing else. `onSignedOut` is called for a
 * 401 to anything but signing in.
 */
export class Client {
  #csrf = ''
  onSignedOut: () => void = () => {}

  async signIn(name: string, password: string): Promise<api.Session> {
    return this.#keep(await this.#send<api.Session>('POST', '/session', { name, password }, { signingIn: true }))
  }

  async session(): Promise<api.Session> {
    return this.#keep(await this.#send<api.Session>('GET', '/session', undefined, { signingIn: true }))
  }

  signOut(): Promise<void> {
    return this.#send('DELETE', '/session')
  }

  /** `insteadOf` says which way in failed before, and with which of the SDK's codes. */
  deviceToken(
    kind: string,
    insteadOf?: { kind: string; code: number },
    signal?: AbortSignal,
  ): Promise<api.DeviceToken> {
    return this.#send('POST', '/device-tokens', { kind, instead_of: insteadOf }, { signal })
  }

  setState(state: api.AgentState): Promise<api.Agent> {
    return this.#send('PUT', '/me', { state })
  }

  async calls(kind: api.CallKind, cursor = '', limit = 50): Promise<Page<'calls', api.Call>> {
    const query = new URLSearchParams({ kind, limit: String(limit) })
    if (cursor) query.set('cursor', cursor)
    const page = await this.#send<{ calls: api.Call[] | null; next?: string }>('GET', `/calls?${query}`)
    return { items: page.calls ?? [], next: page.next ?? '' }
  }

  call(id: string): Promise<api.Call> {
    return this.#send('GET', `/calls/${encodeURIComponent(id)}`)
  }

  hold(leg: string, on: boolean): Promise<void> {
    return this.#send('POST', `/calls/${encodeURIComponent(leg)}/hold`, { on })
  }

  hangUp(leg: string): Promise<void> {
    return this.#send('POST', `/calls/${encodeURIComponent(leg)}/hangup`)
  }

  missedSeen(id: string): Promise<void> {
    return this.#send('POST', `/missed/${encodeURIComponent(id)}/seen`)
  }

  async voicemails(cursor = ''): Promise<Page<'voicemails', api.Voicemail>> {
    const query = cursor ? `?${new URLSearchParams({ cursor })}` : ''
    const page = await this.#send<{ voicemails: api.Voicemail[] | null; next?: string }>('GET', `/voicemails${query}`)
    return { items: page.voicemails ?? [], next: page.next ?? '' }
  }

  voicemailAudio(id: string): string {
    return `${base}/voicemails/${encodeURIComponent(id)}/audio`
  }

  voicemailHeard(id: string, heard: boolean): Promise<void> {
    return this.#send('POST', `/voicemails/${encodeURIComponent(id)}/heard`, { heard })
  }

  /** `leaving` lets the request outlive the page. */
  deleteVoicemail(id: string, leaving = false): Promise<void> {
    return this.#send('DELETE', `/voicemails/${encodeURIComponent(id)}`, undefined, { keepalive: leaving })
  }

  callMe(): Promise<void> {
    return this.#send('POST', '/demo/call-me', {})
  }

  /** The event stream's response, its body unread. */
  async events(signal: AbortSignal): Promise<Response> {
    const response = await this.#fetch('/events', {
      signal,
      headers: { Accept: 'text/event-stream' },
      cache: 'no-store',
    })
    if (!response.ok || !response.body) throw await this.#refused(response, false)
    return response
  }

  /** Any JSON operation: what the screens for admins and one's own account are made of. */
  request<T>(method: string, path: string, body?: unknown): Promise<T> {
    return this.#send<T>(method, path, body)
  }

  /** A document of the API in another form than JSON. */
  async document(path: string, type: string): Promise<Blob> {
    const response = await this.#fetch(path, { headers: { Accept: type } })
    if (!response.ok) throw await this.#refused(response, false)
    try {
      return await response.blob()
    } catch (error) {
      throw new Problem(0, 'No answer', error instanceof Error ? error.message : '')
    }
  }

  methods(): Promise<api.SignInMethods> {
    return this.#send('GET', '/session/methods', undefined, { signingIn: true })
  }

  passkeyOptions(): Promise<api.PasskeyRequest> {
    return this.#send('POST', '/session/passkey/options', {}, { signingIn: true })
  }

  async signInWithPasskey(id: string, credential: unknown): Promise<api.Session> {
    return this.#keep(
      await this.#send<api.Session>('POST', '/session/passkey', { id, credential }, { signingIn: true }),
    )
  }

  #keep(session: api.Session): api.Session {
    this.#csrf = session.csrf
    return session
  }

  async #send<T>(
    method: string,
    path: string,
    body?: unknown,
    { signingIn = false, keepalive = false, signal }: SendOptions = {},
  ): Promise<T> {
    const headers: Record<string, string> = { Accept: 'application/json, application/problem+json' }
    if (body !== undefined) headers['Content-Type'] = 'application/json'
    if (method !== 'GET' && this.#csrf) headers['X-Dialtone-CSRF'] = this.#csrf
    const response = await this.#fetch(path, {
      method,
      headers,
      keepalive,
      signal,
      body: body === undefined ? undefined : JSON.stringify(body),
    })
    if (!response.ok) throw await this.#refused(response, signingIn)
    if (response.status === 204 || response.status === 202) return undefined as T
    try {
      return (await response.json()) as T
    } catch {
      throw new Problem(0, 'Unreadable answer', '')
    }
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    try {
      return await fetch(base + path, { credentials: 'same-origin', ...init })
    } catch (error) {
      throw new Problem(0, 'No answer', error instanceof Error ? error.message : '')
    }
  }

  async #refused(response: Response, signingIn: boolean): Promise<Problem> {
    if (response.status === 401 && !signingIn) this.onSignedOut()
    return problemOf(response)
  }
}
