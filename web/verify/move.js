// Moving accounts to another device and taking them from one: the pages of export.js.
import { $, called, copy, el, modal, problem, say, show, step, sure, t } from './ui.js'
import * as list from './list.js'
import { answer, receive } from './export.js'
import { lockOf } from './lock.js'

const still = matchMedia('(prefers-reduced-motion: reduce)')
let stop // the camera that runs

export const enter = (name) => name === 'send' ? send() : take()

/** What to say of a camera that does not come: a key of the catalogue. */
export function cameraTrouble(why) {
  const keys = { NotAllowedError: 'denied', SecurityError: 'denied', NotFoundError: 'none', OverconstrainedError: 'none', NotReadableError: 'busy', AbortError: 'busy' }
  return `verify.camera.${keys[why?.name] ?? 'none'}`
}

const halt = () => { stop?.(); stop = null }

// Runs the camera in one of the dialogs; found gives true when it has seen enough.
async function look(side, found) {
  halt()
  problem($(`${side}-problem`))
  show($(`${side}-finder`))
  show($(`${side}-camera`), false)
  const over = () => { halt(); show($(`${side}-finder`), false); show($(`${side}-camera`)) }
  try {
    const { watch } = await import('./qr.js')
    const ended = await watch($(`${side}-video`), async (text) => { if (await found(text)) over() })
    if ($(side).open) stop = ended
    else ended()
  } catch (why) {
    over()
    problem($(`${side}-problem`), cameraTrouble(why))
  }
}

const spacedDigits = (d) => `${d.slice(0, 4)} ${d.slice(4)}`

async function asked(side, does) {
  try { problem($(`${side}-problem`)); return await does() } catch (why) { problem($(`${side}-problem`), why); return false }
}

// ---- this device gives ----

let chosen = []
let other // what the new device asked
let pictures = []
let at = 0
let timer

async function send() {
  // Whoever holds an open telephone must not walk away with what is in it.
  if ((await lockOf()).pin) {
    const { askPIN } = await import('./settings.js')
    if (!await askPIN(t('verify.send.title'), t('verify.send.pin'))) return
  }
  problem($('send-problem'))
  $('send-paste').reset()
  $('send-which').replaceChildren(...list.accounts.map((a) => {
    const box = el('input', { type: 'checkbox', id: `s-${a.id}`, value: a.id, checked: true })
    return el('li', { class: 'tick' }, box, el('label', { for: `s-${a.id}`, text: called(a) }))
  }))
  show($('send-camera'))
  show($('send-finder'), false)
  modal($('send'), leaveSend)
  step($('send'), 'which')
}

function leaveSend() {
  halt()
  clearInterval(timer)
  other = null
  pictures = []
  $('send-picture').replaceChildren()
}

$('send-next').addEventListener('click', () => {
  const ids = new Set([...$('send-which').querySelectorAll('input:checked')].map((b) => b.value))
  chosen = list.accounts.filter((a) => ids.has(a.id))
  if (!chosen.length) return problem($('send-problem'), 'verify.send.nothing')
  problem($('send-problem'))
  step($('send'), 'scan')
})
$('send-camera').addEventListener('click', () => look('send', request))
$('send-paste').addEventListener('submit', (e) => { e.preventDefault(); request($('send-text').value) })

async function request(text) {
  return asked('send', async () => {
    other = await answer(text)
    halt()
    $('send-digits').textContent = spacedDigits(other.digits)
    step($('send'), 'same')
    return true
  })
}

$('send-same').addEventListener('click', async () => {
  pictures = await other.send(chosen)
  other = null // one yes, one export
  $('send-say').textContent = t('verify.send.show', { n: chosen.length })
  show($('send-steps'), pictures.length > 1)
  step($('send'), 'show')
  at = 0
  await picture()
  pause(still.matches)
})

async function picture() {
  const { draw } = await import('./qr.js')
  const drawn = await draw(pictures[at], t('verify.send.picture'))
  $('send-picture').replaceChildren(drawn)
  $('send-part').textContent = t('verify.send.part', { n: at + 1, of: pictures.length })
}
const turnOver = () => { at = (at + 1) % pictures.length; return picture() }

// Pictures that turn by themselves can be stopped (WCAG 2.2.2), and begin stopped for
// whoever wants less motion.
function pause(on) {
  clearInterval(timer)
  $('send-pause').setAttribute('aria-pressed', String(on))
  if (!on && pictures.length > 1) timer = setInterval(turnOver, 900)
}
$('send-pause').addEventListener('click', () => pause($('send-pause').getAttribute('aria-pressed') !== 'true'))
$('send-turn').addEventListener('click', () => { pause(true); turnOver() })
$('send-copy').addEventListener('click', async () => say(t(await copy(pictures.join('\n')) ? 'verify.list.copied' : 'verify.list.not-copied')))
$('send-done').addEventListener('click', () => { clearInterval(timer); $('send-picture').replaceChildren(); step($('send'), 'after') })
$('send-remove').addEventListener('click', async () => {
  const gone = chosen
  $('send').close()
  if (!await sure(t('verify.send.remove'), t('verify.send.remove-sure', { n: gone.length }), t('verify.edit.gone'))) return
  for (const a of gone) await list.drop(a)
  $('main').focus()
  say(t('verify.send.removed', { n: gone.length }))
})

// ---- this device takes ----

let asking
let arrived = []

async function take() {
  problem($('receive-problem'))
  $('receive-paste').reset()
  $('receive-progress').textContent = ''
  arrived = []
  asking = null
  $('receive-picture').replaceChildren()
  $('receive-digits').textContent = '···· ····'
  show($('receive-camera'))
  show($('receive-finder'), false)
  modal($('receive'), () => { halt(); asking = null; arrived = [] })
  step($('receive'), 'show')
  asking = await receive()
  const { draw } = await import('./qr.js')
  $('receive-picture').replaceChildren(await draw(asking.text, t('verify.receive.picture')))
  $('receive-digits').textContent = spacedDigits(asking.digits)
}

$('receive-copy').addEventListener('click', async () => say(t(await copy(asking.text) ? 'verify.list.copied' : 'verify.list.not-copied')))
$('receive-next').addEventListener('click', () => step($('receive'), 'scan'))
$('receive-camera').addEventListener('click', () => look('receive', part))
$('receive-paste').addEventListener('submit', (e) => { e.preventDefault(); part($('receive-text').value) })

async function part(text) {
  return asked('receive', async () => {
    const { have, of, accounts } = await asking.read(text)
    $('receive-progress').textContent = of > 1 && !accounts ? t('verify.receive.progress', { n: have, of }) : ''
    if (!accounts) return false
    arrived = accounts
    halt()
    $('receive-say').textContent = t('verify.receive.arrived', { n: accounts.length })
    $('receive-list').replaceChildren(...accounts.map((a) => el('li', { text: called(a) })))
    step($('receive'), 'check')
    return true
  })
}

$('receive-yes').addEventListener('click', async () => {
  const n = await list.add(arrived)
  $('receive').close()
  $('main').focus()
  say(t('verify.add.added', { n }))
})
