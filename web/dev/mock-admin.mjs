// The pretend node's operations for admins and one's own account, with made-up data.
const ago = (seconds) => new Date(Date.now() - seconds * 1000).toISOString()
const ahead = (seconds) => ago(-seconds)
const hour = 3600
const day = 24 * hour
let counter = 0x5eed
const hex = (n) =>
  Array.from({ length: n }, () =>
    ((counter = (counter * 1103515245 + 12345) & 0x7fffffff) >> 16).toString(16).at(-1),
  ).join('')
const id = (prefix) => prefix + hex(32)

export function adminData({ empty = false } = {}) {
  const own = {
    id: id('SK'),
    name: 'Dialtone',
    algorithm: 'HS256',
    role: '',
    created_at: ago(90 * day),
    disabled: false,
    last_used_at: ago(70),
    state: 'active',
    own: true,
  }
  const website = {
    id: id('SK'),
    name: 'Website',
    algorithm: 'HS256',
    role: '',
    created_at: ago(60 * day),
    disabled: false,
    last_used_at: ago(400),
    state: 'active',
  }
  const old = {
    id: id('SK'),
    name: 'Website',
    algorithm: 'HS256',
    role: '',
    created_at: ago(260 * day),
    disabled: false,
    last_used_at: ago(3 * hour),
    retires_at: ahead(19 * hour),
    successor: website.id,
    state: 'retiring',
  }
  const keys = empty
    ? [own]
    : [
        own,
        old,
        website,
        {
          id: id('SK'),
          name: 'Reporting',
          algorithm: 'HS256',
          role: 'team_lead',
          created_at: ago(30 * day),
          disabled: false,
          state: 'active',
        },
        {
          id: id('SK'),
          name: 'Field app',
          algorithm: 'ES256',
          role: '',
          created_at: ago(20 * day),
          disabled: true,
          last_used_at: ago(6 * day),
          state: 'disabled',
          public_key: { kty: 'EC' },
        },
        {
          id: id('SK'),
          name: 'Trial',
          algorithm: 'HS256',
          role: 'admin',
          created_at: ago(200 * day),
          revoked_at: ago(100 * day),
          disabled: false,
          state: 'revoked',
        },
      ]
  const use = (identity, app, origin, seconds, count, sdk = '2.18.5') => ({
    identity,
    app,
    origin,
    sdk,
    key: website.id,
    first_at: ago(25 * day),
    last_at: ago(seconds),
    count,
  })
  const app = id('AP')
  return {
    keys,
    authTokens: empty ? [] : [{ id: id('AT'), created_at: ago(400 * day), state: 'active' }],
    ways: [
      { kind: 'ticket', open: true, identities: empty ? 0 : 14 },
      { kind: 'access', open: true, identities: empty ? 0 : 9 },
      { kind: 'capability', open: true, closes_at: empty ? null : ahead(40 * day), identities: empty ? 0 : 3 },
    ],
    uses: empty
      ? []
      : [
          use('warehouse-desk', app, 'https://intranet.northwind.example', 2 * hour, 212, '1.15.1'),
          use('reception', app, 'https://intranet.northwind.example', 5 * hour, 143, '1.15.1'),
          use('kiosk-3', '', '', 4 * day, 12, '1.14.0'),
        ],
    revocations: empty
      ? []
      : [
          {
            id: id('RV'),
            of: 'identity',
            value: 'carol',
            at: ago(5 * hour),
            forever: false,
            by: 'Alice Okafor',
            reason: 'Laptop lost',
          },
          {
            id: id('RV'),
            of: 'token',
            value: id('TK'),
            at: ago(3 * day),
            forever: false,
            by: 'Alice Okafor',
            reason: '',
          },
          {
            id: id('RV'),
            of: 'key',
            value: keys.at(-1).id,
            at: ago(100 * day),
            forever: true,
            by: 'Alice Okafor',
            reason: 'Trial is over',
          },
        ],
    issuers: empty
      ? []
      : [
          {
            id: id('IS'),
            name: 'Company sign-in',
            url: 'https://login.northwind.example',
            jwks: 'https://login.northwind.example/.well-known/jwks.json',
            audience: 'dialtone',
            fetched_at: ago(300),
            keys: 2,
          },
          {
            id: id('IS'),
            name: 'Partner portal',
            url: 'https://id.partner.example',
            jwks: 'https://id.partner.example/keys',
            audience: 'northwind-calls',
            fetched_at: ago(7 * hour),
            keys: 1,
            problem: 'The key set could not be read: the server answered 503. The keys of before are still accepted.',
          },
        ],
    users: [
      {
        id: 'u1',
        name: 'Alice Okafor',
        email: 'alice@demo.example',
        role: 'admin',
        identity: 'alice',
        disabled: false,
        passkeys: 2,
        last_seen_at: ago(40),
      },
      ...(empty
        ? []
        : [
            {
              id: 'u2',
              name: 'Bob Lindqvist',
              email: 'bob@demo.example',
              role: 'team_lead',
              identity: 'bob',
              disabled: false,
              passkeys: 0,
              last_seen_at: ago(3 * hour),
              sso: true,
            },
            {
              id: 'u3',
              name: 'Carol Mbeki',
              email: '',
              role: 'agent',
              identity: 'carol',
              disabled: false,
              passkeys: 1,
              last_seen_at: ago(2 * day),
            },
            {
              id: 'u4',
              name: 'Dmitri Petrov',
              email: 'dmitri@demo.example',
              role: 'agent',
              identity: 'dmitri',
              disabled: true,
              passkeys: 0,
              last_seen_at: ago(80 * day),
            },
            {
              id: 'u5',
              name: 'Élodie Marchand-Desrosiers',
              email: 'elodie@demo.example',
              role: 'agent',
              identity: 'elodie',
              disabled: false,
              passkeys: 0,
            },
          ]),
    ],
    passkeys: empty
      ? []
      : [
          { id: 'PK1', name: 'This laptop', created_at: ago(80 * day), last_used_at: ago(5 * hour) },
          { id: 'PK2', name: 'Security key in the safe', created_at: ago(80 * day) },
        ],
    sessions: [
      {
        id: 'SE1',
        current: true,
        created_at: ago(6 * hour),
        seen_at: ago(20),
        remote: '192.0.2.17',
        browser: 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36',
      },
      {
        id: 'SE2',
        current: false,
        created_at: ago(3 * day),
        seen_at: ago(26 * hour),
        remote: '198.51.100.80',
        browser:
          'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile Safari/604.1',
      },
    ],
    audit: empty
      ? []
      : [
          entry(60, 'session.begin', 'Alice Okafor', { method: 'passkey', passkey: 'This laptop' }),
          entry(1000, 'key.rotate', website.id, { name: 'Website', successor: id('SK'), overlap: '24h0m0s' }),
          entry(5 * hour, 'revocation.add', 'carol', { of: 'identity', value: 'carol', reason: 'Laptop lost' }),
          entry(
            6 * hour,
            'session.refused',
            'bob',
            { count: '4', reason: 'password' },
            { actor: '', actor_kind: 'system', remote: '203.0.113.9' },
          ),
          entry(27 * hour, 'way.change', 'capability', { open: 'yes', closes_at: ahead(40 * day) }),
          entry(28 * hour, 'user.change', 'Dmitri Petrov', { disabled: 'true', disabled_before: 'false' }),
          entry(
            29 * hour,
            'user.add',
            'Élodie Marchand-Desrosiers',
            { role: 'agent', identity: 'elodie' },
            { actor: 'HR import', actor_kind: 'key' },
          ),
          entry(30 * hour, 'issuer.add', id('IS'), { name: 'Partner portal', url: 'https://id.partner.example' }),
          entry(31 * hour, 'password.change', 'Bob Lindqvist', {}, { actor: 'Bob Lindqvist' }),
          entry(
            60 * hour,
            'key.add',
            website.id,
            { name: 'Website', algorithm: 'HS256' },
            { actor: '', actor_kind: 'command', remote: '' },
          ),
        ],
  }
}

