// One-time codes: the links and keys that carry a secret, and the codes made of
// it (RFC 4226, RFC 6238). Nothing here knows the page, the network or the disk.

/** What is wrong with something that a person gave us: a key of the catalogue and what to fill in. */
export class Refused extends Error {
  constructor(key, fill = {}) {
    super(key)
    this.key = `verify.bad.${key}`
    this.fill = fill
  }
}

const algorithms = { SHA1: 'SHA-1', SHA256: 'SHA-256', SHA512: 'SHA-512' }
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
export const limits = { link: 4000, label: 120, key: 512, period: [5, 3600], digits: [6, 8] }

// ---- keys ----

/** The bytes of a key in base32 (RFC 4648 §6), as people type it: spaces, dashes, small letters, padding. */
export function fromBase32(text) {
  const letters = text.replace(/[\s\u00ad\u200b-\u200d\u2060\ufeff\p{Pd}]/gu, '').replace(/=+$/, '').toUpperCase()
  if (!letters) throw new Refused('no-key')
  if (letters.length > limits.key) throw new Refused('long-key')
  if (/[^A-Z2-7]/.test(letters)) throw new Refused('key-letters')
  if ([1, 3, 6].includes(letters.length % 8)) throw new Refused('key-cut') // no such length in base32
  const bytes = []
  let held = 0, bits = 0
  for (const letter of letters) {
    held = (held << 5) | alphabet.indexOf(letter)
    bits += 5
    if (bits >= 8) bytes.push((held >> (bits -= 8)) & 255)
    held &= 255
  }
  // RFC 4226 §4 wants 128 bits at least; some services give 80. Less is a slip of the hand.
  if (bytes.length < 10) throw new Refused('short-key')
  return new Uint8Array(bytes)
}

export function toBase32(bytes) {
  let text = '', held = 0, bits = 0
  for (const byte of bytes) {
    held = (held << 8) | byte
    bits += 8
    while (bits >= 5) text += alphabet[(held >> (bits -= 5)) & 31]
    held &= 31
  }
  return bits ? text + alphabet[(held << (5 - bits)) & 31] : text
}

// ---- links ----

/**
 * Accounts out of what was scanned, pasted or opened: an otpauth link, a bare key,
 * or the export of Google Authenticator. Throws Refused.
 * An account is {type: 'totp'|'hotp', secret: base32, algorithm, digits, period, counter, issuer, name}.
 */
export function read(text) {
  const given = String(text).trim()
  if (!given) throw new Refused('nothing')
  if (given.length > limits.link) throw new Refused('long')
  if (/^otpauth-migration:/i.test(given)) return migration(given)
  if (/^otpauth:/i.test(given)) return [fromLink(given)]
  if (/^(?:WIFI|BEGIN|MECARD|SMSTO|tel|mailto)\b/i.test(given)) throw new Refused('other-qr')
  if (/^[a-z][a-z0-9+.-]*:/i.test(given)) throw new Refused('other-link')
  return [account({ secret: given })]
}

/** One otpauth link (the "Key URI format" that apps agree on). */
export function fromLink(link) {
  let url
  try { url = new URL(link) } catch { throw new Refused('broken-link') }
  const type = (url.host || url.pathname.replace(/^\/+/, '').split('/')[0]).toLowerCase()
  if (type !== 'totp' && type !== 'hotp') throw new Refused('kind', { kind: clean(type) || '?' })
  const has = params(url)
  const path = url.host ? url.pathname : url.pathname.replace(/^\/*[^/]*/, '')
  const [issuer, name] = label(path.replace(/^\//, ''))
  return account({
    type, issuer: has.issuer || issuer, name, secret: has.secret, algorithm: has.algorithm,
    digits: has.digits, period: has.period, counter: has.counter,
  })
}

// A parameter twice is a link that two programs would read differently.
function params(url) {
  const has = {}
  for (const [key, value] of url.searchParams) {
    const name = key.toLowerCase()
    if (Object.hasOwn(has, name)) throw new Refused('twice', { name: clean(name) })
    has[name] = value
  }
  return has
}

function label(raw) {
  let text
  try { text = decodeURIComponent(raw) } catch { throw new Refused('broken-link') }
  const cut = text.indexOf(':')
  return cut < 0 ? ['', text] : [text.slice(0, cut), text.slice(cut + 1)]
}

/** An account with everything checked. What is left out gets what every app assumes: time, SHA-1, 6 digits, 30 s. */
export function account(of) {
  if (!of.secret) throw new Refused('no-key')
  const algorithm = (of.algorithm || 'SHA1').toUpperCase().replace(/^HMAC-?/, '').replace('-', '')
  if (!Object.hasOwn(algorithms, algorithm)) throw new Refused('algorithm', { name: clean(algorithm) })
  const type = of.type === 'hotp' ? 'hotp' : 'totp'
  return {
    type, algorithm,
    secret: toBase32(fromBase32(of.secret)),
    digits: whole('digits', of.digits, 6, ...limits.digits),
    period: whole('period', of.period, 30, ...limits.period),
    counter: type === 'hotp' ? whole('counter', of.counter, 0, 0, Number.MAX_SAFE_INTEGER - 1) : 0,
    issuer: clean(of.issuer),
    name: clean(of.name),
  }
}

function whole(what, text, otherwise, least, most) {
  if (text === undefined || text === null || text === '') return otherwise
  const n = /^\d{1,16}$/.test(String(text)) ? Number(text) : NaN
  if (!(n >= least && n <= most)) throw new Refused(what, { least, most })
  return n
}

/**
 * A name as it may be shown: one line, no control characters, nothing that turns
 * the direction of what stands beside it, not endless. It is text, never markup.
 */
export function clean(text) {
  const line = String(text ?? '').normalize('NFC').replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]/gu, ' ').replace(/\s+/g, ' ').trim()
  return [...line].slice(0, limits.label).join('')
}

