// A pretend node for development and screenshots: the API of docs/api.md with
// made-up data, and the console's files. `createMock()` is used by shots.mjs;
// run directly it serves the API on 127.0.0.1:5180 for `npm run dev:fake`.
import { createServer } from 'node:http'
import { readFile, stat } from 'node:fs/promises'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { admin, adminData } from './mock-admin.mjs'

const ago = (seconds) => new Date(Date.now() - seconds * 1000).toISOString()
const hours = 3600

/** The content security policy that the console needs, and nothing beyond it. */
export const csp =
  "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; media-src 'self'; " +
  "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

const support = { id: 'l1', number: '+14155550199', name: 'Support', agents_online: 4, agents_reachable: 3, waiting: 2 }
const sales = { id: 'l2', number: '+442079460199', name: 'Sales UK', agents_online: 2, agents_reachable: 2, waiting: 0 }

const ana = { number: '+351912345678', name: 'Ana Ferreira', country: 'PT' }
const people = [
  ana,
  { number: '+14155550132', name: 'Marcus Webb', country: 'US' },
  { number: '+493012345678', country: 'DE' },
  { number: '+442079460958', name: 'Priya Natarajan', country: 'GB' },
  { number: '+819012345678', name: 'Yuki Tanaka', country: 'JP' },
  {},
  { number: '+5511987654321', country: 'BR' },
]

function call(i, at, direction, status, more = {}) {
  const party = people[i % people.length]
  const line = i % 3 === 2 ? sales : support
  const us = { number: line.number, name: line.name }
  return {
    id: `call-${i}`,
    direction,
    from: direction === 'inbound' ? party : us,
    to: direction === 'inbound' ? us : party,
    line: line.id,
    agent: 'a1',
    status,
    cause: status === 'completed' ? 'completed' : 'no_answer',
    offered_at: ago(at),
    answered_at: status === 'completed' ? ago(at - 9) : null,
    ended_at: ago(at - 200),
    talked: status === 'completed' ? 48 + ((i * 97) % 700) : 0,
    held: i % 4 === 0 ? 31 : 0,
    voicemail: '',
    legs: [
      {
        leg: `CA${i}a`,
        party,
        started_at: ago(at),
        answered_at: ago(at - 2),
        ended_at: ago(at - 200),
        status,
        cause: 'completed',
        quality: {
          codec: 'PCMU',
          packets_in: 2400,
          lost: 3,
          longest_gap: 0.06,
          jitter_ms: 4.2,
          mos: 4.4,
          rtt_ms: 48.7,
          far_mos: 4.3,
        },
      },
      {
        leg: `CA${i}b`,
        party: { identity: 'alice' },
        agent: 'a1',
        started_at: ago(at - 3),
        answered_at: status === 'completed' ? ago(at - 9) : null,
        ended_at: ago(at - 200),
        status,
        cause: 'completed',
        quality: {
          codec: 'PCMU',
          packets_in: 2400,
          lost: 96,
          longest_gap: 0.4,
          jitter_ms: 34,
          mos: 3.4,
          rtt_ms: 212,
          far_mos: 4.1,
        },
      },
    ],
    ...more,
  }
}

