import { describe, expect, it } from 'vitest'
import {
  accepted,
  avoided,
  insteadOf,
  issued,
  late,
  newRound,
  nextWay,
  notIssued,
  noWays,
  refused,
  rememberFor,
  type Way,
  type Ways,
} from './ways.ts'

const both = ['ticket', 'access']
const show = (ways: Ways, way: Way, open: string[] | null = both) => issued(ways, way, open)

describe('the order of ways', () => {
  it('begins with a ticket', () => {
    expect(nextWay(noWays(), 0)).toBe('ticket')
    expect(insteadOf(noWays())).toBeUndefined()
  })

  it('changes at once when one is refused, and says what failed', () => {
    const ways = refused(show(noWays(), 'ticket'), 20101, 1000)
    expect(nextWay(ways, 1000)).toBe('access')
    expect(insteadOf(ways)).toEqual({ kind: 'ticket', code: 20101 })
  })

  it('changes when one cannot be had', () => {
    const ways = notIssued(noWays(), 'ticket', 1000)
    expect(nextWay(ways, 1000)).toBe('access')
    expect(insteadOf(ways)).toEqual({ kind: 'ticket', code: 0 })
  })

  it('passes over one that takes too long, and begins with it the next time', () => {
    const ways = late(noWays(), 'ticket', 1000)
    expect(nextWay(ways, 1000)).toBe('access')
    expect(nextWay(accepted(show(ways, 'access')), 1001)).toBe('ticket')
  })

  it('ends a round when every way has failed, and begins another with all of them', () => {
    let ways = refused(show(noWays(), 'ticket'), 20101, 1000)
    ways = refused(show(ways, 'access'), 20151, 1100)
    expect(nextWay(ways, 1100)).toBeNull()
    expect(ways.tried.map((f) => [f.way, f.code])).toEqual([
      ['ticket', 20101],
      ['access', 20151],
    ])
    expect(nextWay(newRound(ways), 1100)).toBe('ticket')
    expect(insteadOf(newRound(ways))).toBeUndefined()
  })

  it('remembers a failing way for some minutes, then prefers it again', () => {
    let ways = refused(show(noWays(), 'ticket'), 20101, 1000)
    ways = accepted(show(ways, 'access'))
    expect(nextWay(ways, 1000 + rememberFor - 1)).toBe('access')
    expect(nextWay(ways, 1000 + rememberFor)).toBe('ticket')
    // It works again: nothing is left of the failure.
    ways = accepted(show(ways, 'ticket'))
    expect(ways.failures).toEqual([])
  })

  it('tries a way that failed lately rather than none', () => {
    let ways = accepted(show(refused(show(noWays(), 'ticket'), 20101, 1000), 'access'))
    ways = refused(ways, 31204, 2000)
    expect(nextWay(ways, 2000)).toBe('ticket')
  })

  it('leaves out what is closed, unless nothing else is left', () => {
    let ways = accepted(issued(notIssued(noWays(), 'ticket', 1000), 'access', ['access']))
    expect(nextWay(ways, 1000 + 2 * rememberFor)).toBe('access')
    expect(avoided(ways)).toEqual([])
    ways = notIssued(ways, 'access', 1_000_000)
    expect(nextWay(ways, 1_000_000)).toBe('ticket')
    // It was opened again: the next answer says so.
    expect(nextWay(accepted(issued(ways, 'access', both)), 1_000_000 + rememberFor)).toBe('ticket')
  })

  it('knows what it got when the server chose another kind, or one that it does not know', () => {
    expect(issued(noWays(), 'access', null)).toMatchObject({ shown: 'access', open: both })
    expect(issued(show(noWays(), 'ticket'), 'capability', ['capability'])).toMatchObject({ shown: 'ticket', open: [] })
  })
})

describe('a used ticket', () => {
  it('is no failure: the next is a ticket again', () => {
    const ways = refused(accepted(show(noWays(), 'ticket')), 20104, 1000)
    expect(nextWay(ways, 1000)).toBe('ticket')
    expect(insteadOf(ways)).toBeUndefined()
    expect(accepted(show(ways, 'ticket'))).toMatchObject({ by: 'ticket', failures: [], stale: 0 })
  })

  it('that was fresh is one', () => {
    let ways = refused(accepted(show(noWays(), 'ticket')), 20104, 1000)
    ways = refused(show(ways, 'ticket'), 31205, 1100)
    expect(nextWay(ways, 1100)).toBe('access')
    expect(insteadOf(ways)).toEqual({ kind: 'ticket', code: 31205 })
  })

  it('does not make the next way forgive less', () => {
    let ways = refused(refused(show(noWays(), 'ticket'), 20104, 0), 20104, 10)
    ways = refused(show(ways, 'access'), 20104, 20)
    expect(nextWay(ways, 20)).toBe('access')
    ways = refused(show(ways, 'access'), 20104, 30)
    expect(nextWay(ways, 30)).toBeNull()
  })
})

describe('what the details say', () => {
  it('names the better way that is refused', () => {
    const ways = accepted(show(refused(show(noWays(), 'ticket'), 20101, 1000), 'access'))
    expect(ways.by).toBe('access')
    expect(avoided(ways)).toEqual([{ way: 'ticket', code: 20101, at: 1000 }])
    expect(avoided(accepted(show(ways, 'ticket')))).toEqual([])
  })

  it('has no way while the device is out, and ignores a refusal of nothing', () => {
    expect(refused(accepted(show(noWays(), 'ticket')), 20151, 1).by).toBeNull()
    expect(refused(noWays(), 20101, 1)).toEqual(noWays())
  })
})
