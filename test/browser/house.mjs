// What the browser tests share: the real program with demo people, visitors with
// a real Chromium, a phone (oathtool), an eye (zbarimg), and the letter box.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import fs from 'node:fs/promises'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { setTimeout as pause } from 'node:timers/promises'
import { chromium, firefox } from 'playwright-core'

const exec = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
// A variable of ours that the program does not know is a mistake to it.
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('GATEHOUSE_')))

/** A condition, asked again until it holds: nothing here waits for the clock alone. */
export async function until(what, condition, patience = 15_000) {
  const end = Date.now() + patience
  for (;;) {
    const found = await condition()
    if (found) return found
    assert.ok(Date.now() < end, `waited ${patience} ms in vain: ${what}`)
    await pause(40)
  }
}

// ---- the program ----

/**
 * Opens a house: the built program with its demo people, in a folder of its own.
 * With drill it is the build whose clock can be moved (house.later). settings are
 * added to its configuration. browser starts what visitors come with: launch or
 * launchFirefox.
 */
export async function openHouse({ drill = false, settings = '', browser = launch } = {}) {
  const dir = await fs.mkdtemp(path.join(os.tmpdir(), 'gatehouse-browser-'))
  const house = new House(dir, await program(dir, drill), await freePort())
  house.launch = browser
  if (drill || settings) await house.configure(await freePort(), settings)
  await house.start()
  return house
}

async function program(dir, drill) {
  const built = drill ? process.env.GATEHOUSE_DRILL_BIN : process.env.GATEHOUSE_BIN
  if (built) return built
  const made = path.join(dir, 'gatehouse')
  await exec('go', ['build', ...(drill ? ['-tags', 'drill'] : []), '-o', made, './cmd/gatehouse'], { cwd: root, env: { ...env, CGO_ENABLED: '0' } })
  return made
}

const freePort = () => new Promise((found, fail) => {
  const probe = net.createServer().once('error', fail)
  probe.listen(0, '127.0.0.1', () => { const { port } = probe.address(); probe.close(() => found(port)) })
})

class House {
  constructor(dir, binary, port) {
    Object.assign(this, { dir, binary, port, data: path.join(dir, 'demo'), log: '', browsers: [], read: new Set(), kept: new Map() })
    this.origin = `http://localhost:${port}` // what the program says; mails link to it
    this.local = `http://127.0.0.1:${port}` // for Node, whose localhost may be another
  }

  /** Puts the management listener, and the drill's clock with it, where we find it. */
  async configure(port, settings) {
    this.clock = `http://127.0.0.1:${port}/drill/clock`
    await fs.mkdir(this.data, { mode: 0o700 })
    await fs.writeFile(path.join(this.data, 'gatehouse.yaml'), `origin: ${this.origin}
listen: 127.0.0.1:${this.port}
management:
  listen: 127.0.0.1:${port}
data_dir: data
keys_dir: keys
mail:
  folder: outbox
log:
  format: text
  level: warn
${settings}`, { mode: 0o600 })
  }

  /** Lets time pass for the program, and for phones; browsers keep theirs. span is such as 2h or 31m. */
  async later(span) {
    const answer = await fetch(this.clock, { method: 'POST', body: span })
    assert.equal(answer.status, 200, await answer.text())
  }

  async start() {
    this.process = spawn(this.binary, ['demo', '--dir', this.data, '--addr', `127.0.0.1:${this.port}`], { stdio: ['ignore', 'pipe', 'pipe'], env })
    for (const stream of [this.process.stdout, this.process.stderr]) stream.on('data', (d) => { this.log += d })
    this.process.on('exit', (code, signal) => { this.ended = `exit ${code ?? signal}` })
    this.people = await until('the demo is ready', async () => {
      assert.ok(!this.ended, `the demo ended by itself, ${this.ended}:\n${this.log}`)
      try {
        const people = JSON.parse(await fs.readFile(path.join(this.data, 'people.json'), 'utf8'))
        return (await fetch(this.local + '/signin')).ok && people
      } catch { return false }
    }, 60_000)
  }

  person(role) {
    const found = this.people.find((p) => p.role === role)
    assert.ok(found, `no ${role} in people.json`)
    found.phone ??= new Phone(found.totp_secret)
    return found
  }

