// What this device keeps, in IndexedDB: accounts (sealed), devices and meta (as
// they are; a CryptoKey that cannot be exported may be a part of them).
//
// Accounts are sealed with AES-GCM under the vault's key, which script can use and
// cannot read. Without a lock the key lies in the database beside them; with one
// (lock.js) it is there only wrapped, and lives in memory while the app is open.

const kinds = ['accounts', 'devices', 'meta']
const sealed = 'accounts'
const tabs = new BroadcastChannel('gatehouse-verify')

let database
let vault // {id, key} while open

/** Thrown when accounts are asked for and the vault is shut, or was given another key by another tab. */
export class Locked extends Error {}

const ask = (request) => new Promise((done, fail) => {
  request.onsuccess = () => done(request.result)
  request.onerror = () => fail(request.error)
})
const finished = (tx) => new Promise((done, fail) => {
  tx.oncomplete = () => done()
  tx.onabort = tx.onerror = () => fail(tx.error ?? new Locked())
})

function opened() {
  database ??= new Promise((done, fail) => {
    const request = indexedDB.open('gatehouse-verify', 1)
    request.onupgradeneeded = () => kinds.forEach((kind) => request.result.createObjectStore(kind))
    request.onerror = () => fail(request.error)
    request.onsuccess = () => {
      request.result.onversionchange = () => request.result.close() // a newer version in another tab goes first
      done(request.result)
    }
  })
  return database
}

const begin = async (stores, mode) => (await opened()).transaction(stores, mode, { durability: 'strict' })

// ---- the vault's key ----

const freshKey = () => crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt'])

/** The vault's record as it lies in the database; made at the first start. */
export async function vaultRecord() {
  const found = await get('meta', 'vault')
  if (found) return found
  const made = { id: crypto.randomUUID(), key: await freshKey() }
  const tx = await begin(['meta'], 'readwrite')
  const meta = tx.objectStore('meta')
  const other = await ask(meta.get('vault')) // another tab may have been quicker
  if (!other) meta.put(made, 'vault')
  await finished(tx)
  return other ?? made
}

/** Opens a vault that has no lock. False when it needs one opened first. */
export async function openPlain() {
  const record = await vaultRecord()
  if (record.key) vault = { id: record.id, key: record.key }
  return Boolean(record.key)
}

/** Opens the vault with the key that a lock gave back. */
export function openWith(id, key) { vault = { id, key } }

export const isOpen = () => Boolean(vault)

/**
 * Gives the vault another key, and so another lock: everything is sealed anew, and
 * old key and new are exchanged in one transaction. record is what shall lie in the
 * database. Other tabs are told to start again.
 */
export async function exchange(record, key) {
  const tx1 = await begin([sealed], 'readonly')
  const ids = await ask(tx1.objectStore(sealed).getAllKeys())
  const boxes = await Promise.all(ids.map(async (id) => seal({ id: record.id, key }, id, await get(sealed, id))))
  const tx = await begin([sealed, 'meta'], 'readwrite')
  const [accounts, meta] = [tx.objectStore(sealed), tx.objectStore('meta')]
  const now = await ask(accounts.getAllKeys())
  const held = await ask(meta.get('vault'))
  if (held?.id !== vault?.id || now.join() !== ids.join()) { tx.abort(); throw new Locked() }
  ids.forEach((id, i) => accounts.put(boxes[i], id))
  meta.put(record, 'vault')
  await finished(tx)
  vault = { id: record.id, key }
  tabs.postMessage('again')
}

/** Forgets everything that this device keeps. */
export async function forgetAll() {
  const tx = await begin(kinds, 'readwrite')
  kinds.forEach((kind) => tx.objectStore(kind).clear())
  await finished(tx)
  tabs.postMessage('again')
}

async function seal({ id: under, key }, id, value) {
  const iv = crypto.getRandomValues(new Uint8Array(12))
  const bytes = new TextEncoder().encode(JSON.stringify(value))
  const box = await crypto.subtle.encrypt({ name: 'AES-GCM', iv, additionalData: new TextEncoder().encode(id) }, key, bytes)
  return { under, iv, box }
}

async function unseal(id, { under, iv, box }) {
  if (under !== vault.id) throw new Locked()
  const bytes = await crypto.subtle.decrypt({ name: 'AES-GCM', iv, additionalData: new TextEncoder().encode(id) }, vault.key, box)
  return JSON.parse(new TextDecoder().decode(bytes))
}

// ---- what the rest of the app uses ----

/** Every value of a kind, in the order of their ids. Throws Locked. */
export async function all(kind) {
  const store = (await begin([kind], 'readonly')).objectStore(kind)
  const [ids, values] = await Promise.all([ask(store.getAllKeys()), ask(store.getAll())])
  return kind === sealed ? Promise.all(values.map((v, i) => { shut(); return unseal(ids[i], v) })) : values
}

/** One value; undefined when there is none. Throws Locked. */
export async function get(kind, id) {
  const found = await ask((await begin([kind], 'readonly')).objectStore(kind).get(id))
  if (kind !== sealed || found === undefined) return found
  shut()
  return unseal(id, found)
}

/** Keeps a value under an id. Accounts must be JSON. Throws Locked. */
export async function put(kind, id, value) {
  if (kind !== sealed) {
    const tx = await begin([kind], 'readwrite')
    tx.objectStore(kind).put(value, id)
    await finished(tx)
    return tabs.postMessage(kind)
  }
  await putAll([[id, value]])
}

/** Keeps several accounts, or none of them. */
export async function putAll(entries) {
  shut()
  const boxes = await Promise.all(entries.map(([id, value]) => seal(vault, id, value)))
  const tx = await begin([sealed, 'meta'], 'readwrite')
  // Another tab may have changed the lock: what is sealed under the old key would be lost.
  const held = await ask(tx.objectStore('meta').get('vault'))
  if (held?.id !== vault.id) { tx.abort(); throw new Locked() }
  entries.forEach(([id], i) => tx.objectStore(sealed).put(boxes[i], id))
  await finished(tx)
  tabs.postMessage(sealed)
}

export async function remove(kind, id) {
  const tx = await begin([kind], 'readwrite')
  tx.objectStore(kind).delete(id)
  await finished(tx)
  tabs.postMessage(kind)
}

/** Tells when another tab changed something: a kind, or 'again' for everything. */
export const onChange = (tell) => tabs.addEventListener('message', ({ data }) => tell(data))

const shut = () => { if (!vault) throw new Locked() }
