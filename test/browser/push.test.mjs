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
import { complaints } from './look.mjs'

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
  const code = await seen('a code in the app', () => document.querySelector('#tokens')?.innerText.match(/\b\d{3}\s?\d{3}\b/)?.[0])
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
    const clicked = Date.now()
    await guest.send('[name=password]')
    await guest.at('/signin/push')
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
      assert.deepEqual(await complaints(guest.page, 'waiting'), [])
      await shot(guest, 'desk'); await shot(phone, 'phone')
    }
    if (i === 1) {
      await phone.type('.question input', digits === '10' ? '11' : '10')
      await phone.click('.question button.main')
      await guest.page.waitForSelector('.problem')
      assert.match(await guest.page.locator('.problem').innerText(), /another number|declined/)
      await shot(guest, 'denied'); await shot(phone, 'denied-phone')
    } else {
      await phone.type('.question input', digits)
      await phone.click('.question button.main')
      await guest.at('/account') // by itself
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
