import { describe, expect, it } from 'vitest'
import { endWord, isTokenRefusal, isTrouble } from './end.ts'

describe('endWord', () => {
  it.each([
    ['us', 0, true, 'you_hung_up'],
    ['us', 0, false, 'cancelled'],
    ['them', 0, true, 'they_hung_up'],
    ['them', 31486, false, 'busy'],
    ['error', 31480, false, 'no_answer'],
    ['error', 31404, false, 'not_found'],
    ['error', 31401, false, 'microphone'],
    ['error', 99999, true, 'connection'],
    ['cancelled', 0, false, 'caller_gave_up'],
    ['elsewhere', 0, false, 'answered_elsewhere'],
    ['declined', 0, false, 'declined'],
  ] as const)('%s %d', (by, code, connected, word) => expect(endWord(by, code, connected)).toBe(word))

  it('busy is no trouble, a lost connection is', () => {
    expect(isTrouble('busy')).toBe(false)
    expect(isTrouble('connection')).toBe(true)
  })

  it('knows a refused token from a broken line', () => {
    expect(isTokenRefusal(20104)).toBe(true)
    expect(isTokenRefusal(31005)).toBe(false)
    expect(isTokenRefusal(53000)).toBe(false)
  })
})
