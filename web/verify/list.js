// The codes: one card for each account, the code in it, and how long it stays good.
import { clean, code, spaced, turn } from './otp.js'
import { $, called, copy, el, modal, say, show, t } from './ui.js'
import * as store from './store.js'

export let accounts = [] // in the order of the list
const cards = new Map() // by id: {card, digits, left, ring, label, at, code}
const svg = 'http://www.w3.org/2000/svg'
const manyAccounts = 6

/** Reads the accounts again and draws them. */
export async function load() {
  accounts = (await store.all('accounts')).sort((a, b) => a.order - b.order || a.added - b.added)
  await draw()
}

/** Adds checked accounts at the end. Those that are here already are left out; gives how many were new. */
export async function add(list) {
  const known = new Set(accounts.map(sameness))
  const fresh = list.filter((a) => !known.has(sameness(a)) && known.add(sameness(a)))
  const last = Math.max(0, ...accounts.map((a) => a.order))
  await store.putAll(fresh.map((a, i) => {
    const id = crypto.randomUUID()
    return [id, { ...a, id, order: last + i + 1, added: Date.now() }]
  }))
  // Asks the browser not to clear us away when space is short; it may say no without a word.
  navigator.storage?.persist?.().catch(() => {})
  await load()
  return fresh.length
}

export const sameness = (a) => [a.secret, a.type, a.algorithm, a.digits, a.period].join()

export async function change(a, with_) {
  await store.put('accounts', a.id, { ...a, ...with_ })
  await load()
}

export async function drop(a) {
  await store.remove('accounts', a.id)
  await load()
}

/** Moves an account by one place, and gives its new place. */
export async function shift(a, by) {
  const at = accounts.findIndex((x) => x.id === a.id)
  const to = Math.max(0, Math.min(accounts.length - 1, at + by))
  const order = accounts.toSpliced ? accounts.toSpliced(at, 1) : accounts.filter((x) => x.id !== a.id)
  order.splice(to, 0, accounts[at])
  await store.putAll(order.map((x, i) => [x.id, { ...x, order: i + 1 }]))
  await load()
  return to
}

async function draw() {
  const none = accounts.length === 0
  document.body.classList.toggle('door', none)
  document.body.classList.toggle('house', !none)
  show($('empty'), none)
  show($('list'), !none)
  show($('search-field'), accounts.length > manyAccounts)
  for (const [id, { card }] of cards) if (!accounts.some((a) => a.id === id)) { card.remove(); cards.delete(id) }
  const list = accounts.map((a) => {
    const known = cards.get(a.id)
    const drawn = JSON.stringify(a)
    if (known?.drawn === drawn) return known.card
    const made = { ...cardOf(a), drawn, code: known?.code && a.type === 'hotp' ? known.code : '' }
    cards.set(a.id, made)
    if (made.code) write(made, made.code)
    return made.card
  })
  const held = document.activeElement?.id
  $('tokens').replaceChildren(...list)
  if (held) $(held)?.focus()
  sift()
  await tick()
}

function cardOf(a) {
  const title = el('h2', { id: `h-${a.id}`, text: a.issuer || a.name || t('verify.unnamed') })
  const more = el('button', { type: 'button', class: 'plain more', id: `m-${a.id}`, 'aria-label': t('verify.list.change', { account: called(a) }), on: { click: () => edit(a.id) } }, dots())
  const head = el('div', { class: 'head' }, el('div', {}, title, ...(a.issuer && a.name ? [el('p', { class: 'quiet', text: a.name })] : [])), more)
  const digits = el('span', { class: 'digits' })
  const label = el('span', { class: 'do', text: t('verify.list.copy') })
  const button = el('button', { type: 'button', class: 'show', id: `c-${a.id}`, 'aria-describedby': `h-${a.id}`, on: { click: () => copied(a) } }, digits, label)
  const row = el('div', { class: 'row' }, button)
  const made = { card: el('li', { class: 'card token', 'data-id': a.id }, head, row), digits, label, button }
  if (a.type === 'hotp') {
    row.append(el('button', { type: 'button', class: 'second', id: `n-${a.id}`, text: t('verify.list.next'), on: { click: () => advance(a.id) } }))
    write(made, '')
  } else {
    Object.assign(made, clock())
    row.append(made.clock)
  }
  return made
}

function dots() {
  const picture = document.createElementNS(svg, 'svg')
  picture.setAttribute('viewBox', '0 0 24 24')
  picture.setAttribute('aria-hidden', 'true')
  for (const x of [5, 12, 19]) {
    const dot = document.createElementNS(svg, 'circle')
    for (const [k, v] of [['cx', x], ['cy', 12], ['r', 2.1]]) dot.setAttribute(k, v)
    picture.append(dot)
  }
  return picture
}

