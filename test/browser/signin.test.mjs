// The sign-in page itself: its fields, its weight, its manners at a wrong guess,
// and the addresses that other software knows by heart.
import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { goodPassword, openHouse } from './house.mjs'

let house
before(async () => { house = await openHouse() })
after(() => house?.close())

const inputs = (page) => page.locator('main form input:not([type=hidden])').evaluateAll((all) => all.map((i) => ({
  name: i.name, type: i.type, autocomplete: i.getAttribute('autocomplete'), inputmode: i.getAttribute('inputmode'),
  maxlength: i.getAttribute('maxlength'), labels: [...(i.labels ?? [])].map((l) => l.textContent.trim()).filter(Boolean).length,
})))

test('the sign-in page has the fields that password managers know', async () => {
  const visitor = await house.visitor()
  await visitor.open('/signin')
  assert.equal(await visitor.page.locator('main form').count(), 1, 'one form')
  const found = Object.fromEntries((await inputs(visitor.page)).map((i) => [i.name, i]))
  assert.deepEqual(Object.keys(found), ['email', 'password'])
  assert.equal(found.email.autocomplete, 'username webauthn')
  assert.equal(found.password.autocomplete, 'current-password')
  assert.equal(found.password.type, 'password')
  for (const field of Object.values(found)) {
    assert.equal(field.labels, 1, `${field.name} has its label`)
    assert.ok(!field.maxlength || Number(field.maxlength) >= 64, `${field.name} is cut at ${field.maxlength}`)
  }
  await visitor.leave()
})

test('the code page has one box, for the keyboard of digits and for autofill', async () => {
  const visitor = await house.visitor()
  await visitor.open('/signin')
  const { email, password } = house.person('owner')
  await visitor.giveName(email, password)
  const codes = (await inputs(visitor.page)).filter((i) => i.name === 'code')
  assert.equal(codes.length, 1)
  assert.deepEqual({ ...codes[0], labels: undefined, name: undefined }, { type: 'text', autocomplete: 'one-time-code', inputmode: 'numeric', maxlength: null, labels: undefined, name: undefined })
  const kept = await visitor.page.locator('form:has([name=code]) input[autocomplete~=username]').count()
  assert.ok(kept <= 1)
  await visitor.leave()
})

test('a new password is asked for with its own token and the name beside it', async () => {
  const visitor = await house.visitor()
  const invitation = await house.invite('Tomas')
  await visitor.openLink(invitation.link)
  await visitor.at('/signin/new-password')
  const found = await visitor.page.locator('form:has([name=password]) input').evaluateAll((all) => all.map((i) => [i.getAttribute('autocomplete'), i.value]))
  assert.ok(found.some(([token]) => token === 'new-password'))
  assert.ok(found.some(([token, value]) => token?.startsWith('username') && value === invitation.email), 'the password manager learns for whom')
  await visitor.leave()
})

test('the password can be shown, and is hidden again before it is sent', async () => {
  const visitor = await house.visitor()
  await visitor.open('/signin')
  const button = visitor.page.locator('button[type=button][aria-controls]').first()
  const field = visitor.page.locator('[name=password]')
  assert.equal(await button.getAttribute('aria-controls'), await field.getAttribute('id'))
  await button.click()
  assert.equal(await field.getAttribute('type'), 'text')
  const sent = visitor.page.waitForEvent('request', (r) => r.method() === 'POST')
  const typed = visitor.page.evaluate(() => new Promise((tell) =>
    document.forms[0].addEventListener('submit', () => queueMicrotask(() => tell(document.querySelector('[name=password]').type)))))
  await visitor.page.fill('[name=email]', 'nobody@harbour.example')
  await field.fill('wrong wrong wrong')
  await visitor.send('[name=password]')
  await sent
  assert.equal(await typed.catch(() => 'password'), 'password')
  await visitor.leave()

  const plain = await house.visitor({ javaScriptEnabled: false })
  await plain.open('/signin')
  assert.ok(!await plain.page.locator('button[type=button]').first().isVisible().catch(() => false), 'a button that needs script shows without')
  await plain.leave()
})

