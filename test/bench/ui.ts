/// <reference lib="dom" />
/**
 * The window in a real browser on a real server: how soon it is there, how much of it is shipped, whether it stays alive
 * while both cores train, whether its memory stays flat over 1,000 live epochs, and how a grid of 20,000 images scrolls.
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { chromium, type Browser, type Page } from 'playwright';
import { Failure } from '../../src-main/base/failure.ts';
import { writePlainVit } from '../../src-main/backbone/plain-vit.ts';
import { writeOrientationSet } from '../../src-main/data/sample/orientation.ts';
import { addBackbone } from '../../src-main/studio/backbones.ts';
import { addDataset } from '../../src-main/studio/datasets/datasets.ts';
import { Workspace } from '../../src-main/workspace/workspace.ts';
import { chromiumPath, hasChromium, startServer, type Server } from '../e2e/open-studio.ts';
import { spread, type Spread } from './measure.ts';
import type { Row } from './outcome.ts';

export interface UiFigures {
  /** Milliseconds from the address to the first contentful paint, and until the page answers a key. */
  firstPaintMs: Spread;
  interactiveMs: Spread;
  /** Of the first page, and of all pages with the adaptor's runtime in the browser. */
  scriptBytes: { first: Bytes; all: Bytes };
  /** The longest task of the window's main thread in each whole training run, milliseconds; 0 where none took 50. */
  longestTaskMs: Spread;
  /** JavaScript heap after collecting, by epochs that were watched. */
  heapBytes: Record<string, number>;
  /** Milliseconds between frames while the grid scrolls. */
  frameMs: { median: number; p95: number; max: number };
}

interface Bytes {
  raw: number;
  gzip: number;
}

const GRID_IMAGES = 20_000;
const EPOCHS = 1000;

