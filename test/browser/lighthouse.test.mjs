// Lighthouse on the first page: fast, accessible, and nothing moves.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import test from 'node:test'
import lighthouse from 'lighthouse'
import { openHouse, until } from './house.mjs'

test('lighthouse is content with the sign-in page', async () => {
  const house = await openHouse()
  const profile = await fs.mkdtemp(path.join(os.tmpdir(), 'gatehouse-lighthouse-'))
  const chromium = spawn('/usr/bin/chromium', ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--remote-debugging-port=0', '--remote-debugging-address=127.0.0.1', `--user-data-dir=${profile}`, 'about:blank'],
  { stdio: ['ignore', 'ignore', 'pipe'], detached: true })
  try {
    let said = ''
    chromium.stderr.on('data', (d) => { said += d })
    const port = Number(await until('Chromium to listen', () => said.match(/DevTools listening on ws:\/\/[^:]+:(\d+)/)?.[1], 30_000))
    const results = []
    // Its speed is a measurement: the best of up to three counts, for others use this machine too.
    while (results.length < 3 && !results.some((r) => r.performance >= 0.95)) {
      const { lhr } = await lighthouse(house.origin + '/signin', { port, output: 'json', logLevel: 'error', onlyCategories: ['performance', 'accessibility', 'best-practices'] })
      assert.equal(lhr.runtimeError, undefined)
      results.push({
        performance: lhr.categories.performance.score, accessibility: lhr.categories.accessibility.score,
        shift: lhr.audits['cumulative-layout-shift'].numericValue,
        bytes: lhr.audits['total-byte-weight'].numericValue,
        missed: Object.values(lhr.audits).filter((a) => a.score !== null && a.score < 0.9 && a.scoreDisplayMode !== 'informative').map((a) => a.id),
      })
    }
    const last = results.at(-1)
    assert.ok(last.performance >= 0.95, JSON.stringify(results))
    assert.equal(last.accessibility, 1, JSON.stringify(last))
    assert.equal(last.shift, 0, JSON.stringify(last))
    assert.ok(last.bytes < 60 * 1024, JSON.stringify(last))
  } finally {
    process.kill(-chromium.pid, 'SIGKILL')
    await house.close()
    await fs.rm(profile, { recursive: true, force: true, maxRetries: 5 })
  }
})
