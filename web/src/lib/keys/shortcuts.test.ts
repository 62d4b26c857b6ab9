import { describe, expect, it } from 'vitest'
import type { CallPhase } from '../phone/reduce.ts'
import { commandFor, type KeyPress } from './shortcuts.ts'

const press = (key: string, change: Partial<KeyPress> = {}): KeyPress => ({
  key,
  ctrl: false,
  alt: false,
  meta: false,
  repeat: false,
  focus: 'page',
  modal: false,
  ...change,
})
const phases: (CallPhase | null)[] = [null, 'ringing', 'answering', 'dialing', 'alerting', 'connected', 'ended']

describe('commandFor', () => {
  it('Escape never does anything', () => {
    for (const phase of phases) expect(commandFor(press('Escape'), phase, true)).toBeNull()
  })

  it('nothing is taken from a field, a shortcut of the browser or a dialogue', () => {
    for (const phase of phases)
      for (const key of [' ', 'h', 'k', 'Enter', '5', '?', 'Backspace'])
        for (const change of [
          { focus: 'text' },
          { ctrl: true },
          { alt: true },
          { meta: true },
          { modal: true },
        ] as const)
          expect(commandFor(press(key, change), phase, true)).toBeNull()
  })

  it('Enter answers only while it rings and no button has the focus', () => {
    for (const phase of phases)
      expect(commandFor(press('Enter'), phase, false)).toEqual(phase === 'ringing' ? { do: 'answer' } : null)
    expect(commandFor(press('Enter', { focus: 'control' }), 'ringing', false)).toBeNull()
    expect(commandFor(press('Enter', { repeat: true }), 'ringing', false)).toBeNull()
  })

  it('Space mutes a call, but presses a focused button instead', () => {
    expect(commandFor(press(' '), 'connected', false)).toEqual({ do: 'mute' })
    expect(commandFor(press(' ', { focus: 'control' }), 'connected', false)).toBeNull()
    expect(commandFor(press(' ', { repeat: true }), 'connected', false)).toBeNull()
    expect(commandFor(press(' '), null, false)).toBeNull()
    expect(commandFor(press(' '), 'ringing', false)).toBeNull()
  })

  it('H and K need a connected call', () => {
    expect(commandFor(press('h'), 'connected', false)).toEqual({ do: 'hold' })
    expect(commandFor(press('K'), 'connected', false)).toEqual({ do: 'keypad' })
    expect(commandFor(press('h'), 'alerting', false)).toBeNull()
  })

  it('digits dial when idle, and are tones only with the keypad open', () => {
    expect(commandFor(press('7'), null, false)).toEqual({ do: 'digit', digit: '7' })
    expect(commandFor(press('7'), 'connected', true)).toEqual({ do: 'digit', digit: '7' })
    expect(commandFor(press('7'), 'connected', false)).toBeNull()
    expect(commandFor(press('7', { repeat: true }), 'connected', true)).toBeNull()
    expect(commandFor(press('7'), 'ringing', false)).toBeNull()
  })
})
