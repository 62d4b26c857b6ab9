/** One event of a `text/event-stream`, or the fact that a comment line came. */
export type SSEItem = { kind: 'event'; event: string; data: string; id: string } | { kind: 'comment' }

/**
 * A parser of `text/event-stream` (WHATWG HTML, 9.2.6) that, unlike the
 * browser's EventSource, also tells of comment lines: they are how a silent
 * stream is told from a broken one. Feed it text as it arrives.
 */
export class SSEParser {
  #rest = ''
  #event = ''
  #data: string[] = []
  #id = ''
  #afterCR = false

  feed(text: string): SSEItem[] {
    const items: SSEItem[] = []
    if (text === '') return items
    const endsWithCR = text.endsWith('\r')
    if (this.#afterCR && text.startsWith('\n')) text = text.slice(1)
    this.#afterCR = endsWithCR
    const lines = (this.#rest + text).split(/\r\n|\n|\r/)
    this.#rest = lines.pop() ?? ''
    for (const line of lines) this.#line(line, items)
    return items
  }

  #line(line: string, items: SSEItem[]): void {
    if (line === '') {
      if (this.#data.length > 0)
        items.push({ kind: 'event', event: this.#event || 'message', data: this.#data.join('\n'), id: this.#id })
      this.#event = ''
      this.#data = []
      return
    }
    if (line.startsWith(':')) {
      items.push({ kind: 'comment' })
      return
    }
    const colon = line.indexOf(':')
    const field = colon < 0 ? line : line.slice(0, colon)
    let value = colon < 0 ? '' : line.slice(colon + 1)
    if (value.startsWith(' ')) value = value.slice(1)
    if (field === 'event') this.#event = value
    else if (field === 'data') this.#data.push(value)
    else if (field === 'id' && !value.includes('\0')) this.#id = value
  }
}
