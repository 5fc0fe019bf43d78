/** An exported adaptor in the browser: onnxruntime-web on a thread of its own, fetched when the first one is opened. */
import type { ReplyOf } from '../../src-main/studio/service/calls.ts';
import type { AdaptorAnswer, AdaptorRequest, Feed } from './adaptor-messages.ts';

type Written = ReplyOf<'edge.features'>['feeds'];
type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;

export class BrowserAdaptor {
  private readonly worker = new Worker(new URL('./adaptor-worker.ts', import.meta.url), { type: 'module' });
  private readonly waiting = new Map<
    number,
    { resolve: (answer: AdaptorAnswer) => void; reject: (why: Error) => void }
  >();
  private last = 0;

  private constructor() {
    this.worker.onmessage = ({ data }: MessageEvent<AdaptorAnswer>) => {
      this.waiting.get(data.id)?.resolve(data);
      this.waiting.delete(data.id);
    };
    this.worker.onerror = ({ message }) => {
      for (const { reject } of this.waiting.values()) reject(new Error(message));
      this.waiting.clear();
    };
  }

  /** @param model ONNX, in base64. @throws Error with onnxruntime's words */
  static async open(model: string): Promise<BrowserAdaptor> {
    const adaptor = new BrowserAdaptor();
    try {
      await adaptor.ask({ model: bytesOf(model) });
      return adaptor;
    } catch (error) {
      adaptor.close();
      throw error;
    }
  }

  /** Logits of one picture, and how long they took in seconds. @throws Error with onnxruntime's words */
  async decide(written: Written): Promise<{ logits: Float32Array; seconds: number }> {
    const feeds: Record<string, Feed> = {};
    for (const [name, { storage, shape, data }] of Object.entries(written))
      feeds[name] = { storage: storage as Feed['storage'], shape, data: bytesOf(data).buffer };
    const begun = performance.now();
    const logits = await this.ask({ feeds });
    return { logits: logits!, seconds: (performance.now() - begun) / 1000 };
  }

  close(): void {
    this.worker.terminate();
    for (const { reject } of this.waiting.values()) reject(new Error('The adaptor was closed.'));
    this.waiting.clear();
  }

  private async ask(request: WithoutId<AdaptorRequest>): Promise<Float32Array | undefined> {
    const id = ++this.last;
    const answered = new Promise<AdaptorAnswer>((resolve, reject) => this.waiting.set(id, { resolve, reject }));
    this.worker.postMessage({ id, ...request });
    const answer = await answered;
    if ('problem' in answer) throw new Error(answer.problem);
    return answer.logits;
  }
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}
