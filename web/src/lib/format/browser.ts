/** A User-Agent in a few words: "Chrome on Windows"; as it is when it says nothing known. */
export function browserName(agent: string): string {
  const browser = first(agent, [
    [/Edg(A|iOS)?\//, 'Edge'],
    [/OPR\/|Opera/, 'Opera'],
    [/Firefox\/|FxiOS\//, 'Firefox'],
    [/Chrome\/|CriOS\/|Chromium\//, 'Chrome'],
    [/Safari\//, 'Safari'],
  ])
  const system = first(agent, [
    [/iPhone|iPad/, 'iOS'],
    [/Android/, 'Android'],
    [/Windows/, 'Windows'],
    [/Mac OS X|Macintosh/, 'macOS'],
    [/CrOS/, 'ChromeOS'],
    [/Linux/, 'Linux'],
  ])
  if (browser && system) return `${browser} · ${system}`
  return browser || system || agent.slice(0, 60)
}

function first(text: string, names: [RegExp, string][]): string {
  return names.find(([pattern]) => pattern.test(text))?.[1] ?? ''
}
