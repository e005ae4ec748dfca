// What time does to open pages. The program here is the build for drills, whose
// clock can be moved; nothing else differs.
import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { openHouse } from './house.mjs'

let house
let ahead = 0 // minutes
before(async () => { house = await openHouse({ drill: true }) })
after(() => house?.close())

/** Lets minutes pass, for the program and for everybody's phone. */
async function pass(minutes, ...people) {
  ahead += minutes
  await house.later(`${ahead}m`)
  for (const p of people) p.phone.ahead = ahead * 60_000
}

test('a sign-in page of two hours ago works', async () => {
  const visitor = await house.visitor()
  const person = house.person('owner')
  await visitor.open('/signin')
  await pass(120, person)
  await visitor.giveName(person.email, person.password)
  await visitor.at('/signin/code')
  await pass(120, person)
  await visitor.giveCode(await person.phone.code())
  await visitor.at('/signin')
  const words = await visitor.page.locator('main').innerText()
  assert.match(words, /long|again|expired|time/i)
  assert.equal(await visitor.page.inputValue('[name=email]'), person.email, 'the e-mail is kept')
  await visitor.giveName(person.email, person.password)
  await visitor.giveCode(await person.phone.code())
  await visitor.at('/account')
  await visitor.leave()
})

test('after five minutes each sensitive change asks for a fresh proof, and goes on where one was', async () => {
  const visitor = await house.visitor()
  const { page } = visitor
  const person = house.person('bookkeeper')
  person.phone.ahead = ahead * 60_000
  await visitor.signIn(person)
  const cookie = async () => (await visitor.context.cookies()).find((c) => /session/.test(c.name)).value
  for (const address of ['/account/password', '/account/authenticators/add', '/account/address']) {
    await pass(6, person)
    const before = await cookie()
    await visitor.open(address)
    await visitor.at('/fresh')
    await visitor.proveAfresh(person)
    await visitor.at(address)
    assert.notEqual(await cookie(), before, 'the session keeps its id')
  }
  // A form that was open when the proof ran out.
  await visitor.open('/account/recovery-codes')
  await pass(6, person)
  await visitor.press(page.locator('form:has([name=do][value=make]) button').first())
  assert.match(new URL(page.url()).pathname, /^\/fresh/)
  assert.deepEqual(await visitor.codes(), [])
  await visitor.leave()
})

test('an idle session is over, and signing in leads back', async () => {
  const visitor = await house.visitor()
  const person = house.person('developer')
  person.phone.ahead = ahead * 60_000
  await visitor.signIn(person)
  await pass(20, person)
  await visitor.open('/account/history')
  await visitor.at('/account/history')
  await pass(20, person) // used in between, so not idle
  await visitor.open('/account/sessions')
  await visitor.at('/account/sessions')
  await pass(31, person)
  await visitor.open('/account/sessions')
  await visitor.at('/signin')
  await visitor.giveName(person.email, person.password)
  await visitor.giveCode(await person.phone.code())
  await visitor.at('/account/sessions')
  await visitor.leave()
})

test('a reset link is good for thirty minutes, an invitation for days', async () => {
  const visitor = await house.visitor()
  const person = house.person('supporter')
  await visitor.open('/forgot')
  await visitor.page.fill('[name=email]', person.email)
  await visitor.send('[name=email]')
  const link = await house.mailedLink(person.email)
  const invitation = await house.invite('Ines')
  await pass(31)
  assert.equal(await visitor.open(link), 410)
  assert.ok(await visitor.page.locator('main a[href]').count() > 0, 'no way on')
  await pass(24 * 60)
  await visitor.openLink(invitation.link)
  await visitor.at('/signin/new-password')
  const late = await house.invite('Jo')
  await pass(8 * 24 * 60)
  assert.equal(await visitor.open(late.link), 410)
  await visitor.leave()
})
