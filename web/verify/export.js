// Accounts on their way to another device, without a network. The new device shows
// its public key as a picture; the old one reads it; both show eight digits made of
// it, and a person says that they are the same; only then the old device shows the
// accounts, sealed to that key, and the person at the new one says yes to them.
//
// The digits are PBKDF2 of the key: to pass off another key for this one while the
// picture is on the screen, some 10^8 slow hashes would have to be made.
import { account, Refused } from './otp.js'

const asked = 'GHV1R.' // a device asks to receive: + public key
const packet = 'GHV1S.' // the accounts: + name, number of the part, how many, part
const part = 220 // characters in one picture, so that an old camera reads it
const most = 200 // accounts at a time
const curve = { name: 'ECDH', namedCurve: 'P-256' }
const utf8 = (text) => new TextEncoder().encode(text)
const join = (...parts) => new Uint8Array(parts.flatMap((p) => [...new Uint8Array(p)]))

const toText = (bytes) => btoa(Array.from(new Uint8Array(bytes), (b) => String.fromCharCode(b)).join('')).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
const fromText = (text) => {
  try { return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0)) } catch { throw new Refused('transfer') }
}

export const isRequest = (text) => text.trim().startsWith(asked)
export const isPacket = (text) => text.trim().startsWith(packet)

const makePair = () => crypto.subtle.generateKey(curve, false, ['deriveBits'])
const open = (raw) => crypto.subtle.importKey('raw', raw, curve, true, [])

/** The eight digits that both screens show of the new device's public key. */
async function digits(raw) {
  const base = await crypto.subtle.importKey('raw', raw, 'PBKDF2', false, ['deriveBits'])
  const bits = await crypto.subtle.deriveBits({ name: 'PBKDF2', hash: 'SHA-256', salt: utf8('gatehouse-verify same 1'), iterations: 600_000 }, base, 64)
  return String(new DataView(bits).getBigUint64(0) % 100_000_000n).padStart(8, '0')
}

async function between(own, other, requester, sender) {
  const shared = await crypto.subtle.deriveBits({ name: 'ECDH', public: other }, own, 256)
  const base = await crypto.subtle.importKey('raw', shared, 'HKDF', false, ['deriveKey'])
  return crypto.subtle.deriveKey({ name: 'HKDF', hash: 'SHA-256', salt: join(requester, sender), info: utf8('gatehouse-verify move 1') },
    base, { name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt'])
}

const squeeze = (bytes, how) => new Response(new Blob([bytes]).stream().pipeThrough(how)).arrayBuffer()

// ---- the new device ----

/** A request to receive: {text for the picture, digits, and read(text), which takes the parts}. */
export async function receive() {
  const own = await makePair()
  const raw = new Uint8Array(await crypto.subtle.exportKey('raw', own.publicKey))
  let name, count, parts = new Map()
  /** Takes what was scanned or pasted, one part or all: {have, of, accounts when complete}. Throws Refused. */
  const read = async (text) => {
    for (const line of text.trim().split(/\s+/)) {
      const found = /^GHV1S\.([\w-]{6})\.(\d{1,3})\.(\d{1,3})\.([\w-]+)$/.exec(line)
      if (!found) throw new Refused('transfer')
      const [, from, number, of, piece] = found
      if (from !== name || of !== count) [name, count, parts] = [from, of, new Map()] // another export began
      if (Number(number) >= 1 && Number(number) <= Number(of)) parts.set(Number(number), piece)
    }
    if (parts.size < Number(count)) return { have: parts.size, of: Number(count) }
    const whole = Array.from({ length: Number(count) }, (_, i) => parts.get(i + 1)).join('')
    return { have: parts.size, of: Number(count), accounts: await unpack(fromText(whole), own.privateKey, raw) }
  }
  return { text: asked + toText(raw), digits: await digits(raw), read }
}

async function unpack(bytes, own, requester) {
  const [sender, iv, box] = [bytes.slice(0, 65), bytes.slice(65, 77), bytes.slice(77)]
  let list
  try {
    const key = await between(own, await open(sender), requester, sender)
    const plain = await crypto.subtle.decrypt({ name: 'AES-GCM', iv }, key, box)
    list = JSON.parse(new TextDecoder().decode(await squeeze(plain, new DecompressionStream('deflate-raw'))))
  } catch { throw new Refused('transfer-other') } // meant for another device, or another picture of this one
  if (!Array.isArray(list) || list.length > most) throw new Refused('transfer')
  return list.map(([type, secret, algorithm, digits, period, counter, issuer, name]) => account({ type, secret, algorithm, digits, period, counter, issuer, name }))
}

// ---- the old device ----

/** What a request asks for: {digits, send(accounts) → texts of pictures}. Throws Refused. */
export async function answer(text) {
  const raw = fromText(text.trim().slice(asked.length))
  let other
  try { other = await open(raw) } catch { throw new Refused('transfer') }
  const send = async (accounts) => {
    const own = await makePair()
    const sender = new Uint8Array(await crypto.subtle.exportKey('raw', own.publicKey))
    const key = await between(own.privateKey, other, raw, sender)
    const list = accounts.map((a) => [a.type, a.secret, a.algorithm, a.digits, a.period, a.counter, a.issuer, a.name])
    const iv = crypto.getRandomValues(new Uint8Array(12))
    const box = await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, key, await squeeze(utf8(JSON.stringify(list)), new CompressionStream('deflate-raw')))
    return pictures(toText(join(sender, iv, box)))
  }
  return { digits: await digits(raw), send }
}

function pictures(text) {
  const name = toText(crypto.getRandomValues(new Uint8Array(4)))
  const pieces = text.match(new RegExp(`.{1,${part}}`, 'g'))
  return pieces.map((piece, i) => `${packet}${name}.${i + 1}.${pieces.length}.${piece}`)
}
