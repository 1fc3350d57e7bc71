/** Where pintaild listens on Linux unless told otherwise, and where its clients look for it first. */
export const DEFAULT_SOCKET_PATH = '/run/pintail/pintaild.sock'
