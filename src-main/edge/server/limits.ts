/** What a server takes on, and how long it waits. */
export interface Limits {
  /** Images that go through the ViT together. */
  batch: number;
  /** Longest that an image waits for others to fill its batch, milliseconds. */
  delayMs: number;
  /** Images that wait or are at work, of all requests to one backbone together. */
  queue: number;
  /** Bytes of a request's body, unpacked. */
  requestBytes: number;
  /** Bytes of all bodies that are being read or worked on. */
  bufferedBytes: number;
  /** Pixels of an encoded picture, before it is resized. */
  imagePixels: number;
  /** Connections at a time: more than there may be requests in the queue, so that those beyond it are told. */
  connections: number;
  /** Until a request has arrived as a whole, milliseconds. */
  receiveMs: number;
  /** Until its answer is begun. */
  answerMs: number;
  /** Without a byte of the answer being taken. */
  sendMs: number;
  /** Until a drain gives up on what is still at work. */
  drainMs: number;
}

export const DEFAULT_LIMITS: Limits = {
  batch: 8,
  delayMs: 4,
  queue: 256,
  requestBytes: 64 * 2 ** 20,
  bufferedBytes: 512 * 2 ** 20,
  imagePixels: 50e6,
  connections: 1024,
  receiveMs: 60_000,
  answerMs: 120_000,
  sendMs: 60_000,
  drainMs: 60_000,
};
