// One person's way in, through a real Chromium: the QR picture is read from a
// screenshot by zbarimg, the codes come from oathtool. With script and without.
import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { goodPassword, openHouse } from './house.mjs'

let house
before(async () => { house = await openHouse() })
after(() => house?.close())

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? 'with script' : 'without script'

  test(`somebody new joins and comes back, ${how}`, async () => {
    const rosa = await house.visitor({ javaScriptEnabled })
    const person = await rosa.join(await house.invite('Rosa'), goodPassword())
    assert.equal(person.codes.length, 10)
    assert.match(await rosa.page.locator('main').innerText(), /Rosa/)
    await rosa.leave()

    const again = await house.visitor({ javaScriptEnabled })
    await again.signIn(person)
    await again.press(again.page.locator('form[action="/signout"] button').first())
    assert.equal(await again.open('/account').then(() => new URL(again.page.url()).pathname), '/signin')
    await again.leave()
  })

  test(`a demo person signs in, ${how}`, async () => {
    const visitor = await house.visitor({ javaScriptEnabled })
    await visitor.signIn(house.person('owner'))
    await visitor.leave()
  })

  test(`a forgotten password is replaced by mail and the phone stays needed, ${how}`, async () => {
    const sol = await house.visitor({ javaScriptEnabled })
    const person = await sol.join(await house.invite('Sol'), goodPassword())
    await sol.leave()

    const forgetful = await house.visitor({ javaScriptEnabled })
    await forgetful.open('/signin')
    await forgetful.page.click('a[href^="/forgot"]')
    await forgetful.page.fill('[name=email]', person.email)
    await forgetful.send('[name=email]')
    await forgetful.at('/forgot/sent')
    await forgetful.openLink(await house.mailedLink(person.email))
    const password = goodPassword()
    for (const step of ['new-password', 'code', 'new-password']) {
      const { pathname } = new URL(forgetful.page.url())
      if (pathname === '/account') break
      if (pathname.endsWith('/code')) await forgetful.giveCode(await person.phone.code())
      else {
        assert.equal(pathname, '/signin/new-password', `unexpected at ${step}`)
        await forgetful.page.fill('[name=password]', password)
        await forgetful.send('[name=password]')
      }
    }
    await forgetful.at('/account')
    await forgetful.leave()

    const back = await house.visitor({ javaScriptEnabled })
    await back.open('/signin')
    await back.giveName(person.email, person.password)
    assert.equal(new URL(back.page.url()).pathname, '/signin', 'the old password still opens the door')
    await back.signIn({ ...person, password })
    await back.leave()
  })
}
