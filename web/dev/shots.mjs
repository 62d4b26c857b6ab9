// Takes a picture of every state of the console in light, dark, in a
// small and in a phone-sized window, into dev/shots. Run by `npm run shots`; names of shots
// as arguments take only those.
import { mkdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { createMock, sampleData } from './mock.mjs'

const out = fileURLToPath(new URL('shots/', import.meta.url))
const dist = fileURLToPath(new URL('../dist-dev/', import.meta.url))
const leg = 'CA0123456789abcdef0123456789abcdef'
const only = process.argv.slice(2)

const tell = (page, event) => page.evaluate((e) => window.fakePhone.tell(e), event)
const ring = async (page, mock, from) => {
  mock.ring(leg, from)
  await page.evaluate(([leg]) => window.fakePhone.ring(leg, '+351912345678'), [leg])
}
const answer = async (page, mock) => {
  await ring(page, mock)
  await page.getByTestId('answer').click()
  mock.state.me = { ...mock.state.me, activity: { ...mock.state.me.activity, kind: 'on_call' } }
  mock.send('agent', mock.state.me)
  await page.getByTestId('timer').waitFor()
}
const wait = (page, ms) => page.waitForTimeout(ms)

/** name → path, data, and what happens before the picture. */
const shots = {
  'sign-in': { data: { signedOut: true }, path: '/sign-in' },
  'sign-in-wrong': {
    data: { signedOut: true },
    path: '/sign-in',
    act: async (page) => {
      await page.getByTestId('sign-in-name').fill('alice')
      await page.getByTestId('sign-in-password').fill('x')
      await page.getByTestId('sign-in-submit').click()
      await page.getByTestId('sign-in-error').waitFor()
    },
  },
  idle: {},
  'first-day': { data: { empty: true, demo: true, many: false } },
  typed: { act: (page) => page.getByTestId('dial-input').fill('+44 20 7946 0958') },
  ringing: { act: ring },
  'ringing-unknown': { act: (page, mock) => ring(page, mock, { number: '+493012345678', country: 'DE' }) },
  dialling: {
    act: async (page) => {
      await page.getByTestId('dial-input').fill('+14155550102')
      await page.getByTestId('dial').click()
      await wait(page, 900)
    },
  },
  'in-call': {
    act: async (page, mock) => {
      await answer(page, mock)
      await wait(page, 2300)
    },
  },
  'in-call-muted-held': {
    act: async (page, mock) => {
      await answer(page, mock)
      await page.getByTestId('mute').click()
      await page.getByTestId('hold').click()
      await page.getByTestId('flag-held').waitFor()
      await tell(page, { type: 'warning', name: 'high-packet-loss' })
    },
  },
  'in-call-keypad': {
    act: async (page, mock) => {
      await answer(page, mock)
      await page.keyboard.press('k')
      for (const key of '42#') await page.keyboard.press(key)
    },
  },
  'in-call-lost': {
    act: async (page, mock) => {
      await answer(page, mock)
      await tell(page, { type: 'reconnecting', what: 'signalling' })
      await tell(page, { type: 'lost', code: 31005 })
      mock.state.me = { ...mock.state.me, device: { reachable: false, count: 0 } }
      mock.send('agent', mock.state.me)
      await page.getByTestId('banner').waitFor()
    },
  },
  ended: {
    act: async (page) => {
      await page.getByTestId('dial-input').fill('+14155550101')
      await page.getByTestId('dial').click()
      await page.getByTestId('call-ended').waitFor()
    },
  },
  unavailable: {
    act: async (page, mock) => {
      await wait(page, 200)
      await tell(page, { type: 'lost', code: 31005 })
      mock.state.me = { ...mock.state.me, device: { reachable: false, count: 0 } }
      mock.send('agent', mock.state.me)
      await page.getByTestId('banner').waitFor()
    },
  },
  refused: {
    act: async (page) => {
      await wait(page, 200)
      await tell(page, {
        type: 'refused',
        code: 20101,
        tried: [
          { way: 'ticket', code: 20101, at: 0 },
          { way: 'access', code: 0, at: 0 },
        ],
      })
      await page.getByTestId('banner').waitFor()
    },
  },
  'state-menu': { act: (page) => page.getByTestId('state').click() },
  'user-menu': { act: (page) => page.getByTestId('user-menu').click() },
  history: { path: '/history' },
  'history-open': {
    path: '/history?kind=inbound',
    act: (page) => page.getByTestId('call-details').first().click(),
  },
  'history-empty': { path: '/history?kind=missed', data: { empty: true } },
  voicemail: {
    path: '/voicemail',
    act: async (page) => {
      await page.getByTestId('voicemail-play').first().click()
      await wait(page, 900)
    },
  },
  'voicemail-deleted': {
    path: '/voicemail',
    act: (page) => page.getByTestId('voicemail-delete').nth(1).click(),
  },
  settings: { path: '/settings' },
  'settings-account': {
    path: '/settings',
    act: async (page) => {
      await tell(page, { type: 'way', by: 'access', avoided: [{ way: 'ticket', code: 20101, at: Date.now() - 4e5 }] })
      await page.getByTestId('password-open').click()
      await page.getByTestId('sessions').scrollIntoViewIfNeeded()
    },
  },
  'settings-connection': {
    path: '/settings',
    act: async (page) => {
      await tell(page, { type: 'way', by: 'access', avoided: [{ way: 'ticket', code: 20101, at: Date.now() - 4e5 }] })
      await page.getByTestId('phone-way').scrollIntoViewIfNeeded()
    },
  },
  'sign-in-ways': {
    data: {
      signedOut: true,
      methods: { oidc: [{ id: 'corp', name: 'Northwind', url: '/api/v1/session/oidc/corp/start' }] },
    },
    path: '/sign-in?problem=oidc_unknown',
  },
  'access-ways': { path: '/admin/access', data: { role: 'admin' } },
  'access-close': {
    path: '/admin/access',
    data: { role: 'admin' },
    act: (page) => page.getByTestId('way-capability-switch').click(),
  },
  'access-date': {
    path: '/admin/access',
    data: { role: 'admin' },
    act: (page) => page.getByTestId('way-capability-date').click(),
  },
  'access-report': { path: '/admin/access/report?way=capability', data: { role: 'admin' } },
  'access-report-empty': { path: '/admin/access/report?way=capability', data: { role: 'admin', empty: true } },
  'access-keys': { path: '/admin/access/keys', data: { role: 'admin' } },
  'access-key-menu': {
    path: '/admin/access/keys',
    data: { role: 'admin' },
    act: (page) => page.getByTestId('row-menu').first().click(),
  },
  'access-key-add': {
    path: '/admin/access/keys',
    data: { role: 'admin' },
    act: async (page) => {
      await page.getByTestId('key-add').click()
      await page.getByTestId('key-name').fill('Night export')
    },
  },
  'access-key-secret': {
    path: '/admin/access/keys',
    data: { role: 'admin' },
    act: async (page) => {
      await page.getByTestId('key-add').click()
      await page.getByTestId('key-name').fill('Night export')
      await page.getByTestId('key-role').selectOption('admin')
      await page.getByTestId('dialog-confirm').click()
      await page.getByTestId('key-secret').waitFor()
    },
  },
  'access-key-rotate': {
    path: '/admin/access/keys',
    data: { role: 'admin' },
    act: async (page) => {
      await page.getByTestId('row-menu').nth(2).click()
      await page.getByTestId('row-rotate').click()
    },
  },
  'access-key-revoke': {
    path: '/admin/access/keys',
    data: { role: 'admin' },
    act: async (page) => {
      await page.getByTestId('row-menu').nth(2).click()
      await page.getByTestId('row-revoke').click()
    },
  },
  'access-issuers': { path: '/admin/access/issuers', data: { role: 'admin' } },
  'access-issuers-empty': { path: '/admin/access/issuers', data: { role: 'admin', empty: true } },
  'access-issuer-add': {
    path: '/admin/access/issuers',
    data: { role: 'admin' },
    act: async (page) => {
      await page.getByTestId('issuer-add').click()
      await page.locator('#issuer-name').fill('Company')
      await page.locator('#issuer-url').fill('https://nowhere.example')
      await page.locator('#issuer-audience').fill('dialtone')
      await page.getByTestId('dialog-confirm').click()
      await page.getByTestId('dialog-problem').waitFor()
    },
  },
  'access-revocations': { path: '/admin/access/revocations', data: { role: 'admin' } },
  'access-revoke': {
    path: '/admin/access/revocations',
    data: { role: 'admin' },
    act: (page) => page.getByTestId('revocation-add').click(),
  },
  people: { path: '/admin/people', data: { role: 'admin' } },
  'people-add': {
    path: '/admin/people',
    data: { role: 'admin' },
    act: (page) => page.getByTestId('person-add').click(),
  },
  'people-disable': {
    path: '/admin/people',
    data: { role: 'admin' },
    act: async (page) => {
      await page.getByTestId('row-menu').nth(2).click()
      await page.getByTestId('row-disable').click()
    },
  },
  audit: {
    path: '/admin/audit',
    data: { role: 'admin' },
    act: (page) => page.getByTestId('audit-entry').nth(1).getByRole('button').click(),
  },
  'audit-empty': { path: '/admin/audit?act=key.', data: { role: 'admin', empty: true } },
  'admin-not-for-agents': { path: '/admin/people' },
  shortcuts: { act: (page) => page.keyboard.press('?') },
  lost: { path: '/nowhere' },
}

const looks = {
  light: { viewport: { width: 1360, height: 820 }, colorScheme: 'light' },
  dark: { viewport: { width: 1360, height: 820 }, colorScheme: 'dark' },
  small: { viewport: { width: 1024, height: 640 }, colorScheme: 'light' },
  phone: { viewport: { width: 360, height: 740 }, colorScheme: 'light', deviceScaleFactor: 2, hasTouch: true },
}

await mkdir(out, { recursive: true })
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    '--no-sandbox',
    '--headless',
    '--disable-gpu',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--no-first-run',
    '--use-fake-ui-for-media-stream',
    '--use-fake-device-for-media-stream',
    '--autoplay-policy=no-user-gesture-required',
  ],
})
let failures = 0
for (const [name, { path = '/', data = {}, act }] of Object.entries(shots)) {
  for (const [look, options] of Object.entries(looks)) {
    const wanted = only.length === 0 || only.includes(name) || only.includes(`${name}-${look}`) || only.includes(look)
    if (!wanted) continue
    const mock = createMock({ state: sampleData(data), dist })
    if (data.signedOut) mock.state.signedIn = false
    const address = await mock.listen()
    const context = await browser.newContext({ ...options, locale: 'en', reducedMotion: 'reduce' })
    const page = await context.newPage()
    page.on('console', (message) => {
      const text = message.text()
      if (message.type() !== 'error' && message.type() !== 'warning') return
      if (/401|ERR_INCOMPLETE|Failed to load resource/.test(text)) return
      console.log(`${name}-${look}: ${text}`)
      failures++
    })
    page.on('pageerror', (error) => {
      console.log(`${name}-${look}: ${error.stack}`)
      failures++
    })
    try {
      await page.goto(address + path)
      await page.getByTestId(data.signedOut ? 'sign-in-submit' : 'call-card').waitFor({ state: 'attached' })
      if (!data.signedOut) await page.locator('[data-testid=state]:not([data-state-kind=connecting])').waitFor()
      await page.waitForLoadState('load').catch(() => {})
      await page.waitForLoadState('networkidle', { timeout: 300 }).catch(() => {})
      await act?.(page, mock)
      await wait(page, 250)
      const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)
      if (wide) {
        console.log(`${name}-${look}: wider than the window`)
        failures++
      }
      await page.screenshot({ path: `${out}${name}-${look}.png` })
    } catch (error) {
      console.log(`${name}-${look}: ${error.message.split('\n')[0]}`)
      await page.screenshot({ path: `${out}${name}-${look}.png` })
      failures++
    }
    await context.close()
    await mock.close()
  }
}
await browser.close()
console.log(`pictures in dev/shots, ${failures} complaint${failures === 1 ? '' : 's'}`)
process.exitCode = failures ? 1 : 0
