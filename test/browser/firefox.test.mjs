// The house seen by Debian's own Firefox: password and app, a passkey and a security
// key, a token, a text message, a recovery code, a remembered browser, sensitive
// changes, removal, and axe on each page. Push in Firefox has a file of its own.
//
// Firefox has no virtual authenticators in WebDriver BiDi; its own tests make them in
// the browser's process, which BiDi reaches when the browser was started with
// --remote-allow-system-access. All tabs of the browser share them.
import assert from 'node:assert/strict'
import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import test, { after, before } from 'node:test'
import { Button, Eye, Provider, inside, joins, noSuggestions, passkeyButton, removes, row, signsOut, toFresh, toWay } from './devices.mjs'
import { Phone, launchFirefox, openHouse } from './house.mjs'

const eye = new Eye()
const look = (visitor, name) => eye.look(visitor, name)
let house, provider, dir, person, storageState

before(async () => {
  dir = await fs.mkdtemp(path.join(os.tmpdir(), 'gatehouse-firefox-'))
  provider = await Provider.open(dir)
  house = await openHouse({ drill: true, settings: await provider.settings(dir), browser: launchFirefox })
  await house.run('policy', 'set', '--accept', 'passkey,push,totp,hotp,recovery-code,sms,voice', '--remember', '30d', '--yes')
})
after(async () => {
  provider?.kill()
  await house?.close()
  await fs.rm(dir, { recursive: true, force: true })
})

/** The browser's own WebAuthn service, as Firefox's tests use it (nsIWebAuthnService). */
async function webauthn(call) {
  const browser = await house.browser()
  const bidi = browser._connection.toImpl(browser)._browserSession
  const { contexts } = await bidi.send('browsingContext.getTree', { 'moz:scope': 'chrome' })
  const { result, exceptionDetails } = await bidi.send('script.evaluate', {
    target: { context: contexts[0].context }, awaitPromise: false,
    expression: `Cc["@mozilla.org/webauthn/service;1"].getService(Ci.nsIWebAuthnService).${call}`,
  })
  assert.ok(!exceptionDetails, exceptionDetails?.text)
  return result.value
}

/** Puts an authenticator in, takes it out after the work. */
async function withKey([transport, keeps, verifies], work) {
  const key = await webauthn(`addVirtualAuthenticator("ctap2_1", "${transport}", ${keeps}, ${verifies}, true, ${verifies})`)
  await work()
  await webauthn(`removeVirtualAuthenticator("${key}")`)
}

test('somebody new sets up an app, keeps recovery codes, comes back with password and code, and is remembered', async () => {
  const visitor = await house.visitor()
  await visitor.open('/signin')
  await look(visitor)
  person = await joins(visitor, 'Hugo')
  await look(visitor)
  await signsOut(visitor)
  await toWay(visitor, person, 'code')
  await look(visitor)
  await visitor.page.getByLabel(/Do not ask again/).check()
  await visitor.giveCode(await person.phone.code())
  await inside(visitor)
  await signsOut(visitor)
  await visitor.open('/signin')
  await visitor.giveName(person.email, person.password)
  await inside(visitor)
  await toFresh(visitor, person, 'recovery') // being remembered is not enough here
  await look(visitor)
  await visitor.giveCode(person.codes.pop())
  await visitor.at('/account/history')
  await look(visitor)
  await visitor.open('/account/sessions')
  await look(visitor)
  await visitor.press(visitor.page.locator('form[action="/account/remembered"] button').first())
  assert.equal(await visitor.page.locator('form[action="/account/remembered"]').count(), 0)
  storageState = await visitor.context.storageState()
  await visitor.leave()
})

