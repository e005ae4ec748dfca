// Setting up the second authenticator and keeping the recovery codes.
import assert from 'node:assert/strict'
import fs from 'node:fs/promises'
import test, { after, before } from 'node:test'
import { Phone, goodPassword, openHouse } from './house.mjs'

let house
before(async () => { house = await openHouse() })
after(() => house?.close())

test('the QR picture is read from the screen in light and dark, at scale 1 and 3', async () => {
  const first = await house.visitor()
  await first.toEnrolment(await house.invite('Wim'), goodPassword())
  const storageState = await first.context.storageState()
  await first.leave()
  for (const colorScheme of ['light', 'dark']) {
    for (const deviceScaleFactor of [1, 3]) {
      const visitor = await house.visitor({ storageState, colorScheme, deviceScaleFactor, viewport: { width: 800, height: 900 } })
      await visitor.open('/signin/enrol')
      const uri = await visitor.readQR()
      const where = `${colorScheme}, scale ${deviceScaleFactor}`
      assert.equal(uri.protocol + '//' + uri.host, 'otpauth://totp', where)
      assert.equal(uri.searchParams.get('secret'), await visitor.textKey(), where)
      assert.ok(uri.searchParams.get('issuer'), where)
      assert.ok(decodeURIComponent(uri.pathname).includes('@harbour.example'), where)
      await visitor.leave()
    }
  }
})

test('the QR picture fits a narrow screen and can still be read', async () => {
  const visitor = await house.visitor({ viewport: { width: 320, height: 640 }, deviceScaleFactor: 2 })
  await visitor.toEnrolment(await house.invite('Xena'), goodPassword())
  assert.equal((await visitor.readQR()).searchParams.get('secret'), await visitor.textKey())
  await visitor.leave()
})

test('an authenticator counts only after a correct code, and one left half-way leaves nothing behind', async () => {
  const visitor = await house.visitor()
  const invitation = await house.invite('Yara')
  const password = goodPassword()
  await visitor.toEnrolment(invitation, password)
  const abandoned = await visitor.textKey()
  await visitor.page.reload()
  await visitor.at('/signin/enrol')
  for (const address of ['/account', '/account/authenticators']) {
    await visitor.open(address)
    assert.match(new URL(visitor.page.url()).pathname, /^\/signin/, 'there is no session before it is done')
  }
  await visitor.open('/signin/enrol')
  await visitor.giveCode(await new Phone(await visitor.textKey()).wrong())
  await visitor.at('/signin/enrol')
  assert.match(await visitor.page.title(), /^Error:/)
  await visitor.leave()

  // Another browser, the same link: the first try has left no device and spent no invitation.
  const later = await house.visitor()
  const person = await later.join(invitation, password)
  assert.notEqual(person.phone.secret, abandoned)
  await later.open('/account/authenticators')
  assert.equal(await later.page.locator('[name=do][value=rename]').count(), 1, 'one authenticator is listed')
  await later.leave()
})

