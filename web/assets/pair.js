// Says on the page with the picture when a device has scanned it, and moves on to
// the box for its code.
const form = document.querySelector('[data-pairing]')
const said = document.getElementById('joined')
const code = document.getElementById('code')

async function look() {
  try {
    const answer = await fetch(form.dataset.pairing, { method: 'POST', headers: { Accept: 'application/json' }, redirect: 'manual',
      body: new URLSearchParams({ attempt: form.elements.attempt.value }) })
    if (answer.ok) {
      const { joined, say } = await answer.json()
      if (said.textContent !== say) said.textContent = say
      if (joined) {
        said.classList.add('good')
        if (document.activeElement === document.body || document.activeElement === null) code.focus()
        return
      }
    }
  } catch {
    // The net is away for a moment.
  }
  setTimeout(look, document.hidden ? 5000 : 1500)
}
if (form && !said.classList.contains('good')) look()
