// A crowd at the door: the waiting page, with script and without, and the banner in
// all its states. The house is small (six new sign-ins at once) and strangers storm
// it from Node; the visitor is real.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import test, { after, before } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { openHouse, until } from './house.mjs'
import { complaints } from './look.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const settings = 'limits:\n  inside: 8\n  network_rate: 100000\n  network_tries: 100000\n  global_rate: 100000\npasswords:\n  memory_kib: 16384\n  time: 2\n'
const patience = { timeout: 60_000 } // of people in a line, on a machine that does other things too
let house
before(async () => { house = await openHouse({ settings }) })
after(() => house?.close())

/** Strangers who keep their place and yet try again the moment they are turned away. */
class Storm {
  constructor(people) {
    this.answers = {}
    this.slowest = 0
    this.blows = Promise.all(Array.from({ length: people }, (_, i) => this.stranger(i)))
  }

  async stranger(i) {
    let kept = {}
    for (let n = 0; !this.over; n++) {
      const begun = performance.now()
      const answer = await fetch(house.local + '/api/v1/signin', {
        method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ email: `stranger${i}.${n}@storm.example`, password: 'let me in now', ...kept }),
      })
      const { device, wait } = await answer.json()
      kept = { device, place: wait?.place }
      this.answers[answer.status] = (this.answers[answer.status] ?? 0) + 1
      if (answer.status === 503) assert.ok(Number(answer.headers.get('Retry-After')) > 0)
      await pause(Math.max(0, 100 - (performance.now() - begun))) // the net is not that fast either
    }
  }

  async begun() {
    await until('somebody is turned away', () => this.answers[503] > 20)
    return this
  }

  async end() {
    this.over = true
    await this.blows
  }
}

const waits = async (page) => (await page.locator('main h1').innerText()) === 'You are in line'

test('in a crowd one waits before a password is typed, and comes in by oneself', async () => {
  const storm = await new Storm(24).begun()
  const visitor = await house.visitor()
  const { page } = visitor
  const owner = house.person('owner')
  try {
    const answer = await page.goto('/signin')
    assert.equal(answer.status(), 503)
    const text = await answer.text() // as it came: the page itself goes on any moment
    assert.ok(text.includes('You are in line') && !text.includes('<input'), 'it asks for something')
    await page.waitForSelector('[name=password]', patience) // nobody touches anything
    await visitor.giveName(owner.email, owner.password)
    await visitor.at('/signin/code')
    await visitor.giveCode(await owner.phone.code())
    await visitor.at('/account')
    assert.ok(storm.answers[401] > 0 && storm.answers[503] > storm.answers[401], JSON.stringify(storm.answers))
  } finally {
    await storm.end()
  }
  await visitor.leave()
})

test('without script the waiting page goes on by itself too', async () => {
  const storm = await new Storm(24).begun()
  const visitor = await house.visitor({ javaScriptEnabled: false })
  const bookkeeper = house.person('bookkeeper')
  try {
    assert.equal(await visitor.open('/signin'), 503)
    await visitor.page.waitForSelector('[name=password]', patience)
    await visitor.giveName(bookkeeper.email, bookkeeper.password)
    await visitor.at('/signin/code')
    await visitor.giveCode(await bookkeeper.phone.code())
    await visitor.at('/account')
    assert.ok(visitor.trail.filter((s) => s === 'GET /signin 503').length >= 1, visitor.trail.join(', '))
    assert.ok(!visitor.trail.includes('POST /signin 503'), `sent back after the password: ${visitor.trail.join(', ')}`)
  } finally {
    await storm.end()
  }
  await visitor.leave()
})

test('who typed the password before the crowd came is told that nothing is lost', async () => {
  const visitor = await house.visitor()
  const { page } = visitor
  const owner = house.person('owner')
  await until('the storm before is over', async () => await visitor.open('/signin') === 200)
  await page.fill('[name=email]', owner.email)
  await page.fill('[name=password]', owner.password)
  const storm = await new Storm(24).begun()
  try {
    await visitor.send('[name=password]')
    if (await page.locator('[name=code]').count() === 0) {
      assert.ok(await waits(page))
      assert.ok(!(await page.content()).includes(owner.password), 'the page keeps the password')
      await page.waitForSelector('[name=password]', patience)
      assert.equal(await page.inputValue('[name=password]'), '')
      await visitor.giveName(owner.email, owner.password)
    }
    await visitor.at('/signin/code')
  } finally {
    await storm.end()
  }
  await visitor.leave()
})

test('the waiting page speaks when something changes, and is easy on eyes and ears', async () => {
  const storm = await new Storm(24).begun()
  const visitor = await house.visitor()
  const { page } = visitor
  let about = 'It is your turn in about 3 minutes.'
  let asked = 0
  await page.route('**/signin', (route) => {
    if (route.request().headers().accept !== 'application/json') return route.continue()
    asked++
    return route.fulfill({ status: 503, headers: { 'Retry-After': '1' }, json: { error: {}, wait: { about } } })
  })
  try {
    assert.equal(await visitor.open('/signin'), 503)
  } finally {
    await storm.end()
  }
  const status = page.locator('main [role=status]')
  await until('it says what it has learned', async () => (await status.innerText()) === about)
  about = 'It is your turn in a moment.'
  await until('it says what has changed', async () => (await status.innerText()) === about)
  assert.ok(asked >= 2)
  assert.deepEqual(await complaints(page, 'waiting'), [])
  await page.unroute('**/signin')
  await page.waitForSelector('[name=password]', patience)
  await visitor.leave()
})

// The pages are those of the gallery in ./web, made by its test: a standby and an
// outage are not to be had from a healthy program.
test('the banner in all its states', async () => {
  const dir = await fs.mkdtemp(path.join(os.tmpdir(), 'gatehouse-gallery-'))
  const context = await (await house.browser()).newContext()
  try {
    await promisify(execFile)('go', ['test', '-count=1', '-run', '^TestGallery$', './web'], { cwd: root, env: { ...process.env, GATEHOUSE_GALLERY: dir } })
    const page = await context.newPage()
    for (const name of ['waiting', 'waiting-long', 'waiting-soon', 'signin-busy', 'signin-standby', 'signin-failing', 'profile-standby', 'busy-standby', 'long-waiting-long', 'long-signin-standby']) {
      await page.route('**/*.js', (route) => route.abort()) // nothing answers them here
      await page.goto(pathToFileURL(path.join(dir, `${name}.html`)).href)
      assert.deepEqual(await complaints(page, name), [])
      const shots = process.env.GATEHOUSE_SHOTS
      if (shots) await shoot(page, path.join(shots, name))
    }
  } finally {
    await context.close()
    await fs.rm(dir, { recursive: true, force: true })
  }
})

/** GATEHOUSE_SHOTS=DIR keeps pictures, to be looked at. */
async function shoot(page, name) {
  for (const colorScheme of ['light', 'dark']) {
    for (const width of [360, 1120]) {
      await page.emulateMedia({ colorScheme })
      await page.setViewportSize({ width, height: 720 })
      await page.screenshot({ path: `${name}-${colorScheme}-${width}.png` })
    }
  }
}
