/** What the page Edge shows of the studio: its server as it gets on, backbones on servers, tables. */
import type { ReplyOf } from '../../src-main/studio/service/calls.ts';
import { connection, studio } from '../state/studio.svelte.ts';
import { attempt } from '../state/toasts.svelte.ts';

export type ShownServer = NonNullable<ReplyOf<'edge.server'>>;
export type Connected = ReplyOf<'edge.connected'>[number];
export type Tradeoff = ReplyOf<'edge.tradeoffs'>[number];

/** What a server does at the moment, from how it stood a moment ago. */
export interface Pace {
  imagesPerSecond: number;
  /** Of the requests that were answered meanwhile; null where there were none. */
  latencySeconds: number | null;
}

const IDLE_MS = 2000;

class EdgeState {
  /** Undefined until the studio has said. */
  server = $state.raw<ShownServer | null | undefined>();
  pace = $state.raw<Pace>({ imagesPerSecond: 0, latencySeconds: null });
  /** Of the server that runs, while it is remembered: it is told once. */
  token = $state<string | null>(null);
  connected = $state.raw<Connected[] | null>(null);
  tradeoffs = $state.raw<Tradeoff[] | null>(null);
  private heard = 0;
  private idle: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    studio.subscribe((event) => {
      if (event.type === 'edge') this.take(event.server);
      if (event.type === 'tradeoffs') void this.readTradeoffs();
      if (event.type === 'changed' && event.what === 'backbones') void this.readConnected();
    });
    connection.onReturn(() => void this.refresh());
    void this.refresh();
  }

  take(server: ShownServer | null): void {
    const before = this.server;
    const now = performance.now();
    if (before && server && before.started === server.started && this.heard > 0)
      this.pace = paceOf(before, server, (now - this.heard) / 1000);
    this.heard = now;
    this.server = server;
    if (!server) this.token = null;
    // Nothing is told while nothing happens.
    clearTimeout(this.idle);
    this.idle = setTimeout(() => (this.pace = { imagesPerSecond: 0, latencySeconds: null }), IDLE_MS);
  }

  async refresh(): Promise<void> {
    await attempt(async () => {
      this.take(await studio.call('edge.server', {}));
      await Promise.all([this.readConnected(), this.readTradeoffs()]);
    });
  }

  private async readConnected(): Promise<void> {
    await attempt(async () => (this.connected = await studio.call('edge.connected', {})));
  }

  private async readTradeoffs(): Promise<void> {
    await attempt(async () => (this.tradeoffs = await studio.call('edge.tradeoffs', {})));
  }
}

export type Totals = Omit<ShownServer['models'][number], 'name' | 'input'>;

/** All models together; what waits is told of both models of a backbone. */
export function totalsOf({ models }: ShownServer): Totals {
  const sum = (read: (model: ShownServer['models'][number]) => number) =>
    models.reduce((total, model) => total + read(model), 0);
  return {
    answered: sum(({ answered }) => answered),
    failed: sum(({ failed }) => failed),
    busy: sum(({ busy }) => busy),
    images: sum(({ images }) => images),
    waiting: sum(({ waiting }) => waiting) / 2,
    bytes: { received: sum(({ bytes }) => bytes.received), sent: sum(({ bytes }) => bytes.sent) },
    seconds: {
      answered: sum(({ seconds }) => seconds.answered),
      queue: sum(({ seconds }) => seconds.queue),
      vit: sum(({ seconds }) => seconds.vit),
    },
  };
}

function paceOf(before: ShownServer, after: ShownServer, seconds: number): Pace {
  const [earlier, later] = [totalsOf(before), totalsOf(after)];
  const answered = later.answered - earlier.answered;
  return {
    imagesPerSecond: (later.images - earlier.images) / seconds,
    latencySeconds: answered > 0 ? (later.seconds.answered - earlier.seconds.answered) / answered : null,
  };
}

export const edge = new EdgeState();
