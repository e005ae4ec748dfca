// What the service worker does with a push message. The message holds nothing but
// the name of a question; who asks what is fetched by the app when it is opened.
const said = async (key, otherwise) => {
  try { return (await (await caches.match(new URL('words.json', self.registration.scope).href)).json())[key] ?? otherwise } catch { return otherwise }
}

self.addEventListener('push', (e) => e.waitUntil((async () => {
  let question = ''
  try { question = e.data.json().question } catch { /* a message of another build: look all the same */ }
  const title = await said('verify.approve.note-title', 'Somebody is signing in')
  const body = await said('verify.approve.note-body', 'Tap to see who is asking, and to answer.')
  let note = 'shown'
  // Open pages hear of it whatever becomes of the notification.
  const tell = async () => { for (const page of await self.clients.matchAll({ includeUncontrolled: true, type: 'window' })) page.postMessage({ push: question, note }) }
  try {
    await self.registration.showNotification(title, { body, tag: 'gatehouse-question', renotify: true, requireInteraction: true, icon: 'icon-192.png', badge: 'icon-192.png', data: { question } })
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
