import type { Role } from '../api/types.ts'
import { m } from '../paraglide/messages.js'

export function roleWord(role: string): string {
  const words: Record<Role, () => string> = {
    admin: m.role_admin,
    team_lead: m.role_team_lead,
    agent: m.role_agent,
  }
  return words[role as Role]?.() ?? role
}
