// Warns before the session ends by itself. Asking the server prolongs the
// session, so this asks only when the person says so; pages in other tabs of the
// same browser are told, and a page opened there tells this one.
const dialog = document.getElementById('idle')
const [stay, again] = [dialog.querySelector('button'), dialog.querySelector('a')]
const tabs = new BroadcastChannel('gatehouse-session')
const number = Number
const ends = number(dialog.dataset.end) > 0 ? Date.now() + number(dialog.dataset.end) * 1000 : Infinity
let until = Date.now() + number(dialog.dataset.left) * 1000
let said = ''

const unit = (unit, n) => new Intl.NumberFormat(document.documentElement.lang, { style: 'unit', unit, unitDisplay: 'long' }).format(n)
const words = (s) => s > 90 ? unit('minute', Math.ceil(s / 60)) : unit('second', Math.max(10, Math.ceil(s / 10) * 10))

const show = (which) => {
  for (const p of dialog.querySelectorAll('[data-when]')) p.hidden = p.dataset.when !== which
  stay.hidden = which === 'over' || which === 'last'
  again.hidden = which !== 'over'
  if (!dialog.open) dialog.showModal()
}

const look = () => {
  const left = (Math.min(until, ends) - Date.now()) / 1000
  const state = left <= 0 ? 'over' : left > number(dialog.dataset.warn) ? 'fine' : ends <= until ? 'last' : 'soon'
  if (state === 'fine') { if (said) dialog.close(); said = ''; return }
  const now = state + (state === 'over' ? '' : words(left))
  if (now === said || (state === 'last' && said.startsWith('last') && !dialog.open)) return // nothing new, or closed by the person
  said = now
  for (const b of dialog.querySelectorAll('.count')) b.textContent = words(left)
  show(state)
}

stay.addEventListener('click', async () => {
  stay.disabled = true
  try {
    const answer = await fetch('/api/v1/session', { headers: { Accept: 'application/json' }, cache: 'no-store' })
    if (answer.status === 401) { until = 0; return }
    if (!answer.ok) throw new Error(`status ${answer.status}`)
    const { idle_until } = await answer.json()
    const server = new Date(answer.headers.get('Date') ?? Date.now())
    until = Date.now() + (idle_until * 1000 - server) // idle_until: seconds since 1970
    tabs.postMessage(until)
  } catch {
    show('deaf')
    said = ''
  } finally {
    stay.disabled = false
    look()
  }
})

tabs.addEventListener('message', ({ data }) => { until = Math.max(until, data); look() })
tabs.postMessage(until)
setInterval(look, 1000)
look()
