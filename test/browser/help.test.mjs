// The articles of help: for whoever is stuck, signed in or not, on any screen and on paper.
import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { openHouse } from './house.mjs'
import { complaints } from './look.mjs'

let house
before(async () => { house = await openHouse() })
after(() => house?.close())

const list = '/help', article = '/help/{article}'

test('every article is whole: axe, light and dark, narrow and wide, its pictures, and its links lead on', async () => {
  const visitor = await house.visitor()
  const { page } = visitor
  assert.equal(await visitor.open(list), 200)
  assert.deepEqual(await complaints(page, 'help'), [])
  const slugs = await page.locator('.articles a').evaluateAll((all) => all.map((a) => a.getAttribute('href').replace('/help/', '')))
  assert.ok(slugs.length >= 12, `only ${slugs}`)
  for (const slug of slugs) {
    assert.equal(await visitor.open(article.replace('{article}', slug)), 200)
    assert.equal(await page.locator('meta[name=robots]').count(), 0, 'search engines are kept out')
    for (const picture of await page.locator('figure img').all()) {
      await picture.scrollIntoViewIfNeeded()
      await page.waitForFunction((img) => img.complete, await picture.elementHandle())
      assert.ok(await picture.evaluate((img) => img.naturalWidth >= 600), `${slug}: a picture is broken`)
      assert.ok((await picture.getAttribute('alt')).length > 20, `${slug}: a picture without words`)
    }
    assert.deepEqual(await complaints(page, slug), [])
    const links = await page.locator('main a').evaluateAll((all) => all.map((a) => a.getAttribute('href')))
    assert.ok(links.every((l) => l === list || slugs.includes(l.replace('/help/', ''))), `${slug} links to ${links}`)
  }
  await visitor.leave()
})

test('an article is found by its words, without script, and printed without buttons', async () => {
  const visitor = await house.visitor({ javaScriptEnabled: false })
  const { page } = visitor
  await visitor.open(list)
  await page.fill('[name=q]', 'lost phone')
  await Promise.all([page.waitForURL(/q=lost/), page.locator('form[role=search] button').click()])
  const found = await page.locator('.articles a').allInnerTexts()
  assert.ok(found.includes('A lost, stolen or broken phone'), `${found}`)
  assert.ok(found.length < 13, 'a search finds everything')
  await visitor.open('/help?q=zeppelin')
  assert.match(await page.locator('main').innerText(), /Nothing about “zeppelin”/)
  await visitor.leave()
  const printing = await house.visitor()
  await printing.open('/help/lost-phone')
  await printing.page.emulateMedia({ media: 'print' })
  for (const what of ['.sill', '.back-to', '.ways']) assert.ok(await printing.page.locator(what).first().isHidden(), `${what} is printed`)
  assert.ok(await printing.page.locator('article h1').isVisible())
  await printing.leave()
})

test('the pages where people get stuck lead to help', async () => {
  const visitor = await house.visitor()
  const { page } = visitor
  const owner = house.person('owner')
  await visitor.open('/signin')
  assert.ok(await page.locator('.sill a[href="/help"]').isVisible())
  await visitor.giveName(owner.email, owner.password)
  await visitor.at('/signin/code')
  await page.click('summary:has-text("I have none of these")')
  assert.ok(await page.locator('.cant a[href="/help/lost-phone"]').isVisible())
  await visitor.giveCode(await owner.phone.wrong())
  const [tab] = await Promise.all([visitor.context.waitForEvent('page'), page.click('.problem a[href="/help/wrong-code"]')])
  assert.match(await tab.locator('h1').innerText(), /My code is wrong/)
  await tab.close()
  assert.match(await page.title(), /^Error:/, 'the form is still there')
  await visitor.leave()
})
