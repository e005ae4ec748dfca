// Codes by text message and call in a real Chromium, through a provider that is a
// process of its own: a number is added and waits for a day, a code is sent, typed,
// missed, read out; and the provider hangs, refuses and dies.
import assert from 'node:assert/strict'
import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import test, { after, before } from 'node:test'
import { Provider } from './devices.mjs'
import { openHouse, until } from './house.mjs'
import { complaints } from './look.mjs'

const mobile = '+351912345642'
const shots = process.env.PHONE_SHOTS // a folder, to look at

let house, provider, dir, person
let ahead = 0 // minutes
before(async () => {
  dir = await fs.mkdtemp(path.join(os.tmpdir(), 'gatehouse-phones-'))
  provider = await Provider.open(dir)
  house = await openHouse({ drill: true, settings: await provider.settings(dir) })
  await house.run('policy', 'set', '--accept', 'passkey,push,totp,hotp,recovery-code,sms,voice', '--yes')
  person = house.person('owner')
})
after(async () => {
  provider?.kill()
  await house?.close()
  await fs.rm(dir, { recursive: true, force: true })
})

async function pass(minutes) {
  ahead += minutes
  await house.later(`${ahead}m`)
  person.phone.ahead = ahead * 60_000
}

/** Looks at a page, and keeps pictures of it when somebody wants to look too. */
async function look(visitor, name) {
  const wrong = await complaints(visitor.page, name)
  if (shots) {
    for (const [colorScheme, width] of [['light', 1120], ['dark', 1120], ['light', 360]]) {
      await visitor.page.emulateMedia({ colorScheme })
      await visitor.page.setViewportSize({ width, height: 900 })
      await visitor.page.screenshot({ path: path.join(shots, `${name}-${colorScheme}-${width}.png`), fullPage: true })
    }
    await visitor.page.emulateMedia({ colorScheme: 'light' })
    await visitor.page.setViewportSize({ width: 1280, height: 900 })
  }
  assert.deepEqual(wrong, [])
}

const line = (page) => page.locator('.sent')
const press = (visitor, name) => visitor.press(visitor.page.getByRole('button', { name }).first())

/** To the page that asks for a code, by the list of other ways. */
async function toPhone(visitor) {
  await visitor.open('/signin')
  await visitor.giveName(person.email, person.password)
  await visitor.page.waitForURL((url) => url.pathname !== '/signin')
  if (!visitor.page.url().endsWith('/signin/phone')) await visitor.page.click('a[href="/signin/phone"]')
  await visitor.at('/signin/phone')
}

test('a number is added with a code and waits for a day; what is said of it is honest', async () => {
  const visitor = await house.visitor()
  const { page } = visitor
  await visitor.signIn(person)
  await visitor.open('/account/authenticators')
  await page.click('a[href="/account/authenticators/phone"]')
  await visitor.at('/account/authenticators/phone')
  assert.match(await page.locator('main').innerText(), /weakest way.*intercepted.*We suggest/)
  await look(visitor, 'phones-none')
  await page.click('a[href="/account/authenticators/phone/add"]')
  await visitor.at('/account/authenticators/phone/add')
  await look(visitor, 'phone-add')
  await page.fill('[name=number]', '+44 20 7946 0018')
  await press(visitor, 'Send a text message')
  assert.match(await page.title(), /^Error:/)
  assert.match(await page.locator('#number-wrong').innerText(), /country/)
  await look(visitor, 'phone-add-wrong')
  await page.fill('[name=number]', '912 345 642')
  await press(visitor, 'Send a text message')
  await visitor.at('/account/authenticators/phone/add')
  const { code, to, text } = await provider.code(0)
  assert.equal(to, mobile)
  assert.ok(text.endsWith(`\n@localhost #${code}`), text)
  await until('it was handed over', async () => /Handed over/.test(await line(page).innerText()))
  assert.ok(!(await page.content()).includes('912345642'), 'the number is masked')
  assert.ok(!(await page.content()).includes(code), 'the code stands nowhere')
  await look(visitor, 'phone-verify')
  await page.fill('[name=code]', code === '111111' ? '222222' : '111111')
  await press(visitor, 'This is my number')
  assert.match(await page.locator('#code-wrong').innerText(), /not the code/)
  await page.fill('[name=code]', `${code.slice(0, 3)} ${code.slice(3)}`)
  await page.fill('[name=name]', 'Work phone')
  await press(visitor, 'This is my number')
  await visitor.at('/account/authenticators/phone')
  const words = await page.locator('main').innerText()
  assert.match(words, /On hold/)
  assert.match(words, /Can be used from/)
  assert.match(words, /\+351 ••• ••42/)
  await look(visitor, 'phones-held')
  const mail = await house.mail(person.email, (m) => /telephone number was added/.test(m.subject ?? m.raw ?? JSON.stringify(m)))
  assert.ok(mail)
  await visitor.leave()
})

test('while a number is on hold no sign-in offers it', async () => {
  const visitor = await house.visitor()
  await visitor.open('/signin')
  await visitor.giveName(person.email, person.password)
  await visitor.at('/signin/code')
  assert.equal(await visitor.page.locator('a[href="/signin/phone"]').count(), 0)
  await visitor.leave()
})

