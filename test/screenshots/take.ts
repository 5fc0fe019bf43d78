/// <reference lib="dom" />
/**
 * `npm run screenshots [-- --workspace DIR --out DIR --width W --height H --only PAGE,PAGE]`: every page in both themes,
 * from real runs, in docs/screenshots, of which the README shows a few. A workspace that is named needs what the demo
 * makes; without one it is made first, in one of its own.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Browser, Page } from 'playwright';
import sharp from 'sharp';
import { openBrowser, startServer, type Server } from '../e2e/open-studio.ts';
import { writeTroubledSet } from './troubled-set.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const TALLEST = 1600;

/** A page that is shown, and what is done on it first. */
interface Shot {
  name: string;
  place: string;
  prepare?: (page: Page) => Promise<void>;
}

const { values } = parseArgs({
  options: {
    workspace: { type: 'string' },
    out: { type: 'string', default: join(root, 'docs', 'screenshots') },
    width: { type: 'string', default: '1280' },
    height: { type: 'string', default: '800' },
    only: { type: 'string' },
  },
});
const { out } = values;
const size = { width: Number(values.width), height: Number(values.height) };
const workspace = values.workspace ?? (await demonstrated());
await prepare();
const server = await startServer(workspace);
const browser = await openBrowser('--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream');
try {
  await mkdir(out, { recursive: true });
  for (const theme of ['light', 'dark'] as const) await shoot(browser, server, theme);
} finally {
  await browser.close();
  await server.stop();
  if (values.workspace === undefined) await rm(workspace, { recursive: true, force: true });
}
let bytes = 0;
for (const name of await readdir(out)) bytes += (await stat(join(out, name))).size;
console.log(`${out}: ${(bytes / 1e6).toFixed(2)} MB`);

/** A workspace in which `sidetune demo` has trained its runs, swept and exported. */
async function demonstrated(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'screenshots-'));
  sidetune('demo', '--workspace', folder);
  return folder;
}

/** What the demo leaves out: a dataset with problems. */
async function prepare(): Promise<void> {
  const has = (kind: string, name = '') => existsSync(join(workspace, kind, name));
  if (!has('datasets', 'fruit')) {
    const images = join(workspace, 'samples', 'orientation', 'images');
    const pictures = (await readdir(images)).filter((name) => name.startsWith('test-')).slice(0, 80);
    const folder = join(workspace, 'samples', 'fruit');
    await writeTroubledSet(
      folder,
      pictures.map((name) => join(images, name)),
    );
    sidetune('datasets', 'add', folder, '--copy', '--workspace', workspace);
  }
}

function sidetune(...words: string[]): void {
  const launcher = join(root, 'src-main', 'cli', 'sidetune.mjs');
  const { status } = spawnSync(process.execPath, [launcher, ...words], { stdio: 'inherit' });
  if (status !== 0) throw new Error(`sidetune ${words.join(' ')}: it did not get to its end`);
}

async function shoot(browser: Browser, { url, port }: Server, colorScheme: 'light' | 'dark'): Promise<void> {
  const context = await browser.newContext({ viewport: size, colorScheme, reducedMotion: 'reduce' });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  await page.goto(url);
  await page.getByRole('heading', { level: 1 }).waitFor();
  const only = values.only?.split(',');
  for (const { name, place, prepare } of shotsOf(await newest())) {
    if (only?.includes(name) === false) continue;
    await page.goto(`http://127.0.0.1:${port}/#/${place}`);
    await page.getByRole('heading', { level: 1 }).waitFor();
    await page.waitForTimeout(600);
    await prepare?.(page);
    await page.waitForTimeout(400);
    // As tall as what is on it, within reason.
    const height = await page.evaluate(() => {
      const main = document.getElementById('main')!;
      return innerHeight - main.clientHeight + main.scrollHeight;
    });
    await page.setViewportSize({ ...size, height: Math.max(size.height, Math.min(TALLEST, height)) });
    // Pictures come one after the other; those far below may not come at all.
    await page
      .waitForFunction(() => [...document.images].every(({ complete }) => complete), undefined, { timeout: 5000 })
      .catch(() => undefined);
    await page.waitForTimeout(400);
    await keep(await page.screenshot(), join(out, `${name}-${colorScheme}.png`));
    await page.setViewportSize(size);
  }
  await context.close();
}

