// Back button, two tabs, old pages, double clicks: always a way on.
import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { goodPassword, openHouse, until } from './house.mjs'

let house
before(async () => { house = await openHouse() })
after(() => house?.close())

const path = (page) => new URL(page.url()).pathname

/** A page is no dead end when it says something and offers a field or a link to go on with. */
async function wayOn(page) {
  const main = page.locator('main')
  assert.ok((await main.innerText()).trim().length > 20, 'it says nothing')
  assert.ok(await main.locator('form, a[href]').count() > 0, `no way on from ${page.url()}:\n${await main.innerText()}`)
}

test('back to the first page from the second, and on again', async () => {
  const visitor = await house.visitor()
  const { page } = visitor
  const person = house.person('owner')
  await visitor.open('/signin')
  await visitor.giveName(person.email, person.password)
  await visitor.at('/signin/code')
  await page.goBack()
  await visitor.at('/signin')
  await visitor.giveName(person.email, person.password)
  await visitor.at('/signin/code')
  await visitor.giveCode(await person.phone.code())
  await visitor.at('/account')

  // Back into the sign-in after it is done: a page that was left is shown again or leads on; sending it again harms nothing.
  await page.goBack()
  await wayOn(page)
  if (await page.locator('[name=code]').count()) {
    await visitor.giveCode('123456')
    await wayOn(page)
  }
  await visitor.open('/account')
  await visitor.at('/account')
  await visitor.leave()
})

test('two tabs: the one that stayed behind catches up', async () => {
  const visitor = await house.visitor()
  const left = visitor.page
  const right = await visitor.context.newPage()
  const person = house.person('bookkeeper')
  await left.goto('/signin')
  await right.goto('/signin')
  visitor.page = right
  await visitor.giveName(person.email, person.password)
  await visitor.at('/signin/code')

  visitor.page = left
  await visitor.giveName(person.email, person.password)
  await visitor.at('/signin/code')

  // The right tab holds the page of the first attempt, the browser now the second.
  visitor.page = right
  await visitor.giveCode(await person.phone.code())
  if (path(right) !== '/account') {
    await wayOn(right)
    assert.ok(await right.locator('[name=code]').count(), 'the current step is shown again')
    await visitor.giveCode(await person.phone.code())
  }
  await visitor.at('/account')

  // And the left one, though everything is done.
  visitor.page = left
  await visitor.giveCode('123456')
  await wayOn(left)
  await left.goto('/account')
  assert.equal(path(left), '/account')
  await visitor.leave()
})

test('a page that is two hours old keeps the e-mail and goes on', async () => {
  const visitor = await house.visitor()
  const { page } = visitor
  const person = house.person('developer')
  await visitor.open('/signin')
  // What two hours do: what the browser held for the attempt is no longer good.
  await visitor.context.clearCookies()
  await visitor.giveName(person.email, 'a wrong password')
  assert.equal(path(page), '/signin')
  assert.equal(await page.inputValue('[name=email]'), person.email)
  await visitor.giveName(person.email, person.password)
  await visitor.at('/signin/code')
  const cookies = await visitor.context.cookies()
  await visitor.context.clearCookies()
  await visitor.giveCode('123456')
  await wayOn(page)
  assert.doesNotMatch(await page.locator('main').innerText(), /csrf|token|invalid request/i)
  await visitor.context.addCookies(cookies.map((c) => (/attempt/.test(c.name) ? { ...c, value: c.value.slice(0, -6) + 'AAAAAA' } : c)))
  await visitor.open('/signin/code')
  await wayOn(page)
  await visitor.signIn(person)
  await visitor.leave()
})

test('a step opened by its address, without an attempt', async () => {
  const visitor = await house.visitor()
  for (const address of ['/signin/code', '/signin/recovery', '/signin/enrol', '/signin/codes', '/signin/new-password', '/signin/link-sent', '/link', '/fresh', '/account', '/account/history']) {
    const status = await visitor.open(address)
    assert.ok(status < 500, `${address}: ${status}`)
    await wayOn(visitor.page)
  }
  await visitor.leave()
})

test('a double click on any button does no harm', async () => {
  const visitor = await house.visitor()
  const { page } = visitor
  const person = house.person('supporter')
  const twice = async (field) => {
    const form = page.locator('form').filter({ has: page.locator(field) }).first()
    const here = page.url()
    await form.locator('button:not([type=button])').first().dblclick({ noWaitAfter: true })
    await until('the second click led somewhere', () => page.url() !== here) // the first one's way there is cut off
    await page.waitForLoadState()
  }
  await visitor.open('/signin')
  await page.fill('[name=email]', person.email)
  await page.fill('[name=password]', person.password)
  await twice('[name=password]')
  await visitor.at('/signin/code')
  await page.fill('[name=code]', await person.phone.code())
  await twice('[name=code]')
  await visitor.at('/account')
  await visitor.leave()
})

test('signed out in another tab: the page says so, and signing in leads back', async () => {
  const visitor = await house.visitor()
  const person = await visitor.join(await house.invite('Dora'), goodPassword())
  const other = await visitor.context.newPage()
  await visitor.open('/account/history')
  await other.goto('/account')
  await other.locator('form[action="/signout"] button').first().click()
  await other.waitForLoadState()
  await visitor.open('/account/history')
  await visitor.at('/signin')
  await visitor.giveName(person.email, person.password)
  await visitor.giveCode(await person.phone.code())
  await visitor.at('/account/history')
  await visitor.leave()
})

test('the mailed link pressed twice, and opened again later', async () => {
  const visitor = await house.visitor()
  const invitation = await house.invite('Edda')
  await visitor.openLink(invitation.link)
  await visitor.openLink(invitation.link)
  await visitor.at('/signin/new-password')
  await visitor.join(invitation, goodPassword())
  const later = await house.visitor()
  await later.open(invitation.link)
  await wayOn(later.page)
  const button = later.page.locator('main form button:not([type=button])')
  if (path(later.page) === '/link' && await button.count()) await later.press(button.first())
  await wayOn(later.page)
  assert.equal(await later.page.locator('[name=password]').count() > 0 && path(later.page) === '/signin/new-password', false, 'a spent invitation still lets one choose a password')
  await visitor.leave()
  await later.leave()
})
