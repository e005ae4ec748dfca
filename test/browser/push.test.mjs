// Questions to Gatehouse Verify with nothing faked between: the phone is a real
// Firefox with a push service of ours on this machine, the desk a real Chromium.
import assert from 'node:assert/strict'
import crypto from 'node:crypto'
import fs from 'node:fs/promises'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import puppeteer from 'puppeteer-core'
import { WebSocketServer } from 'ws'
import { openHouse, until } from './house.mjs'
import { axe } from './look.mjs'

const keep = process.env.PUSH_PICTURES // a folder for pictures of both screens
let house, service, phone, firefox, profile

// ---- a push service (the part of Mozilla's autopush that a browser speaks) ----

async function pushService() {
  const subscriptions = new Map()
  const s = { mode: 'well', got: [] }
  const server = http.createServer((q, r) => {
    const at = subscriptions.get(q.url.split('/').pop()), parts = []
    q.on('data', (d) => parts.push(d)).on('end', () => {
      const body = Buffer.concat(parts)
      s.got.push({ headers: q.headers, at: Date.now(), bytes: body.length })
      if (s.mode === 'hang') return
      if (s.mode !== 'well' || !at) { r.writeHead(at ? s.mode : 410); return r.end() }
      at.ws.send(JSON.stringify({ messageType: 'notification', channelID: at.channelID, version: crypto.randomUUID(), data: body.toString('base64url'), headers: { encoding: 'aes128gcm' } }))
      r.writeHead(201, { location: '/m/1' })
      r.end()
    })
  })
  new WebSocketServer({ server }).on('connection', (ws) => ws.on('message', (m) => {
    const j = JSON.parse(m)
    if (j.messageType === 'hello') ws.send(JSON.stringify({ messageType: 'hello', uaid: crypto.randomBytes(16).toString('hex'), status: 200, use_webpush: true, broadcasts: {} }))
    else if (j.messageType === 'register') {
      const id = crypto.randomBytes(8).toString('hex')
      subscriptions.set(id, { ws, channelID: j.channelID })
      ws.send(JSON.stringify({ messageType: 'register', channelID: j.channelID, status: 200, pushEndpoint: `http://127.0.0.1:${server.address().port}/wpush/v2/${id}` }))
    } else if (j.messageType === 'unregister') ws.send(JSON.stringify({ messageType: 'unregister', channelID: j.channelID, status: 200 }))
    else if (!j.messageType) ws.send('{}')
  }))
  await new Promise((done) => server.listen(0, '127.0.0.1', done))
  s.port = server.address().port
  s.close = () => { server.closeAllConnections(); server.close() }
  return s
}

// ---- the phone ----

async function openFirefox() {
  profile = await fs.mkdtemp(path.join(os.tmpdir(), 'gatehouse-firefox-'))
  return puppeteer.launch({
    browser: 'firefox', executablePath: '/usr/bin/firefox-esr', headless: true, userDataDir: profile, protocolTimeout: 60_000,
    extraPrefsFirefox: {
      'dom.push.enabled': true, 'dom.push.connection.enabled': true, 'dom.push.serverURL': `ws://127.0.0.1:${service.port}/`,
      'dom.push.testing.allowInsecureServerURL': true, 'dom.push.testing.ignorePermission': false, 'permissions.default.desktop-notification': 1,
      'alerts.useSystemBackend': false, 'app.update.enabled': false, 'toolkit.telemetry.enabled': false, 'datareporting.policy.dataSubmissionEnabled': false, 'app.normandy.enabled': false,
      'network.captive-portal-service.enabled': false, 'network.connectivity-service.enabled': false, 'services.settings.server': 'data:,#remote-settings-dummy/v1',
      'browser.safebrowsing.malware.enabled': false, 'browser.safebrowsing.phishing.enabled': false,
    },
  })
}

/** Waits for something on the phone's page. */
const seen = (what, fn, ...args) => until(what, () => phone.evaluate(fn, ...args).catch(() => false), 20_000)

before(async () => {
  service = await pushService()
  house = await openHouse({ settings: 'push:\n  allowed_networks: [127.0.0.0/8]\n' })
  firefox = await openFirefox()
  phone = await firefox.newPage()
  await phone.setViewport({ width: 390, height: 780 })
  phone.on('console', (m) => { if (['error', 'warn'].includes(m.type())) console.log('phone:', m.text()) })
  phone.on('pageerror', (e) => console.log('phone error:', e.message))
})

after(async () => {
  await firefox?.close().catch(() => {})
  await house?.close()
  service?.close()
  if (profile) await fs.rm(profile, { recursive: true, force: true, maxRetries: 3 })
})

const shot = async (who, name) => {
  if (!keep) return
  await fs.mkdir(keep, { recursive: true })
  await (who.page ?? who).screenshot({ path: path.join(keep, name + '.png') })
}

