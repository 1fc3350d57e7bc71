// Runs inside Electron: draws each SVG of assets/svg on a canvas and saves PNGs. Started by make-icons.mjs.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { app, BrowserWindow } from 'electron'

const assets = dirname(dirname(fileURLToPath(import.meta.url)))
const svgs = join(assets, 'svg')
const styles = {
  light: () => '#ffffff',
  dark: () => '#1b1f27',
  // Legible on light and dark panels alike (at least 3:1 on both); the shape says what matters.
  colour: (shape) =>
    shape === 'problem' || shape === 'blocked'
      ? '#d9534a'
      : shape === 'attention' || shape === 'portal'
        ? '#b57a1c'
        : /^(off|signed-out|starting)$/.test(shape)
          ? '#7d8595'
          : '#4f7de6',
}

// Not awaited at the top: Electron is ready only after this module was evaluated.
app
  .whenReady()
  .then(drawAll)
  .then(
    () => app.exit(0),
    (error) => {
      console.error(error)
      app.exit(1)
    },
  )

async function draw(window, svg, size, file) {
  const image = `data:image/svg+xml;base64,${Buffer.from(svg).toString('base64')}`
  const url = await window.webContents.executeJavaScript(`new Promise((resolve, reject) => {
    const image = new Image()
    image.onload = () => {
      const canvas = document.querySelector('canvas')
      canvas.width = canvas.height = ${size}
      canvas.getContext('2d').drawImage(image, 0, 0, ${size}, ${size})
      resolve(canvas.toDataURL('image/png'))
    }
    image.onerror = () => reject(new Error('cannot draw'))
    image.src = ${JSON.stringify(image)}
  })`)
  writeFileSync(file, Buffer.from(url.split(',')[1], 'base64'))
}

async function drawAll() {
  const window = new BrowserWindow({ show: false, webPreferences: { sandbox: true } })
  await window.loadURL('data:text/html,<canvas></canvas>')
  mkdirSync(join(assets, 'tray'), { recursive: true })
  for (const name of readdirSync(svgs)) {
    const svg = readFileSync(join(svgs, name), 'utf8')
    const shape = /^tray-(.+)\.svg$/.exec(name)?.[1]
    if (shape === undefined) {
      await draw(window, svg, 512, join(assets, name.replace('.svg', '.png')))
      continue
    }
    for (const [style, colour] of Object.entries(styles)) {
      const tinted = svg.replaceAll('currentColor', colour(shape))
      await draw(window, tinted, 22, join(assets, 'tray', `${style}-${shape}.png`))
      await draw(window, tinted, 44, join(assets, 'tray', `${style}-${shape}@2x.png`))
    }
  }
}
