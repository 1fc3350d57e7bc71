/** Version numbers of the control protocol that this code base speaks. */

/**
 * The capability version we promise. Raise it only together with the behaviour each step names; `docs/rules/control.md`
 * lists what 131 includes. It is also the Noise protocol version of the connection.
 */
export const CAPABILITY_VERSION = 131

/** The oldest client our server talks to (1.80). */
export const MIN_CAPABILITY_VERSION = 113