/** The picture of the documents: both screens as they stand, beside each other. */
async function sideBySide(desk) {
  await desk.page.emulateMedia({ colorScheme: 'light' })
  await desk.page.setViewportSize({ width: 760, height: 780 })
  await phone.evaluate(() => scrollTo(0, 0))
  await shot(desk, 'desk'); await shot(phone, 'phone')
  const [left, right] = await Promise.all(['desk', 'phone'].map(async (n) => 'data:image/png;base64,' + (await fs.readFile(path.join(keep, n + '.png'))).toString('base64')))
  const wall = await (await house.browser()).newPage({ viewport: { width: 1240, height: 860 } })
  await wall.setContent(`<style>body{margin:0;display:flex;gap:36px;padding:40px 30px;background:#dfe7e3;align-items:center;justify-content:center}img{border-radius:14px;box-shadow:0 10px 40px #0004}img+img{border-radius:30px;border:8px solid #16211f;box-sizing:content-box}</style><img src="${left}" height="780"><img src="${right}" height="780">`)
  await wall.screenshot({ path: path.join(keep, 'push.png') })
  await wall.close()
}

const digitsOn = (desk) => desk.page.locator('.number').innerText().then((t) => t.replace(/\D/g, ''))

async function connect(desk, ana) {
  await desk.open('/account/authenticators/verify')
  await desk.proveAfresh(ana)
  await desk.at('/account/authenticators/verify')
  const link = (await desk.readQR()).href // what a camera sees
  assert.ok(link.startsWith(`${house.origin}/verify/#pair=`), link)
  const begun = performance.now()
  await phone.goto(`${house.origin}/verify/`)
  await phone.evaluate(async () => { await navigator.serviceWorker.ready; if (!navigator.serviceWorker.controller) await new Promise((r) => navigator.serviceWorker.addEventListener('controllerchange', r)) })
  await seen('the app', () => document.documentElement.dataset.ready === 'yes')
  await phone.goto(link)
  await seen('the question whether to connect', () => document.querySelector('#sure[open]') !== null)
  await phone.click('#sure-yes')
  const code = await seen('a code in the app', (email) => [...document.querySelectorAll('#tokens > li')].find((li) => li.innerText.includes(email))?.innerText.match(/\b\d{3}\s?\d{3}\b/)?.[0], ana.email)
  await desk.page.waitForFunction(() => document.getElementById('joined').classList.contains('good'))
  await shot(phone, 'paired-phone'); await shot(desk, 'paired-desk')
  await desk.giveCode(code.replace(/\D/g, ''))
  await desk.at('/account/authenticators')
  console.log(`connected in ${Math.round(performance.now() - begun)} ms of machine time`)
}

test('one scan connects a phone, and two digits on it sign its owner in', { timeout: 180_000 }, async (t) => {
  const ana = house.person('owner')
  const desk = await house.signedIn('owner')
  await connect(desk, ana)
  assert.match(await desk.page.locator('main').innerText(), /Gatehouse Verify|Firefox/)

  // the app opens for real once its owner has typed the code
  await phone.evaluate(() => {
    window.pushes = []
    navigator.serviceWorker.addEventListener('message', (e) => { if ('push' in e.data) window.pushes.push({ at: Date.now(), ...e.data }) })
    navigator.serviceWorker.startMessages()
  })

  const times = [], legs = []
  for (let i = 0; i < 3; i++) {
    const guest = await house.visitor({ viewport: { width: 1000, height: 780 } })
    await guest.open('/signin')
    await guest.page.fill('[name=email]', ana.email)
    await guest.page.fill('[name=password]', ana.password)
    const before = await phone.evaluate(() => window.pushes.length)
    await guest.page.evaluate(() => addEventListener('click', () => sessionStorage.setItem('clicked', Date.now()), true)) // the click itself, not when this test thought of it
    await guest.send('[name=password]')
    await guest.at('/signin/push')
    const clicked = Number(await guest.page.evaluate(() => sessionStorage.getItem('clicked')))
    const event = await seen('a push event', (n) => window.pushes[n], before)
    times.push(event.at - clicked)
    legs.push(`${Math.round(service.got.at(-1).at - clicked)} + ${Math.round(event.at - service.got.at(-1).at)}`)
    const digits = await digitsOn(guest)
    assert.match(digits, /^[1-9]\d$/)
    const spoken = await guest.page.locator('main [role=status]').first().innerText()
    assert.match(spoken, /^Number \w+ \w+$/)
    await seen('the question', () => document.querySelector('.question input') !== null)
    if (i === 0) {
      const asked = await phone.evaluate(() => document.querySelector('.question').innerText)
      for (const part of ['Gatehouse', 'Harbour Books', ana.email, 'Chrome on Linux', '127.0.0.1']) assert.ok(asked.includes(part), `the phone does not say ${part}: ${asked}`)
      assert.deepEqual(await axe(phone), [])
      assert.deepEqual(await axe(guest.page), []) // in all sizes and colours: pages.test.mjs, from the gallery
      if (keep) await sideBySide(guest)
    }
    if (i === 1) {
      await phone.type('.question input', digits === '10' ? '11' : '10')
      await phone.click('.question button.main')
      await guest.page.waitForSelector('.problem')
      assert.match(await guest.page.locator('.problem').innerText(), /another number|declined/)
      await seen('what became of the answer', () => /That was another number/.test(document.getElementById('approve-cards').innerText))
      await shot(guest, 'denied'); await shot(phone, 'denied-phone')
    } else {
      await phone.type('.question input', digits)
      await phone.click('.question button.main')
      await guest.at('/account') // by itself
      await seen('what became of the answer', () => /Approved\./.test(document.getElementById('approve-cards').innerText))
    }
    await guest.leave()
    await seen('the next question to be possible', () => !document.querySelector('.question'))
  }
  const load = os.loadavg()[0] / os.cpus().length
  console.log(`from the click on "Sign in" to the notification event, password hash included: ${times.join(', ')} ms (to the push service + from there: ${legs.join(', ')}); load per core ${load.toFixed(1)}`)
  assert.ok(Math.min(...times) <= (load < 1 ? 500 : 5000), `${times}`) // a machine with other work measures that
  const { headers } = service.got[0]
  assert.equal(headers['content-encoding'], 'aes128gcm')
  assert.equal(headers.urgency, 'high')
  assert.equal(headers.ttl, '60')
  assert.match(headers.authorization, /^vapid t=/)
  await desk.leave()
})

