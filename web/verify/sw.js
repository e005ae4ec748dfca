// The service worker: keeps the app for offline use, one whole build at a time. The
// server writes `app` above: {build, files, push}. A new build waits until the person
// says so; what the app keeps (IndexedDB) is never touched here.
const cacheName = `gatehouse-verify ${app.build}`
const at = (name) => new URL(name, self.registration.scope).href

if (app.push) importScripts('push-sw.js')

// Files of two builds do not fit together; while nodes are exchanged one by one
// they can be answered by different ones. Then this try fails, and the next may not.
async function fetchAll() {
  const cache = await caches.open(cacheName)
  await Promise.all(app.files.map(async (name) => {
    const answer = await fetch(at(name), { cache: 'no-cache', credentials: 'omit' })
    if (!answer.ok || answer.headers.get('X-Verify-Build') !== app.build) throw new Error(`${name || 'the page'} of build ${app.build} is not to be had`)
    await cache.put(at(name), answer)
  }))
}

self.addEventListener('install', (e) => e.waitUntil(fetchAll().catch(async (why) => { await caches.delete(cacheName); throw why })))

self.addEventListener('activate', (e) => e.waitUntil((async () => {
  for (const name of await caches.keys()) if (name.startsWith('gatehouse-verify ') && name !== cacheName) await caches.delete(name)
  await self.clients.claim()
})()))

self.addEventListener('message', (e) => { if (e.data === 'take over') self.skipWaiting() })

self.addEventListener('fetch', (e) => {
  const url = new URL(e.request.url)
  if (e.request.method !== 'GET' || url.origin !== location.origin) return
  const name = url.href.slice(self.registration.scope.length).split(/[?#]/)[0]
  if (!url.href.startsWith(self.registration.scope) || !app.files.includes(name)) return
  // The clean address: a page that was opened as /verify/?x is the same page.
  e.respondWith(caches.open(cacheName).then((c) => c.match(at(name))).then((kept) => kept ?? fetch(e.request)))
})
