import type { Storage, TensorData } from './program.ts';

/** A tensor on its way between threads. */
export interface SentTensor {
  shape: readonly number[];
  storage: Storage | 'int8';
  data: TensorData | Int8Array;
}

export type SessionRequest =
  | { id: number; kind: 'open'; model: Uint8Array; threads: number }
  | { id: number; kind: 'run'; session: number; feeds: Record<string, SentTensor> }
  | { id: number; kind: 'close'; session: number };

export type SessionReply =
  | { id: number; kind: 'done'; session?: number; outputs?: Record<string, SentTensor> }
  | { id: number; kind: 'failed'; message: string };
