import { replyIn, type Answered, type Listener, type StudioClient } from '../../src-main/studio/service/client.ts';
import type { CallName, ReplyOf, RequestOf } from '../../src-main/studio/service/calls.ts';
import type { StudioEvent } from '../../src-main/studio/service/events.ts';

export interface HttpClientOptions {
  /** Of the host, such as `http://127.0.0.1:8500`. */
  origin: string;
  fetch?: typeof globalThis.fetch;
  openSocket?: (url: string) => WebSocket;
  /** Whether the host can be heard, told whenever that changes. */
  onConnection?: (connected: boolean) => void;
}

const RETRY_MS = 1000;

/** The studio over HTTP and WebSocket; the socket comes back by itself when the host does. */
export class HttpClient implements StudioClient {
  private readonly listeners = new Set<Listener>();
  private socket: WebSocket | undefined;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private closed = false;

  constructor(private readonly options: HttpClientOptions) {
    this.connect();
  }

  async call<Name extends CallName>(name: Name, request: RequestOf<Name>): Promise<ReplyOf<Name>> {
    const send = this.options.fetch ?? globalThis.fetch;
    const { query, ...init } = posted(request);
    const response = await send(`${this.options.origin}/call/${name}${query}`, { method: 'POST', ...init });
    if (!response.ok) throw new Error((await response.text()).trim());
    return replyIn<Name>((await response.json()) as Answered);
  }

  subscribe(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.retry);
    this.socket?.close();
  }

  private connect(): void {
    const { origin, openSocket = (url: string) => new WebSocket(url), onConnection } = this.options;
    const socket = openSocket(`${origin.replace(/^http/, 'ws')}/events`);
    this.socket = socket;
    socket.onopen = () => onConnection?.(true);
    socket.onmessage = ({ data }: { data: unknown }) => {
      const event = JSON.parse(String(data)) as StudioEvent;
      for (const listener of this.listeners) listener(event);
    };
    socket.onclose = () => {
      if (this.closed) return;
      onConnection?.(false);
      this.retry = setTimeout(() => this.connect(), RETRY_MS);
    };
  }
}

/** A request's bytes are the body as they are, and the rest of it then stands in the address. */
function posted(request: object): { query: string; headers: Record<string, string>; body: string | Blob } {
  const { bytes, ...rest } = request as { bytes?: unknown };
  if (!(bytes instanceof Uint8Array))
    return { query: '', headers: { 'content-type': 'application/json' }, body: JSON.stringify(request) };
  const query = `?request=${encodeURIComponent(JSON.stringify(rest))}`;
  const headers = { 'content-type': 'application/octet-stream' };
  return { query, headers, body: new Blob([bytes as Uint8Array<ArrayBuffer>]) };
}
