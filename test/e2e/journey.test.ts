/// <reference lib="dom" />
/** The whole journey in a real browser on the real server: by mouse, by keyboard, and through a killed server. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Browser, Page } from 'playwright';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Stage } from '../integration/stage.ts';
import { hasChromium, openBrowser, startServer, type Server } from './open-studio.ts';

const LONG = 120_000;

if (!hasChromium) console.warn('SKIPPED: the window in a browser (no Chromium; set CHROMIUM to one).');

describe.skipIf(!hasChromium)('the studio window', () => {
  let stage: Stage;
  let workspace: string;
  let server: Server;
  let browser: Browser;
  let page: Page;
  const complaints: string[] = [];

  beforeAll(async () => {
    stage = await Stage.set();
    workspace = await mkdtemp(join(tmpdir(), 'studio-'));
    server = await startServer(workspace);
    browser = await openBrowser();
    page = await open({ width: 1280, height: 800 });
  }, LONG);
  afterAll(async () => {
    await browser.close();
    await server.stop();
    await stage.clear();
    await rm(workspace, { recursive: true, force: true });
  });

  /** A window that says what it is unhappy with. */
  async function open(viewport: { width: number; height: number }, colorScheme: 'light' | 'dark' = 'light') {
    const context = await browser.newContext({ viewport, colorScheme });
    const opened = await context.newPage();
    opened.setDefaultTimeout(45_000);
    opened.on('pageerror', (error) => complaints.push(error.message));
    opened.on('console', (message) => {
      // A server that is gone is what one of the tests is about.
      if (message.type() === 'error' && !/net::ERR_|WebSocket/.test(message.text())) complaints.push(message.text());
    });
    await opened.goto(server.url);
    return opened;
  }

  const nav = (name: string) => page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name });

  /** Chooses a path in the studio's own dialog. */
  async function choose(path: string) {
    await page.getByRole('textbox', { name: 'Path' }).fill(path);
    await page.getByRole('textbox', { name: 'Path' }).press('Enter');
  }

  /** What a browser has of a file that is dropped on the page of backbones. */
  async function dropModel(path: string) {
    const card = page.getByRole('region', { name: 'Add an ONNX file' });
    const content = (await readFile(path)).toString('base64');
    await card.evaluate(
      (element, { name, encoded }) => {
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([Uint8Array.from(atob(encoded), (each) => each.charCodeAt(0))], name));
        element.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
      },
      { name: basename(path), encoded: content },
    );
  }

  it('takes the key out of the address', async () => {
    await page.getByRole('heading', { name: 'Start' }).waitFor();
    expect(page.url()).not.toContain('token');
  });

  it('keeps the path that is typed while the first folder is still being read', async () => {
    let asked = 0;
    await page.route('**/call/folders.list', async (route) => {
      if (asked++ === 0) await new Promise((resolve) => setTimeout(resolve, 700));
      await route.continue();
    });
    await page.getByRole('button', { name: 'Add images' }).click();
    await choose(stage.folder);
    await page.getByRole('button', { name: 'hearts' }).waitFor();
    await page.waitForTimeout(1000);
    expect(await page.getByRole('textbox', { name: 'Path' }).inputValue()).toBe(stage.folder);
    expect(await page.getByRole('button', { name: 'hearts' }).count()).toBe(1);
    await page.keyboard.press('Escape');
    await page.unroute('**/call/folders.list');
  });

  it('puts what is typed in place of the folder that the dialog begins with', async () => {
    await page.getByRole('button', { name: 'Add images' }).click();
    const path = page.getByRole('textbox', { name: 'Path' });
    await expect.poll(() => path.inputValue()).not.toBe('');
    await page.keyboard.insertText(stage.folder);
    expect(await path.inputValue()).toBe(stage.folder);
    await page.keyboard.press('Escape');
  });

  it(
    'goes from a folder to an exported adaptor by mouse',
    async () => {
      await page.getByRole('button', { name: 'Add images' }).click();
      await choose(stage.dataset);
      await page.getByRole('button', { name: 'Use this folder' }).click();
      await nav('Datasets').click();
      await page.getByRole('link', { name: /hearts/ }).click();
      await page.getByText('272 images').waitFor();
      await page.getByRole('button', { name: 'val 48' }).click();
      await page.getByText('48 images').waitFor();
      const first = page.getByRole('region', { name: 'Images' }).getByRole('img').first();
      await first.waitFor();
      await expect.poll(() => first.evaluate((image: HTMLImageElement) => image.naturalWidth)).toBeGreaterThan(0);

      await nav('Backbones').click();
      await dropModel(stage.backbone);
      // Its file does not say how pictures are prepared.
      await page.getByRole('radio', { name: /^0.5/ }).check();
      await page.getByRole('button', { name: 'Add with this' }).click();
      await page.getByRole('region', { name: 'vit', exact: true }).waitFor();

      await nav('Train').click();
      await page.getByLabel('Backbone').selectOption('vit');
      await page.getByText('Advanced').click();
      await page.getByLabel('Epochs').fill('3');
      await page.getByRole('button', { name: 'Start training' }).click();
      await page.waitForURL(/#\/runs\/hearts-last/);
      await page.getByRole('button', { name: 'Evaluate' }).click();
      await page.getByRole('heading', { name: 'Confusion' }).waitFor();
      await page.getByRole('button', { name: 'Export' }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Export', exact: true }).click();
      await page.getByText(/largest difference of a logit/).waitFor();
      const saved = page.waitForEvent('download');
      await page.getByRole('link', { name: 'adaptor.onnx' }).click();
      expect((await readFile(await (await saved).path())).length).toBeGreaterThan(1000);
    },
    LONG,
  );

  it(
    'is worked by keyboard alone',
    async () => {
      await page.keyboard.press('g');
      await page.keyboard.press('r');
      await page.getByRole('heading', { name: 'Runs', exact: true }).waitFor();
      await page.keyboard.press('Control+k');
      await page.keyboard.type('datasets: hearts');
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'hearts' }).waitFor();
      await page.keyboard.press('?');
      await page.getByRole('dialog', { name: 'Show all shortcuts' }).waitFor();
      await page.keyboard.press('Escape');
      await page.keyboard.press('g');
      await page.keyboard.press('t');
      await page.getByLabel('Dataset').focus();
      await page.keyboard.press('Tab');
      await page.keyboard.press('Tab');
      await page.keyboard.press('ArrowLeft');
      expect(await page.getByRole('radio', { name: /MIET/ }).isChecked()).toBe(true);
      const start = page.getByRole('button', { name: 'Start training' });
      for (let presses = 0; !(await start.evaluate((button) => button === document.activeElement)); presses++) {
        expect(presses).toBeLessThan(10);
        await page.keyboard.press('Tab');
      }
      await page.keyboard.press('Enter');
      await page.waitForURL(/#\/runs\/hearts-miet/);
    },
    LONG,
  );

  it(
    'shows a run where it was after a reload and after the server was killed, and goes on with it',
    async () => {
      await page.getByText('Val top-1').waitFor();
      await page.reload();
      await page.getByRole('heading', { name: /hearts-miet/ }).waitFor();
      await page.getByRole('button', { name: 'Stop' }).first().waitFor();
      const { port } = server;
      server.process.kill('SIGKILL');
      await page.getByText(/cannot be heard/).waitFor();
      server = await startServer(workspace, port);
      await page.goto(`${server.url}#/${page.url().split('#/')[1]}`);
      await page.getByRole('button', { name: 'Resume' }).first().click();
      await page.getByRole('button', { name: 'Evaluate' }).waitFor();
      expect(await page.getByText(/epoch \d+ of 30/).count()).toBe(1);
    },
    LONG,
  );

  it('never complained', () => {
    expect(complaints).toEqual([]);
  });
});
