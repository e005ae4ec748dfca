// Settings: the lock, and what leads to the other parts.
import { $, modal, say, show, t } from './ui.js'
import { setIdle } from './app.js'
import * as list from './list.js'
import * as lock from './lock.js'
import * as store from './store.js'
import { span } from './door.js'

const doors = { settings, 'pin-set': newPIN, 'device-set': device, 'pin-off': off }
export const enter = (name) => doors[name]()

async function settings() {
  const { pin, passkey } = await lock.lockOf()
  $('lock-state').textContent = t(passkey ? 'verify.lock.both' : pin ? 'verify.lock.pin' : 'verify.lock.none')
  $('pin-button').textContent = t(pin ? 'verify.lock.change' : 'verify.lock.set')
  show($('pin-off-button'), pin)
  show($('device-button'), pin && !passkey && await lock.deviceCan())
  show($('device-off'), passkey)
  show($('idle-field'), pin)
  show($('send-button'), list.accounts.length > 0)
  $('idle-after').value = String((await store.get('meta', 'settings'))?.idle ?? 5)
  $('about').textContent = t('verify.kept.where', { n: list.accounts.length })
  modal($('settings'))
}

$('idle-after').addEventListener('change', async () => {
  const idle = Number($('idle-after').value)
  setIdle(idle)
  await store.put('meta', 'settings', { idle })
})
$('device-off').addEventListener('click', async () => { await lock.removePasskey(); await settings(); say(t('verify.lock.device-gone')) })

// ---- a PIN, new or another ----

async function newPIN() {
  if ((await lock.lockOf()).pin && !await askPIN(t('verify.lock.change'), t('verify.pin.old'))) return
  $('pin-set-form').reset()
  refuse('')
  modal($('pin-set'))
}

function refuse(key) {
  show($('pin-set-wrong'), Boolean(key))
  $('pin-set-wrong').textContent = key && t(key, { n: lock.shortest })
}

// What everybody tries first. A list of all of them would be longer than the app.
const guessed = (pin) => /^(.)\1*$/.test(pin) || '01234567890123456789'.includes(pin) || '98765432109876543210'.includes(pin) || pin === '112233' || pin === '121212'

$('pin-set-form').addEventListener('submit', async (e) => {
  e.preventDefault()
  const pin = $('pin-new').value
  const why = [...pin].length < lock.shortest ? 'verify.pin.short' : guessed(pin) ? 'verify.pin.guessed' : pin !== $('pin-again').value ? 'verify.pin.differ' : ''
  refuse(why)
  if (why) return $(why === 'verify.pin.differ' ? 'pin-again' : 'pin-new').focus()
  const button = e.submitter ?? $('pin-set-form').querySelector('button')
  button.disabled = true
  await lock.setPIN(pin).finally(() => { button.disabled = false })
  $('pin-set-form').reset()
  location.reload() // locked at once: so the person sees that it is, and that the PIN opens it
})

async function off() {
  if (!await askPIN(t('verify.lock.off'), t('verify.lock.off-lead'))) return
  await lock.removeLock()
  location.reload()
}

// ---- the device's own unlock ----

async function device() {
  let answer
  const pin = await askPIN(t('verify.lock.device'), t('verify.lock.device-lead'), async (typed) => {
    try { answer = await lock.addPasskey(typed, t('verify.lock.passkey-name')) } catch { answer = 'no' }
    return answer !== 'wrong'
  })
  if (!pin) return
  await settings()
  if (answer !== 'done') $('lock-state').textContent = t(answer === 'cannot' ? 'verify.lock.device-cannot' : 'verify.lock.device-declined')
  say($('lock-state').textContent)
}

/**
 * Asks for the PIN before something grave. right judges what was typed; it is asked
 * again until that is so. Gives false when the person goes away.
 */
export function askPIN(title, lead, right = lock.openByPIN) {
  $('pin-ask-title').textContent = title
  $('pin-ask-lead').textContent = lead
  $('pin-ask-form').reset()
  show($('pin-ask-wrong'), false)
  return new Promise((answer) => {
    const form = $('pin-ask-form')
    const tried = async (e) => {
      e.preventDefault()
      const button = form.querySelector('button')
      button.disabled = true
      const well = await right($('pin-now').value).finally(() => { button.disabled = false })
      if (well) { form.reset(); answer(true); return $('pin-ask').close() }
      const seconds = await lock.waiting()
      $('pin-ask-wrong').textContent = seconds ? t('verify.locked.wait', { time: span(seconds) }) : t('verify.locked.wrong')
      show($('pin-ask-wrong'))
      $('pin-now').value = ''
      $('pin-now').focus()
    }
    form.addEventListener('submit', tried)
    modal($('pin-ask'), () => { form.removeEventListener('submit', tried); form.reset(); answer(false) })
  })
}
