// Reading and drawing QR pictures. The browser's own reader where there is one, else
// the library, which is fetched only then (it is half of the app; the service worker
// keeps it for offline use).
const svg = 'http://www.w3.org/2000/svg'
const lib = () => import('./qr-lib.js')

/** A picture of a text, black on white whatever the page's colours are. said is for those who cannot see it. */
export async function draw(text, said) {
  const { encodeQR } = await lib()
  const rows = encodeQR(text, 'raw', { ecc: text.length > 150 ? 'low' : 'medium', border: 4 })
  const picture = document.createElementNS(svg, 'svg')
  picture.setAttribute('viewBox', `0 0 ${rows.length} ${rows.length}`)
  picture.setAttribute('role', 'img')
  picture.setAttribute('aria-label', said)
  picture.setAttribute('shape-rendering', 'crispEdges')
  const paint = (fill, d) => {
    const path = document.createElementNS(svg, 'path')
    path.setAttribute('fill', fill)
    path.setAttribute('d', d)
    picture.append(path)
  }
  paint('#fff', `M0 0h${rows.length}v${rows.length}H0z`)
  paint('#000', rows.map((row, y) => row.map((on, x) => on ? `M${x} ${y}h1v1h-1z` : '').join('')).join(''))
  return picture
}

let own // the browser's reader; null when it has none
async function ownReader() {
  if (own !== undefined) return own
  try {
    own = (await BarcodeDetector.getSupportedFormats()).includes('qr_code') ? new BarcodeDetector({ formats: ['qr_code'] }) : null
  } catch { own = null }
  return own
}

// What stands in a picture, '' for nothing readable. source is a video, an image or a canvas.
async function find(source, width, height, canvas) {
  const reader = await ownReader()
  if (reader) {
    try { const [found] = await reader.detect(source); if (found) return found.rawValue } catch { own = null }
    if (own) return ''
  }
  const { decodeQR } = await lib()
  canvas.width = width
  canvas.height = height
  const on = canvas.getContext('2d', { willReadFrequently: true })
  on.fillStyle = '#fff' // a transparent picture is meant to lie on white
  on.fillRect(0, 0, width, height)
  on.drawImage(source, 0, 0, width, height)
  try { return decodeQR(on.getImageData(0, 0, width, height)) } catch { return '' }
}

const within = (w, h, most) => { const k = Math.min(1, most / Math.max(w, h)); return [Math.max(1, Math.round(w * k)), Math.max(1, Math.round(h * k))] }

/** What stands in the QR picture of a file; '' when there is none to be read. Large pictures are tried in several sizes. */
export async function readFile(file) {
  let image
  try { image = await createImageBitmap(file) } catch { return '' }
  for (const most of [1000, 1800, 500]) {
    const text = await find(image, ...within(image.width, image.height, most), document.createElement('canvas'))
    if (text) return text
  }
  return ''
}

/**
 * Looks through the camera until stop() is called: found(text) for each picture
 * read. Throws NotAllowedError, NotFoundError and the like when there is no camera.
 */
export async function watch(video, found) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: false, video: { facingMode: 'environment', width: { ideal: 1280 }, height: { ideal: 720 } } })
  const canvas = document.createElement('canvas')
  let on = true, last = ''
  const stop = () => { on = false; stream.getTracks().forEach((t) => t.stop()); video.srcObject = null }
  video.srcObject = stream
  await video.play().catch(() => {})
  const look = async () => {
    if (!on) return
    if (video.readyState >= 2 && video.videoWidth) {
      const text = await find(video, ...within(video.videoWidth, video.videoHeight, 800), canvas)
      if (on && text && text !== last) { last = text; await found(text) }
    }
    if (on) setTimeout(look, 120)
  }
  look()
  return stop
}