  /** Runs a command of the program on the data of this house. */
  async run(...args) {
    const { stdout, stderr } = await exec(this.binary, ['--config', path.join(this.data, 'gatehouse.yaml'), ...args], { env })
    return stdout + stderr
  }

  /** Invites somebody new, as an operator does, and gives the mailed link. */
  async invite(name, email = `${name.toLowerCase()}.${randomBytes(3).toString('hex')}@harbour.example`) {
    await this.run('account', 'add', '--name', name, '--organisation', 'Harbour Books', email)
    return { email, link: await this.mailedLink(email) }
  }

  /** Every mail so far, oldest first. */
  async mails() {
    const box = path.join(this.data, 'outbox')
    const names = (await fs.readdir(box).catch(() => [])).filter((n) => n.endsWith('.eml')).sort()
    return Promise.all(names.map(async (name) => new Mail(name, await fs.readFile(path.join(box, name), 'utf8'))))
  }

  /** The newest mail to an address that has not been read yet and matches. */
  async mail(to, matching = () => true) {
    const mail = await until(`a mail to ${to}`, async () =>
      (await this.mails()).findLast((m) => m.to.includes(to) && !this.read.has(m.name) && matching(m)))
    this.read.add(mail.name)
    return mail
  }

  async mailedLink(to) {
    const mail = await this.mail(to, (m) => m.link)
    assert.ok(mail.link.startsWith(this.origin + '/link/'), `a link from somewhere else: ${mail.link}`)
    return mail.link
  }

  async close() {
    for (const browser of this.browsers) await browser.close()
    if (!this.ended) {
      this.process.kill('SIGINT')
      await until('the demo to stop at Ctrl-C', () => this.ended, 15_000).catch(() => this.process.kill('SIGKILL'))
    }
    await fs.rm(this.dir, { recursive: true, force: true })
    assert.equal(this.ended, 'exit 0', `Ctrl-C does not end the demo cleanly:\n${this.log.slice(-2000)}`)
  }

  // ---- visitors ----

  async browser() {
    this.browsers[0] ??= await this.launch()
    return this.browsers[0]
  }

  /** Somebody with a browser of their own. Options are those of a playwright context. */
  async visitor(options = {}) {
    const context = await (await this.browser()).newContext({
      baseURL: this.origin, locale: 'en-GB', timezoneId: 'Europe/Lisbon', viewport: { width: 1280, height: 900 }, ...options,
    })
    context.setDefaultTimeout(15_000)
    const visitor = new Visitor(this, context)
    visitor.page = await context.newPage()
    return visitor
  }

  /** The same, already signed in; one sign-in per person and kind of browser is made and kept. */
  async signedIn(role, options = {}) {
    if (!this.kept.has(role)) {
      const first = await this.visitor()
      await first.signIn(this.person(role))
      this.kept.set(role, await first.context.storageState())
      await first.leave()
    }
    return this.visitor({ ...options, storageState: this.kept.get(role) })
  }
}

export const launch = () => chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
})

/** Debian's own Firefox, by WebDriver BiDi. Its passkeys are those that firefoxKey puts in. */
export const launchFirefox = () => firefox.launch({
  channel: 'moz-firefox', executablePath: '/usr/bin/firefox-esr', args: ['--remote-allow-system-access'],
  firefoxUserPrefs: {
    'security.webauth.webauthn_enable_softtoken': true, 'security.webauth.webauthn_enable_usbtoken': false,
    'app.update.enabled': false, 'toolkit.telemetry.enabled': false, 'datareporting.policy.dataSubmissionEnabled': false, 'app.normandy.enabled': false,
    'network.captive-portal-service.enabled': false, 'network.connectivity-service.enabled': false, 'services.settings.server': 'data:,#remote-settings-dummy/v1',
    'browser.safebrowsing.malware.enabled': false, 'browser.safebrowsing.phishing.enabled': false,
  },
})

// ---- a visitor ----

class Visitor {
  constructor(house, context) {
    Object.assign(this, { house, context, complaints: [], trail: [] })
    context.on('page', (page) => this.watch(page))
  }