function entry(seconds, act, target, detail = {}, more = {}) {
  return {
    id: id('AU'),
    at: ago(seconds),
    actor: 'Alice Okafor',
    actor_kind: 'person',
    act,
    target,
    detail,
    remote: '192.0.2.17',
    ...more,
  }
}

/** Answers a request if it is one of these, as [status, body]; undefined if it is not. */
export function admin(state, route, query, body, headers) {
  const note = (act, target, detail) => state.audit.unshift(entry(0, act, target, detail))
  const found = (pattern) => pattern.exec(route)?.[1]
  const missing = [404, { status: 404, title: 'Not Found', detail: 'There is no such thing.' }]
  const made = (key) => ({ key, secret: hex(32), ...(key.role ? { bearer: `${key.id}.${hex(48)}` } : {}) })
  let at

  if (route === 'GET /ways') return [200, { ways: state.ways }]
  if ((at = found(/^PUT \/ways\/(\w+)$/))) {
    const way = state.ways.find((w) => w.kind === at)
    const other = state.ways.find((w) => w.kind !== at && w.kind !== 'capability')
    if (!body.open && at !== 'capability' && !other.open)
      return [
        409,
        {
          status: 409,
          title: 'Conflict',
          detail: 'Then neither tickets nor access tokens would let a device in. Open the other one first.',
        },
      ]
    Object.assign(way, { open: body.open, closes_at: body.closes_at ?? null })
    note('way.change', at, { open: body.open ? 'yes' : 'no', ...(body.closes_at ? { closes_at: body.closes_at } : {}) })
    return [200, way]
  }
  if ((at = found(/^GET \/ways\/(\w+)\/uses$/))) {
    const uses = at === 'capability' ? state.uses : []
    if (headers.accept?.includes('csv'))
      return [200, 'identity,app\n' + uses.map((u) => `${u.identity},${u.app}\n`).join('')]
    return [200, { uses }]
  }
  if (route === 'GET /keys') return [200, { keys: state.keys }]
  if (route === 'POST /keys') {
    const key = {
      id: id('SK'),
      name: body.name,
      algorithm: 'HS256',
      role: body.role ?? '',
      created_at: ago(0),
      disabled: false,
      state: 'active',
    }
    state.keys.push(key)
    note('key.add', key.id, { name: key.name })
    return [201, made(key)]
  }
  if ((at = found(/^POST \/keys\/(\w+)\/rotate$/))) {
    const old = state.keys.find((k) => k.id === at)
    if (!old) return missing
    const key = { ...old, id: id('SK'), created_at: ago(0), last_used_at: null }
    Object.assign(old, { state: 'retiring', successor: key.id, retires_at: ahead(body.overlap ?? day) })
    state.keys.push(key)
    note('key.rotate', old.id, { name: old.name })
    return [201, made(key)]
  }
  if ((at = found(/^PATCH \/keys\/(\w+)$/))) {
    const key = state.keys.find((k) => k.id === at)
    if (!key) return missing
    Object.assign(key, body)
    if (body.disabled !== undefined) key.state = body.disabled ? 'disabled' : 'active'
    note('key.change', key.id, { name: key.name })
    return [200, key]
  }
  if (route === 'GET /auth-tokens') return [200, { auth_tokens: state.authTokens }]
  if (route === 'POST /auth-tokens/rotate') {
    for (const t of state.authTokens) Object.assign(t, { state: 'retiring', retires_at: ahead(body.overlap ?? day) })
    const auth_token = { id: id('AT'), created_at: ago(0), state: 'active' }
    state.authTokens.push(auth_token)
    note('auth_token.rotate', auth_token.id)
    return [201, { auth_token, secret: hex(32) }]
  }
  if (route === 'GET /issuers') return [200, { issuers: state.issuers }]
  if (route === 'POST /issuers') {
    if (body.url.includes('nowhere'))
      return [
        422,
        {
          status: 422,
          title: 'Unprocessable',
          detail: 'The key set could not be read: the name nowhere.example is not known.',
        },
      ]
    const issuer = { id: id('IS'), ...body, fetched_at: ago(0), keys: 1 }
    state.issuers.push(issuer)
    return [201, issuer]
  }
  if ((at = found(/^DELETE \/issuers\/(\w+)$/))) {
    state.issuers = state.issuers.filter((i) => i.id !== at)
    return [204]
  }
  if (route === 'GET /revocations') return [200, { revocations: state.revocations }]
  if (route === 'POST /revocations') {
    const revocation = {
      id: id('RV'),
      of: body.of,
      value: body.value,
      at: ago(0),
      forever: !!body.forever,
      by: 'Alice Okafor',
      reason: body.reason ?? '',
    }
    state.revocations.unshift(revocation)
    const key = [...state.keys, ...state.authTokens].find((k) => k.id === body.value)
    if (key) Object.assign(key, { state: 'revoked', revoked_at: ago(0) })
    note(body.of === 'key' ? 'key.revoke' : 'revocation.add', body.value, { of: body.of, value: body.value })
    return [201, { ...revocation, devices: 3 }]
  }
  if ((at = found(/^DELETE \/revocations\/(\w+)$/))) {
    state.revocations = state.revocations.filter((r) => r.id !== at)
    return [204]
  }
  if (route === 'GET /users') return [200, { users: state.users }]
  if (route === 'POST /users') {
    if (state.users.some((u) => u.name === body.name))
      return [409, { status: 409, title: 'Conflict', detail: 'Somebody has that name already. Choose another.' }]
    const user = { id: id('US'), ...body, identity: body.name.toLowerCase(), disabled: false, passkeys: 0 }
    state.users.push(user)
    note('user.add', user.name, { role: user.role })
    return [201, { user, password: 'copper-lantern-otter-42' }]
  }
  if ((at = found(/^PATCH \/users\/(\w+)$/))) {
    const user = state.users.find((u) => u.id === at)
    Object.assign(user, body)
    note('user.change', user.name, { disabled: String(user.disabled) })
    return [200, user]
  }
  if (found(/^(POST) \/users\/\w+\/password$/)) return [201, { password: 'velvet-harbour-finch-17' }]
  if (found(/^(DELETE) \/users\/\w+\/sessions$/)) return [204]
  if (route === 'PUT /me/password')
    return body.current === 'demo'
      ? [204]
      : [409, { status: 409, title: 'Conflict', detail: 'The present password is another one.' }]
  if (route === 'GET /me/passkeys') return [200, { passkeys: state.passkeys }]
  if (route === 'POST /me/passkeys/options')
    return [
      200,
      {
        publicKey: {
          challenge: 'AQIDBA',
          rp: { id: 'localhost', name: 'Dialtone' },
          user: { id: 'AQ', name: 'alice', displayName: 'Alice' },
          pubKeyCredParams: [{ type: 'public-key', alg: -7 }],
        },
      },
    ]
  if (route === 'POST /me/passkeys') {
    const passkey = { id: id('PK'), name: body.name, created_at: ago(0) }
    state.passkeys.push(passkey)
    return [201, passkey]
  }
  if ((at = found(/^DELETE \/me\/passkeys\/(\w+)$/))) {
    state.passkeys = state.passkeys.filter((p) => p.id !== at)
    return [204]
  }
  if (route === 'GET /me/sessions') return [200, { sessions: state.sessions }]
  if ((at = found(/^DELETE \/me\/sessions\/(\w+)$/))) {
    state.sessions = state.sessions.filter((s) => s.id !== at)
    return [204]
  }
  if (route === 'GET /audit') {
    const act = query.get('act') ?? ''
    const actor = (query.get('actor') ?? '').toLowerCase()
    const entries = state.audit.filter((e) => e.act.startsWith(act) && (!actor || e.actor.toLowerCase() === actor))
    const from = Number(query.get('cursor') ?? 0)
    return [200, { entries: entries.slice(from, from + 8), next: entries.length > from + 8 ? String(from + 8) : '' }]
  }
}
