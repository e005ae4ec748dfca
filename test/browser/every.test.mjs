// Every authenticator in a real Chromium, through what can happen to it in its life:
// set up, used at the door and for a sensitive change, changed for a new one, lost,
// removed. What the files of one kind (passkey, push, tokens, phones, moving, enrol)
// show already is not shown again; docs/authenticators.md says which test shows what.
import assert from 'node:assert/strict'
import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import test, { after, before } from 'node:test'
import { Button, Eye, Provider, Verify, inside, joins, keyOf, noSuggestions, passkeyButton, removes, row, securityKey, signsOut, toFresh, toWay } from './devices.mjs'
import { Phone, openHouse, until } from './house.mjs'

const eye = new Eye()
const look = (visitor, name) => eye.look(visitor, name)
let house, provider, dir
let ahead = 0 // minutes

before(async () => {
  dir = await fs.mkdtemp(path.join(os.tmpdir(), 'gatehouse-every-'))
  provider = await Provider.open(dir)
  house = await openHouse({ drill: true, settings: await provider.settings(dir) })
  await house.run('policy', 'set', '--accept', 'passkey,push,totp,hotp,recovery-code,sms,voice', '--remember', '30d', '--yes')
})
after(async () => {
  provider?.kill()
  await house?.close()
  await fs.rm(dir, { recursive: true, force: true })
})

/** Lets minutes pass, for the program and for what these people hold. Verify's clock is the browser's: its tests come first. */
async function pass(minutes, ...phones) {
  ahead += minutes
  await house.later(`${ahead}m`)
  for (const phone of phones) phone.ahead = ahead * 60_000
}

const refused = async (visitor) => assert.match(await visitor.page.title(), /^Error:/)

/** Signs in with a recovery code. */
async function onPaper(person) {
  const visitor = await house.visitor()
  await toWay(visitor, person, 'recovery')
  await look(visitor)
  await visitor.giveCode(person.codes.pop())
  await inside(visitor)
  return visitor
}

/** Somebody without the device that has these names: in on paper, and it is taken off at once. */
async function loses(person, ...names) {
  const visitor = await onPaper(person)
  await visitor.open('/account/moving?why=lost')
  await look(visitor)
  // One device may have several entries: its questions, and the codes it makes.
  for (const name of names) for (const box of await visitor.page.getByLabel(name).all()) await box.check()
  await visitor.press(visitor.page.locator('form.card button.main'))
  await visitor.at('/account/moving')
  await look(visitor)
  await visitor.open('/account/authenticators')
  for (const name of names) assert.equal(await visitor.page.locator('main li.card', { hasText: name }).count(), 0, `${name} is still there`)
  await visitor.leave()
}

async function addsPasskey(visitor, kind) {
  await visitor.open(`/account/authenticators/${kind}`)
  await look(visitor)
  await visitor.press(passkeyButton(visitor.page))
  await visitor.at('/account/authenticators')
  await look(visitor, `the list with a ${kind}`)
}

test('a passkey: a new laptop gets its own, the old one is removed, and the new one is stolen', async () => {
  const old = await house.visitor()
  await keyOf(old)
  const ada = await joins(old, 'Ada')
  await addsPasskey(old, 'passkey')

  const laptop = await house.visitor()
  await keyOf(laptop)
  await noSuggestions(laptop)
  await toWay(laptop, ada, 'code')
  await laptop.giveCode(await ada.phone.code())
  await inside(laptop)
  await addsPasskey(laptop, 'passkey')
  assert.equal(await row(laptop.page, 'Passkey').count(), 2)
  assert.equal(new Set(await row(laptop.page, 'Passkey').locator('h2').allInnerTexts()).size, 2, 'nobody can tell the two laptops apart')
  await signsOut(laptop)
  const goesIn = async (visitor) => { await visitor.open('/signin'); await visitor.press(passkeyButton(visitor.page)) }
  await goesIn(laptop)
  await inside(laptop)
  await removes(laptop, 'Passkey')
  assert.equal(await row(laptop.page, 'Passkey').count(), 1)
  await noSuggestions(old)
  await old.context.clearCookies()
  await goesIn(old)
  await old.at('/signin/passkey')
  assert.match(await old.page.locator('#problem').innerText(), /We do not know this passkey/)
  await old.leave()

  await loses(ada, 'Passkey')
  await laptop.context.clearCookies()
  await goesIn(laptop)
  await laptop.at('/signin/passkey')
  await refused(laptop)
  await laptop.leave()
})