for (const [what, kind, how, tag] of [
  ['a passkey', 'passkey', ['internal', true, true], 'Passkey'],
  ['a security key', 'key', ['usb', false, false], 'Security key'],
]) {
  test(`${what} is made, opens the door, does for a sensitive change, and is removed`, () => withKey(how, async () => {
    const visitor = await house.visitor({ storageState })
    await noSuggestions(visitor)
    await visitor.open(`/account/authenticators/${kind}`)
    await look(visitor)
    await visitor.press(passkeyButton(visitor.page))
    await visitor.at('/account/authenticators')
    await look(visitor, `the list with ${what}`)
    await signsOut(visitor)
    if (kind === 'passkey') await visitor.open('/signin')
    else await toWay(visitor, person, 'passkey')
    await look(visitor)
    await visitor.press(passkeyButton(visitor.page))
    await inside(visitor)
    if (kind === 'passkey') await visitor.open('/fresh?return=/account/history')
    else await toFresh(visitor, person, 'passkey')
    await look(visitor)
    await visitor.press(passkeyButton(visitor.page))
    await visitor.at('/account/history')
    await removes(visitor, tag)
    assert.equal(await row(visitor.page, tag).count(), 0)
    storageState = await visitor.context.storageState()
    await visitor.leave()
  }))
}

test('a token with a button and a second app are added, used and removed; a recovery code opens the door', async () => {
  const file = path.join(house.data, 'stock.csv')
  const secret = 'NBSWY3DPFQQHO33SNRSCC4DBONZXO33S'
  await fs.writeFile(file, `serial,secret,type,encoding\nBTN-4001,${secret},hotp,base32\n`)
  await house.run('token', 'import', file, '--apply')
  await house.run('token', 'assign', 'BTN-4001', person.email)
  const token = new Button('BTN-4001', secret)
  const visitor = await house.visitor({ storageState })
  await visitor.open('/account/authenticators/token')
  await look(visitor)
  await visitor.page.fill('[name=serial]', 'BTN-4001')
  await visitor.page.fill('[name=code]', await token.code())
  await visitor.send('[name=code]')
  await visitor.at('/account/authenticators')
  await look(visitor, 'the list with a token')
  await toFresh(visitor, person, 'code')
  await visitor.giveCode(await token.code())
  await visitor.at('/account/history')
  await visitor.open('/account/authenticators/add')
  await look(visitor)
  const second = new Phone(await visitor.textKey())
  await visitor.page.fill('[name=name]', 'Tablet')
  await visitor.giveCode(await second.code())
  await visitor.at('/account/authenticators')
  await removes(visitor, '4001')
  await signsOut(visitor)
  await toWay(visitor, person, 'code')
  await visitor.giveCode(await token.code())
  assert.match(await visitor.page.title(), /^Error:/, 'a removed token opens')
  await visitor.giveCode(await second.code())
  await inside(visitor)
  await removes(visitor, 'Tablet')
  await signsOut(visitor)
  await toWay(visitor, person, 'recovery')
  await look(visitor)
  await visitor.giveCode(person.codes.pop())
  await inside(visitor)
  storageState = await visitor.context.storageState()
  await visitor.leave()
})

test('a number is added, and a day later a text message opens the door and does for a sensitive change', async () => {
  const visitor = await house.visitor({ storageState })
  const asks = async (button) => {
    const seen = (await provider.taken()).length
    await visitor.press(button)
    await look(visitor)
    await visitor.page.fill('[name=code]', (await provider.code(seen)).code)
    await visitor.send('[name=code]')
  }
  await visitor.open('/account/authenticators/phone/add')
  await look(visitor)
  await visitor.page.fill('[name=number]', '912 345 642')
  await asks(visitor.page.locator('button[value=sms]').first())
  await visitor.at('/account/authenticators/phone')
  await look(visitor)
  await house.later('1441m')
  await visitor.context.clearCookies()
  await toWay(visitor, person, 'phone')
  await look(visitor)
  await asks(visitor.page.locator('button[value=sms]').first())
  await inside(visitor)
  await house.later('1452m')
  await toFresh(visitor, person, 'phone')
  await asks(visitor.page.locator('button[value=sms]').first())
  await visitor.at('/account/history')
  await visitor.open('/account/authenticators/phone')
  await row(visitor.page, '42').locator('summary').last().click()
  await visitor.press(row(visitor.page, '42').locator('form button'))
  assert.equal(await row(visitor.page, '42').count(), 0)
  await visitor.leave()
})

test('axe finds nothing on any page that Firefox was on', () => eye.content())
