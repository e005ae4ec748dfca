// Copy and print buttons. Both are extras: the text can be selected, and the
// browser prints by itself.
const textOf = (source) => source.dataset.value
  ?? [...source.querySelectorAll('code')].map((code) => code.textContent).join('\n')

for (const button of document.querySelectorAll('[data-copy]')) {
  const label = button.textContent
  const said = document.createElement('span')
  said.className = 'unseen'
  said.setAttribute('role', 'status')
  button.after(said)
  button.hidden = !navigator.clipboard
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(textOf(document.getElementById(button.dataset.copy)))
    button.textContent = said.textContent = button.dataset.said
    setTimeout(() => { button.textContent = label; said.textContent = '' }, 4000)
  })
}

for (const button of document.querySelectorAll('[data-print]')) {
  button.hidden = false
  button.addEventListener('click', () => print())
}
