// The locked app: opened by the device's own unlock or by the PIN.
import { $, say, show, sure, t } from './ui.js'
import * as lock from './lock.js'
import * as store from './store.js'

/** How long a wait is, in words. */
export const span = (seconds) => seconds > 90 ? t('verify.minutes', { n: Math.ceil(seconds / 60) }) : t('verify.seconds', { n: seconds })

/** Shows the locked app; opened is called when somebody has opened it. */
export async function locked(opened) {
  const { passkey } = await lock.lockOf()
  document.body.classList.replace('house', 'door')
  show($('locked'))
  show($('passkey-way'), passkey)
  document.documentElement.dataset.ready = 'locked'
  const open = async () => {
    $('open-pin').reset()
    stopWaiting()
    await opened()
    $('main').focus()
    say(t('verify.locked.opened'))
  }
  $('open-passkey').addEventListener('click', async () => {
    wrong('')
    try { if (await lock.openByPasskey()) return await open() } catch (why) { if (store.isOpen()) throw why }
    wrong(t('verify.locked.device-no'))
    $('pin').focus()
  })
  $('open-pin').addEventListener('submit', async (e) => {
    e.preventDefault()
    const button = $('open-pin').querySelector('button')
    if (button.disabled) return
    button.disabled = true
    const right = await lock.openByPIN($('pin').value)
    button.disabled = false
    if (right) return open()
    $('pin').value = ''
    if (!await wait()) wrong(t('verify.locked.wrong'))
    $('pin').focus()
  })
  $('forget').addEventListener('click', async () => {
    if (await sure(t('verify.locked.forget-sure'), t('verify.locked.forget-what'), t('verify.locked.forget'))) {
      await store.forgetAll()
      location.reload()
    }
  })
  await wait()
  if (passkey) $('open-passkey').focus()
  else $('pin').focus()
}

function wrong(text) {
  const line = $('pin-wrong')
  if (line.textContent !== text) line.textContent = text
  show(line, Boolean(text))
  if (text) $('pin').setAttribute('aria-invalid', 'true')
  else $('pin').removeAttribute('aria-invalid')
}

// Tells how long to wait; the words change by the ten seconds, as they are read out.
let timer
const stopWaiting = () => clearTimeout(timer)
async function wait() {
  stopWaiting()
  const seconds = await lock.waiting()
  $('open-pin').querySelector('button').disabled = seconds > 0
  if (!seconds) {
    if (wait.told) wrong(t('verify.locked.again'))
    wait.told = false
    return false
  }
  wait.told = true
  wrong(t('verify.locked.wait', { time: span(seconds > 10 ? Math.ceil(seconds / 10) * 10 : seconds > 5 ? 10 : 5) }))
  timer = setTimeout(wait, 1000)
  return true
}
