import type { Console } from '../app/console.svelte.ts'
import { commandFor, focusKind } from './shortcuts.ts'

/** Carries out what `commandFor` reads from the keys, anywhere on the page. */
export function keyboard(app: Console): void {
  $effect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.isComposing) return
      const { call } = app.phone.state
      const phase = call?.phase ?? (app.desk.state.offer ? 'ringing' : null)
      const command = commandFor(
        {
          key: event.key,
          ctrl: event.ctrlKey,
          alt: event.altKey,
          meta: event.metaKey,
          repeat: event.repeat,
          focus: focusKind(document.activeElement),
          modal: !!document.querySelector('[role="dialog"], [role="menu"], [role="alertdialog"]'),
        },
        phase,
        app.keypadOpen,
      )
      if (!command) return
      event.preventDefault()
      switch (command.do) {
        case 'answer':
          return app.answer()
        case 'mute':
          return app.phone.toggleMute()
        case 'hold':
          return void app.toggleHold()
        case 'keypad':
          app.keypadOpen = !app.keypadOpen
          return
        case 'help':
          app.helpOpen = true
          return
        case 'erase':
          app.dialText = app.dialText.slice(0, -1)
          return
        case 'digit':
          app.press(command.digit)
      }
    }
    window.addEventListener('keydown', onKey)
    return () => window.removeEventListener('keydown', onKey)
  })
}
