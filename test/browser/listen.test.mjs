// How Gatehouse Verify listens: with many accounts of one place, when an account was
// changed, and when the browser exchanges its push address. The server is ours in
// part alone; what it would say about these accounts is said here.
import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { openHouse, until } from './house.mjs'
import { complaints } from './look.mjs'

let house
before(async () => { house = await openHouse() })
after(() => house?.close())

/** The app with devices that this test made up, and a server that answers for them. */
async function listening(names, of = () => ({})) {
  const visitor = await house.visitor({ viewport: { width: 390, height: 780 }, permissions: ['notifications'], serviceWorkers: 'block' })
  const { page } = visitor
  await page.addInitScript((of) => {
    const real = window.fetch
    const server = window.server = { open: new Set(), most: 0, asked: {}, subscribed: [] }
    const say = (of) => new Response(JSON.stringify(of), { headers: { 'Content-Type': 'application/json' } })
    window.fetch = async (address, options = {}) => {
      const url = new URL(address, location.href), id = url.searchParams.get('device_id')
      if (!url.pathname.startsWith('/api/v1/verify/')) return real(address, options)
      const what = url.pathname.split('/').pop()
      if (what === 'hello') return say({ challenge: 'x' })
      if (what === 'open') return say({ ticket: 't', push_key: 'kg' })
      if (what === 'questions') { server.asked[id] = (server.asked[id] ?? 0) + 1; return say({ questions: [], account: `${id}@a.example`, name: id, push: true, ...of[id] }) }
      if (what === 'subscription') { server.subscribed.push(JSON.parse(options.body)); return new Response(null, { status: 204 }) }
      server.open.add(id)
      server.most = Math.max(server.most, server.open.size)
      return new Response(new ReadableStream({ start: (c) => options.signal.addEventListener('abort', () => { server.open.delete(id); c.error(options.signal.reason) }) }))
    }
  }, Object.fromEntries(names.map((n) => [n, of(n)])))
  await visitor.open('/verify/')
  await page.waitForSelector('html[data-ready=yes]', { state: 'attached' })
  await page.evaluate(async (names) => {
    const store = await import('/verify/store.js')
    for (const id of names) {
      const { privateKey } = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign', 'verify'])
      await store.put('devices', id, { id, key: privateKey, name: id, address: 'https://push.example/old', server: 'kg' })
    }
  }, names)
  await page.reload()
  await page.waitForSelector('html[data-ready=yes]', { state: 'attached' })
  return visitor
}

test('eight accounts of one place leave connections to answer with, and each is asked for', async () => {
  const names = Array.from({ length: 8 }, (_, i) => `d${i}`)
  const visitor = await listening(names)
  await until('every account was looked at twice', () => visitor.page.evaluate((n) => Object.values(window.server.asked).filter((x) => x > 0).length === n && Object.values(window.server.asked).filter((x) => x > 1).length >= n - 3, names.length), 15_000)
  assert.equal(await visitor.page.evaluate(() => window.server.most), 3)
  const answer = await visitor.page.evaluate(() => fetch('/verify/words.json').then((r) => r.status))
  assert.equal(answer, 200)
  await visitor.leave()
})

test('an account that was changed is named, with the way to look at it', async () => {
  const visitor = await listening(['ana', 'ben'], (id) => ({ changed: id === 'ana' }))
  const { page } = visitor
  await page.waitForSelector('#approve-changed a')
  const told = await page.locator('#approve-changed').innerText()
  assert.match(told, /ana@a\.example/)
  assert.doesNotMatch(told, /ben@/)
  assert.equal(await page.locator('#approve-changed a').getAttribute('href'), '/account/authenticators/phone')
  assert.deepEqual(await complaints(page, 'verify-changed'), [])
  if (process.env.LOOK) await page.screenshot({ path: `${process.env.LOOK}/changed.png` })
  await visitor.leave()
})

test('another push address is brought to the server, once, and when the browser exchanges it while the app is open', async () => {
  const visitor = await listening(['ana'])
  const { page } = visitor
  // What this browser would do with a push service, which it has none of here.
  const fake = () => {
    let endpoint = 'https://push.example/new'
    const sub = () => ({ endpoint, options: { applicationServerKey: new Uint8Array([0x92]).buffer }, unsubscribe: async () => {}, toJSON: () => ({ endpoint, keys: { p256dh: 'p', auth: 'a' } }) })
    const worker = new EventTarget()
    Object.assign(worker, { ready: Promise.resolve({ pushManager: { getSubscription: async () => sub(), subscribe: async () => sub() }, getNotifications: async () => [] }), startMessages() {}, register: async () => new EventTarget(), getRegistration: async () => undefined, controller: null })
    Object.defineProperty(navigator, 'serviceWorker', { value: worker })
    Object.defineProperty(Notification, 'permission', { value: 'granted' })
    window.exchange = (to) => { endpoint = to; const e = new Event('message'); e.data = { push: '', moved: true }; worker.dispatchEvent(e) }
  }
  await page.addInitScript(fake)
  await page.reload()
  await page.waitForFunction(() => window.server?.subscribed.length === 1)
  assert.equal(await page.evaluate(() => window.server.subscribed[0].endpoint), 'https://push.example/new')
  await page.evaluate(() => window.exchange('https://push.example/newer'))
  await page.waitForFunction(() => window.server.subscribed.length === 2)
  assert.equal(await page.evaluate(() => window.server.subscribed[1].endpoint), 'https://push.example/newer')
  await page.evaluate(() => window.exchange('https://push.example/newer'))
  const before = await page.evaluate(() => window.server.asked.ana)
  await page.waitForFunction((n) => window.server.asked.ana > n, before)
  assert.equal(await page.evaluate(() => window.server.subscribed.length), 2, 'the same address again')
  await page.evaluate(() => document.documentElement.dataset.ready)
  await visitor.leave()
})

test('a picture that connects, read inside the app, asks first and is used', async () => {
  const visitor = await listening([])
  const { page } = visitor
  await page.evaluate(() => {
    const before = window.fetch
    window.paired = []
    window.fetch = async (address, options) => {
      if (String(address).endsWith('/key')) return new Response('{"key":"k"}')
      if (!String(address).endsWith('/pair')) return before(address, options)
      window.paired.push(JSON.parse(options.body))
      return new Response(JSON.stringify({ device_id: 'd1', uri: 'otpauth://totp/Gatehouse:ana@a.example?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Gatehouse', account: 'ana@a.example', name: 'Phone' }))
    }
  })
  await page.locator('[data-open=add]:visible').click()
  await page.waitForSelector('#add[open]')
  await page.fill('#add-text', `${house.origin}/verify/#pair=TOKEN`)
  await page.click('#add-paste button')
  await page.waitForSelector('#sure[open]')
  assert.equal(await page.evaluate(() => window.paired.length), 0, 'used without asking')
  await page.click('#sure-yes')
  await page.waitForSelector('.token')
  assert.equal(await page.evaluate(() => window.paired[0].token), 'TOKEN')
  await visitor.leave()
})
