/** The one clock that makes times live: once a second, and it notices when time jumped. */
export class Ticker {
  now = $state(Date.now())
  onJump: () => void = () => {}

  constructor() {
    setInterval(() => {
      const now = Date.now()
      // Hidden pages tick once a minute at worst; more than that was sleep.
      if (now - this.now > 70_000) this.onJump()
      this.now = now
    }, 1_000)
  }
}
