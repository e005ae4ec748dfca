// What people hold in their hands, for the tests of more than one file: passkeys and
// security keys, a token with a button, a telephone, a phone with Gatehouse Verify.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import fs from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Phone, goodPassword, until } from './house.mjs'
import { axe } from './look.mjs'

const exec = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))

// ---- passkeys and security keys ----

/** An authenticator in a visitor's Chromium. Options are those of the protocol, over a laptop's own. */
export async function keyOf(visitor, options = {}) {
  const cdp = await visitor.context.newCDPSession(visitor.page)
  await cdp.send('WebAuthn.enable', { enableUI: false })
  const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', { options: {
    protocol: 'ctap2', ctap2Version: 'ctap2_1', transport: 'internal', hasResidentKey: true, hasUserVerification: true,
    isUserVerified: true, automaticPresenceSimulation: true, defaultBackupEligibility: true, defaultBackupState: true, ...options,
  } })
  const ask = (what, more) => cdp.send(`WebAuthn.${what}`, { authenticatorId, ...more })
  return {
    held: async () => (await ask('getCredentials')).credentials,
    verifies: (isUserVerified) => ask('setUserVerified', { isUserVerified }),
    answers: (enabled) => ask('setAutomaticPresenceSimulation', { enabled }),
    takes: (credential) => ask('addCredential', { credential }),
    forgets: (credentialId) => ask('removeCredential', { credentialId }),
  }
}

export const securityKey = { transport: 'usb', hasResidentKey: false, hasUserVerification: false, isUserVerified: false, defaultBackupEligibility: false, defaultBackupState: false }

/** Keeps the sign-in page from offering passkeys by itself, so that a button is what asks. */
export const noSuggestions = (visitor) => visitor.page.addInitScript(() => {
  if (window.PublicKeyCredential) PublicKeyCredential.isConditionalMediationAvailable = async () => false
})

/** The button that makes or asks for a passkey. */
export const passkeyButton = (page) => page.locator('[data-passkey] button')

// ---- tokens ----

/** A token with a button. One with a clock is a Phone. */
export class Button {
  constructor(serial, secret) { this.serial = serial; this.secret = secret; this.count = 0 }

  async press() {
    const { stdout } = await exec('oathtool', ['--hotp', '-b', '-c', String(this.count++), this.secret])
    return stdout.trim()
  }

  code() { return this.press() }
}

// ---- telephones ----

/** A provider of text messages (test/textprovider), a process of its own. */
export class Provider {
  /** Starts one; files go into the folder. */
  static async open(dir) {
    const binary = path.join(dir, 'textprovider')
    await exec('go', ['build', '-o', binary, './test/textprovider'], { cwd: root })
    return new Provider().start(binary)
  }

  async start(binary, address = '127.0.0.1:0') {
    this.process = spawn(binary, [address, 'token'], { stdio: ['ignore', 'pipe', 'inherit'] })
    let said = ''
    this.process.stdout.on('data', (d) => { said += d })
    await until('the provider listens', () => said.includes('\n'))
    this.address = said.trim()
    this.base = `http://${this.address}`
    return this
  }

  /** The settings of a house that sends by it. */
  async settings(dir) {
    const secret = path.join(dir, 'token')
    await fs.writeFile(secret, 'token\n', { mode: 0o600 })
    return `text:
  kind: twilio
  url: ${this.base}
  account: AC
  secret_file: ${secret}
  from: "+351210000000"
  countries: [PT]
  home: PT
`
  }

  behaves(mode) { return fetch(this.base + '/behave', { method: 'POST', body: new URLSearchParams({ mode }) }) }

  async taken() { return (await (await fetch(this.base + '/taken')).json()).taken ?? [] }

  /** The next code after so many messages, and what it came in. */
  async code(seen) {
    const message = await until('a message', async () => (await this.taken()).slice(seen).find((m) => m.way === 'voice' || /^[0-9]{6}/.test(m.text)))
    return { ...message, code: message.way === 'sms' ? message.text.match(/^[0-9]{6}/)[0] : message.digits.slice(0, 6) }
  }

