// Drives Chromium for the Go tests: one JSON object a line on stdin, one answer
// a line on stdout with the same id, in the order in which they are done.
// Events of pages (console, errors, crashes) come as lines without id.
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const say = (line) => process.stdout.write(JSON.stringify(line) + '\n');

let browser;
const pages = new Map();
const contexts = new Map(); // by the session's pages
const sessions = new Map(); // of the DevTools protocol, by page
let nextPage = 1;

async function adopt(context, { url, timeout }) {
  const page = await context.newPage();
  const id = nextPage++;
  pages.set(id, page);
  contexts.set(id, context);
  page.on('console', (m) => say({ page: id, event: 'console', level: m.type(), text: m.text() }));
  page.on('pageerror', (e) => say({ page: id, event: 'error', text: String(e) }));
  page.on('crash', () => say({ page: id, event: 'crash', text: '' }));
  if (timeout) page.setDefaultTimeout(timeout);
  await page.goto(url, { waitUntil: 'load' });
  return id;
}

const ops = {
  async launch({ executable, args, headless }) {
    browser = await chromium.launch({ executablePath: executable, args, headless });
    return browser.version();
  },
  async open(o) {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, ...o.context });
    return adopt(context, o);
  },
  async another(o) {
    return adopt(pages.get(o.page).context(), o);
  },
  // Any method of a Playwright page: click, fill, waitForSelector, setViewportSize…
  async do({ page, method, args }) {
    const result = await pages.get(page)[method](...(args ?? []));
    return ['string', 'number', 'boolean'].includes(typeof result) ? result : null;
  },
  // Any method of the locator of a selector: click, textContent, isVisible…
  async locate({ page, selector, method, args }) {
    const result = await pages.get(page).locator(selector)[method](...(args ?? []));
    return result === undefined || typeof result === 'object' && !Array.isArray(result) ? null : result;
  },
  // An expression, or the body of an async function if it holds a return.
  async eval({ page, js, arg }) {
    const body = /\breturn\b/.test(js) ? js : `return (${js})`;
    const value = await pages.get(page).evaluate(
      ([b, a]) => new (Object.getPrototypeOf(async function () {}).constructor)('arg', b)(a),
      [body, arg ?? null],
    );
    return value ?? null;
  },
  // Also a promise: what it is fulfilled with counts. What throws is not true yet.
  async until({ page, js, arg, timeout }) {
    const end = Date.now() + timeout;
    let last = 'it was not true';
    for (;;) {
      const left = end - Date.now();
      const ask = pages.get(page).evaluate(([b, a]) => new Function('arg', `return (${b})`)(a), [js, arg ?? null]);
      let timer;
      const late = new Promise((_, fail) => {
        timer = setTimeout(() => fail(new Error('no answer')), Math.max(left, 1));
      });
      try {
        if (await Promise.race([ask, late])) return null;
      } catch (error) {
        last = error.message;
      }
      clearTimeout(timer);
      ask.catch(() => {});
      if (Date.now() >= end) throw new Error(`after ${timeout} ms: ${last}: ${js}`);
      await new Promise((done) => setTimeout(done, 20));
    }
  },
  async screenshot({ page, path, full }) {
    await pages.get(page).screenshot({ path, fullPage: full });
    return null;
  },
  async press({ page, key }) {
    await pages.get(page).keyboard.press(key);
    return null;
  },
  async offline({ page, on }) {
    await pages.get(page).context().setOffline(on);
    return null;
  },
  // A command of the DevTools protocol, in one session per page.
  async cdp({ page, method, params }) {
    if (!sessions.has(page)) {
      const p = pages.get(page);
      sessions.set(page, await p.context().newCDPSession(p));
    }
    return (await sessions.get(page).send(method, params ?? {})) ?? null;
  },
  async close({ page }) {
    const p = pages.get(page);
    pages.delete(page);
    sessions.delete(page);
    const context = p.context();
    await p.close({ runBeforeUnload: false });
    if (context.pages().length === 0) await context.close();
    return null;
  },
  async leave({ page }) {
    const context = contexts.get(page);
    contexts.delete(page);
    await context?.close();
    return null;
  },
  async quit() {
    await browser?.close();
    return null;
  },
};

const lines = createInterface({ input: process.stdin });
lines.on('line', async (line) => {
  const { id, op, ...o } = JSON.parse(line);
  try {
    say({ id, value: await ops[op](o) });
  } catch (e) {
    say({ id, error: String(e?.message ?? e) });
  }
  if (op === 'quit') process.exit(0);
});
lines.on('close', async () => {
  await browser?.close();
  process.exit(0);
});
