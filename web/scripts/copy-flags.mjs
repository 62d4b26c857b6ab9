// Copies the countries' flags next to the console's own files, so that a flag
// is one small request to the same host and only when it is shown.
import { copyFile, mkdir, readdir } from 'node:fs/promises'

const from = new URL('../node_modules/country-flag-icons/3x2/', import.meta.url)
const to = new URL('../public/flags/', import.meta.url)

await mkdir(to, { recursive: true })
const flags = (await readdir(from)).filter((name) => /^[A-Z]{2}\.svg$/.test(name))
await Promise.all(flags.map((name) => copyFile(new URL(name, from), new URL(name, to))))