  kill() { this.process.kill('SIGKILL') }
}

// ---- a phone with Gatehouse Verify, in a browser of the house ----

export class Verify {
  static async open(house) {
    const phone = new Verify()
    phone.visitor = await house.visitor({ viewport: { width: 390, height: 780 } })
    phone.page = phone.visitor.page
    await phone.page.goto('/verify/')
    await phone.page.waitForFunction(() => document.documentElement.dataset.ready === 'yes')
    return phone
  }

  /** Takes the link of a QR, and gives the code that the app shows from then on. */
  async scans(link, email) {
    await this.page.goto(link)
    await this.page.locator('#sure[open]').waitFor()
    await this.page.click('#sure-yes')
    const shown = () => this.page.evaluate((e) => [...document.querySelectorAll('#tokens > li')].find((li) => li.innerText.includes(e))?.querySelector('.digits').innerText.replace(/\D/g, ''), email)
    return until('a code in the app', async () => { const code = await shown(); return code?.length === 6 && code })
  }

  async answers(digits) {
    await this.page.fill('.question input', digits)
    await this.page.click('.question button.main')
  }

  leave() { return this.visitor.leave() }
}

// ---- people ----

/** Waits to be inside, wherever that is. */
export const inside = (visitor) => visitor.page.waitForURL((url) => url.pathname.startsWith('/account'), { timeout: 8000 })

/** Somebody new, with an app and recovery codes; ahead is by how much the house's clock was moved, in ms. */
export async function joins(visitor, name, ahead = 0) {
  const invitation = await visitor.house.invite(name)
  const password = goodPassword()
  await visitor.toEnrolment(invitation, password)
  const phone = new Phone(await visitor.textKey())
  phone.ahead = ahead
  await visitor.giveCode(await phone.code())
  await visitor.at('/signin/codes')
  const codes = await visitor.codes()
  await visitor.confirmCodes()
  await inside(visitor)
  return { email: invitation.email, password, phone, codes }
}

export const signsOut = (visitor) => visitor.press(visitor.page.locator('form[action="/signout"] button').first())

const where = (visitor) => new URL(visitor.page.url()).pathname

/** Types the password and goes to the page of a way: code, passkey, push, phone, recovery. */
export async function toWay(visitor, person, way) {
  await visitor.open('/signin')
  await visitor.giveName(person.email, person.password)
  if (where(visitor) !== `/signin/${way}`) await visitor.press(visitor.page.locator(`.cant a[href="/signin/${way}"]`))
  await visitor.at(`/signin/${way}`)
}

/** The same for a page that asks for a fresh proof; done leads to the history. */
export async function toFresh(visitor, person, way) {
  await visitor.open('/fresh?return=/account/history')
  await visitor.page.fill('[name=password]', person.password)
  await visitor.send('[name=password]')
  if (where(visitor) !== `/fresh/${way}`) await visitor.press(visitor.page.locator(`.cant a[href="/fresh/${way}"]`))
  await visitor.at(`/fresh/${way}`)
}

export const row = (page, name) => page.locator('main li.card', { has: page.locator('h2', { hasText: name }) })

/** Removes one of one's authenticators by its name. */
export async function removes(visitor, name) {
  await visitor.open('/account/authenticators')
  await row(visitor.page, name).first().locator('summary', { hasText: 'Remove' }).click()
  await visitor.press(row(visitor.page, name).first().locator('form:has([value=remove]) button'))
  await visitor.at('/account/authenticators')
}

/** Looks at each page once, as axe does, and remembers what was wrong. */
export class Eye {
  constructor() { this.seen = new Set(); this.wrong = [] }

  async look({ page }, name) {
    const what = name ?? `${new URL(page.url()).pathname}: ${await page.locator('h1').first().innerText()}`
    if (this.seen.has(what)) return
    this.seen.add(what)
    this.wrong.push(...(await axe(page)).map((v) => `${what}: ${v}`))
  }

  content() {
    assert.ok(this.seen.size > 0, 'nothing was looked at')
    assert.deepEqual(this.wrong, [])
  }
}