/** Few colours: a window has no more. */
async function keep(png: Uint8Array, path: string): Promise<void> {
  await sharp(png).png({ palette: true, colours: 64, dither: 0, compressionLevel: 9, effort: 10 }).toFile(path);
}

interface Newest {
  runs: string[];
  run: string;
  sweep: string;
}

async function newest(): Promise<Newest> {
  const names = async (folder: string) => (await readdir(join(workspace, folder))).sort();
  const runs = await names('runs');
  return { runs, run: runs.findLast((name) => name.includes('-last-'))!, sweep: (await names('sweeps')).at(-1)! };
}

function shotsOf({ runs, run, sweep }: Newest): Shot[] {
  const dataset = run.slice(0, run.indexOf('-last-'));
  const compared = ['last', 'miet', 'linear'].map((method) =>
    runs.find((name) => name.startsWith(`${dataset}-${method}-`)),
  );
  return [
    { name: 'start', place: 'start' },
    { name: 'datasets', place: 'datasets' },
    { name: 'dataset', place: `datasets/${dataset}` },
    {
      name: 'problems',
      place: 'datasets/fruit',
      prepare: async (page) => {
        for (const kind of ['Same picture in two splits', 'Cannot be read'])
          await page.getByText(kind, { exact: true }).first().click();
      },
    },
    { name: 'backbones', place: 'backbones' },
    {
      name: 'train',
      place: 'train',
      prepare: (page) => page.getByText(/extracting, .* training/).waitFor(),
    },
    { name: 'sweeps', place: 'sweeps' },
    { name: 'new-sweep', place: 'sweeps?new=yes' },
    { name: 'sweep', place: `sweeps/${sweep}` },
    { name: 'runs', place: 'runs' },
    { name: 'compare', place: `runs?compare=${compared.join(',')}` },
    { name: 'curves', place: `runs/${run}` },
    {
      name: 'run',
      place: `runs/${run}?view=evaluation`,
      prepare: async (page) => {
        const confusion = page.getByRole('heading', { name: 'Confusion' });
        if (!(await confusion.isVisible()))
          await page.getByRole('button', { name: 'Evaluate', exact: true }).first().click();
        await confusion.waitFor();
      },
    },
    { name: 'exports', place: `runs/${run}?view=exports` },
    { name: 'log', place: `runs/${run}?view=log` },
    {
      name: 'try',
      place: `try/${run}`,
      prepare: async (page) => {
        const images = join(workspace, 'samples', 'orientation', 'images');
        const files = ['test-00004.png', 'test-00001.png', 'test-00000.png', 'test-00005.png'];
        await page.locator('input[type=file]').setInputFiles(files.map((file) => join(images, file)));
        await page
          .getByText(/adaptor/)
          .nth(files.length - 1)
          .waitFor();
      },
    },
    ...['serve', 'connect', 'decide'].map((view) => ({ name: `edge-${view}`, place: `edge?view=${view}` })),
    {
      name: 'edge-tradeoff',
      place: 'edge?view=tradeoff',
      prepare: async (page) => {
        const chart = page.locator('main canvas');
        if (await chart.isVisible()) return;
        for (const [field, value] of Object.entries({
          'Sums up to blocks': '3, 5',
          Epochs: '8',
          'Training images': '200',
        }))
          await page.getByRole('textbox', { name: field }).fill(value);
        await page.getByRole('checkbox', { name: /With all taps/ }).uncheck();
        await page.getByRole('button', { name: 'Measure' }).click();
        // There while it is measured: the chart is whole when it is over.
        await page.locator('main').getByRole('button', { name: 'Stop' }).waitFor();
        await page
          .locator('main')
          .getByRole('button', { name: 'Stop' })
          .waitFor({ state: 'detached', timeout: 300_000 });
        await chart.waitFor();
      },
    },
    { name: 'settings', place: 'settings' },
  ];
}
