// Asks the browser for a passkey and posts its answer as a form. One call is under
// way at most: what waits among the suggestions of the e-mail field is ended before
// a button asks. Whatever happens, a sentence says what to do next.
const toText = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
const toBytes = (text) => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0))
const named = (list = []) => list.map((c) => ({ ...c, id: toBytes(c.id) }))

// By hand, for browsers and password managers without parse…FromJSON and toJSON.
const optionsOf = (json) => ({
  ...json,
  challenge: toBytes(json.challenge),
  ...json.user && { user: { ...json.user, id: toBytes(json.user.id) } },
  ...json.allowCredentials && { allowCredentials: named(json.allowCredentials) },
  ...json.excludeCredentials && { excludeCredentials: named(json.excludeCredentials) },
})

const answerOf = ({ rawId, type, response, ...made }) => JSON.stringify({
  id: toText(rawId), rawId: toText(rawId), type,
  response: {
    transports: response.getTransports?.(),
    ...Object.fromEntries(['clientDataJSON', 'attestationObject', 'authenticatorData', 'signature', 'userHandle']
      .filter((name) => response[name]).map((name) => [name, toText(response[name])])),
  },
  clientExtensionResults: made.extensions,
})

class Ask {
  constructor(root) {
    this.root = root
    this.data = root.dataset
    this.button = root.querySelector('button')
    this.status = root.querySelector('[role=status]')
    this.take(JSON.parse(this.data.options), this.data.challenge)
    this.button.addEventListener('click', () => this.press())
    root.dataset.ready = 'yes'
    if (this.data.conditional) this.wait()
    if (this.data.renewIn > 0) {
      document.addEventListener('visibilitychange', () => this.keepFresh())
      addEventListener('pageshow', ({ persisted }) => { if (persisted) { this.until = 0; this.keepFresh() } })
      setInterval(() => this.keepFresh(), 15_000)
    }
  }

  take(options, challenge) {
    this.options = options
    this.challenge = challenge
    this.until = this.data.renewIn > 0 ? Date.now() + this.data.renewIn * 1000 : Infinity
  }

  say(what) {
    const sentence = what ? this.data['say' + what] : ''
    clearTimeout(this.later)
    if (this.status.textContent !== sentence) this.status.textContent = sentence
  }

  /** Ends the call that is under way and begins another. */
  async call(mediation) {
    this.calling?.abort()
    await this.over?.catch(() => {})
    const calling = this.calling = new AbortController()
    const request = { publicKey: optionsOf(this.options), signal: calling.signal, ...mediation && { mediation } }
    this.over = navigator.credentials[this.data.create ? 'create' : 'get'](request)
    return this.over
  }

  /** Offers passkeys among the suggestions of the e-mail field; nothing is said when that comes to nothing. */
  async wait() {
    if (!await PublicKeyCredential.isConditionalMediationAvailable?.()) return
    try {
      this.send(await this.call('conditional'))
    } catch { /* it was ended, or the person chose something else */ }
  }

  async press() {
    const began = Date.now()
    const mine = this.pressed = Symbol('press')
    this.say('Asking')
    this.later = setTimeout(() => this.say('Slow'), 8000)
    try {
      await this.renew()
      const made = await this.call()
      this.send(made)
    } catch (why) {
      if (mine !== this.pressed) return // pressed again: that one speaks
      this.say(this.wordFor(why, Date.now() - began))
      if (this.data.conditional) this.wait()
    }
  }

  wordFor({ name }, took) {
    const waited = took >= (this.options.timeout ?? Infinity) * 0.95
    return {
      NotAllowedError: waited ? 'Timeout' : 'Cancelled', AbortError: 'Cancelled', TimeoutError: 'Timeout', InvalidStateError: 'Known',
      SecurityError: 'Address', TypeError: 'Offline',
    }[name] ?? 'Unable'
  }

  /** A question that stood for too long is replaced before it is asked. */
  async renew() {
    if (Date.now() < this.until) return
    const answer = await fetch(this.data.renew, {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}', signal: AbortSignal.timeout(5000),
    })
    if (!answer.ok) throw new TypeError(`status ${answer.status}`)
    const { options, challenge } = await answer.json()
    this.take(options, challenge)
    return true
  }

  async keepFresh() {
    if (document.hidden || this.renewing) return
    this.renewing = true
    try {
      if (await this.renew() && this.data.conditional) this.wait()
    } catch { /* the button tells, when somebody presses it */ }
    this.renewing = false
  }

  /** Posts what the authenticator said, and nothing else that stands on the page but whose it is. */
  send(made) {
    const page = document.forms[0]
    const fields = { answer: answerOf({ rawId: made.rawId, type: made.type, response: made.response, extensions: made.getClientExtensionResults() }), challenge: this.challenge }
    for (const name of ['attempt', 'return', 'zone', 'email']) fields[name] = this.root.querySelector(`[name=${name}]`)?.value ?? page?.elements[name]?.value
    if (this.root.querySelector('[name=remember]')?.checked) fields.remember = 'yes'
    const form = document.createElement('form')
    form.method = 'post'
    form.action = this.data.to
    form.hidden = true
    for (const [name, value] of Object.entries(fields)) {
      if (!value) continue
      const field = document.createElement('input')
      Object.assign(field, { type: 'hidden', name, value })
      form.append(field)
    }
    document.body.append(form)
    this.say('Sending')
    this.later = setTimeout(() => this.say('Late'), 8000)
    form.submit()
  }
}

// What we still accept and what we do not know is told to the browser, so that it
// offers nobody a passkey that opens nothing.
const signal = (name, what) => PublicKeyCredential[name]?.(what)?.catch(() => {})

if (window.PublicKeyCredential) {
  for (const root of document.querySelectorAll('[data-passkey]')) new Ask(root)
  for (const { dataset } of document.querySelectorAll('[data-forget]')) signal('signalUnknownCredential', JSON.parse(dataset.forget))
  for (const { dataset } of document.querySelectorAll('[data-accepted]')) {
    const { name, displayName, ...accepted } = JSON.parse(dataset.accepted)
    signal('signalAllAcceptedCredentials', accepted)
    signal('signalCurrentUserDetails', { rpId: accepted.rpId, userId: accepted.userId, name, displayName })
  }
} else {
  for (const root of document.querySelectorAll('[data-passkey]')) root.hidden = true
  for (const why of document.querySelectorAll('[data-passkey-unable]')) why.hidden = false
}
