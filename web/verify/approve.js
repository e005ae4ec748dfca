// Questions: who is signing in, and is it you? The device is known by a key that
// was made here and cannot be taken out; what it answers is signed with it, over the
// exact text that is shown.
const api = '/api/v1/verify/'
const $ = (id) => document.getElementById(id)
const bytes = (text) => new TextEncoder().encode(text)
const b64 = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '')
const unb64 = (text) => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0))
const hash = async (text) => b64(await crypto.subtle.digest('SHA-256', bytes(text)))
const sign = async (device, text) => b64(await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, device.key, bytes(text)))
const pause = (ms) => new Promise((done) => setTimeout(done, ms))

let tools // what the app gives: {store, say, announce, sure, el, accounts}
const running = new Map() // device id → {device, ticket, wake, inbox}
const mostStreams = 3 // over HTTP/1.1 a browser opens six connections to one origin: some must be left to answer with
let streams = 0
const shown = new Map() // question id → {card, until}

/** What went wrong, with the server's code. Anything without one is the net. */
class Refusal extends Error {
  constructor(code, status) { super(code); Object.assign(this, { code, status }) }
}

async function ask(path, fields, ticket) {
  const answer = await fetch(api + path, {
    method: fields ? 'POST' : 'GET', cache: 'no-store', credentials: 'omit', signal: AbortSignal.timeout(10_000),
    headers: { ...(fields && { 'Content-Type': 'application/json' }), ...(ticket && { Authorization: `Bearer ${ticket}` }) },
    body: fields && JSON.stringify(fields),
  })
  if (answer.status === 204) return null
  const told = await answer.json().catch(() => ({}))
  if (!answer.ok) throw new Refusal(told.error?.code ?? 'unavailable', answer.status)
  return told
}

/** Begins to listen for every device that is kept here. */
export async function start(given) {
  tools ??= given
  look()
  for (const device of await tools.store.all('devices')) run(device)
  navigator.serviceWorker?.addEventListener('message', ({ data }) => {
    if (data?.moved) for (const r of running.values()) r.looked = false
    if (data && 'push' in data) wakeAll()
  })
  navigator.serviceWorker?.startMessages?.()
  addEventListener('online', wakeAll)
  document.addEventListener('visibilitychange', () => { if (!document.hidden) wakeAll() })
}

const wakeAll = () => { for (const r of running.values()) r.wake() }

function look() {
  if ($('approve-style')) return
  document.head.append(tools.el('link', { id: 'approve-style', rel: 'stylesheet', href: '/verify/approve.css' }))
}

// ---- listening ----

async function run(device) {
  if (running.has(device.id)) return
  const r = { device, wake: () => {} }
  running.set(device.id, r)
  let wait = 1000 // after something that went wrong, longer each time
  while (running.get(device.id) === r) {
    let rest
    try {
      r.ticket ??= await open(r)
      take(r, await ask(`questions?device_id=${device.id}`, null, r.ticket))
      wait = 1000
      offline(false)
      if (!r.looked) { r.looked = true; moved(r).catch(() => { r.looked = false }) }
      if (streams < mostStreams) {
        await listen(r)
        rest = 250 // the stream has an end of its own: come again
      } else rest = document.hidden ? 15_000 : 4000 // asked again and again instead; a push message wakes it at once
    } catch (why) {
      if (why.code === 'not-signed-in' || why.code === 'attempt-expired') r.ticket = undefined
      else if (why.code === 'device-unknown') { if (await gone(r)) return; wait = 1500 }
      else {
        if (why.code === undefined && !['TypeError', 'AbortError', 'TimeoutError'].includes(why.name) || why.stack?.includes('draw')) console.warn('questions:', why)
        offline(why.code !== undefined || !navigator.onLine ? true : wait > 2000); wait = Math.min(wait * 2, 15_000)
      }
    }
    await Promise.race([pause(rest ?? wait), new Promise((done) => { r.wake = done })])
  }
}

async function open(r) {
  const { challenge } = await ask('hello', { device_id: r.device.id })
  const signature = await sign(r.device, `gatehouse verify open 1\n${r.device.id}\n${challenge}`)
  const { ticket, push_key: key } = await ask('open', { device_id: r.device.id, challenge, signature })
  r.pushKey = key
  if (r.device.pairing) {
    delete r.device.pairing
    await tools.store.put('devices', r.device.id, r.device)
    note(null)
  }
  return ticket
}

