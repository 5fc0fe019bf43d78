/** Pictures that were shown to a run, newest first: one is looked at after the other. */
import { SvelteMap } from 'svelte/reactivity';
import type { ReplyOf } from '../../src-main/studio/service/calls.ts';
import { text } from '../text/text.ts';
import { studio } from './studio.svelte.ts';

export interface Tried {
  id: number;
  name: string;
  file: Blob;
  /** Of the picture, for as long as it is kept. */
  url: string;
  answer: ReplyOf<'runs.predict'> | null;
  problem: string;
}

const MOST_BYTES = 64 << 20;
const MOST_KEPT = 60;

export class TriedPictures {
  readonly all = new SvelteMap<number, Tried>();
  private readonly waiting: number[] = [];
  private last = 0;
  private looking = false;

  constructor(private readonly run: string) {}

  get newestFirst(): Tried[] {
    return [...this.all.values()].reverse();
  }

  add(files: Iterable<File>): void {
    for (const file of files) {
      const id = ++this.last;
      const name = file.name || text.trying.pasted;
      const problem = file.size > MOST_BYTES ? text.trying.tooLarge(name) : '';
      this.all.set(id, { id, name, file, url: URL.createObjectURL(file), answer: null, problem });
      if (!problem) this.waiting.push(id);
    }
    for (const { id } of this.newestFirst.slice(MOST_KEPT)) this.remove(id);
    void this.look();
  }

  remove(id: number): void {
    const tried = this.all.get(id);
    if (tried) URL.revokeObjectURL(tried.url);
    this.all.delete(id);
  }

  clear(): void {
    for (const id of [...this.all.keys()]) this.remove(id);
  }

  private async look(): Promise<void> {
    if (this.looking) return;
    this.looking = true;
    for (let id = this.waiting.shift(); id !== undefined; id = this.waiting.shift()) {
      const tried = this.all.get(id);
      if (!tried) continue;
      const found = await predict(this.run, tried.name, tried.file).then(
        (answer) => ({ answer }),
        (error: unknown) => ({ problem: error instanceof Error ? error.message : String(error) }),
      );
      if (this.all.has(id)) this.all.set(id, { ...tried, ...found });
    }
    this.looking = false;
  }
}

/** @throws with the sentence that says why there is no answer */
export async function predict(run: string, name: string, file: Blob): Promise<ReplyOf<'runs.predict'>> {
  return studio.call('runs.predict', { run, name, bytes: new Uint8Array(await file.arrayBuffer()) });
}
