// Warns before the session ends by itself. Asking the server prolongs the
// session, so this asks only when the person says so; other tabs of this browser
// are told, and a page opened there tells this one.
const dialog = document.getElementById('idle')
const [stay, again] = [dialog.querySelector('button'), dialog.querySelector('a')]
const deaf = dialog.querySelector('[role=alert]')
const tabs = new BroadcastChannel('gatehouse-session')
const { left, end, warn } = dialog.dataset
const ends = end > 0 ? Date.now() + end * 1000 : Infinity // whatever the person does
let until = Date.now() + left * 1000
let said = 'fine'

const unit = (name, n) => new Intl.NumberFormat(document.documentElement.lang, { style: 'unit', unit: name, unitDisplay: 'long' }).format(n)
const words = (s) => s > 90 ? unit('minute', Math.ceil(s / 60)) : unit('second', Math.max(10, Math.ceil(s / 10) * 10))

const stateAt = (seconds) => {
  if (seconds <= 0) return 'over'
  if (seconds > warn) return 'fine'
  return ends <= until ? 'last' : 'soon'
}

const look = () => {
  const seconds = (Math.min(until, ends) - Date.now()) / 1000
  const state = stateAt(seconds)
  for (const count of dialog.querySelectorAll('.count')) {
    if (count.textContent !== words(seconds)) count.textContent = words(seconds)
  }
  if (state === said) return
  said = state
  if (state === 'fine') return dialog.close()
  for (const p of dialog.querySelectorAll('[data-when]')) p.hidden = p.dataset.when !== state
  stay.hidden = state !== 'soon'
  again.hidden = state !== 'over'
  if (!dialog.open) dialog.showModal()
}

const prolong = async () => {
  stay.disabled = deaf.hidden = true
  try {
    const answer = await fetch('/api/v1/session', { cache: 'no-store' })
    if (answer.status === 401) {
      until = 0
    } else {
      const { idle_until } = await answer.json() // seconds since 1970, by the server's clock
      const left = idle_until * 1000 - new Date(answer.headers.get('Date'))
      if (!(left > 0)) throw new Error(`status ${answer.status}`)
      until = Date.now() + left
      tabs.postMessage(until)
    }
  } catch {
    deaf.hidden = false
  }
  stay.disabled = false
  look()
}

stay.addEventListener('click', prolong)
dialog.addEventListener('cancel', (escape) => { // Escape is a sign of life too
  if (said !== 'soon') return
  escape.preventDefault()
  prolong()
})
tabs.addEventListener('message', ({ data }) => { until = Math.max(until, data); look() })
tabs.postMessage(until)
setInterval(look, 1000)
look()