test('a code by text message signs in, with no script needed for more than the state', async () => {
  await pass(24 * 60 + 1)
  const visitor = await house.visitor()
  const { page } = visitor
  await toPhone(visitor)
  assert.match(await page.locator('main').innerText(), /weakest way/)
  await look(visitor, 'phone')
  const seen = (await provider.taken()).length
  await press(visitor, 'Send me a text message')
  await visitor.at('/signin/phone')
  const box = page.locator('[name=code]')
  assert.equal(await box.getAttribute('autocomplete'), 'one-time-code')
  assert.equal(await box.getAttribute('inputmode'), 'numeric')
  const { code } = await provider.code(seen)
  await until('it was handed over', async () => /Handed over/.test(await line(page).innerText()))
  await look(visitor, 'phone-code')
  const before = page.url()
  await box.fill(code)
  assert.equal(page.url(), before, 'the sixth digit sends nothing by itself')
  await visitor.send('[name=code]')
  await page.waitForURL((url) => url.pathname.startsWith('/account'))
  await visitor.open('/account/history')
  assert.match(await page.locator('main').innerText(), /password and a text message/)
  await visitor.leave()

  await pass(11)
  const plain = await house.visitor({ javaScriptEnabled: false })
  await toPhone(plain)
  const sent = (await provider.taken()).length
  await press(plain, 'Call me')
  const call = await provider.code(sent)
  assert.equal(call.way, 'voice')
  assert.equal(call.digits, call.code + call.code, 'read out twice')
  await plain.page.fill('[name=code]', call.code)
  await plain.send('[name=code]')
  await plain.page.waitForURL((url) => url.pathname.startsWith('/account'))
  await plain.leave()
})

test('a message that does not come is asked for again, read out instead, or left for another way', async () => {
  await pass(11)
  const visitor = await house.visitor()
  const { page } = visitor
  await toPhone(visitor)
  const seen = (await provider.taken()).length
  await press(visitor, 'Send me a text message')
  const first = await provider.code(seen)
  await page.getByText('Not received a text message?').click()
  assert.ok(await page.getByRole('button', { name: 'Send another text message' }).isDisabled(), 'not at once')
  assert.match(await page.locator('[data-again]').innerText(), /seconds/)
  await look(visitor, 'phone-missing')
  await press(visitor, 'Call me instead')
  const call = await provider.code(seen + 1)
  assert.equal(call.way, 'voice')
  assert.match(await page.locator('main').innerText(), /We are calling you/)
  if (first.code !== call.code) {
    await page.fill('[name=code]', first.code)
    await visitor.send('[name=code]')
    assert.match(await page.locator('#problem').innerText(), /earlier message/)
    await look(visitor, 'phone-code-wrong')
  }
  await page.click('.ways a[href="/signin/code"]')
  await visitor.at('/signin/code')
  await visitor.giveCode(await person.phone.code())
  await page.waitForURL((url) => url.pathname.startsWith('/account'))
  await visitor.leave()
})

for (const [mode, words] of [['hang', /Not handed over yet/], ['500', /Not handed over yet/], ['429', /Not handed over yet/], ['401', /Not handed over yet/], ['garbage', /Not handed over yet/], ['400', /could not be sent/]]) {
  test(`a provider that answers ${mode} keeps nobody waiting: the page says so, and the other ways are there`, async () => {
    await pass(24 * 60) // the day's budget, and the pause of a provider that failed
    const visitor = await house.visitor()
    const { page } = visitor
    await toPhone(visitor)
    await provider.behaves(mode)
    const begin = Date.now()
    await press(visitor, 'Send me a text message')
    assert.ok(Date.now() - begin < 1500, `the answer took ${Date.now() - begin} ms`)
    await until('the page says so', async () => words.test(await line(page).innerText()), 5000)
    const said = Date.now() - begin
    assert.ok(said < 4000, `it said so after ${said} ms`)
    assert.ok(await page.locator('.ways a[href="/signin/code"]').isVisible())
    if (mode === 'hang') await look(visitor, 'phone-slow')
    if (mode === '400') await look(visitor, 'phone-failed')
    await provider.behaves('ok')
    await page.click('.ways a[href="/signin/code"]')
    await visitor.giveCode(await person.phone.code())
    await page.waitForURL((url) => url.pathname.startsWith('/account'))
    await visitor.leave()
  })
}

test('a number is changed, the old one works meanwhile and hears of it, and the change can be stopped', async () => {
  await pass(24 * 60)
  const visitor = await house.visitor()
  const { page } = visitor
  await visitor.signIn(person)
  await visitor.open('/account/authenticators/phone')
  const seen = (await provider.taken()).length
  await page.getByRole('link', { name: /Change this number/ }).click()
  await visitor.at('/account/authenticators/phone/add')
  assert.match(await page.locator('main').innerText(), /••42 works until the new one does/)
  await page.fill('[name=number]', '961 234 577')
  await press(visitor, 'Send a text message')
  const { code } = await provider.code(seen)
  await page.fill('[name=code]', code)
  await press(visitor, 'This is my number')
  await visitor.at('/account/authenticators/phone')
  await look(visitor, 'phones-changing')
  const note = await until('a note to the old number', async () => (await provider.taken()).find((m) => m.to === mobile && /Not you\?/.test(m.text)))
  assert.ok(note.text.includes('/account/authenticators/phone'))
  await page.getByText('Stop this number').first().click()
  await press(visitor, 'Stop this number')
  await visitor.at('/account/authenticators/phone')
  assert.doesNotMatch(await page.locator('main').innerText(), /••77|Is replaced/)
  await visitor.leave()
})
