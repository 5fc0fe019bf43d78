/// <reference lib="dom" />
/** What a user does with runs once they are trained: looks into them, compares them, takes them away and back, exports. */
import { readFile } from 'node:fs/promises';
import type { Browser, Page } from 'playwright';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Stage } from '../integration/stage.ts';
import { violationsOf } from './axe.ts';
import { hasChromium, openBrowser, startServer, type Server } from './open-studio.ts';

const LONG = 120_000;
/** What is waited for comes at once on an idle machine, and some time later on a busy one. */
const patient = { timeout: 45_000 };

if (!hasChromium) console.warn('SKIPPED: runs in a browser (no Chromium; set CHROMIUM to one).');

describe.skipIf(!hasChromium)('runs in the studio window', () => {
  let stage: Stage;
  let server: Server;
  let browser: Browser;
  let page: Page;
  let run: string;
  const complaints: string[] = [];

  beforeAll(async () => {
    stage = await Stage.set();
    ({ run } = await stage.train('runs', '--method', 'last', '--epochs', '3', '--no-test'));
    await stage.train('runs', '--method', 'linear', '--epochs', '3', '--no-test');
    server = await startServer(stage.workspace('runs'));
    browser = await openBrowser();
    page = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage();
    page.setDefaultTimeout(45_000);
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    await page.goto(server.url);
  }, LONG);
  afterAll(async () => {
    await browser.close();
    await server.stop();
    await stage.clear();
  });

  const go = (place: string) => page.goto(`http://127.0.0.1:${server.port}/#/${place}`);
  const tab = (name: string) => page.getByRole('tab', { name });

  /** What axe finds in the page as it stands, in light and in dark. */
  async function violations(): Promise<string[]> {
    const found: string[] = [];
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      await page.waitForFunction((theme) => document.documentElement.dataset.theme === theme, colorScheme);
      found.push(...(await violationsOf(page)));
    }
    return found;
  }

  it(
    'shows the pictures behind a cell, and what the side network looks at in them, by keyboard',
    async () => {
      await go(`runs/${run}`);
      await page.getByText('LoRA is an estimate').waitFor();
      await tab('Curves').focus();
      await page.keyboard.press('ArrowRight');
      await page.getByText('Not evaluated yet').waitFor();
      await page.getByRole('button', { name: 'Evaluate', exact: true }).last().click();
      const matrix = page.getByRole('grid', { name: 'Confusion' });
      await matrix.waitFor();

      // The first cell off the diagonal that has pictures, by arrows from the first.
      const [row, column, count] = await matrix.evaluate((table) => {
        const rows = [...table.querySelectorAll('tbody tr')];
        const cells = rows.flatMap((each, i) =>
          [...each.querySelectorAll('td')].map((cell, j) => [i, j, Number(cell.textContent.trim())] as const),
        );
        return cells.find(([i, j, images]) => i !== j && images > 0)!;
      });
      await matrix.locator('td').first().focus();
      for (let step = 0; step < row; step++) await page.keyboard.press('ArrowDown');
      for (let step = 0; step < column; step++) await page.keyboard.press('ArrowRight');
      await page.keyboard.press('Enter');
      const cell = page.getByRole('region', { name: /taken for/ });
      await expect.poll(() => cell.getByRole('img').count(), patient).toBe(count);
      expect(await violations()).toEqual([]);

      await cell.getByRole('button').nth(1).focus();
      await page.keyboard.press('Enter');
      const dialog = page.getByRole('dialog');
      // The picture, rollout, and a module for each of the four blocks.
      await expect.poll(() => dialog.getByRole('radio').count(), patient).toBe(6);
      const drawn = () =>
        dialog
          .locator('canvas')
          .first()
          .evaluate((canvas: HTMLCanvasElement) => canvas.toDataURL());
      const rollout = await drawn();
      await dialog.getByRole('radio', { name: /block 2/ }).check({ force: true });
      await expect.poll(drawn, patient).not.toBe(rollout);
      expect(await violations()).toEqual([]);
      await page.keyboard.press('Escape');
      await dialog.waitFor({ state: 'detached' });
    },
    LONG,
  );

  it('sorts the classes, and keeps the evaluation when the page is opened again', async () => {
    await page.reload();
    const table = page.getByRole('region', { name: 'By class' });
    const column = async () => (await table.locator('tbody tr td:last-child').allTextContents()).map(parseFloat);
    await table.waitFor();
    expect(await column()).toEqual((await column()).toSorted((a, b) => a - b));
    await table.getByRole('button', { name: 'F1' }).click();
    expect(await column()).toEqual((await column()).toSorted((a, b) => b - a));
    await page.getByRole('region', { name: 'Worst mistakes' }).getByRole('img').first().waitFor();
  });

  it(
    'exports with figures, a card, a program, and files to be downloaded',
    async () => {
      await page.getByRole('button', { name: 'Export', exact: true }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByRole('radio', { name: /Adaptor/ }).check();
      await dialog.getByRole('button', { name: 'Export', exact: true }).click();
      await page.getByText(/largest difference of a logit/).waitFor();
      await page.getByText('Card (README.md)').click();
      await page.getByText('adaptor.onnx: the side network alone').waitFor();
      const program = page.getByRole('region', { name: 'How to use it' });
      expect(await program.textContent()).toContain('ort.InferenceSession("adaptor.onnx")');
      await tab('JavaScript').click();
      expect(await program.textContent()).toContain("from 'onnxruntime-node'");
      const saved = page.waitForEvent('download');
      await page.getByRole('link', { name: 'adaptor.onnx' }).click();
      const bytes = await readFile(await (await saved).path());
      const address = await page
        .getByRole('link', { name: 'adaptor.onnx' })
        .evaluate((link: HTMLAnchorElement) => link.href);
      expect(bytes.length).toBeGreaterThan(1000);
      expect((await page.request.get(address.replace('adaptor.onnx', 'merged.onnx'))).status()).toBe(404);
      expect(await violations()).toEqual([]);
    },
    LONG,
  );

  it('tells what happened to a run, and keeps a note about it', async () => {
    await page.getByLabel('Note').fill('the first try');
    await page.getByLabel('Note').press('Enter');
    await tab('Log and settings').click();
    await page.getByText(/^Done: the best of 3 epochs/).waitFor();
    await go('runs');
    await page.getByText('the first try').waitFor();
  });

  it('filters, compares, takes away and gives back, by keyboard', async () => {
    const rows = page.locator('tbody tr');
    await expect.poll(() => rows.count(), patient).toBe(2);
    await page.getByRole('searchbox').fill('FIRST');
    await expect.poll(() => rows.count(), patient).toBe(1);
    await page.getByRole('searchbox').fill('');
    await page.getByRole('button', { name: 'Method' }).click();
    await expect.poll(() => rows.locator('td:nth-child(3)').allTextContents(), patient).toEqual(['last', 'linear']);
    expect(await violations()).toEqual([]);

    await rows.first().focus();
    await page.keyboard.press(' ');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press(' ');
    await page.getByRole('button', { name: 'Compare' }).click();
    await page.getByRole('heading', { name: 'Compare' }).waitFor();
    await page.locator('tr.differs').filter({ hasText: 'method' }).getByText('linear').waitFor();
    expect(await page.locator('tr.differs').filter({ hasText: 'seed' }).count()).toBe(0);
    expect(await violations()).toEqual([]);

    await page.getByRole('button', { name: 'All runs' }).click();
    for (const box of await page.getByRole('checkbox').all()) await box.uncheck();
    await rows.filter({ hasText: 'the first try' }).focus();
    await page.keyboard.press('Delete');
    await expect.poll(() => rows.count(), patient).toBe(1);
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.getByText('the first try').waitFor();
    await rows.filter({ hasText: 'the first try' }).getByRole('link').click();
    await tab('Exports').click();
    await page.getByRole('link', { name: 'adaptor.onnx' }).waitFor();
  });

  it('never complained', () => {
    expect(complaints.filter((words) => !words.includes('404'))).toEqual([]);
  });
});
