/// <reference lib="dom" />
/** The page of a sweep of 1,000 trials in a real browser, while the sweep goes on: longest tasks, and frames of scrolling. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright';
import { Failure } from '../../src-main/base/failure.ts';
import { writePlainVit } from '../../src-main/backbone/plain-vit.ts';
import { writeOrientationSet } from '../../src-main/data/sample/orientation.ts';
import { addBackbone } from '../../src-main/studio/backbones.ts';
import { addDataset } from '../../src-main/studio/datasets/datasets.ts';
import { startSweep } from '../../src-main/studio/sweeps/run-sweep.ts';
import { askOfSweep } from '../../src-main/studio/sweeps/sweeps.ts';
import { Workspace } from '../../src-main/workspace/workspace.ts';
import { hasChromium, openBrowser, startServer } from '../e2e/open-studio.ts';
import type { Row } from './outcome.ts';
import { growSweep } from './sweeps/grow-sweep.ts';

export interface SweepUiFigures {
  /** Milliseconds from the address to the table, of trials that are there. */
  openMs: number;
  /** Longest tasks of the window's main thread, milliseconds, by what was done; 0 where none took 50. */
  longestTaskMs: Record<'opening' | 'live' | 'brushing' | 'scrolling', number>;
  /** Milliseconds between frames while the table scrolls. */
  frameMs: { median: number; p95: number; max: number };
  /** Epochs that came in while it was watched. */
  liveEpochs: number;
}

const TRIALS = 1000;
const LIVE_MS = 10_000;

/** @throws Failure `no-chromium` */
export async function measureSweepUi(log: (line: string) => void, pictures?: string): Promise<SweepUiFigures> {
  if (!hasChromium) throw new Failure('no-chromium', 'There is no Chromium here: set CHROMIUM to one.');
  const folder = await mkdtemp(join(tmpdir(), 'sweep-ui-'));
  const { workspace, sweep } = await prepared(folder);
  log(`prepared: a sweep of ${TRIALS} trials`);
  const server = await startServer(workspace.root);
  const browser = await openBrowser();
  try {
    const page = await (await browser.newContext({ viewport: { width: 1280, height: 900 } })).newPage();
    page.setDefaultTimeout(60_000);
    await page.goto(server.url);
    await page.getByRole('heading', { level: 1 }).waitFor();
    const opening = await longestTaskOf(page, async () => {
      await page.evaluate((id) => (location.hash = `#/sweeps/${id}`), sweep);
      await page.getByText(`of ${(TRIALS + 400).toLocaleString('en')} trials`).waitFor();
      await page.waitForTimeout(500);
    });
    const openMs = opening.ms - 500;
    const table = page.getByRole('region', { name: /^Trials, the best first/ });
    const scrolled = await longestTaskOf(page, () => framesOf(table));
    const brushed = await longestTaskOf(page, () => brush(page));
    if (pictures) await page.screenshot({ path: pictures, fullPage: true });
    await page.getByRole('button', { name: 'Resume' }).click();
    await page.getByRole('button', { name: 'Pause' }).first().waitFor();
    const before = await epochsOf(page, sweep);
    const live = await longestTaskOf(page, async () => {
      await page.waitForTimeout(LIVE_MS);
    });
    const liveEpochs = (await epochsOf(page, sweep)) - before;
    return {
      openMs,
      longestTaskMs: {
        opening: opening.longest,
        live: live.longest,
        brushing: brushed.longest,
        scrolling: scrolled.longest,
      },
      frameMs: scrolled.value,
      liveEpochs,
    };
  } finally {
    await browser.close();
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

export function sweepUiRows({ openMs, longestTaskMs, frameMs, liveEpochs }: SweepUiFigures): Row[] {
  const worst = Math.max(...Object.values(longestTaskMs));
  const words = Object.entries(longestTaskMs).map(
    ([when, ms]) => `${when} ${ms === 0 ? 'none of 50 ms' : `${ms.toFixed(0)} ms`}`,
  );
  return [
    {
      what: `sweep page, ${TRIALS} trials: longest task`,
      asked: 'under 100 ms',
      measured: `${words.join(', ')} (${liveEpochs} epochs came in; shown after ${openMs.toFixed(0)} ms)`,
      reached: worst < 100,
    },
    {
      what: `sweep page, ${TRIALS} trials: scrolling the table`,
      asked: '',
      measured: `${frameMs.median.toFixed(1)} ms a frame, 95 % under ${frameMs.p95.toFixed(1)}, worst ${frameMs.max.toFixed(0)}`,
      reached: null,
    },
  ];
}

/** A sweep of two trials that were trained and others that were not, which wants 400 more. */
async function prepared(folder: string): Promise<{ workspace: Workspace; sweep: string }> {
  const workspace = await Workspace.open(join(folder, 'workspace'));
  await writeOrientationSet(join(folder, 'hearts'), { train: 64, val: 32, test: 0, size: 32, seed: 2 });
  await addDataset(workspace, { path: join(folder, 'hearts') });
  await writeFile(join(folder, 'vit.onnx'), writePlainVit({ size: 16, patch: 4, width: 24, blocks: 4, heads: 3 }));
  await addBackbone(workspace, { file: join(folder, 'vit.onnx') });
  const space = {
    method: ['last', 'miet', 'linear'],
    rank: [2, 4, 8, 16],
    learningRate: { min: 3e-4, max: 3e-2, scale: 'log' },
    weightDecay: { min: 1e-3, max: 0.3, scale: 'log' },
    dropPath: { min: 0, max: 0.3 },
    pool: ['cls', 'mean'],
  };
  const what = { dataset: 'hearts', backbone: 'vit', noTest: true, settings: { epochs: 30 } };
  const { sweep } = await startSweep(workspace, { ...what, space, sampler: 'random', trials: 2, parallel: 2 });
  await growSweep(workspace, sweep, TRIALS);
  await askOfSweep(workspace, sweep, { trials: TRIALS + 400 });
  return { workspace, sweep };
}

/** What is done, how long it takes, and the longest task of the main thread meanwhile; 0 where none took 50 ms. */
async function longestTaskOf<T>(
  page: Page,
  task: () => Promise<T>,
): Promise<{ value: T; ms: number; longest: number }> {
  await page.evaluate(() => {
    const seen = window as unknown as { longest: number; observer?: PerformanceObserver };
    seen.longest = 0;
    seen.observer ??= new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) seen.longest = Math.max(seen.longest, entry.duration);
    });
    seen.observer.observe({ type: 'longtask' });
  });
  const started = performance.now();
  const value = await task();
  const ms = performance.now() - started;
  await page.waitForTimeout(200);
  return { value, ms, longest: await page.evaluate(() => (window as unknown as { longest: number }).longest) };
}