/** Reads server-sent events until they end, or somebody says "look now". */
async function listen(r) {
  const stop = new AbortController()
  r.wake = () => stop.abort()
  streams++
  try {
    const answer = await fetch(`${api}events?device_id=${r.device.id}`, { headers: { Authorization: `Bearer ${r.ticket}` }, cache: 'no-store', credentials: 'omit', signal: stop.signal })
    if (!answer.ok) throw new Refusal((await answer.json().catch(() => ({}))).error?.code ?? 'unavailable', answer.status)
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
    for (let text = ''; ;) {
      const { value, done } = await reader.read()
      if (done) return
      const parts = (text + value).split('\n\n')
      text = parts.pop()
      for (const part of parts) {
        const data = /^data: (.*)$/m.exec(part)
        if (data) take(r, JSON.parse(data[1]))
      }
    }
  } catch (why) {
    if (!stop.signal.aborted) throw why
  } finally { streams--; stop.abort() }
}

/** The server knows the device no more. One that is being connected waits for its owner's code. */
async function gone(r) {
  if (r.device.pairing && Date.now() < r.device.pairing) return false
  running.delete(r.device.id)
  await tools.store.remove('devices', r.device.id)
  note(tools.say('verify.approve.gone', { name: r.device.name }))
  changes()
  return true
}

function take(r, inbox) {
  r.inbox = inbox
  const open = new Set(inbox.questions.map((q) => q.id))
  for (const [id, s] of shown) if (s.owner === r && !open.has(id) && !s.answered && !s.busy) close(id, 'expired') // its own answer may be on the way: that says how it ended
  for (const q of inbox.questions) if (!shown.has(q.id)) draw(r, q)
  message(r)
  changes()
}

// ---- the push address ----

const ios = /iP(hone|ad|od)/.test(navigator.userAgent)
const standalone = () => matchMedia('(display-mode: standalone)').matches || navigator.standalone === true

/** A push address, or null: then questions arrive while the app is open. Never waits long. */
async function subscribe(key, { ask: mayAsk = false } = {}) {
  try {
    if (!('PushManager' in self) || !('Notification' in self)) return null
    if (Notification.permission === 'default' && mayAsk) await Promise.race([Notification.requestPermission(), pause(30_000)])
    if (Notification.permission !== 'granted') return null
    const ready = await Promise.race([navigator.serviceWorker.ready, pause(4000)])
    if (!ready) return null
    const old = await ready.pushManager.getSubscription()
    if (old && b64(old.options.applicationServerKey ?? new ArrayBuffer(0)) !== key) await old.unsubscribe()
    const made = await Promise.race([ready.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: unb64(key) }), pause(6000)])
    if (!made) return null
    const { endpoint, keys } = made.toJSON()
    return { endpoint, p256dh: keys.p256dh, auth: keys.auth, server: key }
  } catch (why) {
    console.warn('no push address:', why)
    return null
  }
}

/** Browsers exchange push addresses now and then: the server is brought ours when it has another. */
async function moved(r) {
  if (!r.inbox.push || !('Notification' in self) || Notification.permission !== 'granted') return
  const now = await (await navigator.serviceWorker.ready).pushManager.getSubscription()
  if (now?.endpoint !== r.device.address) await renew(r)
}

const subscriptionHash = (s) => s ? hash([s.endpoint, s.p256dh, s.auth, s.server].join('\n')) : Promise.resolve('-')

/** Brings the server another push address when it has none that works. */
async function renew(r, options) {
  const sub = await subscribe(r.pushKey, options)
  if (!sub) return message(r)
  const signature = await sign(r.device, `gatehouse verify subscribe 1\n${r.device.id}\n${r.ticket}\n${await subscriptionHash(sub)}`)
  await ask('subscription', { device_id: r.device.id, ticket: r.ticket, signature, ...sub })
  Object.assign(r.device, { server: sub.server, address: sub.endpoint })
  await tools.store.put('devices', r.device.id, r.device)
  r.inbox.push = true
  message(r)
}