  // Every page that any test opens is watched: no third party is asked, nothing
  // breaks the content security policy, no script fails.
  watch(page) {
    const own = new URL(this.house.origin).host
    page.on('response', (r) => {
      if (r.request().isNavigationRequest()) this.trail.push(`${r.request().method()} ${new URL(r.url()).pathname} ${r.status()}`)
    })
    page.on('request', (r) => {
      const url = new URL(r.url())
      if (url.protocol.startsWith('http') && url.host !== own) this.complaints.push(`asks a third party: ${r.url()}`)
    })
    page.on('pageerror', (e) => this.complaints.push(`a script fails: ${e.message}`))
    page.on('console', (m) => {
      const refusal = /status of (4\d\d|503)/.test(m.text()) // the page itself says so too
      if (m.type() === 'error' && !refusal) this.complaints.push(`the console of ${page.url()}: ${m.text()}`)
    })
    page.addInitScript(() => {
      addEventListener('securitypolicyviolation', (e) => console.error(`policy violation: ${e.violatedDirective} ${e.blockedURI} ${e.sample}`))
    }).catch(() => {}) // the page is gone already
  }

  /** Ends the visit; whatever was noticed on the way fails the test. */
  async leave() {
    await this.context.close()
    assert.deepEqual(this.complaints, [])
  }

  async open(address) {
    const answer = await this.page.goto(address)
    return answer.status()
  }

  /** Waits to be at an address; a failure tells where one is instead, and what stands there. */
  async at(address) {
    try {
      await this.page.waitForURL((url) => url.pathname === address, { timeout: 8000 })
    } catch {
      assert.fail(`expected ${address}, but here is ${this.page.url()}, by ${this.trail.slice(-12).join(', ')}:\n${await this.page.locator('main').innerText().catch(() => '(nothing)')}`)
    }
  }

  /** Presses the button that belongs to a field's form, as Enter would. */
  async send(field) {
    const form = this.page.locator('form').filter({ has: this.page.locator(field) }).first()
    await this.press(form.locator('button:not([type=button])').first())
  }

  async press(button) {
    await Promise.all([this.page.waitForEvent('framenavigated', (f) => f === this.page.mainFrame()), button.click()])
    await this.page.waitForLoadState()
  }

  async giveName(email, password) {
    await this.page.fill('[name=email]', email)
    await this.page.fill('[name=password]', password)
    await this.send('[name=password]')
  }

  async giveCode(code) {
    await this.page.fill('[name=code]', code)
    await this.send('[name=code]')
  }

  async signIn(person) {
    await this.open('/signin')
    await this.giveName(person.email, person.password)
    await this.at('/signin/code')
    await this.giveCode(await person.phone.code())
    await this.at('/account')
  }

  /** Opens a mailed link and presses its one button. */
  async openLink(link) {
    await this.open(link)
    await this.at('/link')
    assert.ok(!this.page.url().includes(link.split('/').pop()), 'the token stays in the address')
    await this.press(this.page.locator('main form button:not([type=button])').first())
  }

  /** From the mailed invitation to the page with the QR picture. A password chosen before is asked for. */
  async toEnrolment({ email, link }, password) {
    await this.openLink(link)
    if (new URL(this.page.url()).pathname === '/signin') await this.page.fill('[name=email]', email)
    else await this.at('/signin/new-password')
    await this.page.fill('[name=password]', password)
    await this.send('[name=password]')
    await this.at('/signin/enrol')
  }

  /** The key that the page shows as text, however it is grouped. */
  async textKey() {
    const text = await this.page.locator('main').innerText()
    const found = text.match(/(?:[A-Z2-7]{4}[ \u00a0\u202f-]?){8}/)
    assert.ok(found, `no key in the text of the page:\n${text}`)
    return found[0].replace(/[^A-Z2-7]/g, '')
  }

  /** What an eye sees on the screen: the QR picture, read from a screenshot. */
  async readQR() {
    await this.page.locator('main svg[role=img]').first().scrollIntoViewIfNeeded()
    const shot = path.join(this.house.dir, `qr-${randomBytes(4).toString('hex')}.png`)
    await this.page.screenshot({ path: shot })
    const { stdout } = await exec('zbarimg', ['-q', '--raw', '-S*.enable=0', '-Sqrcode.enable=1', shot])
    return new URL(stdout.trim())
  }

  /** The recovery codes on the page. */
  async codes() {
    const text = await this.page.locator('main').innerText()
    return [...text.matchAll(/\b[0-9A-Z]{4}(?:-[0-9A-Z]{4}){3}\b/gi)].map((m) => m[0])
  }

