// Which authenticators are accepted, in a real browser: a security admin tries new
// rules on paper, is told what is wrong with some, brings others in step by step,
// sees how far people are, and takes them back. Every page is looked at by axe, in
// light and dark, narrow and wide.
import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { openHouse } from './house.mjs'
import { complaints } from './look.mjs'

let house
before(async () => { house = await openHouse() })
after(() => house?.close())

async function inspect(visitor, name) {
  const { page } = visitor
  assert.deepEqual(await complaints(page, name), [])
  assert.equal(await page.locator('h1').count(), 1, `${name} has one main heading`)
}

const accept = '/console/policy/authenticators'
const whole = (visitor) => visitor.page.locator('main').innerText()

test('rules are tried on paper, brought in, watched and taken back', async () => {
  const visitor = await house.visitor()
  const { page } = visitor
  const sam = house.person('security-admin')
  await visitor.signIn(sam)
  await page.click(`nav a[href="${accept}"]`)
  await visitor.at(accept)
  await inspect(visitor, 'accepted authenticators')
  assert.match(await whole(visitor), /Harbour Books/)
  for (const preset of ['Modern', 'Payment cards', 'Tax data in Australia']) assert.match(await whole(visitor), new RegExp(preset))

  // The form, from a preset.
  await visitor.press(page.locator('a', { hasText: 'Change these rules' }).first())
  await visitor.at(accept + '/change')
  await inspect(visitor, 'the form')
  await page.click('summary')
  await inspect(visitor, 'the form, presets open')
  await visitor.press(page.locator('a', { hasText: 'Start from this one' }).last())
  assert.equal(await page.inputValue('#hours'), '12', 'it starts from the preset')

  // A mistake comes back with a sentence and what was chosen.
  for (const method of ['passkey', 'push', 'totp']) await page.uncheck(`#accept-${method}`)
  await visitor.send('#hours')
  assert.match(await whole(visitor), /nobody could set up what they need/)
  assert.equal(await page.isChecked('#accept-hotp'), true, 'what was chosen is kept')
  await inspect(visitor, 'the form, refused')
  await page.fill('#hours', 'a day')
  await page.check('#accept-passkey')
  await visitor.send('#hours')
  assert.equal(await page.locator('#hours[aria-invalid=true]').count(), 1)
  await inspect(visitor, 'the form, no number')

  // On paper: five people, who have nothing but an app.
  await page.fill('#hours', '0')
  await page.check('#resistant')
  await page.check('#when-later')
  await page.selectOption('#first', 'admins')
  await visitor.send('#hours')
  await visitor.at(accept + '/change')
  await inspect(visitor, 'what it would mean')
  const said = await whole(visitor)
  assert.match(said, /5\s+could not sign in today/)
  assert.match(said, /ben@harbour.example/)
  const waiting = page.waitForEvent('download')
  await page.click('button[value=csv]')
  const file = await waiting
  assert.equal(file.suggestedFilename(), 'people.csv')

  // Not without a yes.
  await visitor.send('#confirmed')
  await visitor.at(accept + '/apply')
  assert.match(await whole(visitor), /Tick the box first/)
  await inspect(visitor, 'what it would mean, not confirmed')
  await page.check('#confirmed')
  await visitor.send('#confirmed')
  await visitor.at(accept)
  await inspect(visitor, 'under way')
  assert.match(await whole(visitor), /Owners, until/)
  assert.match(await whole(visitor), /0 of 1 are ready/)
  const mail = await house.mail(house.person('owner').email, (m) => /authenticators are accepted/.test(m.subject))
  assert.match(mail.text, /Harbour Books/)

  // And back.
  await visitor.press(page.locator('button', { hasText: 'Stop this' }))
  await visitor.at(accept)
  assert.doesNotMatch(await whole(visitor), /Under way/)
  assert.match(await whole(visitor), /No rules of its own/)
  await visitor.leave()
})

test('a bookkeeper sees nothing of it, and a supporter changes nothing', async () => {
  const ben = await house.visitor()
  await ben.signIn(house.person('bookkeeper'))
  assert.equal(await ben.page.locator(`a[href="${accept}"]`).count(), 0)
  assert.equal(await ben.open(accept), 403)
  await ben.leave()
  const priya = await house.visitor()
  await priya.signIn(house.person('supporter'))
  assert.equal(await priya.open(accept), 200)
  assert.equal(await priya.page.locator('main form, main a.button').count(), 0)
  await priya.leave()
})
