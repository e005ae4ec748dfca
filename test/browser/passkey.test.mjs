// Passkeys and security keys in a real Chromium with an authenticator that the
// DevTools protocol puts in: enrol, sign in, prove afresh, rename, remove, and every
// way it goes wrong.
import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { goodPassword, openHouse, until } from './house.mjs'
import { inside, joins, keyOf, noSuggestions, passkeyButton as button, securityKey } from './devices.mjs'
import { complaints } from './look.mjs'

let house
before(async () => { house = await openHouse() })
after(() => house?.close())

const said = (page) => page.locator('[data-passkey] [role=status]')

/** Somebody new, with an app and a passkey that the browser of this visit holds. */
async function withPasskey(name, options) {
  const visitor = await house.visitor()
  const person = await joins(visitor, name)
  const key = await keyOf(visitor, options)
  await visitor.open('/account/authenticators/passkey')
  await visitor.press(button(visitor.page))
  await visitor.at('/account/authenticators')
  return { visitor, person, key }
}

test('a first passkey in place of an app: two screens, one field, no typing of codes', async () => {
  const visitor = await house.visitor()
  const key = await keyOf(visitor)
  const invitation = await house.invite('Paula')
  await visitor.toEnrolment(invitation, goodPassword())
  await visitor.press(button(visitor.page))
  await visitor.at('/signin/codes')
  await visitor.confirmCodes()
  await inside(visitor)
  const [made] = await key.held()
  assert.equal(made.userName, invitation.email)
  assert.ok(made.isResidentCredential)
  await visitor.open('/account/authenticators')
  assert.match(await visitor.page.locator('main').innerText(), /Passkey[\s\S]*In your password manager/)
  await visitor.leave()
})

test('the sign-in page offers a passkey by itself, and nothing is typed', async () => {
  const { visitor } = await withPasskey('Quinn')
  await visitor.press(visitor.page.locator('.who button'))
  const signedOut = Date.now()
  await visitor.open('/signin')
  await inside(visitor)
  assert.ok(Date.now() - signedOut < 8000)
  assert.ok(visitor.trail.some((t) => t === 'POST /signin/passkey 303'), visitor.trail.join())
  await visitor.leave()
})

test('the button does the same, where nothing is offered', async () => {
  const { visitor } = await withPasskey('Rita')
  await visitor.press(visitor.page.locator('.who button'))
  await noSuggestions(visitor)
  await visitor.open('/signin?return=/account/history')
  await visitor.press(button(visitor.page))
  await visitor.at('/account/history')
  assert.match(await visitor.page.locator('main').innerText(), /Signed in with a passkey/)
  await visitor.leave()
})

test('a key that is only touched comes after the password, and does for a step-up', async () => {
  const { visitor, person, key } = await withKey('Sven')
  assert.equal((await key.held())[0].isResidentCredential, false)
  await visitor.press(visitor.page.locator('.who button'))
  await visitor.open('/signin')
  await visitor.giveName(person.email, person.password)
  await visitor.at('/signin/passkey')
  await visitor.press(button(visitor.page))
  await inside(visitor)
  await visitor.open('/fresh?return=/account/history')
  await visitor.page.fill('[name=password]', person.password)
  await visitor.send('[name=password]')
  await visitor.at('/fresh/passkey')
  await visitor.press(button(visitor.page))
  await visitor.at('/account/history')
  await visitor.leave()
})

/** Somebody new, with an app and a security key. */
async function withKey(name) {
  const visitor = await house.visitor()
  const person = await joins(visitor, name)
  const key = await keyOf(visitor, securityKey)
  await visitor.open('/account/authenticators/key')
  await visitor.press(button(visitor.page))
  await visitor.at('/account/authenticators')
  return { visitor, person, key }
}

test('a passkey proves afresh in one gesture', async () => {
  const { visitor } = await withPasskey('Tilda')
  await visitor.open('/fresh?return=/account/history')
  await visitor.press(button(visitor.page))
  await visitor.at('/account/history')
  await visitor.leave()
})

