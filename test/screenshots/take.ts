/// <reference lib="dom" />
/**
 * `npm run screenshots [-- --workspace DIR]`: the README's pictures, from a real run: every page in both themes, in
 * docs/screenshots. Without a workspace the demo is made first, in one of its own.
 */
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Browser, Page } from 'playwright';
import sharp from 'sharp';
import { openBrowser, startServer, type Server } from '../e2e/open-studio.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const out = join(root, 'docs', 'screenshots');
const SIZE = { width: 1280, height: 800 };
const TALLEST = 1600;

/** A page that is shown, and what is done on it first. */
interface Shot {
  name: string;
  place: string;
  prepare?: (page: Page) => Promise<void>;
}

const { values } = parseArgs({ options: { workspace: { type: 'string' } } });
const workspace = values.workspace ?? (await demonstrated());
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

/** A workspace in which `sidetune demo` has trained its three runs. */
async function demonstrated(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'screenshots-'));
  const launcher = join(root, 'src-main', 'cli', 'sidetune.mjs');
  const { status } = spawnSync(process.execPath, [launcher, 'demo', '--workspace', folder], { stdio: 'inherit' });
  if (status !== 0) throw new Error('the demo did not get to its end');
  return folder;
}

async function shoot(browser: Browser, { url, port }: Server, colorScheme: 'light' | 'dark'): Promise<void> {
  const context = await browser.newContext({ viewport: SIZE, colorScheme, reducedMotion: 'reduce' });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  await page.goto(url);
  await page.getByRole('heading', { level: 1 }).waitFor();
  for (const { name, place, prepare } of shotsOf(await newestRun())) {
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
    await page.setViewportSize({ ...SIZE, height: Math.min(TALLEST, Math.max(SIZE.height, height)) });
    // Pictures come one after the other; those far below may not come at all.
    await page
      .waitForFunction(() => [...document.images].every(({ complete }) => complete), undefined, { timeout: 5000 })
      .catch(() => undefined);
    await page.waitForTimeout(400);
    await keep(await page.screenshot(), join(out, `${name}-${colorScheme}.png`));
    await page.setViewportSize(SIZE);
  }
  await context.close();
}

/** Few colours: a window has no more. */
async function keep(png: Uint8Array, path: string): Promise<void> {
  await sharp(png).png({ palette: true, colours: 64, dither: 0, compressionLevel: 9, effort: 10 }).toFile(path);
}

async function newestRun(): Promise<string> {
  const runs = (await readdir(join(workspace, 'runs'))).filter((name) => name.includes('-last-')).sort();
  return runs.at(-1)!;
}

function shotsOf(run: string): Shot[] {
  const dataset = run.slice(0, run.indexOf('-last-'));
  return [
    { name: 'start', place: 'start' },
    { name: 'dataset', place: `datasets/${dataset}` },
    { name: 'backbones', place: 'backbones' },
    {
      name: 'train',
      place: 'train',
      prepare: (page) => page.getByText(/extracting, .* training/).waitFor(),
    },
    { name: 'runs', place: 'runs' },
    { name: 'sweeps', place: 'sweeps' },
    {
      name: 'run',
      place: `runs/${run}`,
      prepare: async (page) => {
        const confusion = page.getByRole('heading', { name: 'Confusion' });
        if (!(await confusion.isVisible())) await page.getByRole('button', { name: 'Evaluate' }).click();
        await confusion.waitFor();
      },
    },
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
    { name: 'settings', place: 'settings' },
  ];
}
