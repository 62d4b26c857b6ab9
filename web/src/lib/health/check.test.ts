import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { runCheck, type CheckSubjects } from './check.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const well: CheckSubjects = {
  request: async () => {},
  streamOpen: () => true,
  registered: () => true,
  microphoneLevel: () => 0.6,
}

async function check(change: Partial<CheckSubjects>, abortAfter = Infinity) {
  const abort = new AbortController()
  if (abortAfter !== Infinity) setTimeout(() => abort.abort(), abortAfter)
  const results: Record<string, boolean> = {}
  const values: Record<string, number> = {}
  const done = (async () => {
    for await (const { step, result } of runCheck({ ...well, ...change }, abort.signal))
      if (result) {
        results[step] = result.ok
        values[step] = result.value
      }
  })()
  await vi.runAllTimersAsync()
  await done
  return { results, values }
}

describe('runCheck', () => {
  it('finds all well', async () => {
    expect((await check({})).results).toEqual({ server: true, stream: true, phone: true, microphone: true })
  })
  it('goes on after a failure, so that every fault is told', async () => {
    const request = () => Promise.reject(new Error('no'))
    expect((await check({ request, registered: () => false })).results).toEqual({
      server: false,
      stream: true,
      phone: false,
      microphone: true,
    })
  })
  it('tells a silent microphone from none', async () => {
    const silent = await check({ microphoneLevel: () => 0.05 })
    expect([silent.results.microphone, silent.values.microphone]).toEqual([false, 0])
    const none = await check({ microphoneLevel: () => null })
    expect([none.results.microphone, none.values.microphone]).toEqual([false, -1])
  })
  it('hears somebody who speaks late', async () => {
    let calls = 0
    expect((await check({ microphoneLevel: () => (++calls > 30 ? 0.5 : 0) })).results.microphone).toBe(true)
  })
  it('ends when it is cancelled', async () => {
    expect((await check({ microphoneLevel: () => 0 }, 1_000)).results).not.toHaveProperty('microphone')
  })
})
