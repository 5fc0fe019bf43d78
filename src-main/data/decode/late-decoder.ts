import type { Decoder } from './decoder.ts';
import { startDecoder } from './start-decoder.ts';

/** Starts its process at the first picture, or when told that there will be one: where there is none, it needs none. */
export class LateDecoder implements Decoder {
  private started: Promise<Decoder> | undefined;

  async decode(...job: Parameters<Decoder['decode']>): Promise<Uint8Array> {
    return (await this.start()).decode(...job);
  }

  async thumbnail(...job: Parameters<Decoder['thumbnail']>): Promise<Uint8Array> {
    return (await this.start()).thumbnail(...job);
  }

  async check(...job: Parameters<Decoder['check']>): Promise<string> {
    return (await this.start()).check(...job);
  }

  /** Starts the process ahead of the first picture, which says so if that fails. */
  begin(): void {
    this.start().catch(() => undefined);
  }

  private start(): Promise<Decoder> {
    this.started ??= startDecoder();
    return this.started;
  }

  async close(): Promise<void> {
    const decoder = await this.started?.catch(() => undefined);
    await decoder?.close();
  }
}
