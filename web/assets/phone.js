// Says how the code stands that was sent, and lets another be asked for when it is
// time. Without script both stand on the page as they were when it was drawn.
const line = document.querySelector('[data-sent]')
const missing = document.querySelector('details.missing')
const asked = Date.now()

const look = async () => {
  try {
    const answer = await fetch(line.dataset.sent, { headers: { Accept: 'application/json' }, cache: 'no-store', redirect: 'manual' })
    if (!answer.ok) return
    const { said, bad, goes_on } = await answer.json()
    if (line.textContent !== said) line.textContent = said
    line.classList.toggle('warn', bad)
    if (bad && missing) missing.open = true
    if (!goes_on) return
  } catch {
    // The net is away for a moment: the line stays as it is.
  }
  if (Date.now() - asked < 120_000) setTimeout(look, 2000)
}
if (line) setTimeout(look, 700)

const wait = document.querySelector('[data-again]')
const waits = document.querySelector('[data-waits]')
if (wait && waits) {
  waits.disabled = true
  setTimeout(() => { waits.disabled = false; wait.hidden = true }, Number(wait.dataset.again) * 1000)
}
