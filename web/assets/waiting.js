// Looks whether it is our turn, without loading the page anew: whoever listens to
// it hears only what has changed. Without script the page itself goes on.
const turn = document.querySelector('[data-to]')
const said = turn.querySelector('[role=status]')
let after = Number(turn.dataset.after)

const look = async () => {
  try {
    const answer = await fetch(turn.dataset.to, { headers: { Accept: 'application/json' }, cache: 'no-store', redirect: 'manual' })
    if (answer.status !== 503) return location.replace(turn.dataset.to)
    const { wait } = await answer.json()
    if (wait && said.textContent !== wait.about) said.textContent = wait.about
    const seconds = Number(answer.headers.get('Retry-After'))
    if (seconds > 0) after = seconds * 1000
  } catch {
    // The net or the server is away for a moment; the place in the line is kept.
  }
  setTimeout(look, after)
}
setTimeout(look, after)
