import type { Storage, TensorData } from './program.ts';

/** A tensor on its way between threads. */
export interface SentTensor {
  shape: readonly number[];
  storage: Storage | 'int8';
  data: TensorData | Int8Array;
}

export type SessionRequest =
  | { kind: 'open'; model: Uint8Array; threads: number }
  | { kind: 'run'; session: number; feeds: Record<string, SentTensor>; lent?: Lent }
  | { kind: 'close'; session: number }
  | { kind: 'memory' };

/** Memory that goes over to the thread for one run and comes back, so that none is taken and copied for each. */
export interface Lent {
  /** More feeds. */
  feeds: Record<string, SentTensor>;
  /** Outputs to be written in place; those that are not among them are made anew. */
  outputs: Record<string, SentTensor>;
}

/** The number of the session that was opened, or the outputs of a run and the feeds that were lent to it. */
export interface SessionAnswer {
  session?: number;
  outputs?: Record<string, SentTensor>;
  lentFeeds?: Record<string, SentTensor>;
  peakRssBytes?: number;
}

/** The memory of tensors that goes over to the other thread and is not copied. */
export function buffersOf(...tensors: (Readonly<Record<string, SentTensor>> | undefined)[]): ArrayBuffer[] {
  const all = tensors.flatMap((some) => Object.values(some ?? {}));
  return [...new Set(all.map(({ data }) => data.buffer as ArrayBuffer))];
}