/** The link of an account, for a person to keep or another app to read. */
export function toLink(a) {
  const part = (s) => encodeURIComponent(s.replaceAll(':', ''))
  const label = a.issuer ? `${part(a.issuer)}:${part(a.name)}` : part(a.name)
  const turn = a.type === 'hotp' ? `counter=${a.counter}` : `period=${a.period}`
  return `otpauth://${a.type}/${label}?secret=${a.secret}${a.issuer ? `&issuer=${part(a.issuer)}` : ''}&algorithm=${a.algorithm}&digits=${a.digits}&${turn}`
}

// ---- the export of Google Authenticator: protobuf in base64 in a link ----

function migration(link) {
  let bytes
  try {
    const data = new URL(link).searchParams.get('data') ?? ''
    bytes = Uint8Array.from(atob(data.replace(/[ -]/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0))
  } catch { throw new Refused('broken-link') }
  const found = fields(bytes).filter(([n, v]) => n === 1 && v instanceof Uint8Array).map(([, v]) => migrated(v))
  if (!found.length) throw new Refused('broken-link')
  return found
}

function migrated(bytes) {
  const of = Object.fromEntries(fields(bytes))
  const text = (v) => v instanceof Uint8Array ? new TextDecoder().decode(v) : ''
  const pick = (list, n) => { if (!(n in list)) throw new Refused('broken-link'); return list[n] }
  const [first, rest] = [text(of[2]).split(':')[0], text(of[2])]
  return account({
    secret: of[1] instanceof Uint8Array ? toBase32(of[1]) : '',
    name: rest.startsWith(first + ':') ? rest.slice(first.length + 1) : rest,
    issuer: text(of[3]) || (rest.includes(':') ? first : ''),
    algorithm: pick({ 0: 'SHA1', 1: 'SHA1', 2: 'SHA256', 3: 'SHA512', 4: 'MD5' }, of[4] ?? 0),
    digits: pick({ 0: 6, 1: 6, 2: 8 }, of[5] ?? 0),
    type: pick({ 0: 'totp', 1: 'hotp', 2: 'totp' }, of[6] ?? 0),
    counter: of[7] ?? 0,
  })
}

// Fields of a protobuf message as [number, value]: numbers and bytes, as that export uses.
function fields(bytes) {
  let at = 0
  const varint = () => {
    for (let n = 0, scale = 1, i = 0; i < 10; i++, scale *= 128) { // 64 bits; what is beyond 2^53 is no number that we keep
      if (at >= bytes.length) break
      const b = bytes[at++]
      n += (b & 127) * scale
      if (b < 128) return n
    }
    throw new Refused('broken-link')
  }
  const out = []
  while (at < bytes.length) {
    const tag = varint()
    const number = Math.floor(tag / 8)
    if (tag % 8 === 0) { out.push([number, varint()]); continue }
    const length = tag % 8 === 2 ? varint() : NaN
    if (!(at + length <= bytes.length)) throw new Refused('broken-link')
    out.push([number, bytes.subarray(at, at += length)])
  }
  return out
}

// ---- codes ----

/** Which code of a time account is current, and how long it stays so: {step, left: ms}. */
export function turn(a, now) {
  const span = a.period * 1000
  const step = Math.floor(now / span)
  return { step, left: (step + 1) * span - now }
}

/** The code of a step of time or of a counter (RFC 4226 §5.3), as text with its leading zeros. */
export async function code(a, step) {
  const key = await crypto.subtle.importKey('raw', fromBase32(a.secret), { name: 'HMAC', hash: algorithms[a.algorithm] }, false, ['sign'])
  const message = new DataView(new ArrayBuffer(8))
  message.setBigUint64(0, BigInt(step))
  const mac = new DataView(await crypto.subtle.sign('HMAC', key, message.buffer))
  const cut = mac.getUint8(mac.byteLength - 1) & 15
  return String((mac.getUint32(cut) & 0x7fffffff) % 10 ** a.digits).padStart(a.digits, '0')
}

/** A code as it is read out: in two halves, seven digits as 3 and 4. */
export const spaced = (digits) => `${digits.slice(0, digits.length >> 1)} ${digits.slice(digits.length >> 1)}`
