/**
 * Deletions that can be taken back for a few seconds: each is carried out when
 * its time is up, when the screen is left (`flush`), and not at all when it
 * was undone.
 */
export class Deletions {
  static readonly wait = 7_000

  #timers = new Map<string, { timer: ReturnType<typeof setTimeout>; failed: (error: unknown) => void }>()

  constructor(private readonly remove: (id: string, leaving: boolean) => Promise<void>) {}

  schedule(id: string, failed: (error: unknown) => void): void {
    this.undo(id)
    this.#timers.set(id, { timer: setTimeout(() => this.#now(id, false), Deletions.wait), failed })
  }

  pending(id: string): boolean {
    return this.#timers.has(id)
  }

  /** Whether there was something to take back. */
  undo(id: string): boolean {
    const entry = this.#timers.get(id)
    if (!entry) return false
    clearTimeout(entry.timer)
    this.#timers.delete(id)
    return true
  }

  flush(leaving: boolean): void {
    for (const id of [...this.#timers.keys()]) this.#now(id, leaving)
  }

  #now(id: string, leaving: boolean): void {
    const entry = this.#timers.get(id)
    if (!entry) return
    clearTimeout(entry.timer)
    this.#timers.delete(id)
    this.remove(id, leaving).catch(entry.failed)
  }
}