/** Says under the questions whether messages reach this device, and what to do. */
function message(r) {
  const box = place('approve-push')
  box.replaceChildren()
  const fits = r.inbox?.push && (!r.pushKey || r.device.server === r.pushKey)
  if (!r.inbox || fits) return
  const permission = 'Notification' in self && 'PushManager' in self ? Notification.permission : 'none'
  if (permission === 'granted' && !r.tried) { r.tried = true; renew(r).catch(() => {}); return }
  const { el, say } = tools
  if (permission === 'default') {
    box.append(el('p', { class: 'quiet', text: say('verify.approve.push-off') }), el('p', {}, el('button', { type: 'button', class: 'second', text: say('verify.approve.push-on'), on: { click: () => renew(r, { ask: true }).catch(() => {}) } })))
  } else box.append(el('p', { class: 'quiet', text: say(ios && !standalone() ? 'verify.approve.push-ios' : 'verify.approve.push-refused') }))
}

// ---- what is on the page ----

function place(id) {
  const section = $('approvals')
  for (const name of ['approve-note', 'approve-changed', 'approve-cards', 'approve-push']) if (!$(name)) section.append(tools.el('div', { id: name }))
  return $(id)
}

function note(text, good) {
  place('approve-note').replaceChildren(...(text ? [tools.el('p', { class: good ? 'note good' : 'note', role: 'status', text })] : []))
}

/** Says whose account has something new that its owner can still stop. */
function changes() {
  const { el, say } = tools
  const owners = [...running.values()].filter((r) => r.inbox?.changed).map((r) => r.inbox.account)
  const box = place('approve-changed')
  if (box.dataset.of === owners.join('\n')) return // not read out again
  box.dataset.of = owners.join('\n')
  box.replaceChildren(...[...new Set(owners)].map((account) => el('p', { class: 'note warn', role: 'status' }, say('verify.approve.changed', { account }), ' ',
    el('a', { href: '/account/authenticators/phone', text: say('verify.approve.changed-link') }))))
}

let isOffline = false
function offline(now) {
  if (now === isOffline || !running.size) return
  isOffline = now
  note(now ? tools.say('verify.approve.offline') : null)
}

/** One line of what is asked. Its text is only ever text. */
const fact = (label, value) => value ? [tools.el('div', {}, tools.el('dt', { text: label }), tools.el('dd', { text: value }))] : []

function draw(r, q) {
  const { el, say } = tools
  const what = JSON.parse(q.text)
  const label = (name) => say(`verify.approve.${name}`)
  const title = el('h2', { id: `q-${q.id}`, tabindex: '-1', text: label(what.kind) })
  const when = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: 'medium', timeStyle: 'medium' }).format(new Date(what.made_at))
  const facts = el('dl', { class: 'facts' }, ...fact(label('application'), what.application), ...fact(label('organisation'), what.organisation), ...fact(label('account'), what.account),
    ...(what.details ?? []).map((d) => el('div', { class: 'detail' }, el('dt', { text: d.label }), el('dd', { text: d.value }))),
    ...fact(label('message'), what.message), ...fact(label('browser'), what.browser), ...fact(label('place'), what.place),
    ...fact(label('network'), what.network), ...fact(label('time'), when))
  const left = el('p', { class: 'quiet left' }), wrong = el('p', { class: 'wrong', role: 'alert', hidden: true })
  const digits = what.digits && el('input', { id: `d-${q.id}`, class: 'code', inputmode: 'numeric', autocomplete: 'off', maxlength: '2', pattern: '[0-9]{2}', required: true, 'aria-describedby': `h-${q.id}` })
  const form = el('form', { novalidate: true }, ...(digits ? [el('div', { class: 'field' }, el('label', { for: digits.id, text: label('digits') }), el('p', { class: 'hint', id: `h-${q.id}`, text: label('digits-hint') }), digits)] : []),
    wrong, el('p', { class: 'actions' }, el('button', { class: 'main', text: label('yes') }), el('button', { type: 'button', class: 'second', 'data-say': 'deny', text: label('no') })),
    el('p', {}, el('button', { type: 'button', class: 'grave', 'data-say': 'report', text: label('report') })))
  const card = el('article', { class: 'card question', 'aria-labelledby': title.id }, title, facts, form, el('p', { class: 'sand', 'aria-hidden': 'true' }, el('i')), left)
  const s = { owner: r, card, until: performance.now() + q.left * 1000, whole: Math.max(q.left, (new Date(what.expires_at) - new Date(what.made_at)) / 1000), left, busy: false }
  shown.set(q.id, s)

  const send = async (answer) => {
    if (s.busy) return
    const number = answer === 'approve' && digits ? digits.value.replace(/[^0-9]/g, '') : ''
    if (answer === 'approve' && digits && number.length !== 2) { digits.focus(); return digits.setAttribute('aria-invalid', 'true') }
    s.busy = true
    wrong.hidden = true
    try {
      const text = ['gatehouse approval 1', q.id, await hash(q.text), answer, number, q.time].join('\n')
      const { state } = await ask('answer', { device_id: r.device.id, question: q.id, answer, digits: number, time: q.time, signature: await sign(r.device, text) })
      close(q.id, state)
    } catch (why) {
      if (why.code === 'not-in-time') return close(q.id, 'expired')
      wrong.textContent = say('verify.approve.failed')
      wrong.hidden = false
    } finally { s.busy = false }
  }
  form.addEventListener('submit', (e) => { e.preventDefault(); send('approve') })
  form.addEventListener('click', async (e) => {
    const answer = e.target.dataset?.say
    if (!answer) return
    if (answer === 'report' && !await tools.sure(label('report-title'), label('report-text'), label('report-yes'))) return
    send(answer)
  })
  place('approve-cards').prepend(card)
  count(q.id)
  tools.announce(`${title.textContent} ${what.application}${what.place ? `, ${what.place}` : ''}`)
  if (!document.querySelector('dialog[open]')) (digits || title).focus()
}

