import type { Client } from './client.ts'

/** What a person does with their own account. */

export interface Passkey {
  id: string
  name: string
  created_at: string
  last_used_at?: string | null
}

export interface SignIn {
  id: string
  current: boolean
  created_at: string
  seen_at: string
  remote: string
  /** A User-Agent, or what the server made of it. */
  browser: string
}

export class AccountApi {
  constructor(private readonly client: Client) {}

  changePassword(current: string, password: string): Promise<void> {
    return this.client.request('PUT', '/me/password', { current, new: password })
  }

  async passkeys(): Promise<Passkey[]> {
    return (await this.client.request<{ passkeys: Passkey[] | null }>('GET', '/me/passkeys')).passkeys ?? []
  }
  passkeyOptions(): Promise<{ publicKey: PublicKeyCredentialCreationOptionsJSON }> {
    return this.client.request('POST', '/me/passkeys/options', {})
  }
  addPasskey(name: string, credential: unknown): Promise<Passkey> {
    return this.client.request('POST', '/me/passkeys', { name, credential })
  }
  removePasskey(id: string): Promise<void> {
    return this.client.request('DELETE', `/me/passkeys/${encodeURIComponent(id)}`)
  }

  async sessions(): Promise<SignIn[]> {
    return (await this.client.request<{ sessions: SignIn[] | null }>('GET', '/me/sessions')).sessions ?? []
  }
  endSession(id: string): Promise<void> {
    return this.client.request('DELETE', `/me/sessions/${encodeURIComponent(id)}`)
  }
}
