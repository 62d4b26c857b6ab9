import { describe, expect, it } from 'vitest'
import { creationOptions, credentialJSON, fromBytes, requestOptions, toBytes } from './passkey.ts'

describe('base64url', () => {
  it.each([[''], ['AA'], ['__-_'], ['-_-_-w'], ['SGVsbG8']])('%s there and back', (text) =>
    expect(fromBytes(toBytes(text))).toBe(text),
  )
  it('writes - and _, and no padding', () => expect(fromBytes(new Uint8Array([0xfb, 0xff, 0xfe, 0xff]))).toBe('-__-_w'))
})

describe('options', () => {
  it('become bytes where the browser wants bytes', () => {
    const made = creationOptions({
      challenge: 'AQID',
      rp: { id: 'localhost', name: 'Dialtone' },
      user: { id: 'BAU', name: 'alice', displayName: 'Alice' },
      pubKeyCredParams: [{ type: 'public-key', alg: -7 }],
      excludeCredentials: [{ id: 'Bg', type: 'public-key', transports: ['usb'] }],
    })
    expect(made.challenge).toEqual(new Uint8Array([1, 2, 3]))
    expect(made.user.id).toEqual(new Uint8Array([4, 5]))
    expect(made.excludeCredentials?.[0]?.id).toEqual(new Uint8Array([6]))
    expect(made.rp.name).toBe('Dialtone')
    expect(requestOptions({ challenge: 'AQID' }).challenge).toEqual(new Uint8Array([1, 2, 3]))
  })
})

describe('a credential', () => {
  const bytes = (...all: number[]) => new Uint8Array(all).buffer
  it('that was made', () => {
    const made = {
      id: 'AQ',
      rawId: bytes(1),
      type: 'public-key',
      authenticatorAttachment: null,
      response: { clientDataJSON: bytes(2), attestationObject: bytes(3), getTransports: () => ['internal'] },
    }
    expect(credentialJSON(made as unknown as PublicKeyCredential)).toMatchObject({
      id: 'AQ',
      rawId: 'AQ',
      type: 'public-key',
      response: { clientDataJSON: 'Ag', attestationObject: 'Aw', transports: ['internal'] },
    })
  })
  it('that was shown', () => {
    const shown = {
      id: 'AQ',
      rawId: bytes(1),
      type: 'public-key',
      authenticatorAttachment: 'platform',
      response: { clientDataJSON: bytes(2), authenticatorData: bytes(3), signature: bytes(4), userHandle: null },
    }
    const json = credentialJSON(shown as unknown as PublicKeyCredential)
    expect(json).toMatchObject({
      authenticatorAttachment: 'platform',
      response: { authenticatorData: 'Aw', signature: 'BA' },
    })
    expect(JSON.stringify(json)).not.toContain('userHandle')
  })
})