async function framesOf(table: ReturnType<Page['getByRole']>): Promise<SweepUiFigures['frameMs']> {
  const frames = await table.evaluate(async (element) => {
    const times: number[] = [];
    let before = await new Promise<number>(requestAnimationFrame);
    for (let frame = 0; frame < 240; frame++) {
      element.scrollTop += 60;
      const now = await new Promise<number>(requestAnimationFrame);
      times.push(now - before);
      before = now;
    }
    return times.sort((a, b) => a - b);
  });
  return { median: frames[frames.length >> 1]!, p95: frames[Math.floor(0.95 * frames.length)]!, max: frames.at(-1)! };
}

/** Chooses the upper half of an axis by dragging, and lets go of it. */
async function brush(page: Page): Promise<void> {
  const handle = page.getByTitle('Part of Learning rate');
  await handle.scrollIntoViewIfNeeded();
  const box = (await handle.boundingBox())!;
  await page.mouse.move(box.x + box.width / 2, box.y + 4);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2, { steps: 20 });
  await page.mouse.up();
  await page.getByRole('button', { name: 'Show all trials' }).click();
}

/** Epochs of all trials of a sweep. */
async function epochsOf(page: Page, sweep: string): Promise<number> {
  return page.evaluate(async (id) => {
    const response = await fetch('/call/sweeps.show', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ sweep: id }),
    });
    const { reply } = (await response.json()) as { reply: { all: { epochs: number }[] } };
    return reply.all.reduce((sum, { epochs }) => sum + epochs, 0);
  }, sweep);
}
