import { describe, expect, it } from 'vitest'
import { SSEParser } from './sse.ts'

const events = (...chunks: string[]) => {
  const parser = new SSEParser()
  return chunks.flatMap((chunk) => parser.feed(chunk))
}

describe('SSEParser', () => {
  it('reads an event with id and several data lines', () => {
    expect(events('id: 7\nevent: agent\ndata: {"a":\ndata: 1}\n\n')).toEqual([
      { kind: 'event', event: 'agent', data: '{"a":\n1}', id: '7' },
    ])
  })

  it('gives the same whatever the chunks', () => {
    const text = ': hello\r\nevent: line\r\ndata: {}\r\n\r\nid: 2\rdata: x\r\r'
    const whole = events(text)
    for (let cut = 0; cut <= text.length; cut++) expect(events(text.slice(0, cut), text.slice(cut))).toEqual(whole)
    expect(events(...text)).toEqual(whole)
    expect(whole.map((item) => item.kind)).toEqual(['comment', 'event', 'event'])
  })

  it('tells of comments, which EventSource hides', () => {
    expect(events(':\n\n')).toEqual([{ kind: 'comment' }])
  })

  it('drops an event without data', () => {
    expect(events('event: bye\n\n')).toEqual([])
  })

  it('does not give an event before its empty line', () => {
    expect(events('event: call\ndata: {}\n')).toEqual([])
  })
})