// The ring is for the eye; the words beside it are for everybody, and are not read
// out by themselves each second.
function clock() {
  const picture = document.createElementNS(svg, 'svg')
  picture.setAttribute('viewBox', '0 0 36 36')
  picture.setAttribute('aria-hidden', 'true')
  const circle = (cls) => {
    const c = document.createElementNS(svg, 'circle')
    for (const [k, v] of [['cx', 18], ['cy', 18], ['r', 15.5], ['class', cls], ['pathLength', 100], ['transform', 'rotate(-90 18 18)']]) c.setAttribute(k, v)
    picture.append(c)
    return c
  }
  circle('track')
  const ring = circle('ring')
  const number = el('span', { 'aria-hidden': 'true' })
  const left = el('span', { class: 'unseen' })
  return { clock: el('div', { class: 'clock' }, number, picture, left), ring, number, left }
}

function write(made, text) {
  made.code = text
  made.digits.textContent = text ? spaced(text) : '••• •••'
  made.digits.classList.toggle('none', !text)
  made.button.disabled = !text
}

let timer
async function tick() {
  clearTimeout(timer)
  const now = Date.now()
  await Promise.all(accounts.filter((a) => a.type === 'totp').map((a) => refresh(a, now)))
  timer = setTimeout(tick, 1000 - (Date.now() % 1000))
}

async function refresh(a, now) {
  const made = cards.get(a.id)
  const { step, left } = turn(a, now)
  if (made.at !== step) {
    const text = await code(a, step)
    made.at = step
    write(made, text)
  }
  const seconds = Math.ceil(left / 1000)
  made.ring.setAttribute('stroke-dasharray', `${(left / (a.period * 10)).toFixed(1)} 100`)
  made.number.textContent = seconds
  made.card.classList.toggle('ending', seconds <= 5)
  made.left.textContent = t('verify.list.left', { n: seconds })
}

async function copied(a) {
  const made = cards.get(a.id)
  const well = await copy(made.code)
  made.label.textContent = t(well ? 'verify.list.copied' : 'verify.list.not-copied')
  say(t(well ? 'verify.list.copied-say' : 'verify.list.not-copied', { account: called(a) }))
  setTimeout(() => { made.label.textContent = t('verify.list.copy') }, 2500)
}

// The counter is kept before its code is shown: a code is never shown twice.
async function advance(id) {
  const a = accounts.find((x) => x.id === id)
  const made = cards.get(id)
  const counter = a.counter++ // at once: two taps are two codes
  const text = await code(a, counter)
  await store.put('accounts', id, a)
  made.drawn = JSON.stringify(a)
  write(made, text)
  say(spaced(text))
}

function sift() {
  const wanted = $('search').value.trim().toLocaleLowerCase()
  const asked = accounts.length > manyAccounts && wanted
  const seen = accounts.filter((a) => {
    const fits = !asked || `${a.issuer} ${a.name}`.toLocaleLowerCase().includes(wanted)
    show(cards.get(a.id).card, fits)
    return fits
  })
  show($('none'), accounts.length > 0 && seen.length === 0)
}
$('search').addEventListener('input', sift)

// ---- change one ----

let editing
function edit(id) {
  const a = editing = accounts.find((x) => x.id === id)
  $('edit-issuer').value = a.issuer
  $('edit-name').value = a.name
  $('edit-remove').open = false
  $('edit-warn').textContent = t('verify.edit.warn', { account: called(a) })
  place()
  modal($('edit'), () => $(`m-${id}`)?.focus())
}

function place() {
  const at = accounts.findIndex((x) => x.id === editing.id)
  show($('edit-moves'), accounts.length > 1)
  for (const b of $('edit-moves').querySelectorAll('button')) b.disabled = at + Number(b.dataset.move) < 0 || at + Number(b.dataset.move) >= accounts.length
}

$('edit-form').addEventListener('submit', async (e) => {
  e.preventDefault()
  await change(editing, { issuer: clean($('edit-issuer').value), name: clean($('edit-name').value) })
  $('edit').close()
  say(t('verify.edit.saved'))
})
$('edit-moves').addEventListener('click', async (e) => {
  if (!e.target.dataset.move) return
  const to = await shift(editing, Number(e.target.dataset.move))
  editing = accounts[to]
  place()
  if (e.target.disabled) $('edit-moves').querySelector('button:not(:disabled)')?.focus()
  say(t('verify.edit.moved', { n: to + 1, of: accounts.length }))
})
$('edit-gone').addEventListener('click', async () => {
  const name = called(editing)
  await drop(editing)
  $('edit').close()
  $('main').focus()
  say(t('verify.edit.removed', { account: name }))
})

/** Brings a new account to the person's eye. */
export function point(a) {
  const found = accounts.find((x) => sameness(x) === sameness(a))
  if (found) { cards.get(found.id).card.scrollIntoView({ block: 'center' }); $(`${found.type === 'hotp' ? 'n' : 'c'}-${found.id}`).focus() }
}