test('a security key: a second one, the first is removed, the second lies in a train', async () => {
  const first = await house.visitor()
  const ben = await joins(first, 'Bela')
  await keyOf(first, securityKey)
  await addsPasskey(first, 'key')

  const second = await house.visitor()
  await keyOf(second, securityKey)
  await toWay(second, ben, 'code') // the new key is not known yet
  await second.giveCode(await ben.phone.code())
  await inside(second)
  await addsPasskey(second, 'key')
  const touches = async (visitor, to) => { await to(visitor, ben, 'passkey'); await look(visitor); await visitor.press(passkeyButton(visitor.page)) }
  await signsOut(second)
  await touches(second, toWay)
  await inside(second)
  await touches(second, toFresh)
  await second.at('/account/history')
  await removes(second, 'Security key')
  assert.equal(await row(second.page, 'Security key').count(), 1)

  await first.context.clearCookies()
  await toWay(first, ben, 'passkey')
  await passkeyButton(first.page).click()
  await until('to be told that it is none of these', async () => /none|No passkey/.test(await first.page.locator('[data-passkey] [role=status]').innerText()))
  await first.leave()

  await loses(ben, 'Security key')
  await second.context.clearCookies()
  await second.open('/signin')
  await second.giveName(ben.email, ben.password)
  await second.at('/signin/code')
  assert.equal(await second.page.locator('a[href="/signin/passkey"]').count(), 0, 'a lost key is still asked for')
  await second.leave()
})

/** Connects a phone with Verify from the account page. */
async function connects(desk, phone, person) {
  await desk.open('/account/authenticators/verify')
  await look(desk)
  const link = await desk.page.locator('[data-pairing] a[target=_blank]').getAttribute('href')
  const code = await phone.scans(new URL(link, house.origin).href, person.email)
  await desk.page.waitForFunction(() => document.getElementById('joined').classList.contains('good'))
  await desk.giveCode(code)
  await desk.at('/account/authenticators')
  await look(desk, 'the list with Verify')
}

/** Answers the question that a page asks: at the door or for a fresh proof. */
async function approves(desk, phone) {
  const number = desk.page.locator('.number')
  if (!await number.isVisible()) await desk.press(desk.page.locator('#approve button.main'))
  await look(desk)
  await phone.page.locator('.question input').waitFor()
  await look(phone, 'a question in Verify')
  await phone.answers((await number.innerText()).replace(/\D/g, ''))
}

test('Gatehouse Verify: approves a sensitive change, moves to a new phone, and is lost with it', async () => {
  const desk = await house.visitor()
  const cleo = await joins(desk, 'Cleo')
  const old = await Verify.open(house)
  await connects(desk, old, cleo)
  await toFresh(desk, cleo, 'push')
  await approves(desk, old)
  await desk.at('/account/history')

  const phone = await Verify.open(house)
  await connects(desk, phone, cleo)
  const push = row(desk.page, /./).filter({ has: desk.page.locator('.tag', { hasText: 'Gatehouse Verify' }) })
  assert.equal(await push.count(), 2)
  assert.equal(new Set(await push.locator('h2').allInnerTexts()).size, 2, 'nobody can tell the two phones apart')
  await push.first().locator('summary', { hasText: 'Remove' }).click()
  await desk.press(push.first().locator('form:has([value=remove]) button'))
  assert.equal(await push.count(), 1)
  await until('the old phone is told', async () => /no longer|not connected|removed|taken off/i.test(await old.page.locator('main').innerText()))
  await look(old, 'a phone that was taken off')
  await old.leave()
  await signsOut(desk)
  await toWay(desk, cleo, 'push')
  await approves(desk, phone)
  await inside(desk)
  await desk.leave()

  await loses(cleo, 'Gatehouse Verify')
  await until('the lost phone is told', async () => /no longer|not connected|removed|taken off/i.test(await phone.page.locator('main').innerText()))
  await phone.leave()
  const door = await house.visitor()
  await door.open('/signin')
  await door.giveName(cleo.email, cleo.password)
  assert.equal(await door.page.locator('a[href="/signin/push"]').count(), 0, 'a lost phone is still asked')
  await door.leave()
})

