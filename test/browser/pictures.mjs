// Makes the pictures of the help articles from the real pages: node pictures.mjs
// They are committed (web/assets/help), and made again when the pages change; no
// test compares them. A picture whose page this build does not have is said and
// left as it is; an article shows what is there.
import fs from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { Phone, goodPassword, openHouse } from './house.mjs'

const to = fileURLToPath(new URL('../../web/assets/help/', import.meta.url))
const width = 600, height = 450, scale = 1.5, most = 25 * 1024
const options = { viewport: { width, height: 900 }, deviceScaleFactor: scale, colorScheme: 'light' }
await fs.mkdir(to, { recursive: true })
const missing = []

/** Keeps what stands from an element downwards, 600 × 450, as small as it must be. */
async function keep(visitor, name, from = 'h1') {
  const { page } = visitor
  await page.evaluate(async () => {
    await document.fonts.ready
    document.activeElement?.blur()
    for (const e of document.querySelectorAll('.sill, .help-link')) e.remove() // of every page, and of the demo
  })
  const top = await page.locator(from).first().evaluate((e) => e.getBoundingClientRect().top + scrollY)
  const cdp = await page.context().newCDPSession(page)
  for (const quality of [80, 70, 60, 50, 40, 30]) {
    const { data } = await cdp.send('Page.captureScreenshot', {
      format: 'webp', quality, captureBeyondViewport: true, clip: { x: 0, y: Math.max(0, top - 28), width, height, scale: 1 },
    })
    const bytes = Buffer.from(data, 'base64')
    if (bytes.length > most && quality > 30) continue
    await fs.writeFile(path.join(to, name + '.webp'), bytes)
    console.log(name, bytes.length, `quality ${quality}`)
    break
  }
  await cdp.detach()
}

/** Gives a visitor's browser a fingerprint reader that is always content. */
async function withPasskeys({ page }) {
  const cdp = await page.context().newCDPSession(page)
  await cdp.send('WebAuthn.enable', { enableUI: false })
  await cdp.send('WebAuthn.addVirtualAuthenticator', { options: {
    protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true } })
}

/** A picture that may not be there yet. */
async function wish(name, make) {
  try { await make() } catch (e) { missing.push(`${name}: ${e.message.split('\n')[0]}`) }
}

const house = await openHouse()
try {
  await house.run('policy', 'set', '--remember', '30d', '--yes')
  const rosa = await house.visitor(options)
  await rosa.open('/signin')
  await keep(rosa, 'signin')
  const invitation = await house.invite('Rosa Lind', 'rosa@harbour.example')
  const password = goodPassword()
  await rosa.toEnrolment(invitation, password)
  await keep(rosa, 'enrol', '.steps > li:nth-child(2)')
  const phone = new Phone(await rosa.textKey())
  await rosa.page.fill('[name=name]', 'Rosa’s phone')
  await rosa.giveCode(await phone.code())
  await rosa.at('/signin/codes')
  await keep(rosa, 'recovery-codes', '.slip')
  const codes = await rosa.codes()
  await rosa.page.check('[name=confirmed]')
  await rosa.send('[name=confirmed]')
  await rosa.at('/account/second')
  await keep(rosa, 'second')
  await rosa.later()
  const person = { email: invitation.email, password, phone }

  const door = await house.visitor(options)
  await door.open('/signin')
  await door.giveName(person.email, password)
  await door.at('/signin/code')
  await keep(door, 'code')
  await door.page.check('[name=remember]')
  await keep(door, 'remember', 'label[for=code]')
  await door.giveCode(await phone.wrong())
  await keep(door, 'code-wrong', '.problem')
  await door.page.click('a[href^="/signin/recovery"]')
  await keep(door, 'recovery')
  await door.leave()

  await wish('passkey-add', async () => {
    if (await rosa.open('/account/authenticators/passkey') !== 200) throw new Error('there is no such page')
    await rosa.proveAfresh(person)
    await rosa.at('/account/authenticators/passkey')
    await keep(rosa, 'passkey-add')
    await withPasskeys(rosa)
    await rosa.press(rosa.page.locator('[data-passkey] button').first())
  })
  const other = await house.visitor(options)
  await other.open('/signin')
  await other.giveName(person.email, password)
  await other.open('/signin/code') // whatever is asked for first
  await keep(other, 'ways', '.cant')
  await other.leave()

  await rosa.open('/account/moving?why=phone')
  await rosa.proveAfresh(person)
  await rosa.page.getByLabel('Rosa’s phone').check()
  await rosa.press(rosa.page.locator('form.card button.main'))
  await keep(rosa, 'moving-arrive', '.steps > li:nth-child(2)')
  const next = new Phone(await rosa.textKey())
  await rosa.page.fill('[name=name]', 'Rosa’s new phone')
  await rosa.giveCode(await next.code())
  await rosa.page.fill('[name=code]', await next.code())
  await rosa.send('[name=code]')
  await rosa.at('/account/moving/done')
  await keep(rosa, 'moved')
  await rosa.leave()
  person.phone = next

  // The two digits: Gatehouse Verify runs in another browser here, open, so that no message has to reach it.
  await wish('approve', async () => {
    const desk = await house.visitor(options)
    await desk.open('/account/authenticators/verify')
    await desk.open('/signin')
    await desk.giveName(person.email, password)
    await desk.open('/signin/code')
    await desk.giveCode(await person.phone.code())
    await desk.open('/account/authenticators/verify')
    await desk.at('/account/authenticators/verify')
    const link = (await desk.readQR()).href
    const app = await house.visitor({ viewport: { width: 390, height: 780 } })
    await app.open('/verify/')
    await app.page.waitForFunction(() => document.documentElement.dataset.ready === 'yes')
    await app.page.goto(link)
    await app.page.click('#sure-yes')
    const shown = await app.page.waitForFunction((email) => [...document.querySelectorAll('#tokens > li')].find((li) => li.innerText.includes(email))?.innerText.match(/\b\d{3}\s?\d{3}\b/)?.[0], person.email)
    await desk.page.waitForFunction(() => document.getElementById('joined').classList.contains('good'))
    await desk.giveCode((await shown.jsonValue()).replace(/\D/g, ''))
    await desk.at('/account/authenticators')
    const asked = await house.visitor(options)
    await asked.open('/signin')
    await asked.giveName(person.email, password)
    await asked.open('/signin/push')
    await asked.page.evaluate(() => { for (const e of document.querySelectorAll('main .note')) e.remove() }) // no message reaches this phone, and the page says so
    await keep(asked, 'approve')
  })
  if (codes.length !== 10) throw new Error('ten recovery codes were to be shown')
} finally {
  await house.close()
}
for (const m of missing) console.log('LEFT OUT', m)
