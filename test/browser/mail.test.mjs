// What the mails look like: every mail that the walks of this file cause.
import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { goodPassword, openHouse } from './house.mjs'

let house
before(async () => { house = await openHouse() })
after(() => house?.close())

test('every mail has text and HTML, links to its own address only, and tracks nobody', async () => {
  const visitor = await house.visitor()
  const person = await visitor.join(await house.invite('Hugo'), goodPassword())
  await visitor.leave()
  const device = await house.visitor()
  await device.signIn(person)
  const fresh = await house.mail(person.email, (m) => /new|sign-in/i.test(m.subject) && !m.link)
  await device.leave()
  const forgetful = await house.visitor()
  await forgetful.open('/forgot')
  await forgetful.page.fill('[name=email]', person.email)
  await forgetful.send('[name=email]')
  await house.mail(person.email, (m) => m.link)
  await forgetful.leave()

  const own = new URL(house.origin).host
  const mails = await house.mails()
  assert.ok(mails.length >= 3)
  for (const mail of mails) {
    assert.ok(mail.subject, mail.name)
    assert.ok(mail.text?.trim().length > 40, `${mail.subject}: no text part`)
    assert.ok(mail.html?.includes('<'), `${mail.subject}: no HTML part`)
    assert.doesNotMatch(mail.html, /<(img|script|iframe|link)\b|background=|url\(/i, `${mail.subject}: loads something`)
    for (const body of [mail.text, mail.html]) {
      for (const link of body.match(/https?:\/\/[^\s"<>]*[^\s"<>.,;]/g) ?? []) {
        assert.equal(new URL(link).host, own, `${mail.subject} links to ${link}`)
        assert.doesNotMatch(link, /utm_|[?&]/, `${mail.subject}: ${link} carries more than it needs`)
      }
    }
    assert.doesNotMatch(mail.text + mail.subject, /\{\w+\}|%!|<no value>/, `${mail.subject}: a blank was not filled`)
  }
  assert.match(fresh.text, /Chrome|Chromium/, 'it says the device')
  assert.match(fresh.text, /\d{1,2}[:.]\d\d.*(UTC|GMT|WES?T|Lisbon|[+-]\d\d)/s, 'it says the time with its zone')
  assert.match(fresh.text, /\/account\/sessions/, 'it says how to stop it')
})