// Somebody who has the password, at a desk of their own.
async function thief(ana, options = {}) {
  const guest = await house.visitor({ viewport: { width: 1000, height: 780 }, ...options })
  await guest.open('/signin')
  await guest.page.fill('[name=email]', ana.email)
  await guest.page.fill('[name=password]', ana.password)
  return guest
}

test('three questions in ten minutes are the end, whoever asks', async () => {
  const refused = await house.run('approve', 'ask', house.person('owner').email, '--application', 'Harbour Payroll', '--reference', 'run-11').then(() => '', (why) => String(why.stderr))
  assert.match(refused, /three in ten minutes/)
})

test('an action that is read and signed, a push service that is down, and "not me"', { timeout: 240_000 }, async () => {
  const ben = house.person('bookkeeper')
  const desk = await house.signedIn('bookkeeper')
  await connect(desk, ben)
  const said = await house.run('approve', 'ask', ben.email, '--application', 'Harbour Payroll', '--reference', 'run-12', '--message', 'Payroll for November', '--detail', 'Payee=Rosa Lind', '--detail', 'Amount=12,400.00 EUR')
  await seen('the action', () => document.querySelector('.question .detail') !== null)
  const sheet = await phone.evaluate(() => document.querySelector('.question').innerText)
  for (const part of ['Harbour Payroll', 'Rosa Lind', '12,400.00 EUR', 'Payroll for November']) assert.ok(sheet.includes(part), sheet)
  await shot(phone, 'action-phone')
  await phone.click('.question button.main')
  const id = said.split(' ')[0]
  const shown = await until('the signature', async () => { const s = JSON.parse(await house.run('approve', 'show', id)); return s.state === 'approved' && s })
  assert.ok(shown.signature_stands && shown.shown.details[1].value === '12,400.00 EUR', JSON.stringify(shown))

  service.mode = 500
  const slow = await thief(ben)
  const clicked = Date.now()
  await slow.send('[name=password]')
  await slow.page.locator('#unreached').waitFor({ state: 'visible', timeout: 10_000 })
  console.log(`a push service that is down is told ${Date.now() - clicked} ms after the click`)
  assert.ok(await slow.page.getByRole('link', { name: /code/ }).first().isVisible(), 'no other way')
  await shot(slow, 'unreached')
  await seen('the question all the same, by the open app', () => document.querySelector('.question input') !== null)
  await phone.evaluate(() => [...document.querySelectorAll('.question [data-say=report]')].at(-1).click())
  await seen('are you sure', () => document.querySelector('#sure[open]') !== null)
  await shot(phone, 'report-phone')
  await phone.click('#sure-yes')
  await slow.page.waitForSelector('.problem')
  await slow.page.getByRole('button', { name: 'Ask my phone again' }).click()
  await slow.page.waitForFunction(() => document.querySelector('.problem')?.innerText.includes('did not ask your phone'))
  await shot(slow, 'muted')
  await house.mail(ben.email, (m) => /reported/i.test(m.subject))
  await house.mail(house.person('security-admin').email, (m) => /not theirs/.test(m.subject))
  service.mode = 'well'
  await slow.leave()
  await desk.leave()
})

test('the way without script', { timeout: 120_000 }, async () => {
  const dana = house.person('developer')
  const desk = await house.signedIn('developer')
  await connect(desk, dana)
  const plain = await thief(dana, { javaScriptEnabled: false })
  await plain.page.locator('form button.main').click()
  await plain.at('/signin/push')
  const digits = await digitsOn(plain)
  await seen('the question', () => document.querySelector('.question input') !== null)
  await phone.type('.question input', digits)
  await phone.click('.question button.main')
  await seen('the answer taken', () => document.querySelector('.question') === null).catch(async (why) => { throw new Error(`${why.message}: ${await phone.evaluate(() => document.getElementById('approvals').innerText)}`) })
  await plain.page.getByRole('button').filter({ hasText: /approved it|Continue/ }).click()
  await plain.at('/account')
  await plain.leave()
  await desk.leave()
})
