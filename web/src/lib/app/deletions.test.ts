import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Deletions } from './deletions.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function deletions(fails = false) {
  const done: [string, boolean][] = []
  const failed: unknown[] = []
  const list = new Deletions(async (id, leaving) => {
    if (fails) throw new Error('no')
    done.push([id, leaving])
  })
  return { list, done, failed, schedule: (id: string) => list.schedule(id, (error) => failed.push(error)) }
}

describe('Deletions', () => {
  it('waits, then deletes once', () => {
    const { list, done, schedule } = deletions()
    schedule('a')
    vi.advanceTimersByTime(Deletions.wait - 1)
    expect(done).toEqual([])
    vi.advanceTimersByTime(1)
    expect(done).toEqual([['a', false]])
    list.flush(true)
    expect(done).toHaveLength(1)
  })

  it('does nothing when it was undone', () => {
    const { list, done, schedule } = deletions()
    schedule('a')
    expect(list.undo('a')).toBe(true)
    expect(list.undo('a')).toBe(false)
    vi.runAllTimers()
    expect(done).toEqual([])
  })

  it('deletes at once when the page is left', () => {
    const { list, done, schedule } = deletions()
    schedule('a')
    schedule('b')
    list.flush(true)
    vi.runAllTimers()
    expect(done).toEqual([
      ['a', true],
      ['b', true],
    ])
  })

  it('tells of a failure', async () => {
    const { failed, schedule } = deletions(true)
    schedule('a')
    await vi.runAllTimersAsync()
    expect(failed).toHaveLength(1)
  })
})
