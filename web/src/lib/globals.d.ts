/** True in mode "fake" only: a pretend phone for looking at every state of a call. */
declare const __FAKE_PHONE__: boolean
