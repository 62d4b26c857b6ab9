export type Theme = 'system' | 'light' | 'dark'

interface Saved {
  theme: Theme
  microphone: string | null
  speaker: string | null
  ringer: string | null
  keyTones: boolean
  line: string | null
  lastDialled: string
}

const key = 'dialtone.preferences'
const defaults: Saved = {
  theme: 'system',
  microphone: null,
  speaker: null,
  ringer: null,
  keyTones: true,
  line: null,
  lastDialled: '',
}

/** What this browser remembers between visits. public/theme.js reads the theme of it before the first paint. */
export class Preferences {
  #saved = $state<Saved>(read())

  get theme() {
    return this.#saved.theme
  }
  set theme(theme: Theme) {
    this.#put({ theme })
    applyTheme(theme)
  }
  get microphone() {
    return this.#saved.microphone
  }
  set microphone(microphone: string | null) {
    this.#put({ microphone })
  }
  get speaker() {
    return this.#saved.speaker
  }
  set speaker(speaker: string | null) {
    this.#put({ speaker })
  }
  get ringer() {
    return this.#saved.ringer
  }
  set ringer(ringer: string | null) {
    this.#put({ ringer })
  }
  get keyTones() {
    return this.#saved.keyTones
  }
  set keyTones(keyTones: boolean) {
    this.#put({ keyTones })
  }
  get line() {
    return this.#saved.line
  }
  set line(line: string | null) {
    this.#put({ line })
  }
  get lastDialled() {
    return this.#saved.lastDialled
  }
  set lastDialled(lastDialled: string) {
    this.#put({ lastDialled })
  }

  #put(change: Partial<Saved>): void {
    this.#saved = { ...this.#saved, ...change }
    try {
      localStorage.setItem(key, JSON.stringify(this.#saved))
    } catch {
      // Private windows may refuse; it then holds until the page is closed.
    }
  }
}

function read(): Saved {
  try {
    const saved: unknown = JSON.parse(localStorage.getItem(key) ?? '{}')
    return saved && typeof saved === 'object' ? { ...defaults, ...saved } : defaults
  } catch {
    return defaults
  }
}

export function applyTheme(theme: Theme): void {
  if (theme === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme
}
