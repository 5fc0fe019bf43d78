/** Pictures decided on in the browser: features from the server, the decision from the adaptor here. */
import type { ReplyOf } from '../../src-main/studio/service/calls.ts';
import { studio } from '../state/studio.svelte.ts';
import { BrowserAdaptor } from './browser-adaptor.ts';
import { topGuesses } from './guesses.ts';

type Fetched = ReplyOf<'edge.features'>;

/** What deciding on a picture took, and what came of it. */
export interface Decision extends Pick<Fetched, 'bytes' | 'alternatives' | 'takesImages'> {
  top: ReplyOf<'runs.predict'>['top'];
  seconds: Fetched['seconds'] & { device: number };
  /** What the processor of the studio's machine used meanwhile; null where its system does not tell. */
  joules: number | null;
}

/** For each picture, on average. */
export interface Means {
  images: number;
  bytes: Decision['bytes'];
  seconds: Decision['seconds'];
  joules: Decision['joules'];
}

export type Source = { run: string } | { file: string };

const none = (): Means => ({
  images: 0,
  bytes: { up: 0, down: 0 },
  seconds: { server: 0, network: 0, device: 0 },
  joules: 0,
});

export class Deciding {
  last = $state.raw<Decision | null>(null);
  means = $state.raw<Means>(none());

  private constructor(
    readonly about: ReplyOf<'edge.adaptor'>,
    private readonly adaptor: BrowserAdaptor,
    private readonly server: string,
  ) {}

  /** @throws with the sentence that says why there is no deciding */
  static async open(source: Source, server: string): Promise<Deciding> {
    const about = await studio.call('edge.adaptor', source);
    return new Deciding(about, await BrowserAdaptor.open(about.model), server);
  }

  /** @throws with the sentence that says why there is no answer */
  async decide(name: string, picture: Blob): Promise<Decision> {
    const bytes = new Uint8Array(await picture.arrayBuffer());
    const before = await studio.call('edge.joules', {});
    const found = await studio.call('edge.features', { adaptor: this.about.file, server: this.server, name, bytes });
    const { logits, seconds } = await this.adaptor.decide(found.feeds);
    const after = before === null ? null : await studio.call('edge.joules', {});
    const { alternatives, takesImages } = found;
    const decision: Decision = {
      top: topGuesses(logits, this.about.labels),
      bytes: found.bytes,
      seconds: { ...found.seconds, device: seconds },
      joules: before === null || after === null ? null : after - before,
      alternatives,
      takesImages,
    };
    this.last = decision;
    this.means = meansWith(this.means, decision);
    return decision;
  }

  close(): void {
    this.adaptor.close();
  }
}

function meansWith({ images, bytes, seconds, joules }: Means, decision: Decision): Means {
  const mean = (before: number, value: number) => before + (value - before) / (images + 1);
  return {
    images: images + 1,
    bytes: { up: mean(bytes.up, decision.bytes.up), down: mean(bytes.down, decision.bytes.down) },
    seconds: {
      server: mean(seconds.server, decision.seconds.server),
      network: mean(seconds.network, decision.seconds.network),
      device: mean(seconds.device, decision.seconds.device),
    },
    joules: joules === null || decision.joules === null ? null : mean(joules, decision.joules),
  };
}
