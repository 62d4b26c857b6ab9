import type { AuditEntry } from '../api/admin.ts'
import { m } from '../paraglide/messages.js'
import { roleWord } from './roles.ts'

/** What the log can be narrowed to: beginnings of acts. */
export const actGroups: { value: string; word: () => string }[] = [
  { value: 'session.', word: m.audit_group_session },
  { value: 'password.', word: m.audit_group_password },
  { value: 'passkey.', word: m.audit_group_passkey },
  { value: 'user.', word: m.audit_group_user },
  { value: 'key.', word: m.audit_group_key },
  { value: 'auth_token.', word: m.audit_group_auth_token },
  { value: 'way.', word: m.audit_group_way },
  { value: 'issuer.', word: m.audit_group_issuer },
  { value: 'revocation.', word: m.audit_group_revocation },
]

const yes = (text: string | undefined) => text === 'yes' || text === 'true'

function actorText(entry: AuditEntry): string {
  switch (entry.actor_kind) {
    case 'person':
      return entry.actor
    case 'key':
      return m.audit_actor_key({ name: entry.actor })
    case 'command':
      return entry.actor ? m.audit_actor_command_as({ name: entry.actor }) : m.audit_actor_command()
    default:
      return entry.actor || m.audit_actor_system()
  }
}

function wayWord(kind: string): string {
  const words: Record<string, () => string> = {
    ticket: m.way_ticket_small,
    access: m.way_access_small,
    capability: m.way_capability_small,
  }
  return words[kind]?.() ?? kind
}

/** Long ids are told by their beginning; the details have all of them. */
export function shortId(text: string): string {
  return /^[A-Z]{2}[0-9a-f]{32}$/.test(text) ? `${text.slice(0, 10)}…` : text
}

/**
 * A line of the audit log as a sentence. `names` knows keys by id; `date` puts a
 * time of the API into words. An act that this console does not know is told as it is.
 */
export function auditSentence(
  entry: AuditEntry,
  names: ReadonlyMap<string, string>,
  date: (at: string) => string,
): string {
  const detail = entry.detail ?? {}
  const actor = actorText(entry)
  const target = detail.name || names.get(entry.target) || shortId(entry.target)
  const self = entry.actor === entry.target
  const both = { actor, target }
  switch (entry.act) {
    case 'session.begin':
      if (detail.method === 'passkey') return m.audit_session_begin_passkey({ actor })
      if (detail.method === 'oidc') return m.audit_session_begin_oidc({ actor, provider: detail.provider ?? '' })
      return m.audit_session_begin({ actor })
    case 'session.refused': {
      const n = Number(detail.count ?? 1)
      const who = entry.target || m.audit_somebody()
      return n > 1 ? m.audit_session_refused_often({ target: who, n }) : m.audit_session_refused({ target: who })
    }
    case 'session.end':
      if (detail.sessions === 'all')
        return self ? m.audit_session_end_all_own({ actor }) : m.audit_session_end_all(both)
      return self || !entry.target ? m.audit_session_end({ actor }) : m.audit_session_end_other(both)
    case 'password.change':
      return m.audit_password_change({ actor })
    case 'password.reset':
      return m.audit_password_reset(both)
    case 'passkey.add':
      return m.audit_passkey_add({ actor, passkey: detail.passkey ?? '' })
    case 'passkey.remove':
      return self
        ? m.audit_passkey_remove({ actor, passkey: detail.passkey ?? '' })
        : m.audit_passkey_remove_other({ ...both, passkey: detail.passkey ?? '' })
    case 'user.add':
      return m.audit_user_add({ ...both, role: roleWord(detail.role ?? '') })
    case 'user.change': {
      const person = { actor, target: entry.target }
      if (detail.disabled !== undefined)
        return yes(detail.disabled) ? m.audit_user_disable(person) : m.audit_user_enable(person)
      if (detail.role !== undefined) return m.audit_user_role({ ...person, role: roleWord(detail.role) })
      return m.audit_user_change(person)
    }
    case 'key.add':
      return m.audit_key_add(both)
    case 'key.change':
      if (detail.disabled !== undefined)
        return yes(detail.disabled) ? m.audit_key_disable(both) : m.audit_key_enable(both)
      return m.audit_key_change(both)
    case 'key.rotate':
      return m.audit_key_rotate(both)
    case 'key.revoke':
      return m.audit_key_revoke(both)
    case 'auth_token.rotate':
      return m.audit_auth_token_rotate({ actor })
    case 'way.change': {
      const way = wayWord(entry.target)
      if (!yes(detail.open)) return m.audit_way_close({ actor, way })
      return detail.closes_at
        ? m.audit_way_date({ actor, way, date: date(detail.closes_at) })
        : m.audit_way_open({ actor, way })
    }
    case 'issuer.add':
      return m.audit_issuer_add(both)
    case 'issuer.remove':
      return m.audit_issuer_remove(both)
    case 'revocation.add':
      return detail.of === 'identity'
        ? m.audit_revocation_identity({ actor, value: detail.value ?? entry.target })
        : m.audit_revocation_token({ actor, value: shortId(detail.value ?? entry.target) })
    case 'revocation.lift':
      return m.audit_revocation_lift({ actor, value: shortId(detail.value ?? entry.target) })
    default:
      return m.audit_unknown({ actor, act: entry.act, target })
  }
}
