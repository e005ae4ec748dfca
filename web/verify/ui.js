// What every part of the app does with the page: words, elements, dialogs, the one
// line that is read out. No markup is ever made from text.
let words = {}

/** Loads the catalogue. Without it the page still works; the keys stand in its place. */
export async function learn() {
  try { words = await (await fetch('/verify/words.json')).json() } catch { /* the page's own words are there already */ }
}

/** A sentence of the catalogue with its {holes} filled; fill.n chooses between one and other. */
export function t(key, fill = {}) {
  const text = words[key] ?? words[`${key}.${Number(fill.n) === 1 ? 'one' : 'other'}`] ?? key
  return text.replace(/\{(\w+)\}/g, (hole, name) => String(fill[name] ?? hole))
}

export const $ = (id) => document.getElementById(id)

/** An element. of: class, text, on (listeners), anything else is an attribute (true, false, text). */
export function el(name, of = {}, ...inside) {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(of)) {
    if (key === 'text') made.textContent = value
    else if (key === 'on') for (const [event, does] of Object.entries(value)) made.addEventListener(event, does)
    else if (value === true) made.setAttribute(key, '')
    else if (value !== false && value !== undefined) made.setAttribute(key, value)
  }
  made.append(...inside)
  return made
}

/** Reads something out, once. */
export function say(text) {
  $('said').textContent = ''
  setTimeout(() => { $('said').textContent = text }, 50) // the same words twice are read twice
}

export const show = (element, on = true) => { element.hidden = !on }

/** Shows one of the steps of a dialog, and begins reading it at its top. */
export function step(dialog, name) {
  for (const part of dialog.querySelectorAll('[data-step]')) show(part, part.dataset.step === name)
  dialog.scrollTop = 0
  dialog.querySelector('h2').setAttribute('tabindex', '-1')
  dialog.querySelector('h2').focus()
}

/** Tells what is wrong, in the problem box of a dialog, or takes it away. why may be a Refused, a key, or nothing. */
export function problem(box, why) {
  show(box, Boolean(why))
  if (!why) return
  box.querySelector('p').textContent = t(why.key ?? (typeof why === 'string' ? why : 'verify.bad.other'), why.fill)
  box.focus()
}

const rooms = { add: './add.js', settings: './settings.js', 'pin-set': './settings.js', 'device-set': './settings.js', 'pin-off': './settings.js', send: './move.js', receive: './move.js' }

/** Opens a dialog by its name, fetching what belongs to it. with is for its part. */
export async function open(name, given) {
  const room = await import(rooms[name])
  await room.enter(name, given)
}

/** Shows a dialog, alone, and does something when it has been closed, however that came about. */
export function modal(dialog, closed) {
  for (const other of document.querySelectorAll('dialog[open]')) if (other !== dialog) other.close()
  if (closed) dialog.addEventListener('close', closed, { once: true })
  if (!dialog.open) dialog.showModal()
  dialog.scrollTop = 0
}

/** Asks before something, which cannot be taken back when it is grave. True for yes. */
export function sure(title, text, yes, grave = true) {
  const dialog = $('sure')
  $('sure-title').textContent = title
  $('sure-text').textContent = text
  $('sure-yes').textContent = yes
  $('sure-yes').className = grave ? 'grave' : 'main'
  return new Promise((answer) => {
    const said = () => { answer(true); dialog.close() }
    $('sure-yes').addEventListener('click', said, { once: true })
    dialog.addEventListener('close', () => { $('sure-yes').removeEventListener('click', said); answer(false) }, { once: true })
    dialog.showModal()
  })
}

/** What an account is called in a sentence. */
export const called = (a) => [a.issuer, a.name].filter(Boolean).join(', ') || t('verify.unnamed')

export async function copy(text) {
  try { await navigator.clipboard.writeText(text); return true } catch { return false }
}

document.addEventListener('click', (e) => {
  const opener = e.target.closest('[data-open]')
  if (opener) return open(opener.dataset.open)
  e.target.closest('[data-close]')?.closest('dialog').close()
})
