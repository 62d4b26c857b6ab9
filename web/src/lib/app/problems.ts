import { Problem } from '$lib/api/problem.ts'
import { m } from '$lib/paraglide/messages.js'

/** What happened: the server's own sentence where it gave one. */
export function problemText(error: unknown): string {
  if (!(error instanceof Problem)) return m.problem_unknown()
  if (error.status === 0) return m.problem_no_answer()
  if (error.detail) return error.detail
  switch (error.status) {
    case 401:
      return m.problem_session()
    case 403:
      return m.problem_forbidden()
    case 404:
      return m.problem_gone()
    case 409:
      return m.problem_conflict()
    case 429:
      return m.problem_too_many()
    default:
      return error.status >= 500 ? m.problem_server({ status: error.status }) : m.problem_unknown()
  }
}

/** What to do about it. */
export function problemHint(error: unknown): string {
  if (!(error instanceof Problem)) return m.hint_try_again()
  if (error.status === 0) return m.hint_check_network()
  if (error.retryAfter) return m.hint_retry_after({ seconds: Math.ceil(error.retryAfter) })
  if (error.status === 401) return m.hint_sign_in()
  if (error.status === 403) return m.hint_ask_admin()
  if (error.status >= 500) return m.hint_try_again()
  return ''
}

/** Why a sign-in by a company came to nothing, and what to do: for the codes in `/sign-in?problem=`. */
export function signInProblem(code: string): [text: string, hint: string] {
  switch (code) {
    case 'oidc_unavailable':
      return [m.sign_in_oidc_unavailable(), m.sign_in_oidc_other_way()]
    case 'oidc_expired':
      return [m.sign_in_oidc_expired(), m.sign_in_oidc_again()]
    case 'oidc_unverified':
      return [m.sign_in_oidc_unverified(), m.hint_ask_admin()]
    case 'oidc_unknown':
      return [m.sign_in_oidc_unknown(), m.sign_in_oidc_ask_access()]
    case 'oidc_conflict':
      return [m.sign_in_oidc_conflict(), m.hint_ask_admin()]
    case 'oidc_disabled':
      return [m.sign_in_oidc_disabled(), m.hint_ask_admin()]
    default:
      return [m.sign_in_oidc_refused(), m.sign_in_oidc_again()]
  }
}
