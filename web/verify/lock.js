// The lock: a PIN, and beside it the device's own unlock (a passkey that can give
// back a secret, WebAuthn's PRF extension). Each wraps the vault's key; without one
// of them the key cannot be had, whatever is read from the disk.
import { exchange, get, openWith, put, vaultRecord } from './store.js'

const rounds = 600_000 // PBKDF2-HMAC-SHA-256, OWASP 2023; about a third of a second on a telephone
export const shortest = 6 // characters of a PIN
// Seconds to wait after the 4th wrong PIN in a row, the 5th, …; the last goes on.
const waits = [5, 15, 30, 60, 300, 900, 3600]
const freely = 3

const bytes = (n) => crypto.getRandomValues(new Uint8Array(n))
const utf8 = (text) => new TextEncoder().encode(text)
const aes = (raw) => crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['encrypt', 'decrypt'])

async function wrap(key, plain) {
  const iv = bytes(12)
  return { iv, box: await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, key, plain) }
}
const unwrap = async (key, { iv, box }) => new Uint8Array(await crypto.subtle.decrypt({ name: 'AES-GCM', iv }, key, box))

async function pinKey(pin, salt, n) {
  const base = await crypto.subtle.importKey('raw', utf8(pin.normalize('NFKC')), 'PBKDF2', false, ['deriveBits'])
  return aes(await crypto.subtle.deriveBits({ name: 'PBKDF2', hash: 'SHA-256', salt, iterations: n }, base, 256))
}

// A person's PIN alone is short; a key that never leaves this browser is wrapped around it,
// so that what was copied out of the database by script cannot be guessed at elsewhere.
async function pinLock(pin, raw) {
  const salt = bytes(16)
  const device = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt'])
  const inner = await wrap(await pinKey(pin, salt, rounds), raw)
  const packed = new Uint8Array([...inner.iv, ...new Uint8Array(inner.box)])
  return { salt, rounds, device, ...await wrap(device, packed) }
}

async function pinOpen(pin, lock) {
  const packed = await unwrap(lock.device, lock)
  return unwrap(await pinKey(pin, lock.salt, lock.rounds), { iv: packed.slice(0, 12), box: packed.slice(12) })
}

/** How the vault is locked: {pin, passkey} as yes or no. */
export async function lockOf() {
  const record = await vaultRecord()
  return { pin: Boolean(record.pin), passkey: Boolean(record.passkey) }
}

/** Locks with a PIN, or with another one. The vault is open; the device's unlock, if any, must be set up again. */
export async function setPIN(pin) {
  const raw = bytes(32)
  const record = { id: crypto.randomUUID(), pin: await pinLock(pin, raw) }
  const key = await aes(raw)
  raw.fill(0)
  await exchange(record, key)
  await put('meta', 'tries', { wrong: 0, until: 0 })
}

/** Takes the lock away. The vault is open. */
export async function removeLock() {
  const key = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt'])
  await exchange({ id: crypto.randomUUID(), key }, key)
}

/** Seconds until a PIN may be tried again, 0 for now. */
export async function waiting(now = Date.now()) {
  const { until = 0 } = await get('meta', 'tries') ?? {}
  // A clock that was turned back must not lock anybody out for years.
  return Math.max(0, Math.min(Math.ceil((until - now) / 1000), waits.at(-1)))
}

/** Tries a PIN. The try is counted before it is made, so that closing the page saves nothing. */
async function tried(pin) {
  if (await waiting()) return null
  const record = await vaultRecord()
  const wrong = ((await get('meta', 'tries'))?.wrong ?? 0) + 1
  const pause = wrong > freely ? waits[Math.min(wrong - freely, waits.length) - 1] : 0
  await put('meta', 'tries', { wrong, until: pause ? Date.now() + pause * 1000 : 0 })
  try {
    const raw = await pinOpen(pin, record.pin)
    await put('meta', 'tries', { wrong: 0, until: 0 })
    return { record, raw }
  } catch { return null }
}

/** Opens the vault by PIN. */
export async function openByPIN(pin) {
  const right = await tried(pin)
  if (!right) return false
  openWith(right.record.id, await aes(right.raw))
  right.raw.fill(0)
  return true
}

// ---- the device's own unlock ----

/** Whether this device says that it has one. That it can hold a key shows only when it is set up. */
export async function deviceCan() {
  try { return await PublicKeyCredential.isUserVerifyingPlatformAuthenticatorAvailable() } catch { return false }
}

async function prfKey(secret, salt) {
  const base = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveKey'])
  return crypto.subtle.deriveKey({ name: 'HKDF', hash: 'SHA-256', salt, info: utf8('gatehouse-verify lock 1') }, base, { name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt'])
}

async function askDevice(id, salt) {
  const shown = await navigator.credentials.get({
    publicKey: {
      challenge: bytes(32), userVerification: 'required', timeout: 60_000,
      allowCredentials: [{ type: 'public-key', id, transports: ['internal'] }],
      extensions: { prf: { eval: { first: salt } } },
    },
  })
  return shown.getClientExtensionResults().prf?.results?.first
}

/**
 * Adds the device's own unlock beside the PIN. 'wrong' for a wrong PIN, 'cannot'
 * when this device has no way to hold a key, 'done'. Throws what the browser throws
 * when the person says no. name is what the device's list of passkeys shows.
 */
export async function addPasskey(pin, name) {
  const right = await tried(pin)
  if (!right) return 'wrong'
  const { record, raw } = right
  const salt = bytes(32)
  const made = await navigator.credentials.create({
    publicKey: {
      rp: { name }, user: { id: bytes(16), name, displayName: name }, challenge: bytes(32), timeout: 60_000,
      pubKeyCredParams: [{ type: 'public-key', alg: -7 }, { type: 'public-key', alg: -257 }],
      // Not discoverable where the device lets us choose: the sign-in page must not offer it.
      authenticatorSelection: { authenticatorAttachment: 'platform', residentKey: 'discouraged', userVerification: 'required' },
      extensions: { prf: { eval: { first: salt } } },
    },
  })
  const prf = made.getClientExtensionResults().prf
  if (!prf?.enabled) return 'cannot'
  const secret = prf.results?.first ?? await askDevice(made.rawId, salt)
  if (!secret) return 'cannot'
  record.passkey = { id: made.rawId, salt, ...await wrap(await prfKey(secret, salt), raw) }
  raw.fill(0)
  await put('meta', 'vault', record)
  return 'done'
}

/** Takes the device's unlock away; the PIN stays. */
export async function removePasskey() {
  const record = await vaultRecord()
  delete record.passkey
  await put('meta', 'vault', record)
}

/** Opens the vault by the device's own unlock. Throws what the browser throws when the person says no. */
export async function openByPasskey() {
  const record = await vaultRecord()
  const secret = await askDevice(record.passkey.id, record.passkey.salt)
  if (!secret) return false
  const raw = await unwrap(await prfKey(secret, record.passkey.salt), record.passkey)
  openWith(record.id, await aes(raw))
  raw.fill(0)
  await put('meta', 'tries', { wrong: 0, until: 0 })
  return true
}
