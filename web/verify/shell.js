// What surrounds the codes: offline use, updates, installing, the clock.
import { $, show, t } from './ui.js'
import { span } from './door.js'
import * as store from './store.js'

const tolerated = 30_000 // ms; a code is refused somewhere beyond that

export async function start() {
  reach()
  addEventListener('online', reach)
  addEventListener('offline', reach)
  await Promise.all([workers(), home(), compareClock()])
  document.addEventListener('visibilitychange', () => { if (!document.hidden) compareClock() })
}

const reach = () => show($('offline'), !navigator.onLine)

// ---- offline use and updates ----

async function workers() {
  if (!navigator.serviceWorker) return
  const name = globalThis.trustedTypes?.createPolicy('gatehouse-verify', { createScriptURL: (url) => { if (url !== '/verify/sw.js') throw new TypeError(url); return url } })
  const address = name ? name.createScriptURL('/verify/sw.js') : '/verify/sw.js'
  let registration
  try { registration = await navigator.serviceWorker.register(address, { scope: '/verify/', updateViaCache: 'none' }) } catch { return } // a private window: it works while online
  const offer = () => {
    if (!registration.waiting || !navigator.serviceWorker.controller) return
    show($('update'))
  }
  offer()
  registration.addEventListener('updatefound', () => registration.installing?.addEventListener('statechange', offer))
  document.addEventListener('visibilitychange', () => { if (!document.hidden) registration.update().catch(() => {}) })
  let asked = false
  $('update-now').addEventListener('click', () => { asked = true; registration.waiting?.postMessage('take over') })
  navigator.serviceWorker.addEventListener('controllerchange', () => { if (asked) location.reload() })
}

// ---- the clock ----

let compared = 0
async function compareClock() {
  if (!navigator.onLine || Math.abs(Date.now() - compared) < 600_000) return
  try {
    const before = Date.now()
    const answer = await fetch('/verify/time', { cache: 'no-store', signal: AbortSignal.timeout(5000) })
    const { now } = await answer.json()
    const after = Date.now()
    if (!(now > 0) || after - before > 5000) return
    compared = after
    const off = Math.round((before + after) / 2 - now)
    show($('skew'), Math.abs(off) > tolerated)
    if (Math.abs(off) > tolerated) $('skew-text').textContent = t(off > 0 ? 'verify.skew.ahead' : 'verify.skew.behind', { time: amount(Math.abs(off) / 1000) })
  } catch { /* not to be reached: nothing is known, and nothing is said */ }
}

function amount(seconds) {
  if (seconds < 7200) return span(Math.round(seconds))
  return seconds < 172_800 ? t('verify.hours', { n: Math.round(seconds / 3600) }) : t('verify.days', { n: Math.round(seconds / 86_400) })
}

// ---- installing ----

const standalone = () => navigator.standalone === true || matchMedia('(display-mode: standalone)').matches
// An iPad says that it is a Mac, and has a touch screen all the same.
const apple = () => /iPhone|iPad|iPod/.test(navigator.userAgent) || (/Macintosh/.test(navigator.userAgent) && navigator.maxTouchPoints > 1)

let offered // Chromium's own offer, kept for a button
addEventListener('beforeinstallprompt', (e) => { e.preventDefault(); offered = e; state() })
addEventListener('appinstalled', () => { offered = null; state() })
$('install').addEventListener('click', async () => { await offered?.prompt(); offered = null; state() })

// On an iPhone only an installed app is told of sign-ins, and only an installed one
// is sure to keep its accounts; what was added in Safari does not come along.
async function home() {
  const later = await store.get('meta', 'home-later')
  show($('home-screen'), apple() && !standalone() && !later)
  $('home-later').addEventListener('click', async () => { show($('home-screen'), false); await store.put('meta', 'home-later', true); state() })
  $('home-show').addEventListener('click', () => { show($('home-screen')); $('settings').close(); $('home-screen').scrollIntoView() })
  await state()
}

async function state() {
  show($('install'), Boolean(offered))
  show($('home-show'), apple() && !standalone())
  const kept = await navigator.storage?.persisted?.().catch(() => false)
  $('install-state').textContent = [t(standalone() ? 'verify.home.installed' : 'verify.home.browser'), t(kept ? 'verify.kept.yes' : 'verify.kept.no')].join(' ')
}
