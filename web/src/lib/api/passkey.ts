/**
 * Passkeys between the API's JSON and the browser's own objects, as WebAuthn
 * level 3 writes them; browsers from before it lack these conversions.
 */

export function supportsPasskeys(): boolean {
  return typeof PublicKeyCredential !== 'undefined' && window.isSecureContext
}

export function toBytes(text: string): Uint8Array<ArrayBuffer> {
  const raw = atob(text.replaceAll('-', '+').replaceAll('_', '/'))
  return Uint8Array.from(raw, (c) => c.charCodeAt(0))
}

export function fromBytes(bytes: ArrayBuffer | Uint8Array): string {
  let raw = ''
  for (const byte of bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes)) raw += String.fromCharCode(byte)
  return btoa(raw).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
}

const descriptor = (d: PublicKeyCredentialDescriptorJSON): PublicKeyCredentialDescriptor => ({
  id: toBytes(d.id),
  type: 'public-key',
  transports: d.transports as AuthenticatorTransport[] | undefined,
})

export function creationOptions(json: PublicKeyCredentialCreationOptionsJSON): PublicKeyCredentialCreationOptions {
  return {
    ...json,
    challenge: toBytes(json.challenge),
    user: { ...json.user, id: toBytes(json.user.id) },
    excludeCredentials: json.excludeCredentials?.map(descriptor),
    extensions: undefined,
  } as PublicKeyCredentialCreationOptions
}

export function requestOptions(json: PublicKeyCredentialRequestOptionsJSON): PublicKeyCredentialRequestOptions {
  return {
    ...json,
    challenge: toBytes(json.challenge),
    allowCredentials: json.allowCredentials?.map(descriptor),
    extensions: undefined,
  } as PublicKeyCredentialRequestOptions
}

/** A credential as WebAuthn level 3 writes it in JSON. */
export function credentialJSON(credential: PublicKeyCredential): unknown {
  const { response } = credential
  const common = {
    id: credential.id,
    rawId: fromBytes(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
    clientExtensionResults: {},
  }
  const clientDataJSON = fromBytes(response.clientDataJSON)
  if ('attestationObject' in response) {
    const made = response as AuthenticatorAttestationResponse
    return {
      ...common,
      response: {
        clientDataJSON,
        attestationObject: fromBytes(made.attestationObject),
        transports: made.getTransports?.() ?? [],
      },
    }
  }
  const shown = response as AuthenticatorAssertionResponse
  return {
    ...common,
    response: {
      clientDataJSON,
      authenticatorData: fromBytes(shown.authenticatorData),
      signature: fromBytes(shown.signature),
      userHandle: shown.userHandle ? fromBytes(shown.userHandle) : undefined,
    },
  }
}

/** Makes a passkey; null when the person turned it down or let it time out. */
export async function makePasskey(json: PublicKeyCredentialCreationOptionsJSON): Promise<unknown> {
  return ask(() => navigator.credentials.create({ publicKey: creationOptions(json) }))
}

/** Shows a passkey; null as above. */
export async function showPasskey(json: PublicKeyCredentialRequestOptionsJSON, signal?: AbortSignal): Promise<unknown> {
  return ask(() => navigator.credentials.get({ publicKey: requestOptions(json), signal }))
}

async function ask(ceremony: () => Promise<Credential | null>): Promise<unknown> {
  try {
    const credential = await ceremony()
    return credential && credentialJSON(credential as PublicKeyCredential)
  } catch (error) {
    if (error instanceof DOMException && (error.name === 'NotAllowedError' || error.name === 'AbortError')) return null
    throw error
  }
}