function count(id) {
  const s = shown.get(id)
  if (!s || s.answered) return
  const n = Math.max(0, Math.ceil((s.until - performance.now()) / 1000))
  s.left.textContent = tools.say('verify.approve.left', { n })
  s.card.querySelector('.sand i').style.setProperty('inline-size', `${Math.min(100, n / s.whole * 100)}%`)
  if (n === 0) return close(id, 'expired')
  setTimeout(() => count(id), 250)
}

/** The question has an end: it is said in its place, and goes away after a while. */
function close(id, state) {
  const s = shown.get(id)
  if (!s || s.answered) return
  s.answered = true
  const text = tools.say(`verify.approve.${state}`)
  const end = tools.el('p', { class: state === 'approved' ? 'note good' : 'note', role: 'status', tabindex: '-1', text })
  const had = s.card.contains(document.activeElement)
  s.card.replaceWith(end)
  if (had) end.focus()
  navigator.serviceWorker?.ready.then((r) => r.getNotifications({ tag: 'gatehouse-question' })).then((all) => all.forEach((n) => n.close())).catch(() => {})
  setTimeout(() => { end.remove(); shown.delete(id) }, state === 'reported' ? 60_000 : 12_000)
}

// ---- connecting ----

/** Joins an account by what a picture held. Asks first: a link may come from anybody. */
export async function pair(token, given) {
  tools ??= given
  look()
  const { el, say } = tools
  const label = (name) => say(`verify.approve.${name}`)
  if (!await tools.sure(label('pair-ask'), label('pair-text'), label('pair-yes'), false)) return
  note(label('pairing'))
  try {
    const { key: pushKey } = await ask('key')
    const sub = await subscribe(pushKey, { ask: true })
    const made = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign', 'verify'])
    const device = { key: made.privateKey, public: b64(await crypto.subtle.exportKey('spki', made.publicKey)) }
    const signature = await sign(device, `gatehouse verify pair 1\n${token}\n${device.public}\n${await subscriptionHash(sub)}`)
    const joined = await ask('pair', { token, key: device.public, signature, ...sub })
    Object.assign(device, { id: joined.device_id, account: joined.account, name: joined.name, server: sub?.server, address: sub?.endpoint, pairing: Date.now() + 11 * 60_000 })
    await tools.store.put('devices', device.id, device)
    await tools.accounts.add(joined.uri)
    note(label('paired'), true)
    tools.announce(label('paired'))
    run(device)
  } catch (why) {
    console.warn('pairing:', why)
    const known = ['pairing-taken', 'pairing-spent'].includes(why.code)
    place('approve-note').replaceChildren(el('p', { class: 'note warn', role: 'alert', text: known ? label(why.code) : label('failed') }))
  }
}