test('the list names it, renames it, removes it, and the browser forgets it', async () => {
  const { visitor, key } = await withPasskey('Ulla')
  const { page } = visitor
  const row = (name) => page.locator('li.card', { has: page.locator('h2', { hasText: name }) })
  await row('Passkey in').locator('summary', { hasText: 'Rename' }).click()
  await row('Passkey in').locator('[name=name]').fill('Ulla’s laptop')
  await visitor.press(row('Passkey in').locator('button', { hasText: 'Save name' }))
  assert.match(await row('laptop').innerText(), /Passkey[\s\S]*Added[\s\S]*Last used[\s\S]*Kept/)
  await page.addInitScript(() => {
    const said = window.signalled = []
    for (const name of ['signalAllAcceptedCredentials', 'signalUnknownCredential']) {
      const real = PublicKeyCredential[name]?.bind(PublicKeyCredential)
      PublicKeyCredential[name] = (what) => { said.push([name, what]); return real?.(what) }
    }
  })
  await row('laptop').locator('summary', { hasText: 'Remove' }).click()
  await visitor.press(row('laptop').locator('button', { hasText: 'Remove' }))
  assert.equal(await row('laptop').count(), 0)
  const [[name, what]] = await page.evaluate(() => window.signalled)
  assert.equal(name, 'signalAllAcceptedCredentials')
  assert.deepEqual(what.allAcceptedCredentialIds, [])
  await until('the browser to forget', async () => (await key.held()).length === 0)
  assert.ok(await page.locator('text=It is the only one').isVisible())
  await visitor.leave()
})

test('a passkey that we do not know any more is refused in words, and forgotten', async () => {
  const { visitor, key } = await withPasskey('Vera')
  const [kept] = await key.held()
  await visitor.open('/account/authenticators')
  const row = visitor.page.locator('li.card', { has: visitor.page.locator('h2', { hasText: 'Passkey in' }) })
  await row.locator('summary', { hasText: 'Remove' }).click()
  await visitor.press(row.locator('button', { hasText: 'Remove' }))
  await visitor.press(visitor.page.locator('.who button'))
  await until('the browser to forget', async () => (await key.held()).length === 0)
  await key.takes(kept) // another browser, which was not told
  await noSuggestions(visitor)
  await visitor.open('/signin')
  await visitor.press(button(visitor.page))
  await visitor.at('/signin/passkey')
  assert.match(await visitor.page.title(), /^Error:/)
  assert.match(await visitor.page.locator('#problem').innerText(), /We do not know this passkey/)
  assert.ok(await visitor.page.locator('[name=password]').isVisible())
  await until('the browser to forget', async () => (await key.held()).length === 0)
  await visitor.leave()
})

test('cancelled, not verified, none here, and a device that has one: each has its sentence and a way on', async () => {
  const { visitor, person, key } = await withPasskey('Wanda')
  const { page } = visitor
  await visitor.open('/account/authenticators/passkey')
  await button(page).click()
  await until('a sentence', async () => /has a passkey for your account already/.test(await said(page).innerText()))
  assert.ok(await page.locator('text=Cancel').isVisible())
  await visitor.press(page.locator('.who button'))
  await noSuggestions(visitor)

  await visitor.open('/signin')
  await key.verifies(false)
  let began = Date.now()
  await button(page).click()
  await until('a sentence', async () => /No passkey was used/.test(await said(page).innerText()), 2000)
  await key.verifies(true)

  await key.answers(false) // the request stands until the person ends it, as a closed window does
  await page.evaluate(() => { AbortSignal.prototype.cancelled = 1; const real = navigator.credentials.get.bind(navigator.credentials); navigator.credentials.get = (o) => Promise.race([real(o), new Promise((_, no) => { window.cancel = () => no(new DOMException('closed', 'NotAllowedError')) })]) })
  await button(page).click()
  await until('to be told what happens', async () => /is asking for your passkey/.test(await said(page).innerText()))
  assert.ok(await page.locator('[name=password]').isEditable(), 'the password still works meanwhile')
  await page.evaluate(() => window.cancel())
  began = Date.now()
  await until('a sentence', async () => /No passkey was used/.test(await said(page).innerText()), 2000)
  assert.ok(Date.now() - began < 2000)
  await visitor.giveName(person.email, person.password)
  assert.match(page.url(), /\/signin\/(code|passkey)$/)
  await visitor.leave()

  const bare = await house.visitor()
  await keyOf(bare)
  await noSuggestions(bare)
  await bare.open('/signin')
  await button(bare.page).click()
  await until('a sentence', async () => /none on this device/.test(await said(bare.page).innerText()), 4000)
  await bare.leave()
})