test('recovery codes: downloaded, copied, printed on one page, confirmed, each good for once', async () => {
  const visitor = await house.visitor({ permissions: ['clipboard-read', 'clipboard-write'], acceptDownloads: true })
  const { page } = visitor
  const invitation = await house.invite('Zoe')
  const password = goodPassword()
  await visitor.toEnrolment(invitation, password)
  const phone = new Phone(await visitor.textKey())
  await visitor.giveCode(await phone.code())
  await visitor.at('/signin/codes')
  const codes = await visitor.codes()
  assert.equal(new Set(codes).size, 10)

  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: /download/i }).or(page.getByRole('link', { name: /download/i })).click()])
  const file = await fs.readFile(await download.path(), 'utf8')
  for (const code of codes) assert.ok(file.includes(code))
  assert.ok(file.includes(invitation.email), 'the file names the account')
  assert.ok(file.includes(new URL(house.origin).host) || /gatehouse/i.test(file), 'the file names the service')
  assert.match(file, new RegExp(String(new Date().getUTCFullYear())), 'the file has a date')
  assert.match(download.suggestedFilename(), /recovery-codes\.txt$/)

  await page.getByRole('button', { name: /copy/i }).click()
  await page.waitForFunction((code) => navigator.clipboard.readText().then((t) => t.includes(code)), codes[9])
  assert.ok(await page.getByRole('button', { name: /print/i }).isVisible())

  await page.emulateMedia({ media: 'print' })
  for (const code of codes) assert.ok(await page.getByText(code).first().isVisible(), 'a code is not printed')
  const shown = await page.locator('button').evaluateAll((all) => all.filter((b) => b.checkVisibility()).length)
  assert.equal(shown, 0, 'buttons are printed')
  const pdf = await page.pdf({ format: 'A4' })
  assert.equal(pdf.toString('latin1').match(/\/Type\s*\/Page\b/g)?.length, 1, 'one page')
  await page.emulateMedia({ media: 'screen' })

  // Not confirmed: refused, the codes still there, no session.
  await page.locator('form:has([name=confirmed])').evaluate((form) => { form.noValidate = true })
  await visitor.send('[name=confirmed]')
  await visitor.at('/signin/codes')
  assert.deepEqual(await visitor.codes(), codes, 'the same codes are still shown')
  await visitor.confirmCodes()
  await visitor.at('/account')
  const person = { email: invitation.email, password, phone }
  await visitor.open('/account/recovery-codes')
  assert.match(await page.locator('main').innerText(), /\b10\b/)
  await visitor.leave()

  const byCode = async (code) => {
    const other = await house.visitor()
    await other.open('/signin')
    await other.giveName(person.email, person.password)
    await other.at('/signin/code')
    await other.page.click('a[href^="/signin/recovery"]')
    await other.at('/signin/recovery')
    await other.giveCode(code)
    return other
  }
  const inside = await byCode(codes[0].toLowerCase().replaceAll('-', ' '))
  await inside.at('/account')
  const told = await house.mail(person.email, (m) => /recovery code/i.test(m.subject) && /\bused\b/i.test(m.subject + m.text))
  assert.match(told.text, /\b(9|nine)\b/, 'the mail says how many are left')
  await inside.open('/account/recovery-codes')
  assert.match(await inside.page.locator('main').innerText(), /\b(9|nine)\b/i)

  const twice = await byCode(codes[0])
  await twice.at('/signin/recovery')
  assert.match(await twice.page.title(), /^Error:/)
  await twice.leave()

  // A new set kills the old one, after a fresh proof.
  const make = () => inside.press(inside.page.locator('form:has([name=do][value=make]) button, button[name=do][value=make]').first())
  await make()
  if (inside.page.url().includes('/fresh')) {
    await inside.proveAfresh(person)
    if (!(await inside.codes()).length) await make()
  }
  const fresh = await inside.codes()
  assert.equal(new Set(fresh).size, 10)
  assert.ok(!fresh.includes(codes[1]))
  await inside.confirmCodes()
  await inside.leave()
  const dead = await byCode(codes[1])
  await dead.at('/signin/recovery')
  assert.match(await dead.page.title(), /^Error:/)
  await dead.giveCode(fresh[1])
  await dead.at('/account')
  await dead.leave()
})

test('a second authenticator: added, named, used, renamed, the first removed', async () => {
  const visitor = await house.visitor()
  const { page } = visitor
  const person = await visitor.join(await house.invite('Abel'), goodPassword())
  await visitor.open('/account/authenticators/add')
  const second = new Phone(await visitor.textKey())
  await page.fill('[name=name]', 'Office tablet')
  await visitor.giveCode(await second.code())
  await visitor.at('/account/authenticators')
  assert.deepEqual(await page.locator('main li h2').allInnerTexts().then((all) => all.slice(-1)), ['Office tablet'])
  await house.mail(person.email, (m) => /authenticator/i.test(m.subject))

  const other = await house.visitor()
  await other.signIn({ ...person, phone: second })
  await other.leave()

  const row = (name) => page.locator('main li').filter({ has: page.locator('h2', { hasText: name }) })
  await row('Office tablet').locator('summary').first().click()
  await row('Office tablet').locator('[name=name]').fill('Kitchen tablet')
  await visitor.press(row('Office tablet').locator('form:has([value=rename]) button'))
  assert.equal(await row('Kitchen tablet').count(), 1)

  const first = await page.locator('main li h2').allInnerTexts().then((all) => all.find((n) => n !== 'Kitchen tablet'))
  await row(first).locator('summary').last().click()
  await visitor.press(row(first).locator('form:has([value=remove]) button'))
  assert.deepEqual(await page.locator('main li h2').allInnerTexts(), ['Kitchen tablet'])
  assert.equal(await page.locator('[value=remove]').count(), 0, 'the only one cannot be removed')
  await house.mail(person.email, (m) => /remov/i.test(m.subject))
  await visitor.leave()

  const wrong = await house.visitor()
  await wrong.open('/signin')
  await wrong.giveName(person.email, person.password)
  await wrong.giveCode(await person.phone.code())
  assert.match(await wrong.page.title(), /^Error:/, 'the removed authenticator still opens')
  await wrong.leave()
})