test('recovery codes do for a sensitive change; a remembered browser does not, and is forgotten from afar', async () => {
  const laptop = await house.visitor()
  const dora = await joins(laptop, 'Dora')
  await signsOut(laptop)
  await toWay(laptop, dora, 'code')
  await laptop.page.getByLabel(/Do not ask again/).check()
  await laptop.giveCode(await dora.phone.code())
  await inside(laptop)
  await toFresh(laptop, dora, 'recovery') // the password alone was not enough
  await look(laptop)
  await laptop.giveCode(dora.codes.pop())
  await laptop.at('/account/history')
  await signsOut(laptop)
  await laptop.open('/signin')
  await laptop.giveName(dora.email, dora.password)
  await inside(laptop)

  const elsewhere = await onPaper(dora)
  await elsewhere.open('/account/sessions')
  await look(elsewhere)
  await elsewhere.press(elsewhere.page.locator('form[action="/account/remembered"] button').first())
  await elsewhere.leave()
  await laptop.context.clearCookies({ name: /session/ })
  await laptop.open('/signin')
  await laptop.giveName(dora.email, dora.password)
  await laptop.at('/signin/code')
  await laptop.leave()
})

/** Takes a token into stock and gives it to somebody. */
async function gives(person, serial, type, secret) {
  const file = path.join(house.data, `${serial}.csv`)
  await fs.writeFile(file, `serial,secret,type,encoding\n${serial},${secret},${type},base32\n`)
  await house.run('token', 'import', file, '--apply')
  await house.run('token', 'assign', serial, person.email)
  if (type === 'hotp') return new Button(serial, secret)
  const token = new Phone(secret)
  token.ahead = ahead * 60_000
  return token
}

async function adds(visitor, token, serial) {
  await visitor.open('/account/authenticators/token')
  await look(visitor)
  await visitor.page.fill('[name=serial]', serial)
  await visitor.page.fill('[name=code]', await token.code())
  await visitor.send('[name=code]')
  await visitor.at('/account/authenticators')
  await look(visitor, 'the list with a token')
}

for (const [type, what, name, serials, keys] of [
  ['totp', 'with a clock', 'Ezra', ['CLK-2001', 'CLK-2002'], ['MFRGGZDFMZTWQ2LKNNWG23TPOBYXE43U', 'ONSWG4TFOQZDGNBVGY3TQOLBMJRWIZLG']],
  ['hotp', 'with a button', 'Fay', ['BTN-3001', 'BTN-3002'], ['NBSWY3DPFQQHO33SNRSCC4DBONZXO33S', 'KRSXG5CTMVRXEZLUKN2HE2LOM5TWQZLS']],
]) {
  test(`a token ${what}: set up, used, changed for another, removed, lost`, async () => {
    const visitor = await house.visitor()
    const person = await joins(visitor, name, ahead * 60_000)
    const clocks = [person.phone]
    const first = await gives(person, serials[0], type, keys[0])
    if (type === 'totp') clocks.push(first)
    await adds(visitor, first, serials[0])
    await signsOut(visitor)
    await toWay(visitor, person, 'code')
    await look(visitor)
    await visitor.giveCode(await first.code())
    await inside(visitor)
    await pass(1, ...clocks)
    await toFresh(visitor, person, 'code')
    await look(visitor)
    await visitor.giveCode(await first.code())
    await visitor.at('/account/history')

    const second = await gives(person, serials[1], type, keys[1])
    if (type === 'totp') clocks.push(second)
    await adds(visitor, second, serials[1])
    await removes(visitor, serials[0].slice(-4))
    assert.match(await house.run('token', 'history', serials[0]), /removed/)
    await signsOut(visitor)
    await toWay(visitor, person, 'code')
    await pass(1, ...clocks)
    await visitor.giveCode(await first.code())
    await refused(visitor)
    await visitor.giveCode(await second.code())
    await inside(visitor)
    await visitor.leave()

    await loses(person, serials[1].slice(-4))
    await house.run('token', 'lost', serials[1], '--reason', 'gone with a bag')
    const door = await house.visitor()
    await pass(1, ...clocks)
    await toWay(door, person, 'code')
    await door.giveCode(await second.code())
    await refused(door)
    await door.giveCode(await person.phone.code())
    await inside(door)
    await door.leave()
  })
}

