// Adding accounts: by camera, picture, link or key. Whatever came, it is shown in
// words and a person says yes.
import { account, clean, read } from './otp.js'
import { $, called, el, modal, problem, say, show, t } from './ui.js'
import { follow } from './app.js'
import * as list from './list.js'
import { isPacket, isRequest } from './export.js'
import { cameraTrouble } from './move.js'

let found = []
let stop

/** Opens the dialog; given is a link that was opened, if any. */
export async function enter(_, given) {
  modal($('add'), leave)
  reset()
  if (given !== undefined) take(given)
}

function leave() {
  stop?.()
  stop = null
  found = []
  $('add-paste').reset() // the key was typed here
}

function reset() {
  problem($('add-problem'))
  stage('ways')
  $('add-paste').reset()
  $('add-more').open = false
}

const stage = (name) => {
  for (const part of ['ways', 'look', 'check']) show($(`add-${part}`), part === name)
  if (name !== 'look') { stop?.(); stop = null }
}

// The part after # of a link to this app here, as the account page shows it in a QR;
// of another installation it is no business of ours.
function ownLink(text) {
  let url
  try { url = new URL(text.trim()) } catch { return null }
  const [, kind, value] = /^#(otpauth|pair)=(.+)$/s.exec(url.hash) ?? []
  if (!kind || !/^\/verify\/?$/.test(url.pathname)) return null
  if (url.origin !== location.origin) throw Object.assign(new Error(), { key: 'verify.bad.elsewhere', fill: { host: url.host } })
  return { kind, value: decodeURIComponent(value) }
}

// Takes a text from wherever it came. False when it was refused.
function take(text, extra) {
  try {
    const own = ownLink(text)
    if (own?.kind === 'pair') {
      $('add').close()
      follow(own)
      return true
    }
    if (own) return take(own.value)
    if (isRequest(text) || isPacket(text)) throw Object.assign(new Error(), { key: 'verify.bad.move-here' })
    found = extra ? [account({ ...extra, secret: text })] : read(text)
    problem($('add-problem'))
    check()
    return true
  } catch (why) {
    stage('ways')
    problem($('add-problem'), why)
    return false
  }
}

function check() {
  const one = found.length === 1
  const here = found.filter((a) => list.accounts.some((b) => list.sameness(a) === list.sameness(b)))
  stage('check')
  show($('add-names'), one)
  show($('add-several'), !one)
  $('add-found').textContent = here.length === found.length ? t('verify.add.have') : t('verify.add.found', { n: found.length })
  if (one) {
    $('add-issuer').value = found[0].issuer
    $('add-name').value = found[0].name
  }
  $('add-several').replaceChildren(...found.map((a) => el('li', { text: called(a) })))
  show($('add-yes'), here.length < found.length)
  ;(one && !found[0].issuer ? $('add-issuer') : $('add-yes').hidden ? $('add-back') : $('add-yes')).focus()
}

$('add-check').addEventListener('submit', async (e) => {
  e.preventDefault()
  if ($('add-yes').hidden) return
  if (found.length === 1) found[0] = { ...found[0], issuer: clean($('add-issuer').value), name: clean($('add-name').value) }
  const first = found.find((a) => !list.accounts.some((b) => list.sameness(a) === list.sameness(b)))
  const n = await list.add(found)
  $('add').close()
  list.point(first)
  say(t('verify.add.added', { n }))
})
$('add-back').addEventListener('click', reset)

$('add-paste').addEventListener('submit', (e) => {
  e.preventDefault()
  const text = $('add-text').value
  const extra = $('add-more').open && !/^\s*otpauth/i.test(text) && {
    type: $('add-type').value, algorithm: $('add-algorithm').value, digits: $('add-digits').value, period: $('add-period').value,
  }
  take(text, extra || undefined)
})

async function picture(file) {
  if (!file) return
  const { readFile } = await import('./qr.js')
  const text = await readFile(file)
  if (text) take(text)
  else problem($('add-problem'), 'verify.bad.no-qr')
}
$('add-file').addEventListener('change', async (e) => { await picture(e.target.files[0]); e.target.value = '' })
$('add').addEventListener('paste', (e) => { // a picture on the clipboard, such as a cut-out of the screen
  const file = [...e.clipboardData.files].find((f) => f.type.startsWith('image/'))
  if (file) { e.preventDefault(); picture(file) }
})
$('add').addEventListener('dragover', (e) => e.preventDefault())
$('add').addEventListener('drop', (e) => { e.preventDefault(); picture(e.dataTransfer.files[0]) })

$('add-camera').addEventListener('click', async () => {
  problem($('add-problem'))
  stage('look')
  try {
    const { watch } = await import('./qr.js')
    const ended = await watch($('add-video'), (text) => take(text))
    if ($('add-look').hidden || !$('add').open) ended() // somebody was quicker than the camera
    else { stop = ended; $('add-stop').focus() }
  } catch (why) {
    stage('ways')
    problem($('add-problem'), cameraTrouble(why))
  }
})
$('add-stop').addEventListener('click', () => { stage('ways'); $('add-camera').focus() })

