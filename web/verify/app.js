// The start of the app: opens the vault, shows the codes, and only then fetches the
// rest. Nothing before the first code waits for the network.
import { Refused, read } from './otp.js'
import { $, el, learn, modal, open, say, show, step, sure, t } from './ui.js'
import * as store from './store.js'
import * as list from './list.js'

const given = takeHash()
let idleAfter = 5 // minutes

// What a link brought must not stay in the address: it may be a secret.
function takeHash() {
  const [, kind, value] = /^#(otpauth|pair)=(.*)$/s.exec(location.hash) ?? []
  if (!kind) return null
  history.replaceState(null, '', location.pathname)
  try { return { kind, value: decodeURIComponent(value) } } catch { return { kind, value: '' } }
}

async function begin() {
  const known = learn()
  const plain = await store.openPlain()
  await known
  if (plain) await inside()
  else await (await import('./door.js')).locked(inside)
  await import('./shell.js').then((shell) => shell.start({ locked: !store.isOpen() }))
}

/** The vault is open: codes first, then everything else. */
async function inside() {
  await list.load()
  performance.mark('first-code')
  document.documentElement.dataset.ready = 'yes'
  show($('locked'), false)
  show($('open'))
  show($('tools'))
  const record = await store.vaultRecord()
  show($('lock-now'), Boolean(record.pin))
  show($('nag'), !record.pin)
  if (record.pin) watchIdle()
  await approvals()
  if (given) await follow(given)
}

/** Opens a link of ours: an account to add, or a device to pair. Always asks first. */
export async function follow({ kind, value }) {
  if (kind === 'otpauth') return open('add', value)
  const room = await import('./approve.js')
  await room.pair(value, tools)
}

// What approve.js may use. accounts.add takes an otpauth link.
const tools = {
  store, say: t, announce: say, dialog: modal, sure, el, step,
  accounts: {
    all: () => list.accounts,
    add: async (link) => { const found = read(link); await list.add(found); list.point(found[0]); return found[0] },
  },
}

// Approving is more than codes, and codes must not wait for it or break with it.
async function approvals() {
  try { await (await import('./approve.js')).start(tools) } catch (why) { console.warn('approvals:', why) }
}

// ---- locking again ----

let last = Date.now()
function watchIdle() {
  store.get('meta', 'settings').then((s) => { idleAfter = s?.idle ?? idleAfter })
  for (const sign of ['pointerdown', 'keydown']) addEventListener(sign, () => { last = Date.now() }, { passive: true })
  const look = () => { if (Date.now() - last > idleAfter * 60_000) lockNow() }
  setInterval(look, 5000)
  document.addEventListener('visibilitychange', look)
}
export const setIdle = (minutes) => { idleAfter = minutes }

/** A fresh page knows no key: that is the surest way to forget one. */
export const lockNow = () => location.reload()
$('lock-now').addEventListener('click', lockNow)

store.onChange(async (what) => {
  if (what === 'again') return location.reload()
  if (what === 'accounts' && store.isOpen()) await list.load()
})
addEventListener('hashchange', () => {
  const next = takeHash()
  if (next && store.isOpen()) follow(next)
  else if (next) location.reload()
})
addEventListener('unhandledrejection', ({ reason }) => trouble(reason))

/** Something failed that nobody expected: said in words, with what to do. */
function trouble(why) {
  if (why instanceof store.Locked) return location.reload()
  if (why instanceof Refused) return
  $('trouble-text').textContent = t(storageFails(why) ? 'verify.trouble.storage' : 'verify.trouble.other')
  show($('trouble'))
}
const storageFails = (why) => ['QuotaExceededError', 'InvalidStateError', 'UnknownError', 'SecurityError'].includes(why?.name)

begin().catch((why) => { trouble(why); console.warn(why) })
