/**
 * What this machine serves: `/localapi/v0/serve-config`, in the field's form. Everything empty is left out.
 * [docs/rules/serve.md]
 */
export interface ServeConfig {
  /** By port: "443". */
  TCP?: { [port: string]: TcpPortHandler }
  /** By name and port: "nas.example.net:443". */
  Web?: { [hostPort: string]: WebServer }
  /** By name: "svc:db". */
  Services?: { [service: string]: ServiceConfig }
  /** "nas.example.net:443" → open to the whole internet. */
  AllowFunnel?: { [hostPort: string]: boolean }
  /** By watch session; gone when that watch ends. */
  Foreground?: { [sessionId: string]: ServeConfig }
}

/** Exactly one of HTTPS, HTTP and TCPForward. */
export interface TcpPortHandler {
  HTTPS?: boolean
  HTTP?: boolean
  /** "127.0.0.1:5432" or "unix:/run/db.sock". */
  TCPForward?: string
  /** With TCPForward: we end TLS for this name, plain bytes go on. */
  TerminateTLS?: string
  /** With TCPForward: version of the PROXY header that goes first. */
  ProxyProtocol?: 1 | 2
}

export interface WebServer {
  /** By mount point: "/", "/api". */
  Handlers: { [mount: string]: HttpHandler }
}

/** Exactly one of Path, Proxy, Text and Redirect. */
export interface HttpHandler {
  /** File or folder. */
  Path?: string
  /** `3000`, `http://…`, `https://…`, `https+insecure://…`, `unix:/…`. */
  Proxy?: string
  Text?: string
  /** May start with `3xx:`; ${HOST} and ${REQUEST_URI} are filled in. */
  Redirect?: string
  /** Capabilities that are told to the proxied program. */
  AcceptAppCaps?: string[]
}

export interface ServiceConfig {
  TCP?: { [port: string]: TcpPortHandler }
  Web?: { [hostPort: string]: WebServer }
  Tun?: boolean
}