/** @throws Failure `no-chromium` */
export async function measureUi(repeats: number, log: (line: string) => void): Promise<UiFigures> {
  if (!hasChromium) throw new Failure('no-chromium', 'There is no Chromium here: set CHROMIUM to one.');
  const folder = await mkdtemp(join(tmpdir(), 'ui-'));
  let server: Server | undefined;
  let browser: Browser | undefined;
  try {
    log('preparing: a set of hearts, a small ViT, 20,000 packed pictures');
    const workspace = await prepared(folder);
    server = await startServer(workspace.root);
    browser = await chromium.launch({ executablePath: chromiumPath, args: ['--no-sandbox', '--disable-gpu'] });
    const loads = await series(repeats, () => load(browser!, server!));
    log(`loaded ${repeats} times`);
    const page = await open(browser, server);
    const longest = await series(repeats, async (round) => {
      const task = await longestTask(page, round);
      log(`training ${round + 1} of ${repeats}: longest task ${task.toFixed(0)} ms`);
      return task;
    });
    const frameMs = await scrollGrid(page, server);
    log(`scrolled: ${frameMs.median.toFixed(1)} ms a frame`);
    await page.context().close();
    const heapBytes = await heapOverEpochs(await open(browser, server), log);
    return {
      firstPaintMs: spread(loads.map(({ paint }) => paint)),
      interactiveMs: spread(loads.map(({ interactive }) => interactive)),
      scriptBytes: await scriptBytes(),
      longestTaskMs: spread(longest),
      heapBytes,
      frameMs,
    };
  } finally {
    await browser?.close();
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** The figures as rows of a table; what is asked of them stands in the brief of the window. */
export function uiRows(figures: UiFigures): Row[] {
  const { firstPaintMs, interactiveMs, scriptBytes, longestTaskMs, heapBytes, frameMs } = figures;
  const heaps = Object.entries(heapBytes);
  const [[, first], [, last]] = [heaps[0]!, heaps.at(-1)!];
  const row = (what: string, asked: string, measured: string, reached: boolean | null = null): Row => ({
    ...{ what, asked, measured, reached },
  });
  return [
    row('window: first paint, median', '', `${firstPaintMs.median.toFixed(0)} ms`),
    row('window: answers a key, median', '', `${interactiveMs.median.toFixed(0)} ms`),
    row('window: JavaScript of the first page', '', inWords(scriptBytes.first)),
    row('window: JavaScript of all pages', '', inWords(scriptBytes.all)),
    row(
      'window: longest task in a training run, median',
      'under 50 ms',
      longestTaskMs.median === 0 ? 'none of 50 ms' : `${longestTaskMs.median.toFixed(0)} ms`,
      longestTaskMs.median < 50,
    ),
    row(
      `window: heap over ${EPOCHS} live epochs`,
      'flat',
      heaps.map(([epoch, bytes]) => `${(bytes / 1e6).toFixed(1)} MB at ${epoch}`).join(', '),
      // What is drawn grows by a point an epoch; a leak would be many times that.
      last < first + 5e6,
    ),
    row(
      `window: grid of ${GRID_IMAGES} images, scrolling`,
      '',
      `${frameMs.median.toFixed(1)} ms a frame, 95 % under ${frameMs.p95.toFixed(1)}, worst ${frameMs.max.toFixed(0)}`,
    ),
  ];
}

const kB = (bytes: number): string => `${(bytes / 1000).toFixed(0)} kB`;
const inWords = ({ raw, gzip }: Bytes): string => `${kB(raw)}, ${kB(gzip)} compressed`;

async function series<T>(count: number, task: (round: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let round = 0; round < count; round++) results.push(await task(round));
  return results;
}

async function prepared(folder: string): Promise<Workspace> {
  const workspace = await Workspace.open(join(folder, 'workspace'));
  await writeOrientationSet(join(folder, 'hearts'), { train: 160, val: 48, test: 64, seed: 2 });
  await addDataset(workspace, { path: join(folder, 'hearts') });
  await writeFile(join(folder, 'vit.onnx'), writePlainVit({ blocks: 4, seed: 5 }));
  await addBackbone(workspace, { file: join(folder, 'vit.onnx'), name: 'vit' });
  const packed = join(folder, 'many-images-idx3-ubyte');
  await writeFile(
    packed,
    idx([GRID_IMAGES, 28, 28], (index) => (index * 2_654_435_761) >>> 24),
  );
  await writeFile(
    packed.replace('images-idx3', 'labels-idx1'),
    idx([GRID_IMAGES], (index) => index % 10),
  );
  await addDataset(workspace, { path: packed, name: 'many' });
  return workspace;
}

/** An IDX file of unsigned bytes. */
function idx(shape: readonly number[], byteAt: (index: number) => number): Buffer {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.set([0, 0, 8, shape.length]);
  shape.forEach((size, dimension) => header.writeUInt32BE(size, 4 + 4 * dimension));
  const size = shape.reduce((product, each) => product * each, 1);
  return Buffer.concat([header, Uint8Array.from({ length: size }, (_, index) => byteAt(index))]);
}

async function open(browser: Browser, server: Server): Promise<Page> {
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage();
  page.setDefaultTimeout(600_000);
  await page.goto(server.url);
  await page.getByRole('heading', { level: 1 }).waitFor();
  return page;
}

/** A first visit: nothing is cached. */
async function load(browser: Browser, server: Server): Promise<{ paint: number; interactive: number }> {
  const page = await open(browser, server);
  await page.keyboard.press('?');
  await page.getByRole('dialog').waitFor();
  const times = await page.evaluate(() => ({
    interactive: performance.now(),
    paint: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN,
  }));
  await page.context().close();
  return times;
}

async function call(page: Page, name: string, request: unknown): Promise<unknown> {
  return page.evaluate(
    async ([path, body]) => {
      const response = await fetch(path!, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: body!,
      });
      return response.json() as Promise<unknown>;
    },
    [`/call/${name}`, JSON.stringify(request)],
  );
}

/** Trains and watches; done when the run can be exported. */
async function train(page: Page, settings: Record<string, unknown>): Promise<void> {
  await page.evaluate(() => (location.hash = '#/runs'));
  const before = await runsIn(page);
  await call(page, 'train.start', { dataset: 'hearts', backbone: 'vit', settings });
  let run: string | undefined;
  while (!run) {
    run = (await runsIn(page)).find((each) => !before.includes(each));
    await page.waitForTimeout(100);
  }
  await page.evaluate((id) => (location.hash = `#/runs/${id}`), run);
}

async function runsIn(page: Page): Promise<string[]> {
  const { reply } = (await call(page, 'runs.list', {})) as { reply: { run: string }[] };
  return reply.map(({ run }) => run);
}

const finished = (page: Page) => page.getByRole('button', { name: 'Export', exact: true }).waitFor();

async function longestTask(page: Page, round: number): Promise<number> {
  await page.evaluate(() => {
    const seen = window as unknown as { longest: number; observer?: PerformanceObserver };
    seen.longest = 0;
    seen.observer ??= new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) seen.longest = Math.max(seen.longest, entry.duration);
    });
    seen.observer.observe({ type: 'longtask' });
  });
  await train(page, { method: 'last', epochs: 20, seed: round + 1 });
  await finished(page);
  return page.evaluate(() => (window as unknown as { longest: number }).longest);
}

