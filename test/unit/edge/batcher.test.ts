import { describe, expect, it } from 'vitest';
import { Batcher, type Runner } from '../../../src-main/edge/server/batcher.ts';
import { Statistics } from '../../../src-main/edge/server/statistics.ts';

/** Doubles each image's one pixel (and adds one for the deeper output), and keeps what went through together. */
function doubling(batches: number[][], gate: Promise<void> = Promise.resolve()): Runner {
  return {
    depthOf: (names) => (Array.from(names).includes('deep') ? 2 : 1),
    run: async (pixels, count, names) => {
      batches.push([...pixels]);
      await gate;
      expect(pixels.length).toBe(count);
      return new Map(
        Array.from(names, (name) => [name, pixels.map((pixel) => 2 * pixel + (name === 'deep' ? 1 : 0))] as const),
      );
    },
  };
}

const limits = { batch: 4, delayMs: 2, queue: 16, answerMs: 1000 };
const job = (...pixels: number[]) => ({
  pixels: Float32Array.from(pixels),
  count: pixels.length,
  names: ['shallow'],
  signal: new AbortController().signal,
  statistics: new Statistics(),
});

describe('batches', () => {
  it('join requests, split large ones, and give each its own', async () => {
    const batches: number[][] = [];
    const batcher = new Batcher(doubling(batches), limits);
    const found = await Promise.all([
      batcher.submit(job(1)),
      batcher.submit(job(2, 3, 4, 5, 6, 7)),
      batcher.submit(job(8, 9)),
    ]);
    expect(found.map((each) => [...each.get('shallow')!])).toEqual([[2], [4, 6, 8, 10, 12, 14], [16, 18]]);
    expect(batches).toEqual([[1, 2, 3, 4], [5, 6, 7, 8], [9]]);
  });

  it('hold what goes equally deep', async () => {
    const batches: number[][] = [];
    const batcher = new Batcher(doubling(batches), limits);
    const deep = { ...job(2), names: ['deep', 'shallow'] };
    const found = await Promise.all([batcher.submit(job(1)), batcher.submit(deep), batcher.submit(job(3))]);
    expect(batches).toEqual([[1, 3], [2]]);
    expect(Object.fromEntries(found[1])).toEqual({ deep: Float32Array.of(5), shallow: Float32Array.of(4) });
    expect([...found[0].keys()]).toEqual(['shallow']);
  });

  it('leave out who has gone', async () => {
    const batches: number[][] = [];
    const batcher = new Batcher(doubling(batches), limits);
    const left = new AbortController();
    const gone = batcher.submit({ ...job(1), signal: left.signal });
    const stays = batcher.submit(job(2));
    left.abort(new Error('gone'));
    await expect(gone).rejects.toThrow('gone');
    expect([...(await stays).get('shallow')!]).toEqual([4]);
    expect(batches).toEqual([[2]]);
  });

  it('are bounded: who finds no room is told when to come back, and room is given back once', () => {
    const batcher = new Batcher(doubling([]), limits);
    const release = batcher.reserve(16);
    expect(() => batcher.reserve(1)).toThrow(expect.objectContaining({ status: 503, headers: { 'retry-after': '1' } }));
    expect(() => batcher.reserve(17)).toThrow(expect.objectContaining({ status: 413 }));
    release();
    release();
    expect(batcher.load).toBe(0);
    batcher.reserve(16);
  });

  it('count each moment of the runner once, though two are with it', async () => {
    const batches: number[][] = [];
    let last: Promise<unknown> = Promise.resolve();
    const slow: Runner = {
      depthOf: () => 1,
      run: (pixels, count, names) => {
        const before = last;
        const ran = (async () => {
          await before;
          await new Promise((resolve) => setTimeout(resolve, 20));
          return doubling(batches).run(pixels, count, names);
        })();
        last = ran;
        return ran;
      },
    };
    const statistics = new Statistics();
    const batcher = new Batcher(slow, { ...limits, batch: 2 });
    const begun = performance.now();
    await batcher.submit({ ...job(1, 2, 3, 4, 5, 6, 7, 8), statistics });
    // By this is said when to come back.
    expect(statistics.computeInfer.ns / 1e6).toBeLessThanOrEqual(performance.now() - begun + 1);
    expect(batches).toHaveLength(4);
  });

  it('whose turn does not come in time are told so', async () => {
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    const batcher = new Batcher(doubling([], gate), { ...limits, answerMs: 20 });
    await expect(batcher.submit(job(1))).rejects.toMatchObject({ status: 503 });
    open();
  });
});
