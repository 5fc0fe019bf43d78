/// <reference lib="dom" />
/** Every page in both themes and all sizes, pictures and the webcam tried, and two windows on one workspace. */
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { violationsOf } from './axe.ts';
import { hasChromium, openBrowser } from './open-studio.ts';
import { PreparedStudio } from './prepared-studio.ts';

const LONG = 120_000;
/** The first start builds the studio. */
const BUILT = 300_000;

if (!hasChromium) console.warn('SKIPPED: the pages in a browser (no Chromium; set CHROMIUM to one).');

describe.skipIf(!hasChromium)('the pages', () => {
  let studio: PreparedStudio;
  let browser: Browser;

  beforeAll(async () => {
    studio = await PreparedStudio.open();
    browser = await openBrowser('--use-fake-device-for-media-stream');
  }, BUILT);
  afterAll(async () => {
    await browser.close();
    await studio.close();
  });

  async function open(options: Parameters<Browser['newContext']>[0] = {}): Promise<[Page, BrowserContext]> {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    page.setDefaultTimeout(45_000);
    await page.goto(studio.server.url);
    await page.getByRole('heading', { level: 1 }).waitFor();
    return [page, context];
  }

  async function places(page: Page): Promise<string[]> {
    const links = page.getByRole('navigation', { name: 'Pages' }).getByRole('link');
    const addresses = await links.evaluateAll((all) => all.map((link) => link.getAttribute('href')!));
    const { run } = studio;
    return [...addresses.map((address) => address.replace('#/', '')), 'datasets/hearts', `runs/${run}`, `try/${run}`];
  }

  it.each([
    ['light', { width: 1280, height: 800 }, true],
    ['dark', { width: 390, height: 800 }, true],
    ['light', { width: 3840, height: 2160 }, false],
  ] as const)(
    'are without overflow, and without a violation of accessibility: %s, %o',
    async (colorScheme, viewport, checksAccess) => {
      const [page, context] = await open({ colorScheme, viewport });
      for (const place of await places(page)) {
        await page.goto(studio.address(place));
        await page.getByRole('heading', { level: 1 }).waitFor();
        await page.waitForTimeout(300);
        if (checksAccess) expect(await violationsOf(page), `${place}, ${colorScheme}`).toEqual([]);
        const { within, main } = await page.evaluate(() => ({
          within: document.scrollingElement!.scrollWidth - innerWidth,
          main: document.getElementById('main')!.scrollWidth - document.getElementById('main')!.clientWidth,
        }));
        expect([within, main], `${place} at ${viewport.width} pixels`).toEqual([
          expect.toSatisfy(isNone),
          expect.toSatisfy(isNone),
        ]);
        expect(await page.title()).toMatch(/ – Sidetune Studio$/);
      }
      await context.close();
    },
    LONG,
  );

  it(
    'try pictures, say what is wrong with one, and keep the webcam to one frame at a time',
    async () => {
      const [page, context] = await open();
      await context.grantPermissions(['camera']);
      await page.goto(studio.address(`try/${studio.run}`));
      const choosing = page.waitForEvent('filechooser');
      choosing.catch(() => undefined);
      await page.getByRole('button', { name: 'Choose files' }).click();
      const picture = join(studio.stage.dataset, 'images', 'test-00000.png');
      await (await choosing).setFiles([picture, join(studio.stage.dataset, 'test.txt')]);
      const good = page.getByRole('article', { name: 'Picture test-00000.png' });
      await good.getByText(/decode .* ViT .* adaptor/).waitFor();
      expect(await good.getByRole('listitem').count()).toBe(5);
      await page
        .getByRole('article', { name: 'Picture test.txt' })
        .getByRole('alert')
        .getByText('"test.txt" cannot be read as an image: its content is not that of a supported image format.')
        .waitFor();

      // Pasted, as a screenshot is.
      await page.evaluate(async () => {
        const canvas = Object.assign(document.createElement('canvas'), { width: 20, height: 20 });
        canvas.getContext('2d')!.fillRect(0, 0, 20, 20);
        const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve));
        const clipboardData = new DataTransfer();
        clipboardData.items.add(new File([blob!], 'shot.png', { type: 'image/png' }));
        window.dispatchEvent(new ClipboardEvent('paste', { clipboardData }));
      });
      const shot = page.getByRole('article', { name: 'Picture shot.png' });
      await shot.getByText(/adaptor/).waitFor();
      await shot.getByRole('button', { name: 'This is wrong' }).click();
      await shot.getByLabel('Right class of shot.png').selectOption('090');
      await shot.getByText('Added as 090').waitFor();
      await page.getByRole('log').getByRole('button', { name: 'Undo' }).click();
      await shot.getByRole('button', { name: 'This is wrong' }).waitFor();

      let flying = 0;
      let most = 0;
      let seen = 0;
      const isFrame = (url: string) => url.includes('/call/runs.predict');
      page.on('request', (request) => isFrame(request.url()) && (most = Math.max(most, ++flying)));
      page.on('requestfinished', (request) => isFrame(request.url()) && (flying--, seen++));
      await page.getByRole('button', { name: 'Use the webcam' }).click();
      await page
        .getByRole('region', { name: 'Live' })
        .getByText(/a second/)
        .waitFor();
      await expect.poll(() => seen, { timeout: 30_000 }).toBeGreaterThan(5);
      expect(most).toBe(1);
      await page.getByRole('button', { name: 'Keep this picture' }).click();
      await page.getByRole('article', { name: 'Picture webcam-1.jpg' }).waitFor();
      const track = await page.evaluateHandle(() => {
        const { srcObject } = document.querySelector('video')!;
        return (srcObject as MediaStream).getTracks()[0]!;
      });
      expect(await track.evaluate(({ readyState }) => readyState)).toBe('live');
      await page.goto(studio.address('settings'));
      await page.getByRole('heading', { name: 'Settings and health' }).waitFor();
      expect(await track.evaluate(({ readyState }) => readyState)).toBe('ended');
      await context.close();
    },
    LONG,
  );

  it(
    'say what is wrong with a setting while it is typed, and keep the form through a reload',
    async () => {
      const [page, context] = await open();
      await page.goto(studio.address('train'));
      await page.getByText('Advanced').click();
      await page.getByRole('textbox', { name: 'Rank' }).fill('1000');
      await page.getByText('Rank 1000 is beyond the width').waitFor();
      await page.reload();
      await page.getByText('Rank 1000 is beyond the width').waitFor();
      await page.getByLabel('Epochs').fill('0');
      await page.getByText('Use at least 1.').waitFor();
      await page.keyboard.press('Control+Enter');
      await expect.poll(() => page.evaluate(() => document.activeElement?.getAttribute('aria-invalid'))).toBe('true');
      await page.getByRole('button', { name: 'Back to the defaults' }).click();
      await expect.poll(() => page.getByLabel('Epochs').getAttribute('placeholder')).toBe('30');
      await page.getByText(/extracting, .* training/).waitFor();
      await context.close();
    },
    LONG,
  );

  it(
    'follow each other in two windows on one workspace',
    async () => {
      const [one, first] = await open();
      const [other, second] = await open();
      await other.goto(studio.address('runs'));
      const rows = other.getByRole('row');
      await other.getByRole('link', { name: studio.run }).waitFor();
      const before = await rows.count();
      await one.goto(studio.address('train?method=linear&epochs=3'));
      await one.getByText(/extracting, .* training/).waitFor();
      await one.keyboard.press('Control+Enter');
      await one.waitForURL(/#\/runs\/hearts-linear/);
      await expect.poll(() => rows.count(), { timeout: 30_000 }).toBe(before + 1);
      // The run's own page in the one window, opened in the other while it goes on or is done.
      await other
        .getByRole('link', { name: /hearts-linear/ })
        .first()
        .click();
      for (const window of [one, other]) {
        await window.getByRole('button', { name: 'Export' }).first().waitFor();
        await window.getByRole('heading', { name: /hearts-linear/ }).waitFor();
      }
      await other.goto(studio.address('settings'));
      await other.getByLabel('Threads').selectOption('1');
      await other.getByText('Threads of new jobs: 1.').waitFor();
      await first.close();
      await second.close();
    },
    LONG,
  );
});

const isNone = (pixels: number): boolean => pixels <= 0;