/** Adds a number, or one in place of another: the code comes by text message or call. */
async function addsNumber(visitor, number, by, address = '/account/authenticators/phone/add') {
  const seen = (await provider.taken()).length
  await visitor.open(address)
  await look(visitor, `a number to add by ${by}`)
  await visitor.page.fill('[name=number]', number)
  await visitor.press(visitor.page.locator(`button[name=by][value=${by}]`).first())
  await look(visitor, `a number to verify by ${by}`)
  await visitor.page.fill('[name=code]', (await provider.code(seen)).code)
  await visitor.send('[name=code]')
  await visitor.at('/account/authenticators/phone')
  await look(visitor, 'numbers')
}

/** Has a code sent to a number that ends so, and types it. */
async function byPhone(visitor, to, person, by, end) {
  await to(visitor, person, 'phone')
  await look(visitor)
  const seen = (await provider.taken()).length
  await visitor.press(row(visitor.page, end).locator(`button[value=${by}]`))
  await look(visitor, `a code by ${by}`)
  const { code, way } = await provider.code(seen)
  assert.equal(way, by)
  await visitor.giveCode(code)
}

test('a text message and a call: each opens the door and does for a sensitive change; the number is changed, lost, removed', async () => {
  const visitor = await house.visitor()
  const gil = await joins(visitor, 'Gil', ahead * 60_000)
  await addsNumber(visitor, '912 345 642', 'sms')
  await addsNumber(visitor, '961 234 577', 'voice')
  await pass(24 * 60 + 1, gil.phone)
  for (const [by, end] of [['sms', '42'], ['voice', '77']]) {
    await visitor.context.clearCookies()
    await byPhone(visitor, toWay, gil, by, end)
    await inside(visitor)
    await pass(11)
    await byPhone(visitor, toFresh, gil, by, end)
    await visitor.at('/account/history')
    await pass(11)
  }
  await toFresh(visitor, gil, 'code')
  await pass(1, gil.phone)
  await visitor.giveCode(await gil.phone.code())

  // Another number in place of the first, and the second is given up.
  await visitor.open('/account/authenticators/phone')
  await addsNumber(visitor, '931 234 588', 'sms', await row(visitor.page, '42').getByRole('link', { name: /Change this number/ }).getAttribute('href'))
  const stops = async (end) => {
    await visitor.open('/account/authenticators/phone')
    await row(visitor.page, end).locator('summary').last().click()
    await visitor.press(row(visitor.page, end).locator('form button'))
    await visitor.at('/account/authenticators/phone')
    assert.equal(await row(visitor.page, end).count(), 0)
  }
  await stops('77')
  await pass(24 * 60 + 1, gil.phone)
  await visitor.context.clearCookies()
  await toWay(visitor, gil, 'phone')
  const offered = await visitor.page.locator('main').innerText()
  assert.match(offered, /88/)
  assert.doesNotMatch(offered, /••42|••77/)
  await byPhone(visitor, toWay, gil, 'sms', '88')
  await inside(visitor)
  await visitor.leave()

  await loses(gil, '••88')
  const door = await house.visitor()
  await door.open('/signin')
  await door.giveName(gil.email, gil.password)
  assert.equal(await door.page.locator('a[href="/signin/phone"]').count(), 0, 'a lost number is still offered')
  await door.leave()
})

test('axe finds nothing on any page of these stories', () => {
  eye.content()
  for (const address of ['/fresh/push', '/fresh/phone', '/fresh/code', '/fresh/passkey', '/fresh/recovery', '/signin/push']) {
    assert.ok([...eye.seen].some((what) => what.startsWith(`${address}: `)), `${address} was not looked at`)
  }
})
