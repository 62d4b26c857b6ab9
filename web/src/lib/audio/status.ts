/** Where the microphone stands; `off` is deliberate (signed out or offline). */
export type MicrophoneStatus = 'off' | 'asking' | 'on' | 'blocked' | 'missing' | 'lost'

/** What a failed `getUserMedia` means, by the name of its DOMException. */
export function microphoneFailure(name: string): 'blocked' | 'missing' | 'lost' {
  switch (name) {
    case 'NotAllowedError':
    case 'PermissionDeniedError':
    case 'SecurityError':
      return 'blocked'
    case 'NotFoundError':
    case 'DevicesNotFoundError':
    case 'OverconstrainedError':
      return 'missing'
    default:
      // NotReadableError, AbortError: there is one, but it does not work now.
      return 'lost'
  }
}
