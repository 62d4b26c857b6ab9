export interface Day<T> {
  key: string
  items: T[]
}

/** Splits a list that is in order of time into its days, in the order given. */
export function groupByDay<T>(items: readonly T[], keyOf: (item: T) => string): Day<T>[] {
  const days: Day<T>[] = []
  for (const item of items) {
    const key = keyOf(item)
    const last = days.at(-1)
    if (last?.key === key) last.items.push(item)
    else days.push({ key, items: [item] })
  }
  return days
}