export function sampleData({ empty = false, demo = false, many = true, role = 'agent', methods = {} } = {}) {
  const me = {
    id: 'a1',
    name: 'Alice Okafor',
    identity: 'alice',
    state: 'online',
    state_since: ago(1634),
    device: { reachable: true, since: ago(1634), count: 1 },
    activity: null,
  }
  const calls = empty
    ? []
    : [
        call(0, 600, 'inbound', 'completed'),
        call(1, 2100, 'outbound', 'completed'),
        call(2, 3 * hours, 'inbound', 'not_answered'),
        call(3, 4 * hours, 'inbound', 'voicemail', { voicemail: 'v1' }),
        call(4, 5 * hours, 'outbound', 'not_answered', { cause: 'busy' }),
        call(5, 26 * hours, 'inbound', 'completed'),
        call(6, 27 * hours, 'inbound', 'abandoned'),
        call(7, 29 * hours, 'inbound', 'completed'),
        call(8, 52 * hours, 'outbound', 'failed', { cause: 'carrier_down' }),
        call(9, 76 * hours, 'inbound', 'completed'),
      ]
  return {
    session: {
      user: { id: 'u1', name: 'Alice Okafor', email: 'alice@demo.example', role, identity: 'alice' },
      csrf: 'mock',
      account: { id: 'acc', name: 'Northwind Care', time_zone: 'Europe/Lisbon' },
      demo,
      version: '0.1.0',
    },
    signedIn: true,
    methods: { password: true, passkeys: true, oidc: [], ...methods },
    admin: adminData({ empty }),
    password: 'demo',
    me,
    lines: many ? [support, sales] : [{ ...support, number: '+15550199', name: 'Main' }],
    agents: [me, { ...me, id: 'a2', name: 'Bob Lindqvist', identity: 'bob' }],
    calls,
    missed: empty
      ? []
      : [
          { id: 'm1', call: 'call-2', line: 'l2', from: people[2], at: ago(3 * hours), why: 'missed' },
          { id: 'm2', call: 'call-x', line: 'l1', from: people[1], at: ago(5.4 * hours), why: 'unreachable' },
        ],
    voicemails: empty
      ? []
      : [
          { id: 'v1', call: 'call-3', line: 'l1', from: people[3], at: ago(4 * hours), duration: 24, heard: false },
          { id: 'v2', call: 'c', line: 'l2', from: people[2], at: ago(23 * hours), duration: 8, heard: false },
          {
            id: 'v3',
            call: 'c',
            line: 'l1',
            from: people[4],
            at: ago(50 * hours),
            duration: 61,
            heard: true,
            heard_by: 'Bob Lindqvist',
          },
        ],
    warnings: [],
  }
}

const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.wav': 'audio/wav',
  '.woff2': 'font/woff2',
  '.map': 'application/json',
}

