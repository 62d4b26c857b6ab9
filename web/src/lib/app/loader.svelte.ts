/** Something of the API that a screen shows: what came last, and whether asking again failed. */
export class Loader<T> {
  value = $state.raw<T | null>(null)
  error = $state.raw<unknown>(null)
  busy = $state(false)
  #turn = 0

  constructor(private readonly ask: () => Promise<T>) {}

  /** Asks; of several at once, the last one counts. */
  load = async (): Promise<void> => {
    const turn = ++this.#turn
    this.busy = true
    try {
      const value = await this.ask()
      if (turn !== this.#turn) return
      this.value = value
      this.error = null
    } catch (error) {
      if (turn !== this.#turn) return
      this.error = error
    }
    this.busy = false
  }
}
