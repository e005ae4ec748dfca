// Waits for the phone: goes on by itself when it has approved, and says in words
// how it stands. Whatever happens here, the other ways are on the page already.
const form = document.getElementById('approve')
const box = document.querySelector('[data-events]')
const show = (id, on) => { const e = document.getElementById(id); if (e) e.hidden = !on }

if (box) wait()

function wait() {
  const text = box.querySelector('.left'), said = document.getElementById('left-said'), sand = box.querySelector('.sand i')
  const whole = Number(box.dataset.left) || 60
  let until = performance.now() + whole * 1000, over = false, heard = 0, lastSaid = ''

  const inWords = (n) => n === 1 ? text.dataset.one : text.dataset.other.replace('7', String(n))
  const tick = () => {
    const left = Math.max(0, Math.ceil((until - performance.now()) / 1000))
    text.textContent = inWords(left)
    sand.style.setProperty('inline-size', `${Math.min(100, left / 60 * 100)}%`)
    if ([30, 10].includes(left) && lastSaid !== text.textContent) { lastSaid = text.textContent; said.textContent = lastSaid } // not every second is read out
    if (left === 0 && !over) again()
    if (!over && heard && performance.now() - heard > 4000) show('lost', true)
  }
  // The page itself says how it ended: one place for those words.
  const again = () => { over = true; location.replace(location.pathname) }

  const state = (s) => {
    heard = performance.now()
    show('lost', false)
    until = performance.now() + s.left * 1000
    if (s.state === 'approved') { over = true; source.close(); return form.requestSubmit() }
    if (s.state !== 'open') return again()
    show('unreached', s.reached === 'unreached')
    for (const part of box.querySelectorAll('[data-when]')) part.hidden = part.dataset.when !== s.reached
  }
  const source = new EventSource(box.dataset.events)
  source.addEventListener('state', (e) => state(JSON.parse(e.data)))
  source.addEventListener('error', () => {
    if (over) return
    if (source.readyState === EventSource.CLOSED) setTimeout(() => { if (!over) location.reload() }, 8000) // refused: the page will say why
    setTimeout(() => { if (!over && source.readyState !== EventSource.OPEN) show('lost', true) }, 1500)
  })
  setInterval(tick, 250)
  tick()
}
