// Times are local, with their zone, wherever the reader sits; and the page warns
// before an idle session ends.
import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { goodPassword, openHouse } from './house.mjs'

let house
before(async () => { house = await openHouse() })
after(() => house?.close())

for (const timezoneId of ['Pacific/Auckland', 'Europe/Lisbon', 'UTC']) {
  test(`the history is told in the time of ${timezoneId}`, async () => {
    const visitor = await house.visitor({ timezoneId })
    const person = await visitor.join(await house.invite('Finn'), goodPassword())
    await visitor.context.clearCookies()
    await visitor.signIn(person)
    await visitor.open('/account/history')
    const times = await visitor.page.locator('main time[datetime]').evaluateAll((all) => all.map((t) => ({ at: t.dateTime, text: t.textContent, title: t.title })))
    assert.ok(times.length > 0)
    const { at, text } = times[0]
    assert.match(at, /^\d{4}-\d\d-\d\dT\d\d:\d\d/)
    const part = (options) => new Intl.DateTimeFormat('en-GB', { timeZone: timezoneId, ...options }).format(new Date(at))
    const clock = part({ hour: '2-digit', minute: '2-digit' })
    assert.ok(text.includes(clock) || text.includes(clock.replace(/^0/, '')), `${text} is not ${clock} in ${timezoneId}`)
    const zone = new Intl.DateTimeFormat('en-GB', { timeZone: timezoneId, timeZoneName: 'short' }).formatToParts(new Date(at)).find((p) => p.type === 'timeZoneName').value
    const names = { 'Pacific/Auckland': /NZ[SD]T|GMT\+1[23]|Auckland/, 'Europe/Lisbon': /WES?T|GMT|BST|Lisbon/, UTC: /UTC|GMT/ }
    assert.match(text, names[timezoneId], `${text} names no zone (${zone})`)
    await visitor.leave()
  })
}

test('the history has the refused tries too, in words', async () => {
  const visitor = await house.visitor()
  const person = await visitor.join(await house.invite('Gwen'), goodPassword())
  const stranger = await house.visitor()
  await stranger.open('/signin')
  await stranger.giveName(person.email, 'a guess that is wrong')
  await stranger.leave()
  await visitor.open('/account/history')
  const words = await visitor.page.locator('main').innerText()
  assert.match(words, /refused|not match|wrong|failed|did not/i)
  assert.doesNotMatch(words, /signin\.|wrong-credentials|\{\w+\}/, 'a code instead of words')
  await visitor.leave()
})

test('the page warns before an idle session ends', async () => {
  const visitor = await house.visitor()
  await visitor.page.clock.install()
  await visitor.signIn(house.person('owner'))
  const before = await visitor.page.locator('dialog, [role=alertdialog], [role=alert], [role=status]').evaluateAll((all) => all.filter((e) => e.checkVisibility() && e.textContent.trim()).length)
  await visitor.page.clock.fastForward('00:28:30')
  await visitor.page.clock.runFor(2000)
  await visitor.page.waitForFunction((n) => [...document.querySelectorAll('dialog, [role=alertdialog], [role=alert], [role=status]')].filter((e) => e.checkVisibility() && e.textContent.trim()).length > n, before, { polling: 100 })
  await visitor.leave()
})