test('an unknown name and a wrong password look the same', async () => {
  const answers = []
  for (const email of [house.person('bookkeeper').email, 'nobody.at.all@harbour.example']) {
    const visitor = await house.visitor({ javaScriptEnabled: false })
    await visitor.open('/signin')
    await visitor.page.fill('[name=email]', email)
    await visitor.page.fill('[name=password]', 'not the password at all')
    const answered = visitor.page.waitForResponse((r) => r.request().method() === 'POST')
    await visitor.send('[name=password]')
    const answer = await answered
    const headers = await answer.allHeaders()
    for (const name of ['date', 'content-length', 'x-request-id', 'set-cookie']) {
      if (headers[name] && name === 'set-cookie') headers[name] = headers[name].replace(/=[^;]*/g, '=…')
      else if (headers[name]) headers[name] = '…'
    }
    const same = (text) => text.replaceAll(email, 'EMAIL').replace(/nonce[-=]"?(?:[\w+/=-]|&#43;)+/g, 'NONCE').replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'ID').replace(/(value|data-challenge)="[\w.~+/=-]{20,}"/g, 'SEALED').replace(/challenge&#34;:&#34;[\w-]{43}&/g, 'ASKED').replace(/[?&]v?=?[0-9a-z]{26}\b/gi, 'ID')
    for (const name of Object.keys(headers)) headers[name] = same(headers[name])
    answers.push({ status: answer.status(), headers, body: same(await answer.text()) })
    await visitor.leave()
  }
  assert.equal(answers[0].status, answers[1].status)
  assert.deepEqual(answers[0].headers, answers[1].headers)
  assert.equal(answers[0].body, answers[1].body)
})

test('a refusal takes the reader to its summary and names the field', async () => {
  const visitor = await house.visitor()
  await visitor.open('/signin')
  await visitor.giveName('nobody@harbour.example', 'not the password')
  const focused = await visitor.page.evaluate(() => {
    const e = document.activeElement.closest('[role=alert]') ?? document.activeElement
    return { role: e.getAttribute('role'), words: e.textContent.trim().length }
  })
  assert.equal(focused.role, 'alert')
  assert.ok(focused.words > 20)
  assert.match(await visitor.page.title(), /^Error:/)
  assert.equal(await visitor.page.inputValue('[name=email]'), 'nobody@harbour.example', 'the name is kept')
  assert.equal(await visitor.page.inputValue('[name=password]'), '', 'the password is not')
  for (const id of (await visitor.page.locator('[aria-invalid=true]').first().getAttribute('aria-describedby') ?? '').split(/\s+/).filter(Boolean)) {
    assert.equal(await visitor.page.locator(`[id="${id}"]`).count(), 1, `aria-describedby names ${id}`)
  }
  await visitor.leave()
})

test('a password of 64 characters with emoji and spaces at its ends is taken whole, by paste', async () => {
  const password = ' ' + 'ä🦦 öffnet die Türe! '.repeat(3) + '☂️ '
  const visitor = await house.visitor({ permissions: ['clipboard-read', 'clipboard-write'] })
  const invitation = await house.invite('Uma')
  await visitor.openLink(invitation.link)
  await visitor.at('/signin/new-password')
  await visitor.page.evaluate((text) => navigator.clipboard.writeText(text), password)
  await visitor.page.focus('[name=password]')
  await visitor.page.keyboard.press('Control+V')
  assert.equal(await visitor.page.inputValue('[name=password]'), password)
  await visitor.send('[name=password]')
  await visitor.at('/signin/enrol')
  const { Phone } = await import('./house.mjs')
  const phone = new Phone(await visitor.textKey())
  // A code as people have it on the clipboard: with a space, or from a full-width keyboard.
  const code = await phone.code()
  await visitor.page.evaluate((text) => navigator.clipboard.writeText(text), ` ${code.slice(0, 3)} ${code.slice(3)} `)
  await visitor.page.focus('[name=code]')
  await visitor.page.keyboard.press('Control+V')
  await visitor.send('[name=code]')
  await visitor.at('/signin/codes')
  await visitor.confirmCodes()
  await visitor.at('/account')
  await visitor.leave()

  const again = await house.visitor()
  await again.open('/signin')
  await again.giveName(invitation.email, password.trim())
  assert.equal(new URL(again.page.url()).pathname, '/signin', 'the password was trimmed')
  await again.giveName(invitation.email, password)
  await again.at('/signin/code')
  await again.giveCode([...await phone.code()].map((d) => String.fromCodePoint(0xff10 + Number(d))).join(''))
  await again.at('/account')
  await again.leave()
})

test('the strength meter gives a reason in words while one types', async () => {
  const visitor = await house.visitor()
  const { link } = await house.invite('Vera')
  await visitor.openLink(link)
  await visitor.at('/signin/new-password')
  const said = visitor.page.locator('main [role=status], main [aria-live=polite]').first()
  await visitor.page.locator('[name=password]').pressSequentially('password1')
  await visitor.page.waitForFunction(() => [...document.querySelectorAll('main [role=status], main [aria-live=polite]')].some((e) => e.textContent.trim().length > 10))
  const weak = await said.textContent()
  await visitor.page.locator('[name=password]').fill(goodPassword())
  await visitor.page.waitForFunction((before) => [...document.querySelectorAll('main [role=status], main [aria-live=polite]')].some((e) => e.textContent.trim() && e.textContent !== before), weak)
  await visitor.leave()
})

test('the sign-in page weighs under 60 KB and asks nobody else', async () => {
  const visitor = await house.visitor()
  const cdp = await visitor.context.newCDPSession(visitor.page)
  await cdp.send('Network.enable')
  let bytes = 0
  cdp.on('Network.loadingFinished', (e) => { bytes += e.encodedDataLength })
  await visitor.page.goto('/signin', { waitUntil: 'networkidle' })
  assert.ok(bytes > 1000 && bytes < 60 * 1024, `${bytes} bytes`)
  await visitor.leave()
})

test('the addresses that other software knows', async () => {
  const get = (address) => fetch(house.local + address, { redirect: 'manual' })
  const change = await get('/.well-known/change-password')
  assert.equal(change.status, 302)
  assert.match(change.headers.get('location'), /\/account\/password$/)
  assert.equal((await get('/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200')).status, 404)
  const security = await get('/.well-known/security.txt')
  assert.equal(security.status, 200)
  assert.match(security.headers.get('content-type'), /^text\/plain/)
  const text = await security.text()
  assert.match(text, /^Contact: \S+/m)
  const expires = new Date(text.match(/^Expires: (.*)$/m)[1])
  assert.ok(expires > new Date() && expires < new Date(Date.now() + 366 * 86_400_000), 'RFC 9116 §2.5.5: less than a year ahead')
})

test('control: an inline script and a third party are noticed', async () => {
  const visitor = await house.visitor()
  await visitor.page.route('**/signin', async (route) => {
    const answer = await route.fetch()
    const broken = '<script>window.broken = true</script><img alt="" src="http://127.0.0.2:9/pixel"></main>'
    await route.fulfill({ response: answer, body: (await answer.text()).replace('</main>', broken) })
  })
  await visitor.open('/signin')
  assert.equal(await visitor.page.evaluate(() => window.broken), undefined, 'the inline script ran')
  await visitor.context.close()
  assert.ok(visitor.complaints.some((c) => c.includes('script-src')), `the inline script: ${visitor.complaints}`)
  assert.ok(visitor.complaints.some((c) => c.includes('127.0.0.2')), `the third party: ${visitor.complaints}`)
})