async function heapOverEpochs(page: Page, log: (line: string) => void): Promise<Record<string, number>> {
  const session = await page.context().newCDPSession(page);
  const heap = async (): Promise<number> => {
    await session.send('HeapProfiler.collectGarbage');
    return (await session.send('Runtime.getHeapUsage')).usedSize;
  };
  const heaps: Record<string, number> = {};
  await train(page, { method: 'linear', epochs: EPOCHS, seed: 99 });
  const run = await page.evaluate(() => location.hash.split('/').at(-1)!);
  for (const epoch of [EPOCHS / 10, EPOCHS / 2, EPOCHS]) {
    for (;;) {
      const { reply } = (await call(page, 'runs.show', { run })) as { reply: { epochs: unknown[] } };
      if (reply.epochs.length >= epoch) break;
      await page.waitForTimeout(500);
    }
    if (epoch === EPOCHS) await finished(page);
    heaps[String(epoch)] = await heap();
    log(`heap at epoch ${epoch}: ${(heaps[String(epoch)]! / 1e6).toFixed(1)} MB`);
  }
  return heaps;
}

async function scrollGrid(page: Page, server: Server): Promise<UiFigures['frameMs']> {
  await page.goto(`http://127.0.0.1:${server.port}/#/datasets/many`);
  const grid = page.getByRole('region', { name: 'Images', exact: true }).getByRole('listbox');
  await grid.getByRole('img').first().waitFor();
  const frames = await grid.evaluate(async (element) => {
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
  return {
    median: frames[frames.length >> 1]!,
    p95: frames[Math.floor(0.95 * frames.length)]!,
    max: frames.at(-1)!,
  };
}

/** Of what the build ships; the first page's are those that index.html names. */
async function scriptBytes(): Promise<UiFigures['scriptBytes']> {
  const folder = join(import.meta.dirname, '..', '..', 'dist', 'renderer');
  const page = await readFile(join(folder, 'index.html'), 'utf8');
  const scripts = (await readdir(join(folder, 'assets'))).filter((name) => name.endsWith('.js'));
  const sizes = async (names: readonly string[]): Promise<Bytes> => {
    const contents = await Promise.all(names.map((name) => readFile(join(folder, 'assets', name))));
    return contents.reduce(
      (sum, content) => ({ raw: sum.raw + content.length, gzip: sum.gzip + gzipSync(content).length }),
      { raw: 0, gzip: 0 },
    );
  };
  return { first: await sizes(scripts.filter((name) => page.includes(name))), all: await sizes(scripts) };
}
