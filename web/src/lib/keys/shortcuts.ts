import type { CallPhase } from '../phone/reduce.ts'

export type Command =
  | { do: 'answer' }
  | { do: 'mute' }
  | { do: 'hold' }
  | { do: 'keypad' }
  | { do: 'help' }
  | { do: 'digit'; digit: string }
  | { do: 'erase' }

/** What a key press tells, without the event itself. */
export interface KeyPress {
  key: string
  ctrl: boolean
  alt: boolean
  meta: boolean
  repeat: boolean
  /** Where the focus is. */
  focus: 'text' | 'control' | 'page'
  /** A dialogue or a menu is open. */
  modal: boolean
}

/**
 * What a key does. Typing is never taken away from a field, Space and Enter
 * never from a focused button, and Escape never does anything to a call.
 */
export function commandFor(press: KeyPress, phase: CallPhase | null, keypadOpen: boolean): Command | null {
  if (press.ctrl || press.alt || press.meta || press.modal || press.focus === 'text') return null
  const { key } = press
  if (/^[0-9*#]$/.test(key)) {
    if (phase === null || phase === 'ended') return { do: 'digit', digit: key }
    return phase === 'connected' && keypadOpen && !press.repeat ? { do: 'digit', digit: key } : null
  }
  if (key === '+' && (phase === null || phase === 'ended')) return { do: 'digit', digit: '+' }
  if (key === 'Backspace' && (phase === null || phase === 'ended') && press.focus === 'page') return { do: 'erase' }
  if (press.repeat) return null
  if (key === '?') return { do: 'help' }
  if (key === 'Enter') return phase === 'ringing' && press.focus === 'page' ? { do: 'answer' } : null
  if (phase === null || phase === 'ringing' || phase === 'ended') return null
  if (key === ' ') return press.focus === 'page' ? { do: 'mute' } : null
  if (phase !== 'connected') return null
  if (key === 'h' || key === 'H') return { do: 'hold' }
  if (key === 'k' || key === 'K') return { do: 'keypad' }
  return null
}

/** Where the focus is, as `commandFor` wants it. */
export function focusKind(element: Element | null): KeyPress['focus'] {
  if (!element || element === document.body || element === document.documentElement) return 'page'
  if (element instanceof HTMLElement && element.isContentEditable) return 'text'
  if (element instanceof HTMLInputElement)
    return ['checkbox', 'radio', 'button', 'submit', 'range'].includes(element.type) ? 'control' : 'text'
  if (element instanceof HTMLTextAreaElement || element instanceof HTMLSelectElement) return 'text'
  if (
    element.matches(
      'button, a[href], summary, audio, [role="slider"], [role="menuitem"], [role="tab"], [role="radio"], [role="switch"]',
    )
  )
    return 'control'
  return 'page'
}
