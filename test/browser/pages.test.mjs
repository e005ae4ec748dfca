// axe on every page and each of its states, in light and dark, at 320 and 1280
// px; nothing scrolls sideways, not even with text twice as large. A page that
// the program serves and this walk does not reach fails the test.
import assert from 'node:assert/strict'
import fs from 'node:fs/promises'
import test, { after, before } from 'node:test'
import { Phone, goodPassword, openHouse } from './house.mjs'
import { axe, complaints, overflow } from './look.mjs'

const seen = new Set() // addresses inspected

let house
before(async () => { house = await openHouse() })
after(() => house?.close())

/** Looks at a page in every light and width. name is for people: "sign-in, refused". */
async function inspect(visitor, name) {
  const { page } = visitor
  seen.add(new URL(page.url()).pathname)
  assert.deepEqual(await complaints(page, name), [])
  const h1 = await page.locator('h1').count()
  assert.equal(h1, 1, `${name} has ${h1} main headings`)
  assert.ok(await page.title(), `${name} has no title`)
  assert.equal(await page.locator('html').getAttribute('lang'), 'en', name)
}

test('the pages at the door', async () => {
  const visitor = await house.visitor()
  const { page } = visitor
  await visitor.open('/signin')
  await inspect(visitor, 'sign-in')
  await visitor.giveName('nobody@harbour.example', 'wrong')
  await inspect(visitor, 'sign-in, refused')
  const owner = house.person('owner')
  await visitor.giveName(owner.email, owner.password)
  await visitor.at('/signin/code')
  await inspect(visitor, 'code')
  await visitor.giveCode(await owner.phone.wrong())
  await inspect(visitor, 'code, refused')
  await page.click('a[href^="/signin/recovery"]')
  await visitor.at('/signin/recovery')
  await inspect(visitor, 'recovery code')
  await visitor.giveCode('AAAA-BBBB-CCCC-DDDD')
  await inspect(visitor, 'recovery code, refused')
  await visitor.open('/forgot')
  await inspect(visitor, 'forgotten password')
  await page.fill('[name=email]', 'nobody@harbour.example')
  await visitor.send('[name=email]')
  await visitor.at('/forgot/sent')
  await inspect(visitor, 'link sent')
  await visitor.open('/unlock')
  await inspect(visitor, 'unlock')
  await page.fill('[name=email]', 'nobody@harbour.example')
  await visitor.send('[name=email]')
  await visitor.at('/unlock/sent')
  await inspect(visitor, 'unlock, mail sent')
  await visitor.leave()
})

test('the pages of somebody new', async () => {
  const visitor = await house.visitor()
  const { page } = visitor
  const invitation = await house.invite('Carla')
  await visitor.open(invitation.link)
  await visitor.at('/link')
  await inspect(visitor, 'mailed link')
  await visitor.press(page.locator('main form button:not([type=button])').first())
  await visitor.at('/signin/new-password')
  await inspect(visitor, 'new password')
  await page.fill('[name=password]', 'password')
  await visitor.send('[name=password]')
  await inspect(visitor, 'new password, refused')
  const password = goodPassword()
  await page.fill('[name=password]', password)
  await visitor.send('[name=password]')
  await visitor.at('/signin/enrol')
  await inspect(visitor, 'enrolment')
  const elsewhere = await house.visitor() // with the password alone, without the link
  await elsewhere.open('/signin')
  await elsewhere.giveName(invitation.email, password)
  await elsewhere.at('/signin/link-sent')
  await inspect(elsewhere, 'a link to enrol was sent')
  await elsewhere.leave()
  const phone = new Phone(await visitor.textKey())
  await visitor.giveCode(await phone.wrong())
  await inspect(visitor, 'enrolment, refused')
  await visitor.giveCode(await phone.code())
  await visitor.at('/signin/codes')
  await inspect(visitor, 'recovery codes')
  await page.locator('form:has([name=confirmed])').evaluate((form) => { form.noValidate = true })
  await visitor.send('[name=confirmed]')
  await inspect(visitor, 'recovery codes, not confirmed')
  await visitor.confirmCodes()
  await visitor.at('/account')
  await inspect(visitor, 'account, just joined')

  const person = { email: invitation.email, password, phone }
  const open = async (address) => {
    await visitor.open(address)
    await visitor.proveAfresh(person)
  }
  await open('/account/authenticators/add')
  await visitor.at('/account/authenticators/add')
  await inspect(visitor, 'another authenticator')
  await visitor.giveCode(await new Phone(await visitor.textKey()).wrong())
  await inspect(visitor, 'another authenticator, refused')
  await open('/account/password')
  await visitor.at('/account/password')
  await inspect(visitor, 'change password')
  await page.fill('[name=password]', 'password')
  await visitor.send('[name=password]')
  await inspect(visitor, 'change password, refused')
  await open('/account/address')
  await visitor.at('/account/address')
  await inspect(visitor, 'change address')
  await page.fill('[name=email]', `new.${person.email}`)
  await visitor.send('[name=email]')
  await inspect(visitor, 'change address, asked')
  for (const [address, name] of [['/account/authenticators', 'authenticators'], ['/account/recovery-codes', 'recovery codes left'], ['/account/sessions', 'sessions'], ['/account/history', 'history']]) {
    await open(address)
    await visitor.at(address)
    await inspect(visitor, name)
  }
  await visitor.open('/account')
  await page.fill('[name=name]', 'Carla Maria Fernandes de Albuquerque e Vasconcelos-Wolfeschlegelsteinhausen')
  await visitor.send('[name=name]')
  await inspect(visitor, 'account, saved')
  await open('/account/recovery-codes')
  await visitor.press(page.locator('form:has([name=do][value=make]) button').first())
  await visitor.at('/account/recovery-codes/new')
  await inspect(visitor, 'new recovery codes')
  await visitor.press(page.locator('form[action="/signout"] button').first())
  await visitor.at('/signed-out')
  await inspect(visitor, 'signed out')
  await visitor.leave()
})

