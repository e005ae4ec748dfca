// Hardware code tokens in a real Chromium: taken into stock and given by an operator,
// added by their holder, used at the door, pressed in a pocket and brought back into
// step, lost. oathtool is the token: it is not ours.
import assert from 'node:assert/strict'
import fs from 'node:fs/promises'
import path from 'node:path'
import test, { after, before } from 'node:test'
import { Button } from './devices.mjs'
import { openHouse, until } from './house.mjs'
import { complaints } from './look.mjs'

const shots = process.env.TOKEN_SHOTS // a folder, to look at

let house
before(async () => { house = await openHouse() })
after(() => house?.close())

/** Takes a token into stock and gives it to somebody. */
async function give(serial, secret, person) {
  const file = path.join(house.data, `${serial}.csv`)
  await fs.writeFile(file, `serial,secret,type,encoding\n${serial},${secret},hotp,base32\n=1+1,${secret},hotp,base32\n`)
  const dry = await house.run('token', 'import', file)
  assert.match(dry, /line 3: refused: a cell begins like a formula/)
  assert.match(dry, /2 tokens read: 1 would be taken into stock, 0 known already, 1 refused/)
  assert.match(await house.run('token', 'import', file, '--apply'), /1 were taken into stock/)
  assert.match(await house.run('token', 'assign', serial, person.email), /It opens nothing yet/)
  return new Button(serial, secret)
}

const shot = (page, name) => shots && page.screenshot({ path: path.join(shots, `${name}.png`), fullPage: true })

test('a code token is added, opens the door, runs ahead, comes back into step, and is lost', async () => {
  const person = house.person('bookkeeper')
  const token = await give('GAL-1001', 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ', person)
  const visitor = await house.visitor()
  const { page } = visitor
  await visitor.signIn(person)

  await visitor.open('/account/authenticators')
  const begun = Date.now()
  await page.click('a[href="/account/authenticators/token"]')
  await visitor.proveAfresh(person)
  await visitor.at('/account/authenticators/token')
  assert.deepEqual(await complaints(page, 'adding a token'), [])
  await shot(page, 'token-new')
  await page.fill('[name=serial]', 'gal 1001')
  await page.fill('[name=code]', '000000')
  await visitor.send('[name=code]')
  assert.match(await page.textContent('#code-wrong'), /do not belong together/)
  assert.equal(await page.inputValue('[name=serial]'), 'gal 1001')
  await shot(page, 'token-new-wrong')
  await page.fill('[name=code]', await token.press())
  await visitor.send('[name=code]')
  await visitor.at('/account/authenticators')
  assert.ok(Date.now() - begun < 60_000, 'adding it took more than a minute')
  assert.match(await page.textContent('main'), /Your code token is added/)
  assert.match(await page.textContent('main'), /Code token 1001/)
  assert.deepEqual(await complaints(page, 'a list with a token'), [])
  await shot(page, 'token-listed')

  const door = await house.visitor()
  await door.open('/signin')
  await door.giveName(person.email, person.password)
  await door.giveCode(await token.press())
  await door.page.waitForURL((url) => url.pathname.startsWith('/account'))

  for (let i = 0; i < 40; i++) token.count++ // in a pocket
  const again = await house.visitor()
  await again.open('/signin')
  await again.giveName(person.email, person.password)
  await again.giveCode(await token.press())
  assert.match(await again.page.textContent('main'), /run ahead of us/)
  await shot(again.page, 'token-ahead')
  assert.deepEqual(await complaints(again.page, 'a token that ran ahead'), [])
  await again.giveCode(`${await token.press()} ${await token.press()}`)
  await again.page.waitForURL((url) => url.pathname.startsWith('/account'))

  for (let i = 0; i < 60; i++) token.count++
  await again.open('/account/authenticators')
  await again.page.click('a[href^="/account/authenticators/resync"]')
  assert.deepEqual(await complaints(again.page, 'bringing a token back into step'), [])
  await shot(again.page, 'token-resync')
  const [one, two] = [await token.press(), await token.press()]
  await again.page.fill('[name=first]', two)
  await again.page.fill('[name=second]', one)
  await again.send('[name=second]')
  assert.match(await again.page.textContent('#first-wrong'), /not two codes of this token/)
  await shot(again.page, 'token-resync-wrong')
  await again.page.fill('[name=first]', one)
  await again.page.fill('[name=second]', two)
  await again.send('[name=second]')
  await again.at('/account/authenticators')
  assert.match(await again.page.textContent('main'), /back in step/)

  assert.match(await house.run('token', 'lost', 'GAL-1001', '--reason', 'left in a taxi'), /opens nothing any more/)
  await until('his sessions are over, within a second', async () => {
    await again.open('/account')
    return again.page.url().includes('/signin')
  })
  await again.giveName(person.email, person.password)
  await again.giveCode(await token.press())
  await again.at('/signin/code')
  assert.match(await house.run('token', 'history', 'gal1001'), /imported[\s\S]*assigned[\s\S]*activated[\s\S]*resynchronised[\s\S]*removed[\s\S]*lost .*left-in-a-taxi/)
})
