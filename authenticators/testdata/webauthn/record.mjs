// Records what Chromium answers with its virtual authenticators, for
// passkey_chromium_test.go:
//   node authenticators/testdata/webauthn/record.mjs chromiumNNN.json
// It takes playwright-core from test/browser (npm ci there first).
import { createRequire } from 'node:module'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const require = createRequire(new URL('../../../test/browser/', import.meta.url))
const { chromium } = require('playwright-core')

const keys = [
  { name: 'a passkey of this device', as: 'passkey', verified: true, is: { protocol: 'ctap2', ctap2Version: 'ctap2_1', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true } },
  { name: 'a passkey that is synced', as: 'passkey', verified: true, is: { protocol: 'ctap2', ctap2Version: 'ctap2_1', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, defaultBackupEligibility: true, defaultBackupState: true } },
  { name: 'a security key', as: 'security-key', verified: false, is: { protocol: 'ctap2', transport: 'usb', hasResidentKey: true, hasUserVerification: false } },
  { name: 'an old security key', as: 'security-key', verified: false, is: { protocol: 'u2f', transport: 'usb', hasResidentKey: false, hasUserVerification: false } },
]

// In the page: one registration and one assertion. The challenge and the account
// are those of passkey_help_test.go.
async function ceremonies(roaming) {
  const challenge = new TextEncoder().encode('the question that was asked, 32b')
  const account = Uint8Array.from('0199f00000007000800000000000000a'.match(/../g).map(h => parseInt(h, 16)))
  const made = await navigator.credentials.create({ publicKey: {
    challenge, rp: { id: 'localhost', name: 'Gatehouse' }, user: { id: account, name: 'ana@example.org', displayName: 'Ana' },
    pubKeyCredParams: [-7, -8, -257].map(alg => ({ type: 'public-key', alg })), attestation: 'direct', extensions: { credProps: true },
    authenticatorSelection: roaming
      ? { authenticatorAttachment: 'cross-platform', residentKey: 'discouraged', userVerification: 'discouraged' }
      : { residentKey: 'required', requireResidentKey: true, userVerification: 'required' },
  } })
  const got = await navigator.credentials.get({ publicKey: {
    challenge, rpId: 'localhost', allowCredentials: [{ type: 'public-key', id: made.rawId }], userVerification: roaming ? 'discouraged' : 'required',
  } })
  const key = new Uint8Array(made.response.getPublicKey())
  return { create: made.toJSON(), get: got.toJSON(), spki: btoa(String.fromCharCode(...key)) }
}

const server = createServer((_, answer) => answer.setHeader('content-type', 'text/html').end('<!doctype html><title>recording</title>'))
await new Promise(ready => server.listen(0, '127.0.0.1', ready))
const origin = `http://localhost:${server.address().port}`
const profile = mkdtempSync(join(tmpdir(), 'record-'))
const browser = await chromium.launchPersistentContext(profile, { executablePath: '/usr/bin/chromium', headless: true, args: ['--no-sandbox', '--disable-gpu', '--no-first-run'] })
const page = browser.pages()[0]
const cdp = await browser.newCDPSession(page)
await cdp.send('WebAuthn.enable')
await page.goto(origin)
const answers = []
for (const { is, ...key } of keys) {
  const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', { options: { ...is, automaticPresenceSimulation: true } })
  answers.push({ ...key, ...await page.evaluate(ceremonies, key.as === 'security-key') })
  await cdp.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId })
}
const from = await page.evaluate(() => navigator.userAgent)
writeFileSync(process.argv[2], JSON.stringify({ from, origin, answers }, null, 1) + '\n')
await browser.close()
server.close()
rmSync(profile, { recursive: true, force: true })
