export const checkSteps = ['server', 'stream', 'phone', 'microphone'] as const
export type CheckStep = (typeof checkSteps)[number]

export interface CheckResult {
  ok: boolean
  /** ms for the server; −1 for a microphone that is not open. */
  value: number
}

export interface CheckSubjects {
  /** One request to the server and its answer. */
  request(): Promise<void>
  streamOpen(): boolean
  registered(): boolean
  /** 0 to 1, null when no microphone is open. */
  microphoneLevel(): number | null
}

/** A level that is more than a quiet room. */
const heard = 0.2
const listenFor = 8_000

/**
 * Checks, one after the other, everything between the agent's mouth and the
 * server. Each step is told when it begins (without a result) and when it is
 * over; an aborted check just ends.
 */
export async function* runCheck(
  subjects: CheckSubjects,
  signal: AbortSignal,
): AsyncGenerator<{ step: CheckStep; result: CheckResult | null }> {
  yield { step: 'server', result: null }
  const server = await requestTime(subjects)
  if (signal.aborted) return
  yield { step: 'server', result: server }
  yield { step: 'stream', result: { ok: subjects.streamOpen(), value: 0 } }
  yield { step: 'phone', result: { ok: subjects.registered(), value: 0 } }
  yield { step: 'microphone', result: null }
  const microphone = await listen(subjects, signal)
  if (signal.aborted) return
  yield { step: 'microphone', result: microphone }
}

/** The median of five requests, so that one slow one does not decide. */
async function requestTime(subjects: CheckSubjects): Promise<CheckResult> {
  const times: number[] = []
  for (let i = 0; i < 5; i++) {
    const start = performance.now()
    try {
      await subjects.request()
    } catch {
      return { ok: false, value: 0 }
    }
    times.push(performance.now() - start)
  }
  return { ok: true, value: Math.round(times.toSorted((a, b) => a - b)[2] ?? 0) }
}

async function listen(subjects: CheckSubjects, signal: AbortSignal): Promise<CheckResult> {
  const until = performance.now() + listenFor
  while (!signal.aborted && performance.now() < until) {
    const level = subjects.microphoneLevel()
    if (level === null) return { ok: false, value: -1 }
    if (level > heard) return { ok: true, value: level }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return { ok: false, value: 0 }
}
