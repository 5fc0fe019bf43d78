/// <reference lib="dom" />
/** Sweeps in a real browser on the real server: made by mouse, watched, a trial stopped, the winner kept, gone on with, trained again and exported. */
import type { Browser, Page } from 'playwright';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Workspace } from '../../src-main/studio/contract.ts';
import { addBackbone } from '../../src-main/studio/backbones.ts';
import { addDataset } from '../../src-main/studio/datasets/datasets.ts';
import { Scene } from '../integration/accidents/scene.ts';
import { violationsOf } from './axe.ts';
import { hasChromium, openBrowser, startServer, type Server } from './open-studio.ts';

const LONG = 120_000;

if (!hasChromium) console.warn('SKIPPED: sweeps in a browser (no Chromium; set CHROMIUM to one).');

describe.skipIf(!hasChromium)('sweeps in the window', () => {
  let scene: Scene;
  let server: Server;
  let browser: Browser;
  let page: Page;
  const complaints: string[] = [];

  beforeAll(async () => {
    scene = await Scene.set({ train: 64, val: 32, test: 16 });
    const workspace = await Workspace.open(scene.path('workspace'));
    await addDataset(workspace, { path: scene.dataset });
    await addBackbone(workspace, { file: scene.backbone });
    server = await startServer(workspace.root);
    browser = await openBrowser();
    page = await open({ width: 1280, height: 900 }, 'light');
  }, LONG);
  afterAll(async () => {
    await browser.close();
    await server.stop();
    await scene.clear();
  });

  async function open(viewport: { width: number; height: number }, colorScheme: 'light' | 'dark'): Promise<Page> {
    const opened = await (await browser.newContext({ viewport, colorScheme })).newPage();
    opened.setDefaultTimeout(45_000);
    opened.on('pageerror', (error) => complaints.push(error.message));
    opened.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    await opened.goto(server.url);
    return opened;
  }

  it(
    'makes a sweep by mouse, stops one of its trials, and keeps another as a run',
    async () => {
      await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Sweeps' }).click();
      await page.getByRole('button', { name: 'New sweep' }).first().click();
      await page.getByLabel('Backbone').selectOption('vit');
      await page.getByRole('checkbox', { name: 'Linear probe' }).check();
      // Long enough that the first trial is there to be stopped.
      await page.getByLabel('Epochs of a trial').fill('2000');
      await page.getByLabel('Sampler').selectOption('Random');
      await page.getByLabel('Pruner').selectOption('None');
      await page.getByLabel('Trials', { exact: true }).fill('2');
      await page.getByText('Advanced').click();
      await page.getByLabel('Processes that train').fill('1');
      await page.getByRole('textbox', { name: 'Values of learning rate' }).fill('a lot');
      await page.getByRole('textbox', { name: 'Values of rank' }).fill('2, ');
      await page.getByRole('checkbox', { name: 'Vary drop-path' }).uncheck();
      await page.getByRole('textbox', { name: 'Values of weight decay' }).fill('2..1');
      await page.getByRole('button', { name: 'Start sweep' }).click();
      await page.getByText(/Weight decay: write values/).waitFor();
      await page.getByRole('checkbox', { name: 'Vary weight decay' }).uncheck();
      await page.getByRole('textbox', { name: 'Values of learning rate' }).fill('0.001..0.01');
      await page.getByRole('button', { name: 'Start sweep' }).click();
      await page.waitForURL(/#\/sweeps\/hearts-sweep/);
      await page.getByRole('button', { name: 'Stop trial 0' }).click();
      await page.getByRole('cell', { name: 'pruned' }).waitFor();
      await page.getByRole('button', { name: 'Stop trial 1' }).click();
      await page.getByText('0 done, 2 pruned, 0 failed, of 2 trials').waitFor();
    },
    LONG,
  );

  it(
    'shows another to its end, with its pictures and its winner, kept as a run',
    async () => {
      await page.goto(`${new URL(server.url).origin}/#/sweeps?new=yes`);
      await page.getByLabel('Backbone').selectOption('vit');
      await page.getByLabel('Epochs of a trial').fill('3');
      await page.getByLabel('Sampler').selectOption('Quasi-random');
      await page.getByLabel('Pruner').selectOption('None');
      await page.getByLabel('Trials', { exact: true }).fill('3');
      await page.getByRole('textbox', { name: 'Values of rank' }).fill('2, 3');
      await page.getByRole('button', { name: 'Start sweep' }).click();
      await page.waitForURL(/#\/sweeps\/hearts-sweep/);
      await page.getByText('3 done, 0 pruned, 0 failed, of 3 trials').waitFor();
      await page.getByText('Kept as run').waitFor();
      const table = page.getByRole('region', { name: 'Trials, the best first' });
      expect(await table.getByRole('row').count()).toBe(4);
      // A brush over the upper half of the first axis leaves the trials of one rank.
      const plane = page.getByTitle('Part of Rank');
      const box = (await plane.boundingBox())!;
      await page.mouse.move(box.x + box.width / 2, box.y + 4);
      await page.mouse.down();
      await page.mouse.move(box.x + box.width / 2, box.y + box.height * 0.4, { steps: 4 });
      await page.mouse.up();
      await page.getByRole('button', { name: 'Show all trials' }).waitFor();
      expect(await table.getByRole('row').count()).toBeLessThan(4);
      await page.getByRole('button', { name: 'Show all trials' }).click();
      expect(await table.getByRole('row').count()).toBe(4);
      await page.getByRole('button', { name: 'Export…' }).click();
      const exporting = page.getByRole('dialog', { name: 'Export the sweep' });
      await exporting.getByLabel('Address of the server').fill('http://127.0.0.1:9');
      await exporting.getByRole('button', { name: 'Send to MLflow' }).click();
      await exporting.getByText('The MLflow server at http://127.0.0.1:9 does not answer').waitFor();
      await page.keyboard.press('Escape');
      await page.getByRole('button', { name: 'Keep trial 2 as a run' }).click();
      await page.waitForURL(/#\/runs\/hearts-last/);
      await page.getByRole('heading', { level: 1, name: /hearts-last/ }).waitFor();
      await page.goBack();
    },
    LONG,
  );

  it(
    'goes on with the best, trains it again on train and val, and exports that',
    async () => {
      await page.waitForURL(/#\/sweeps\/hearts-sweep/);
      const sweep = page.url();
      await page.getByRole('button', { name: 'Change…' }).click();
      const dialog = page.getByRole('dialog', { name: 'Change the sweep' });
      await dialog.getByLabel('How many').fill('1');
      await dialog.getByLabel('Epochs more').fill('2');
      await dialog.getByRole('button', { name: 'Change', exact: true }).click();
      await page.getByText('4 done, 0 pruned, 0 failed, of 4 trials').waitFor();
      await page.getByRole('cell', { name: /^\d → 3$/ }).waitFor();
      // The job has to be over before another begins.
      await page.getByRole('button', { name: 'Remove…' }).waitFor();
      await page.getByRole('button', { name: 'Train again on train and val' }).click();
      await page.waitForURL(/#\/runs\/hearts-last/);
      await page.getByRole('button', { name: 'Export' }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Export', exact: true }).click();
      await page.getByText(/largest difference of a logit/).waitFor();
      await page.goto(sweep);
    },
    LONG,
  );

  it(
    'has no accessibility violation and no overflow, light and dark, small and large',
    async () => {
      await page.waitForURL(/#\/sweeps\/hearts-sweep/);
      const sweep = (await page.evaluate(() => location.hash)).replace('#/', '');
      for (const [viewport, scheme] of [
        [{ width: 1280, height: 900 }, 'dark'],
        [{ width: 375, height: 740 }, 'light'],
      ] as const) {
        const other = await open(viewport, scheme);
        for (const place of ['sweeps', 'sweeps?new=yes', sweep]) {
          await other.goto(`${new URL(server.url).origin}/#/${place}`);
          await other.getByRole('heading', { level: 1 }).waitFor();
          await other.waitForTimeout(400);
          expect(await violationsOf(other), `${place}, ${scheme}`).toEqual([]);
          const overflow = await other.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          expect(overflow, `${place} at ${viewport.width} pixels`).toBeLessThanOrEqual(0);
          const folder = process.env.SIDETUNE_SCREENSHOTS;
          const name = `${place.replaceAll(/\W+/g, '-').slice(0, 16)}-${scheme}.png`;
          if (folder) await other.screenshot({ path: `${folder}/${name}`, fullPage: false });
        }
        await other.context().close();
      }
    },
    LONG,
  );

  it('never complained', () => {
    expect(complaints).toEqual([]);
  });
});