test('nobody looks at a wheel that turns: after eight seconds the page says how to go on', async () => {
  const visitor = await house.visitor()
  const key = await keyOf(visitor)
  await key.answers(false)
  await noSuggestions(visitor)
  await visitor.open('/signin')
  await button(visitor.page).click()
  await until('to be told how to go on', async () => /Nothing to see\?/.test(await said(visitor.page).innerText()), 10_000)
  await visitor.leave()
})

test('a page that stood open asks with a new question', async () => {
  const { visitor } = await withPasskey('Xaver')
  await visitor.press(visitor.page.locator('.who button'))
  await noSuggestions(visitor)
  await visitor.open('/signin')
  await visitor.page.evaluate(() => {
    const later = Date.now() + 11 * 60_000
    Date.now = () => later
  })
  const asked = visitor.page.waitForResponse((r) => r.url().endsWith('/api/v1/signin/passkey-options'))
  await visitor.press(button(visitor.page))
  assert.equal((await asked).status(), 200)
  await inside(visitor)
  await visitor.leave()
})

test('two tabs: each asks for itself, and both lead in', async () => {
  const { visitor } = await withPasskey('Yasmin')
  await visitor.press(visitor.page.locator('.who button'))
  await noSuggestions(visitor)
  await visitor.open('/signin')
  const second = await visitor.context.newPage()
  await second.addInitScript(() => { PublicKeyCredential.isConditionalMediationAvailable = async () => false })
  await second.goto('/signin')
  await visitor.press(button(visitor.page))
  await inside(visitor)
  await second.goto('/signin')
  assert.match(new URL(second.url()).pathname, /^\/account/)
  await visitor.leave()
})

test('without script, and in a browser without passkeys, the page says what to do', async () => {
  const visitor = await house.visitor({ javaScriptEnabled: false })
  await visitor.open('/signin')
  assert.equal(await button(visitor.page).isVisible(), false)
  assert.match(await visitor.page.locator('main').innerText(), /has to run scripts[\s\S]*password and a code work without/)
  await visitor.leave()

  const { visitor: owner, person } = await withKey('Zita')
  const { page } = owner
  await owner.press(page.locator('.who button'))
  await page.addInitScript(() => { delete window.PublicKeyCredential })
  await owner.open('/signin')
  assert.equal(await button(page).isVisible(), false)
  await owner.giveName(person.email, person.password)
  await owner.at('/signin/passkey')
  assert.match(await page.locator('main').innerText(), /This browser cannot use passkeys/)
  await page.click('a[href="/signin/code"]')
  await owner.giveCode(await person.phone.code())
  await inside(owner)
  await owner.leave()
})

test('what other software knows by heart', async () => {
  const answer = await fetch(house.local + '/.well-known/passkey-endpoints', { headers: { Host: new URL(house.origin).host } })
  const text = await (answer.status === 200 ? answer : await fetch(house.origin + '/.well-known/passkey-endpoints')).json()
  assert.deepEqual(text, { enroll: house.origin + '/account/authenticators/passkey', manage: house.origin + '/account/authenticators' })
  assert.equal((await fetch(house.origin + '/.well-known/webauthn')).status, 404)
})

test('every page with a passkey on it is in order for eye and ear', async () => {
  const wrong = []
  const visitor = await house.visitor()
  await visitor.open('/signin')
  wrong.push(...await complaints(visitor.page, '/signin'))
  const invitation = await house.invite('Berta')
  const password = goodPassword()
  await visitor.toEnrolment(invitation, password)
  wrong.push(...await complaints(visitor.page, '/signin/enrol'))
  await keyOf(visitor)
  await visitor.press(button(visitor.page))
  await visitor.at('/signin/codes')
  await visitor.confirmCodes()
  await inside(visitor)
  for (const address of ['/account/authenticators', '/account/authenticators/passkey', '/account/authenticators/key', '/fresh']) {
    await visitor.open(address)
    await visitor.at(address)
    wrong.push(...await complaints(visitor.page, address))
  }
  await visitor.open('/account/authenticators/passkey')
  await button(visitor.page).click()
  await until('a sentence', async () => await said(visitor.page).innerText())
  wrong.push(...await complaints(visitor.page, 'a sentence under the button'))
  await visitor.open('/fresh')
  await visitor.page.fill('[name=password]', password)
  await visitor.send('[name=password]')
  await visitor.at('/fresh/passkey')
  wrong.push(...await complaints(visitor.page, '/fresh/passkey'))
  assert.deepEqual(wrong, [])
  await visitor.leave()
})
