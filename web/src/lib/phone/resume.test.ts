import { describe, expect, it } from 'vitest'
import { parseSaved } from './resume.ts'

const saved = { token: 't', leg: 'CA1', direction: 'out', peer: '+1', line: '+2', answeredAt: 1, savedAt: 100_000 }

describe('parseSaved', () => {
  it('gives back what was saved a moment ago', () => expect(parseSaved(JSON.stringify(saved), 101_000)).toEqual(saved))
  it.each([
    ['too old for the server', JSON.stringify(saved), 126_000],
    ['from the future', JSON.stringify(saved), 99_000],
    ['no JSON', '{', 101_000],
    ['no object', 'null', 101_000],
    ['no leg', JSON.stringify({ ...saved, leg: '' }), 101_000],
    ['no token', JSON.stringify({ ...saved, token: 3 }), 101_000],
  ])('nothing when %s', (_name, text, now) => expect(parseSaved(text, now)).toBeNull())
})
