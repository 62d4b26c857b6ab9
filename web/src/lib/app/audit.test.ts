import { describe, expect, it } from 'vitest'
import type { AuditEntry } from '../api/admin.ts'
import { actGroups, auditSentence } from './audit.ts'

const names = new Map([['SK0123456789abcdef0123456789abcdef', 'Website']])
const say = (act: string, target: string, detail: Record<string, string> = {}, more: Partial<AuditEntry> = {}) =>
  auditSentence(
    { id: 'AU1', at: '', actor: 'alice', actor_kind: 'person', act, target, detail, remote: '', ...more },
    names,
    () => 'March 3',
  )

describe('sentences of the audit log', () => {
  it.each([
    ['key.rotate', 'SK0', { name: 'Website' }, 'alice rotated the key Website'],
    ['key.change', 'SK0123456789abcdef0123456789abcdef', { disabled: 'yes' }, 'alice disabled the key Website'],
    ['key.revoke', 'SKffffffffffffffffffffffffffffffff', {}, 'alice revoked the key SKffffffff…'],
    ['way.change', 'capability', { open: 'no' }, 'alice closed capability tokens'],
    [
      'way.change',
      'capability',
      { open: 'yes', closes_at: 'x' },
      'alice set March 3 as the last day of capability tokens',
    ],
    ['way.change', 'ticket', { open: 'yes' }, 'alice opened tickets'],
    ['user.add', 'bob', { role: 'team_lead' }, 'alice added bob, role: Team lead'],
    ['user.change', 'bob', { disabled: 'true', disabled_before: 'false' }, 'alice disabled bob'],
    ['user.change', 'bob', { role: 'admin' }, 'alice changed the role of bob to Admin'],
    ['session.begin', 'alice', { method: 'passkey' }, 'alice signed in with a passkey'],
    ['session.end', 'alice', {}, 'alice signed out'],
    ['session.end', 'bob', { sessions: 'all' }, 'alice signed bob out everywhere'],
    ['revocation.add', 'carol', { of: 'identity', value: 'carol' }, 'alice revoked the devices of carol'],
    ['new.thing', 'x', {}, 'alice: new.thing, x'],
  ])('%s of %s', (act, target, detail, sentence) => expect(say(act, target, detail)).toBe(sentence))

  it('a renamed person keeps the name of then in the sentence', () =>
    expect(say('user.change', 'Bob', { name: 'Bob', name_before: 'bob' })).toBe('alice changed the entry of Bob'))

  it('refusals tell whom and how often', () => {
    const nobody = { actor: '', actor_kind: 'system' } as const
    expect(say('session.refused', 'bob', { count: '1' }, nobody)).toBe('A sign-in as bob was refused')
    expect(say('session.refused', '', { count: '7' }, nobody)).toBe('7 sign-ins as somebody unknown were refused')
  })

  it('names keys and the command as actors', () => {
    expect(say('user.add', 'bob', { role: 'agent' }, { actor: 'HR', actor_kind: 'key' })).toContain('The key HR added')
    expect(say('user.add', 'bob', { role: 'agent' }, { actor: '', actor_kind: 'command' })).toContain(
      'Somebody at the machine added',
    )
  })

  it('every group has a word', () => expect(actGroups.every((g) => g.word())).toBe(true))
})
