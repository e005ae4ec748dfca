// Makes the pictures of the documents: node test/browser/screens.mjs
// They are committed, and made again when the pages change; no test compares them.
import fs from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import path from 'node:path'
import { Phone, goodPassword, openHouse } from './house.mjs'

const to = fileURLToPath(new URL('../../docs/img/', import.meta.url))
await fs.mkdir(to, { recursive: true })
const house = await openHouse()
const shot = async (visitor, name, options = {}) => {
  await visitor.page.evaluate(() => document.fonts.ready)
  await visitor.page.screenshot({ path: path.join(to, name + '.png'), ...options })
}
try {
  for (const colorScheme of ['light', 'dark']) {
    const door = await house.visitor({ colorScheme, viewport: { width: 1120, height: 700 } })
    await door.open('/signin')
    await shot(door, `signin-${colorScheme}`)
    await door.leave()
  }
  const phone = await house.visitor({ viewport: { width: 360, height: 720 } })
  await phone.open('/signin')
  await shot(phone, 'signin-phone')
  await phone.leave()

  const rosa = await house.visitor({ viewport: { width: 1120, height: 900 } })
  const invitation = await house.invite('Rosa Lind', 'rosa@harbour.example')
  await rosa.toEnrolment(invitation, goodPassword())
  await shot(rosa, 'enrol')
  await rosa.giveCode(await new Phone(await rosa.textKey()).code())
  await rosa.at('/signin/codes')
  await shot(rosa, 'recovery-codes')
  await rosa.leave()

  const owner = await house.signedIn('owner', { viewport: { width: 1120, height: 800 } })
  await owner.open('/account')
  await shot(owner, 'account')
  await owner.open('/account/history')
  await shot(owner, 'history')
  await owner.leave()
} finally {
  await house.close()
}
for (const name of await fs.readdir(to)) console.log(name, (await fs.stat(path.join(to, name))).size)
