/**
 * An answer of the API that is not what was asked for. `status` is 0 when no
 * answer came at all; `detail` is the server's own sentence, if it gave one.
 */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    /** Seconds, from `Retry-After`. */
    readonly retryAfter: number | null = null,
  ) {
    super(detail || title)
    this.name = 'Problem'
  }
}

/** Reads an `application/problem+json` body; any other body leaves the detail empty. */
export async function problemOf(response: Response): Promise<Problem> {
  let title = response.statusText
  let detail = ''
  if ((response.headers.get('Content-Type') ?? '').includes('json')) {
    try {
      const body: unknown = await response.json()
      if (body && typeof body === 'object') {
        const { title: t, detail: d } = body as { title?: unknown; detail?: unknown }
        if (typeof t === 'string') title = t
        if (typeof d === 'string') detail = d
      }
    } catch {
      // A broken body says no more than the status does.
    }
  }
  const after = Number(response.headers.get('Retry-After'))
  return new Problem(response.status, title, detail, Number.isFinite(after) && after > 0 ? after : null)
}
