// The whole way in with the keyboard alone: nothing is clicked, and where the
// keyboard stands can always be seen.
import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { Phone, goodPassword, openHouse } from './house.mjs'

let house
before(async () => { house = await openHouse() })
after(() => house?.close())

/** Tabs to what matches; every stop on the way shows that it has the focus. */
async function tabTo(page, selector) {
  for (let stops = 0; stops < 60; stops++) {
    await page.keyboard.press('Tab')
    const at = await page.evaluate((wanted) => {
      const e = document.activeElement
      if (!e || e === document.body) return { outside: true }
      const style = getComputedStyle(e)
      const ring = (s) => (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 1) || s.boxShadow !== 'none'
      const box = e.getBoundingClientRect()
      const label = e.labels?.[0]
      return {
        there: e.matches(wanted), what: e.outerHTML.slice(0, 120), seen: ring(style) || (label && ring(getComputedStyle(label))),
        inView: box.bottom > 0 && box.top < innerHeight,
      }
    }, selector)
    if (at.outside) continue
    assert.ok(at.seen, `the focus cannot be seen at ${at.what}`)
    assert.ok(at.inView, `the focus is out of view at ${at.what}`)
    if (at.there) return
  }
  assert.fail(`no tabbing reaches ${selector} on ${page.url()}`)
}

test('joining and coming back without a mouse', async () => {
  const visitor = await house.visitor({ viewport: { width: 900, height: 700 } })
  const { page } = visitor
  const enter = async () => {
    await Promise.all([page.waitForEvent('framenavigated', (f) => f === page.mainFrame()), page.keyboard.press('Enter')])
    await page.waitForLoadState()
  }
  const type = async (selector, text) => { await tabTo(page, selector); await page.keyboard.type(text) }
  const invitation = await house.invite('Bea')
  const password = goodPassword()

  await visitor.open(invitation.link)
  await tabTo(page, 'main form button:not([type=button])')
  await enter()
  await visitor.at('/signin/new-password')
  const focusedFirst = await page.evaluate(() => document.activeElement.name)
  if (focusedFirst === 'password') await page.keyboard.type(password)
  else await type('[name=password]', password)
  await enter()
  await visitor.at('/signin/enrol')
  const phone = new Phone(await visitor.textKey())

  // A wrong code first: the focus goes to the summary, and the way on starts there.
  const typeCode = async (code) => {
    if (await page.evaluate(() => document.activeElement.name) === 'code') await page.keyboard.type(code)
    else await type('[name=code]', code)
    await enter()
  }
  await typeCode(await phone.wrong())
  assert.equal(await page.evaluate(() => document.activeElement.closest('[role=alert]') !== null), true, 'the focus is at the error summary')
  await typeCode(await phone.code())
  await visitor.at('/signin/codes')
  await tabTo(page, '[name=confirmed]')
  await page.keyboard.press('Space')
  await tabTo(page, 'button:not([type=button])')
  await enter()
  await page.waitForURL((url) => url.pathname.startsWith('/account'))
  await visitor.open('/account') // by a page that offers a second authenticator
  await tabTo(page, 'form[action="/signout"] button')
  await enter()
  await visitor.open('/signin')
  if (await page.evaluate(() => document.activeElement.name) !== 'email') await tabTo(page, '[name=email]')
  await page.keyboard.type(invitation.email)
  await type('[name=password]', password)
  await enter()
  await visitor.at('/signin/code')
  await typeCode(await phone.code())
  await page.waitForURL((url) => url.pathname.startsWith('/account'))
  await visitor.leave()
})

test('the first Tab offers to skip to the content', async () => {
  const visitor = await house.signedIn('bookkeeper')
  await visitor.open('/account')
  await visitor.page.keyboard.press('Tab')
  const skip = await visitor.page.evaluate(() => ({ href: document.activeElement.getAttribute('href'), seen: document.activeElement.getBoundingClientRect().top >= 0 }))
  assert.match(skip.href ?? '', /^#/)
  assert.ok(skip.seen)
  assert.equal(await visitor.page.locator(skip.href).count(), 1)
  await visitor.leave()
})