test('the pages of a demo person, the console, and those that go wrong', async () => {
  const admin = await house.signedIn('security-admin')
  const sam = house.person('security-admin')
  await admin.open('/fresh')
  await inspect(admin, 'fresh proof')
  await admin.page.fill('[name=password]', 'wrong')
  await admin.send('[name=password]')
  await inspect(admin, 'fresh proof, refused')
  await admin.page.fill('[name=password]', sam.password)
  await admin.send('[name=password]')
  await admin.at('/fresh/code')
  await inspect(admin, 'fresh proof, code')
  await admin.page.click('a[href^="/fresh/recovery"]')
  await admin.at('/fresh/recovery')
  await inspect(admin, 'fresh proof, recovery code')
  await admin.open('/console/policy')
  await inspect(admin, 'password policies')
  await admin.leave()

  const visitor = await house.visitor()
  assert.equal(await visitor.open('/no-such-page'), 404)
  await inspect(visitor, 'not found')
  const status = await visitor.open('/link/' + 'A'.repeat(43))
  assert.ok(status < 500)
  if (await visitor.page.locator('main form button:not([type=button])').count()) await visitor.press(visitor.page.locator('main form button:not([type=button])').first())
  await inspect(visitor, 'a link that is not ours')
  await visitor.leave()
})

test('every page that the program serves was looked at', async () => {
  const sources = (await fs.readdir(new URL('../../web/', import.meta.url))).filter((n) => n.endsWith('.go') && !n.endsWith('_test.go'))
  const text = (await Promise.all(sources.map((n) => fs.readFile(new URL(`../../web/${n}`, import.meta.url), 'utf8')))).join('\n')
  const routes = [...text.matchAll(/\{aPage, "GET", "(\/[^"]*)"/g)].map((m) => m[1].replace('{$}', ''))
  // What a page asks for by itself while it waits is no page.
  const pages = routes.filter((r) => !/^\/(api|assets|\.well-known|favicon)|\/(events|state)$/.test(r) && !['/', '/link/{token}'].includes(r))
  assert.ok(pages.length >= 15, `found only ${pages}`)
  // Each room's own file looks at its pages too: an address that stands there between quotes.
  const here = new URL('./', import.meta.url)
  const others = (await fs.readdir(here)).filter((n) => n.endsWith('.test.mjs') && n !== 'pages.test.mjs')
  const looking = (await Promise.all(others.map((n) => fs.readFile(new URL(n, here), 'utf8')))).filter((t) => /from '.\/(look|devices).mjs'/.test(t)).join('\n')
  assert.deepEqual(pages.filter((p) => !seen.has(p) && !looking.includes(`'${p}'`)), [])
})

test('control: axe and the ruler notice a page that is broken', async () => {
  const visitor = await house.visitor()
  const { page } = visitor
  await visitor.open('/signin')
  await page.evaluate(() => {
    document.querySelector('label[for]').remove()
    document.querySelector('h1').style.color = '#ccc'
  })
  const found = await axe(page)
  assert.ok(found.some((v) => v.startsWith('label:')), `the missing label: ${found}`)
  assert.ok(found.some((v) => v.startsWith('color-contrast:')), `the pale heading: ${found}`)
  await page.setViewportSize({ width: 320, height: 600 })
  await page.evaluate(() => { document.querySelector('h1').style.minWidth = '400px' })
  assert.match(await overflow(page), /> 320 px/)
  await visitor.leave()
})
