export interface Toast {
  id: number
  tone: 'info' | 'good' | 'bad'
  text: string
  /** A second line: what to do. */
  hint: string
  action: { label: string; run: () => void } | null
}

/** Short notes in a corner: at most four, the oldest goes first. */
export class Toasts {
  list = $state<Toast[]>([])
  #next = 1
  #timers = new Map<number, ReturnType<typeof setTimeout>>()

  show(toast: { tone?: Toast['tone']; text: string; hint?: string; action?: Toast['action']; ms?: number }): number {
    const id = this.#next++
    const { tone = 'info', text, hint = '', action = null } = toast
    // The same note twice in a row is one note.
    this.list = [...this.list.filter((t) => t.text !== text || t.action), { id, tone, text, hint, action }].slice(-4)
    this.#timers.set(
      id,
      setTimeout(() => this.dismiss(id), toast.ms ?? (tone === 'bad' ? 9_000 : 5_000)),
    )
    return id
  }

  dismiss(id: number): void {
    clearTimeout(this.#timers.get(id))
    this.#timers.delete(id)
    this.list = this.list.filter((t) => t.id !== id)
  }
}
