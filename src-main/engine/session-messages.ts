import type { Storage, TensorData } from './program.ts';

/** A tensor on its way between threads. */
export interface SentTensor {
  shape: readonly number[];
  storage: Storage | 'int8';
  data: TensorData | Int8Array;
}

export type SessionRequest =
  | { kind: 'open'; model: Uint8Array; threads: number }
  | { kind: 'run'; session: number; feeds: Record<string, SentTensor> }
  | { kind: 'close'; session: number };

/** The number of the session that was opened, or the outputs of a run. */
export interface SessionAnswer {
  session?: number;
  outputs?: Record<string, SentTensor>;
}