/** `state` may be changed at any time; `send` tells the event streams. */
export function createMock({ state = sampleData(), dist = '' } = {}) {
  const streams = new Set()
  const mock = { state, streams, send, ring, hold: true, down: false, requests: [] }

  function send(event, data) {
    for (const stream of streams) stream.write(`id: ${Date.now()}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
  }
  function snapshot() {
    const { me, lines, agents, missed, voicemails, warnings } = mock.state
    return { me, lines, agents, missed, voicemails_unheard: voicemails.filter((v) => !v.heard).length, warnings }
  }
  /** The call centre's word of an offer; the fake phone rings by itself. */
  function ring(leg, from = ana, line = mock.state.lines[0], contacts = mock.state.calls.slice(0, 3)) {
    const activity = {
      kind: 'ringing',
      since: ago(0),
      call: 'c-ring',
      leg,
      direction: 'inbound',
      peer: from,
      line: line.id,
    }
    mock.state.me = { ...mock.state.me, activity }
    send('agent', mock.state.me)
    send('ringing', { leg, call: 'c-ring', line, from, waited: 14, contacts })
  }
  function json(response, status, body) {
    const type = status >= 400 ? 'application/problem+json' : 'application/json'
    response.writeHead(status, { 'Content-Type': type }).end(body === undefined ? '' : JSON.stringify(body))
  }
  const problem = (response, status, title, detail = '') => json(response, status, { status, title, detail })

  async function api(request, response, path, query) {
    const { state } = mock
    let text = ''
    for await (const chunk of request) text += chunk
    const body = text ? JSON.parse(text) : {}
    const route = `${request.method} ${path}`
    mock.requests.push(route)
    if (route === 'POST /session') {
      if (body.password !== state.password) return problem(response, 401, 'Unauthorized', 'Name or password are wrong.')
      state.signedIn = true
      return json(response, 200, state.session)
    }
    if (route === 'GET /session/methods') return json(response, 200, state.methods)
    if (!state.signedIn) return problem(response, 401, 'Unauthorized')
    if (route === 'GET /session') return json(response, 200, state.session)
    if (request.method !== 'GET' && request.headers['x-dialtone-csrf'] !== state.session.csrf)
      return problem(response, 403, 'Forbidden', 'The CSRF header is missing.')
    if (route === 'DELETE /session') {
      state.signedIn = false
      return json(response, 204)
    }
    if (route === 'POST /device-tokens')
      return json(response, 201, {
        token: 'mock',
        kind: body.kind ?? 'access',
        identity: 'alice',
        expires_at: ago(-3600),
        ways: ['ticket', 'access'],
      })
    if (route === 'PUT /me') {
      state.me = { ...state.me, state: body.state, state_since: ago(0) }
      send('agent', state.me)
      return json(response, 200, state.me)
    }
    if (route === 'GET /calls') {
      const kind = query.get('kind') ?? 'all'
      const calls = state.calls.filter((c) => {
        if (kind === 'inbound' || kind === 'outbound') return c.direction === kind
        if (kind === 'voicemail') return c.status === 'voicemail'
        if (kind === 'missed') return c.direction === 'inbound' && ['not_answered', 'abandoned'].includes(c.status)
        return true
      })
      return json(response, 200, { calls, next: '' })
    }
    const hold = /^POST \/calls\/([^/]+)\/hold$/.exec(route)
    if (hold) {
      if (!mock.hold) return problem(response, 409, 'Conflict', 'This call is not connected yet. Try again when it is.')
      send('held', { call: 'c', leg: hold[1], on: body.on })
      return json(response, 204)
    }
    const seen = /^POST \/missed\/([^/]+)\/seen$/.exec(route)
    if (seen) {
      state.missed = state.missed.filter((m) => m.id !== seen[1])
      return json(response, 204)
    }
    if (route === 'GET /voicemails') return json(response, 200, { voicemails: state.voicemails, next: '' })
    const audio = /^GET \/voicemails\/([^/]+)\/audio$/.exec(route)
    if (audio) return file(response, fileURLToPath(new URL('../public/sounds/incoming.wav', import.meta.url)))
    const heard = /^POST \/voicemails\/([^/]+)\/heard$/.exec(route)
    if (heard) {
      state.voicemails = state.voicemails.map((v) => (v.id === heard[1] ? { ...v, heard: body.heard } : v))
      return json(response, 204)
    }
    const gone = /^DELETE \/voicemails\/([^/]+)$/.exec(route)
    if (gone) {
      state.voicemails = state.voicemails.filter((v) => v.id !== gone[1])
      return json(response, 204)
    }
    if (route === 'POST /demo/call-me') return json(response, 202)
    if (route === 'GET /events') {
      response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
      streams.add(response)
      response.write(`id: 1\nevent: snapshot\ndata: ${JSON.stringify(snapshot())}\n\n`)
      const comment = setInterval(() => response.write(':\n\n'), 15_000)
      response.on('close', () => {
        clearInterval(comment)
        streams.delete(response)
      })
      return
    }
    const answer = admin(state.admin, route, query, body, request.headers)
    if (answer && typeof answer[1] === 'string')
      return response.writeHead(200, { 'Content-Type': 'text/csv; charset=utf-8' }).end(answer[1])
    if (answer) return json(response, ...answer)
    return problem(response, 404, 'Not Found')
  }

  async function file(response, path) {
    try {
      const bytes = await readFile(path)
      response
        .writeHead(200, {
          'Content-Type': types[extname(path)] ?? 'application/octet-stream',
          'Content-Security-Policy': csp,
        })
        .end(bytes)
    } catch {
      response.writeHead(404).end()
    }
  }

  const server = createServer(async (request, response) => {
    const url = new URL(request.url, 'http://localhost')
    if (mock.down) return request.destroy()
    if (url.pathname.startsWith('/api/v1/'))
      return api(request, response, url.pathname.slice('/api/v1'.length), url.searchParams).catch(() =>
        response.destroy(),
      )
    if (url.pathname === '/healthz') return response.writeHead(200).end('ok')
    if (!dist) return response.writeHead(404).end()
    const wanted = join(dist, normalize(url.pathname))
    const exists = await stat(wanted).then(
      (s) => s.isFile(),
      () => false,
    )
    if (!exists && /^\/(assets|sounds|flags|icons)\//.test(url.pathname)) return response.writeHead(404).end()
    return file(response, exists ? wanted : join(dist, 'index.html'))
  })
  mock.server = server
  mock.listen = (port = 0) =>
    new Promise((resolve) =>
      server.listen(port, '127.0.0.1', () => resolve(`http://127.0.0.1:${server.address().port}`)),
    )
  mock.close = () => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  }
  return mock
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const mock = createMock({
    state: sampleData({
      demo: process.argv.includes('--demo'),
      role: process.argv.includes('--agent') ? 'agent' : 'admin',
    }),
  })
  console.log(`pretend node on ${await mock.listen(5180)}; sign in with any name and the password "demo"`)
}
