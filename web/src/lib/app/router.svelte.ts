export type Screen = 'phone' | 'history' | 'voicemail' | 'settings' | 'sign-in' | AdminScreen | 'unknown'
export type AdminScreen = 'access' | 'people' | 'audit'

const screens: Record<string, Screen> = {
  '/': 'phone',
  '/history': 'history',
  '/voicemail': 'voicemail',
  '/settings': 'settings',
  '/sign-in': 'sign-in',
  '/admin': 'access',
  '/admin/access': 'access',
  '/admin/access/report': 'access',
  '/admin/access/keys': 'access',
  '/admin/access/issuers': 'access',
  '/admin/access/revocations': 'access',
  '/admin/people': 'people',
  '/admin/audit': 'audit',
}

export function screenOf(path: string): Screen {
  return screens[path.replace(/(.)\/+$/, '$1')] ?? 'unknown'
}

export function isAdminScreen(screen: Screen): screen is AdminScreen {
  return screen === 'access' || screen === 'people' || screen === 'audit'
}

/** Real paths by the history API; filters live in the query. */
export class Router {
  path = $state(location.pathname)
  query = $state.raw(new URLSearchParams(location.search))
  readonly screen = $derived(screenOf(this.path))

  constructor() {
    window.addEventListener('popstate', () => this.#read())
  }

  go(to: string, { replace = false } = {}): void {
    if (to === location.pathname + location.search) return
    if (replace) history.replaceState(null, '', to)
    else history.pushState(null, '', to)
    this.#read()
    if (replace) return
    // A new screen begins at its top, also for a screen reader.
    const main = document.querySelector('main')
    main?.scrollTo({ top: 0 })
    main?.focus({ preventScroll: true })
  }

  /** Changes one filter of the present screen and keeps the others. */
  filter(name: string, value: string, fallback = ''): void {
    const query = new URLSearchParams(location.search)
    if (value === fallback) query.delete(name)
    else query.set(name, value)
    const text = query.toString()
    this.go(location.pathname + (text ? `?${text}` : ''), { replace: true })
  }

  #read(): void {
    this.path = location.pathname
    this.query = new URLSearchParams(location.search)
  }
}

/** An action for links: a plain click stays in the page, anything else is the browser's. */
export function link(router: Router) {
  return (event: MouseEvent & { currentTarget: HTMLAnchorElement }) => {
    if (event.defaultPrevented || event.button !== 0) return
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
    event.preventDefault()
    const { pathname, search } = new URL(event.currentTarget.href)
    router.go(pathname + search)
  }
}