  async confirmCodes() {
    await this.page.check('[name=confirmed]')
    await this.send('[name=confirmed]')
    await this.later()
  }

  /** Puts the offer of a second way in off, when that is where one is. */
  async later() {
    if (new URL(this.page.url()).pathname === '/account/second') await this.press(this.page.locator('main form button'))
  }

  /** The whole way of somebody new, by the picture on the screen. */
  async join(invitation, password) {
    await this.toEnrolment(invitation, password)
    const phone = new Phone((await this.readQR()).searchParams.get('secret'))
    await this.giveCode(await phone.code())
    await this.at('/signin/codes')
    const codes = await this.codes()
    await this.confirmCodes()
    await this.at('/account')
    return { email: invitation.email, password, phone, codes }
  }

  /** Goes through a fresh proof when the page asks for one. */
  async proveAfresh(person) {
    if (!this.page.url().includes('/fresh')) return
    await this.page.fill('[name=password]', person.password)
    await this.send('[name=password]')
    await this.giveCode(await person.phone.code())
    await this.page.waitForURL((url) => !url.pathname.startsWith('/fresh'))
  }
}

// ---- the phone ----

/** An authenticator app that is not ours: oathtool. It never shows one code twice. */
export class Phone {
  constructor(secret) { this.secret = secret; this.last = 0; this.ahead = 0 /* ms */ }

  async code() {
    const step = () => Math.floor((Date.now() + this.ahead) / 30_000)
    // One step ahead is within every server's tolerance; more is not to be asked for.
    await until('the next code', () => step() + 1 > this.last, 35_000)
    this.last = Math.max(step(), this.last + 1)
    return this.at(this.last)
  }

  async at(step) {
    const now = new Date(step * 30_000 + 1000).toISOString().replace('T', ' ').replace('.000Z', ' UTC')
    const { stdout } = await exec('oathtool', ['--totp', '-b', '--now', now, this.secret])
    return stdout.trim()
  }

  /** A code of six digits that is wrong now. */
  async wrong() {
    const step = Math.floor((Date.now() + this.ahead) / 30_000)
    const good = await Promise.all(Array.from({ length: 25 }, (_, i) => this.at(step - 12 + i)))
    return ['000000', '111111', '222222', '333333'].find((c) => !good.includes(c))
  }
}

// ---- mail ----

export class Mail {
  constructor(name, raw) {
    this.name = name
    this.raw = raw
    const [head, ...body] = raw.split(/\r?\n\r?\n/)
    this.headers = head.replace(/\r?\n[ \t]+/g, ' ')
    this.body = body.join('\n\n')
    this.to = this.headers.match(/^To:\s*(.*)$/im)?.[1] ?? ''
    this.subject = decodeWords(this.headers.match(/^Subject:\s*(.*)$/im)?.[1] ?? '')
    this.text = this.part('text/plain')
    this.html = this.part('text/html')
    this.link = this.text?.match(/https?:\/\/\S+\/link\/[\w.~-]+/)?.[0]
  }

  part(type) {
    const boundary = this.headers.match(/boundary="?([^"\s;]+)/i)?.[1]
    const parts = boundary ? this.body.split('--' + boundary) : [this.headers + '\n\n' + this.body]
    const found = parts.find((p) => new RegExp(`^Content-Type:\\s*${type}`, 'im').test(p))
    if (!found) return undefined
    const cut = found.search(/\r?\n\r?\n/)
    const [head, body] = [found.slice(0, cut), found.slice(cut).trim()]
    if (/quoted-printable/i.test(head)) return decodeQuoted(body)
    if (/base64/i.test(head)) return Buffer.from(body, 'base64').toString('utf8')
    return body
  }
}

const decodeQuoted = (text) => Buffer.from(
  text.replace(/=\r?\n/g, '').replace(/=([0-9A-F]{2})/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16))), 'latin1').toString('utf8')

const decodeWords = (text) => text.replace(/=\?utf-8\?([bq])\?(.*?)\?=\s*/gi, (_, kind, word) =>
  kind.toLowerCase() === 'b' ? Buffer.from(word, 'base64').toString('utf8') : decodeQuoted(word.replace(/_/g, ' ')))

/** A password nobody has used: long, and not in any list. */
export const goodPassword = () => `quiet ${createHash('sha256').update(randomBytes(8)).digest('hex').slice(0, 10)} lantern`
