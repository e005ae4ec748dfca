// Shows and hides a password, and says how strong a new one is while it is typed.
for (const button of document.querySelectorAll('.peek')) {
  const field = document.getElementById(button.getAttribute('aria-controls'))
  const show = (on) => {
    field.type = on ? 'text' : 'password'
    button.textContent = on ? button.dataset.hide : button.dataset.show
    button.setAttribute('aria-label', on ? button.dataset.hideLabel : button.dataset.showLabel)
  }
  button.hidden = false
  button.addEventListener('click', () => show(field.type === 'password'))
  // A field that is sent as text may be kept by the browser as form history.
  field.form.addEventListener('submit', () => show(false))
  addEventListener('pageshow', () => show(false))
}

for (const meter of document.querySelectorAll('.strength')) {
  const field = document.getElementById('password')
  const words = meter.querySelector('.verdict')
  let timer, question
  const say = ({ score = '', label = '', reasons = [] }) => {
    const verdict = document.createElement('b')
    verdict.textContent = label
    meter.dataset.score = score
    words.replaceChildren(verdict, ' ', reasons.slice(0, 2).map((r) => r.sentence).join(' '))
  }
  // An estimate that does not come is no obstacle: the server judges the form anyway.
  const ask = async () => {
    question?.abort()
    question = new AbortController()
    if (!field.value) return say({})
    try {
      const answer = await fetch(meter.dataset.url, {
        method: 'POST', headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ password: field.value }), signal: question.signal,
      })
      say(answer.ok ? await answer.json() : {})
    } catch (why) {
      if (why.name !== 'AbortError') say({})
    }
  }
  meter.hidden = false
  field.addEventListener('input', () => {
    clearTimeout(timer)
    timer = setTimeout(ask, 350)
  })
}
