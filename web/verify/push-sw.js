// What the service worker does with a push message. The message holds nothing but
// the name of a question, or that something was changed; the rest is fetched by the
// app when it is opened.
const said = async (key, otherwise) => {
  try { return (await (await caches.match(new URL('words.json', self.registration.scope).href)).json())[key] ?? otherwise } catch { return otherwise }
}

self.addEventListener('push', (e) => e.waitUntil((async () => {
  let question = '', changed = false
  try { ({ question = '', changed = false } = e.data.json()) } catch { /* a message of another build: look all the same */ }
  const title = changed ? await said('verify.approve.changed-title', 'Something about your account was changed') : await said('verify.approve.note-title', 'Somebody is signing in')
  const body = changed ? await said('verify.approve.changed-body', 'Look at it: tap to open Gatehouse Verify.') : await said('verify.approve.note-body', 'Tap to see who is asking, and to answer.')
  let note = 'shown'
  // Open pages hear of it whatever becomes of the notification.
  const tell = async () => { for (const page of await self.clients.matchAll({ includeUncontrolled: true, type: 'window' })) page.postMessage({ push: question, note }) }
  try {
    await self.registration.showNotification(title, { body, tag: changed ? 'gatehouse-change' : 'gatehouse-question', renotify: true, requireInteraction: true, icon: 'icon-192.png', badge: 'icon-192.png', data: { question } })
  } catch (why) { note = `${why.name}: ${why.message}` }
  await tell()
})()))

self.addEventListener('notificationclick', (e) => {
  e.notification.close()
  e.waitUntil((async () => {
    const pages = await self.clients.matchAll({ includeUncontrolled: true, type: 'window' })
    const open = pages.find((p) => new URL(p.url).pathname.startsWith('/verify'))
    if (!open) return self.clients.openWindow('/verify/')
    await open.focus()
    open.postMessage({ push: e.notification.data?.question ?? '' })
  })())
})

// The browser has given up the push address, as it does now and then. A new one is
// made here; the app, which alone holds the device's key, tells the server when it is
// open, or is opened next.
self.addEventListener('pushsubscriptionchange', (e) => e.waitUntil((async () => {
  const options = e.oldSubscription?.options
  if (!e.newSubscription && options?.applicationServerKey) await self.registration.pushManager.subscribe(options).catch(() => {})
  for (const page of await self.clients.matchAll({ includeUncontrolled: true, type: 'window' })) page.postMessage({ push: '', moved: true })
})()))
