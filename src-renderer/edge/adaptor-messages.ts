/** What goes between the page and the thread on which the adaptor runs. */
export interface Feed {
  storage: 'float16' | 'float32';
  shape: readonly number[];
  data: ArrayBuffer;
}

export type AdaptorRequest = { id: number; model: Uint8Array } | { id: number; feeds: Record<string, Feed> };

/** Logits [images, classes] of a run; nothing once a model is open. */
export type AdaptorAnswer = { id: number; logits: Float32Array | undefined } | { id: number; problem: string };
