// What an eye and a screen reader would object to on a page as it stands.
import fs from 'node:fs/promises'
import { createRequire } from 'node:module'

const axeSource = await fs.readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** What axe finds on the page as it stands. */
export async function axe(page) {
  if (!await page.evaluate(() => Boolean(window.axe))) await page.evaluate(axeSource)
  return page.evaluate(async () => {
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
    const { violations, incomplete } = await window.axe.run(document, { runOnly: tags, resultTypes: ['violations', 'incomplete'] })
    const unsure = incomplete.filter((v) => v.id === 'color-contrast') // a contrast that cannot be judged is not a good one
    return [...violations, ...unsure].map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).slice(0, 3).join(', ')} (${v.help})`)
  })
}

/** What makes the page scroll sideways, "" for nothing. */
export const overflow = (page) => page.evaluate(() => {
  const { scrollWidth, clientWidth } = document.documentElement
  if (scrollWidth <= clientWidth) return ''
  const wide = [...document.querySelectorAll('body *')].find((e) => e.getBoundingClientRect().right > clientWidth + 1)
  return `${scrollWidth} > ${clientWidth} px, ${wide?.outerHTML.slice(0, 100)}`
})

/** Looks at a page in light and dark, narrow and wide, and with text twice as large. */
export async function complaints(page, name) {
  const wrong = []
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    for (const width of [320, 1280]) {
      await page.setViewportSize({ width, height: 900 })
      const where = `${name}, ${colorScheme}, ${width} px`
      wrong.push(...(await axe(page)).map((v) => `${where}: ${v}`))
      const wide = await overflow(page)
      if (wide) wrong.push(`${where}: scrolls sideways: ${wide}`)
    }
  }
  await page.setViewportSize({ width: 640, height: 900 })
  await page.evaluate(() => { document.documentElement.style.fontSize = '200%' })
  const wide = await overflow(page)
  if (wide) wrong.push(`${name}, text at 200 %, 640 px: scrolls sideways: ${wide}`)
  await page.evaluate(() => { document.documentElement.style.fontSize = '' })
  await page.setViewportSize({ width: 1280, height: 900 })
  return wrong
}
