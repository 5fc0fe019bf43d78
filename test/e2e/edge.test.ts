/// <reference lib="dom" />
/** The page Edge: a server started by keys, a picture decided on in the browser as the command decides, a connection. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, Locator, Page } from 'playwright';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { runCli } from '../integration/cli/run-cli.ts';
import { violationsOf } from './axe.ts';
import { hasChromium, openBrowser } from './open-studio.ts';
import { PreparedStudio } from './prepared-studio.ts';

const LONG = 120_000;
/** The first start builds the studio. */
const BUILT = 300_000;
const predicted = z.object({
  predictions: z.array(
    z.object({ label: z.string(), top: z.array(z.object({ label: z.string(), probability: z.number() })) }),
  ),
});

if (!hasChromium) console.warn('SKIPPED: the page Edge in a browser (no Chromium; set CHROMIUM to one).');

describe.skipIf(!hasChromium)('the page Edge', () => {
  let studio: PreparedStudio;
  let browser: Browser;
  let page: Page;
  const fetched: string[] = [];
  const problems: string[] = [];

  beforeAll(async () => {
    studio = await PreparedStudio.open();
    browser = await openBrowser();
    page = await browser.newPage({ viewport: { width: 1280, height: 800 }, colorScheme: 'light' });
    page.setDefaultTimeout(45_000);
    page.on('request', (request) => fetched.push(new URL(request.url()).pathname));
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
    page.on('pageerror', (error) => problems.push(error.message));
    await page.goto(studio.server.url);
    await page.getByRole('heading', { level: 1 }).waitFor();
  }, BUILT);
  afterAll(async () => {
    await browser.close();
    await studio.close();
  });

  /** Sound, and no wider than it may be. */
  async function check(what: string) {
    await page.waitForTimeout(200);
    expect(await violationsOf(page), what).toEqual([]);
    const main = await page.evaluate(() => {
      const { scrollWidth, clientWidth } = document.getElementById('main')!;
      return scrollWidth - clientWidth;
    });
    expect(main, what).toBeLessThanOrEqual(0);
  }

  async function tabTo(wanted: Locator) {
    await wanted.waitFor();
    for (let tabs = 0; !(await wanted.evaluate((element) => element === document.activeElement)); tabs++) {
      expect(tabs).toBeLessThan(40);
      await page.keyboard.press('Tab');
    }
  }

  it(
    'starts a server by keys, and decides in the browser as the command does, under a policy that is as strict as before',
    async () => {
      const ofEdge = () => fetched.filter((path) => /Edge-|adaptor-worker-|\.wasm$/.test(path));
      expect(ofEdge()).toEqual([]);
      await page.keyboard.press('g');
      await page.keyboard.press('x');
      await check('starting a server');
      await tabTo(page.getByLabel('Port', { exact: true }));
      await page.keyboard.type('0');
      await tabTo(page.getByRole('button', { name: 'Start serving' }));
      await page.keyboard.press('Enter');
      await page.getByText('Serving to this machine only').waitFor();
      const server = (await page.locator('code').first().textContent())!.trim();
      await check('a server that runs');

      // Tabs are worked with arrows.
      await tabTo(page.getByRole('tab', { name: 'Serve', exact: true }));
      await page.keyboard.press('ArrowRight');
      await page.keyboard.press('ArrowRight');
      // Early: the browser has to be told that somebody waits before it is asked.
      const choosing = page.waitForEvent('filechooser');
      choosing.catch(() => undefined);
      await tabTo(page.getByRole('button', { name: 'Choose a picture' }));
      await page.keyboard.press('Enter');
      const picture = join(studio.stage.dataset, 'images', 'test-00003.png');
      await (await choosing).setFiles(picture);
      await page.getByText('Measured here').waitFor();
      expect(ofEdge().some((path) => path.endsWith('.wasm'))).toBe(true);
      await page.emulateMedia({ colorScheme: 'dark' });
      await check('a decision');

      const shown = await page
        .getByRole('region', { name: 'For this picture' })
        .getByRole('listitem')
        .evaluateAll((items) =>
          items.map((item) => ({
            label: item.firstElementChild!.textContent,
            probability: Number((item.lastElementChild as HTMLElement).title),
          })),
        );
      const adaptor = join(studio.workspace, 'exports', `${studio.run}-adaptor`, 'adaptor.onnx');
      const command = await runCli(['edge', 'run', adaptor, picture, '--server', server, '--json']);
      expect(command.code, command.stderr).toBe(0);
      const { top, label } = predicted.parse(command.json).predictions[0]!;
      expect(shown[0]!.label).toBe(label);
      expect(shown).toHaveLength(top.length);
      for (const [place, guess] of top.entries())
        expect(
          Math.abs(shown.find((one) => one.label === guess.label)!.probability - guess.probability),
          `${place}`,
        ).toBeLessThan(1e-4);

      // Only the thread on which the adaptor runs may compile anything.
      const policies = await page.evaluate(
        async (worker) => {
          const of = async (path: string) => (await fetch(path)).headers.get('content-security-policy')!;
          return { page: await of('/'), worker: await of(worker) };
        },
        ofEdge().find((path) => path.includes('adaptor-worker-'))!,
      );
      expect(policies.page).not.toContain('unsafe');
      expect(policies.worker).toBe("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'");
      expect(problems).toEqual([]);
    },
    LONG,
  );

  it(
    'connects to a server, and shows what transfer costs, on a phone',
    async () => {
      await page.setViewportSize({ width: 390, height: 800 });
      await page.getByRole('tab', { name: 'Serve', exact: true }).click();
      const server = (await page.locator('code').first().textContent())!.trim();
      await check('a server that runs, on a phone');
      await page.getByRole('tab', { name: 'Connect' }).click();
      await page.getByLabel('Address', { exact: true }).fill('http://127.0.0.1:9');
      await page.getByRole('button', { name: 'Look' }).click();
      await page.getByText(/The server at http:\/\/127.0.0.1:9 cannot be used \(nothing listens there\)/).waitFor();
      await page.getByLabel('Address', { exact: true }).fill(server);
      await page.getByRole('button', { name: 'Look' }).click();
      await page.getByRole('button', { name: 'Connect', exact: true }).click();
      await page.getByRole('link', { name: /^Train on vit-/ }).waitFor();
      await check('a connection');
      await page.getByRole('tab', { name: 'Transfer' }).click();
      await page.getByText('What an image costs, computed').waitFor();
      await page.getByLabel('Epochs').fill('0');
      await page.getByText('A whole number from 1 on.').waitFor();
      expect(await page.getByRole('button', { name: 'Measure' }).isDisabled()).toBe(true);
      await page.getByLabel('Epochs').fill('1');
      await page.getByLabel('Sums up to blocks').fill('1, 2');
      await page.getByLabel('Training images').fill('16');
      await page.getByLabel(/^With all taps/).uncheck();
      await page.getByRole('button', { name: 'Measure' }).click();
      const table = page.getByRole('region', { name: 'Accuracy against transfer' }).getByRole('row');
      await expect.poll(() => table.count(), { timeout: 60_000 }).toBe(6);
      await page.getByRole('button', { name: 'Remove' }).waitFor();
      await check('what transfer costs and buys');
      const saving = page.waitForEvent('download');
      await page.getByRole('button', { name: 'Save as CSV' }).click();
      const lines = (await readFile(await (await saving).path(), 'utf8')).trimEnd().split('\n');
      expect(lines[0]).toBe('features,upto,datatype,bytesPerImage,measuredUp,measuredDown,val,test');
      expect(lines.slice(1).map((line) => line.split(',').slice(0, 3).join(' '))).toEqual([
        'cls 4 fp32',
        'sum 1 fp16',
        'sum 1 int8',
        'sum 2 fp16',
        'sum 2 int8',
      ]);
      expect(problems).toEqual([]);
      // The backbone that was connected to can be trained on.
      await page.getByRole('tab', { name: 'Connect' }).click();
      await page.getByRole('link', { name: /^Train on vit-/ }).click();
      await expect.poll(() => page.getByLabel('Backbone').inputValue()).toMatch(/^vit-/);
      expect(await page.getByRole('radio', { name: /MIET/ }).isChecked()).toBe(true);
    },
    LONG,
  );
});
