import type { Client } from './client.ts'
import type { Role } from './types.ts'

/** The operations of docs/api.md for admins. Only their screens import this. */

export type WayKind = 'ticket' | 'access' | 'capability'
export type KeyState = 'active' | 'disabled' | 'retiring' | 'retired' | 'revoked'
/** '' signs tokens only. */
export type KeyRole = '' | 'team_lead' | 'admin'

export interface WayIn {
  kind: WayKind
  open: boolean
  closes_at?: string | null
  /** How many came by it in the last 7 days. */
  identities: number
}

export interface Use {
  identity: string
  app?: string
  origin?: string
  sdk?: string
  key?: string
  first_at: string
  last_at: string
  count: number
}

export interface Key {
  id: string
  name: string
  algorithm: string
  role: KeyRole
  created_at: string
  retires_at?: string | null
  successor?: string
  revoked_at?: string | null
  disabled: boolean
  last_used_at?: string | null
  public_key?: Record<string, unknown> | null
  state: KeyState
  /** It signs the tokens of the account's own consoles. */
  own?: boolean
}

export interface NewKey {
  key: Key
  secret?: string
  bearer?: string
}

export interface AuthToken {
  id: string
  created_at: string
  retires_at?: string | null
  revoked_at?: string | null
  state: KeyState
}

export interface Issuer {
  id: string
  name: string
  url: string
  jwks: string
  audience: string
  fetched_at?: string | null
  keys: number
  problem?: string
}

export type RevocationOf = 'key' | 'token' | 'identity'

export interface Revocation {
  id: string
  of: RevocationOf
  value: string
  at: string
  forever: boolean
  by: string
  reason: string
}

export interface Person {
  id: string
  name: string
  email: string
  role: Role
  identity: string
  disabled: boolean
  passkeys: number
  last_seen_at?: string | null
  sso?: boolean
}

export interface AuditEntry {
  id: string
  at: string
  actor: string
  actor_kind: 'person' | 'key' | 'command' | 'system'
  act: string
  target: string
  detail: Record<string, string> | null
  remote: string
}

const part = encodeURIComponent

export class AdminApi {
  constructor(private readonly client: Client) {}

  async ways(): Promise<WayIn[]> {
    return (await this.client.request<{ ways: WayIn[] | null }>('GET', '/ways')).ways ?? []
  }
  setWay(kind: WayKind, open: boolean, closes_at?: string): Promise<WayIn> {
    return this.client.request('PUT', `/ways/${kind}`, { open, closes_at })
  }
  async uses(kind: WayKind, days: number): Promise<{ uses: Use[]; more: boolean }> {
    const answer = await this.client.request<{ uses: Use[] | null; more?: boolean }>(
      'GET',
      `/ways/${kind}/uses?days=${days}`,
    )
    return { uses: answer.uses ?? [], more: answer.more ?? false }
  }
  usesTable(kind: WayKind, days: number): Promise<Blob> {
    return this.client.document(`/ways/${kind}/uses?days=${days}`, 'text/csv')
  }

  async keys(): Promise<Key[]> {
    return (await this.client.request<{ keys: Key[] | null }>('GET', '/keys')).keys ?? []
  }
  addKey(key: { name: string; role: KeyRole; algorithm?: string; public_key?: unknown }): Promise<NewKey> {
    return this.client.request('POST', '/keys', key)
  }
  changeKey(id: string, change: { name?: string; role?: KeyRole; disabled?: boolean }): Promise<Key> {
    return this.client.request('PATCH', `/keys/${part(id)}`, change)
  }
  rotateKey(id: string, overlap: number): Promise<NewKey> {
    return this.client.request('POST', `/keys/${part(id)}/rotate`, { overlap })
  }

  async authTokens(): Promise<AuthToken[]> {
    return (await this.client.request<{ auth_tokens: AuthToken[] | null }>('GET', '/auth-tokens')).auth_tokens ?? []
  }
  rotateAuthToken(overlap: number): Promise<{ auth_token: AuthToken; secret: string }> {
    return this.client.request('POST', '/auth-tokens/rotate', { overlap })
  }

  async issuers(): Promise<Issuer[]> {
    return (await this.client.request<{ issuers: Issuer[] | null }>('GET', '/issuers')).issuers ?? []
  }
  addIssuer(issuer: { name: string; url: string; jwks: string; audience: string }): Promise<Issuer> {
    return this.client.request('POST', '/issuers', issuer)
  }
  removeIssuer(id: string): Promise<void> {
    return this.client.request('DELETE', `/issuers/${part(id)}`)
  }

  async revocations(): Promise<Revocation[]> {
    return (await this.client.request<{ revocations: Revocation[] | null }>('GET', '/revocations')).revocations ?? []
  }
  revoke(what: { of: RevocationOf; value: string; forever?: boolean; reason?: string }): Promise<{ devices: number }> {
    return this.client.request('POST', '/revocations', what)
  }
  lift(id: string): Promise<void> {
    return this.client.request('DELETE', `/revocations/${part(id)}`)
  }

  async people(): Promise<Person[]> {
    return (await this.client.request<{ users: Person[] | null }>('GET', '/users')).users ?? []
  }
  addPerson(person: {
    name: string
    email: string
    role: Role
    identity?: string
  }): Promise<{ user: Person; password: string }> {
    return this.client.request('POST', '/users', person)
  }
  changePerson(
    id: string,
    change: { name?: string; email?: string; role?: Role; disabled?: boolean },
  ): Promise<Person> {
    return this.client.request('PATCH', `/users/${part(id)}`, change)
  }
  resetPassword(id: string): Promise<{ password: string }> {
    return this.client.request('POST', `/users/${part(id)}/password`)
  }
  signOutEverywhere(id: string): Promise<void> {
    return this.client.request('DELETE', `/users/${part(id)}/sessions`)
  }

  async audit(filter: { act?: string; actor?: string; cursor?: string }): Promise<{
    entries: AuditEntry[]
    next: string
  }> {
    const query = new URLSearchParams()
    for (const [name, value] of Object.entries(filter)) if (value) query.set(name, value)
    const text = query.toString()
    const answer = await this.client.request<{ entries: AuditEntry[] | null; next?: string }>(
      'GET',
      `/audit${text ? `?${text}` : ''}`,
    )
    return { entries: answer.entries ?? [], next: answer.next ?? '' }
  }
}
