/// <reference lib="dom" />
/** From a folder to a picture that is tried, with nothing but keys; the focus is always seen and never lost. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Locator, Page } from 'playwright';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Stage } from '../integration/stage.ts';
import { hasChromium, openBrowser, startServer, type Server } from './open-studio.ts';

const LONG = 120_000;
/** The first start builds the studio. */
const BUILT = 300_000;
const MOST_TABS = 60;

if (!hasChromium) console.warn('SKIPPED: the window by keyboard (no Chromium; set CHROMIUM to one).');

describe.skipIf(!hasChromium)('the window, by keyboard alone', () => {
  let stage: Stage;
  let workspace: string;
  let server: Server;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    stage = await Stage.set();
    workspace = await mkdtemp(join(tmpdir(), 'studio-'));
    server = await startServer(workspace);
    browser = await openBrowser();
    page = await browser.newPage();
    page.setDefaultTimeout(45_000);
    await page.goto(server.url);
    await page.getByRole('heading', { name: 'Start' }).waitFor();
  }, BUILT);
  afterAll(async () => {
    await browser.close();
    await server.stop();
    await stage.clear();
    await rm(workspace, { recursive: true, force: true });
  });

  async function press(...keys: string[]) {
    for (const key of keys) await page.keyboard.press(key);
  }

  const isFocused = (wanted: Locator) => wanted.evaluate((element) => element === document.activeElement);

  /** Presses Tab until something has the focus, which has to be seen wherever it comes by. */
  async function tabTo(wanted: Locator) {
    await wanted.waitFor();
    for (let tabs = 0; !(await isFocused(wanted)); tabs++) {
      expect(tabs, `tabs to ${String(wanted)}`).toBeLessThan(MOST_TABS);
      await page.keyboard.press('Tab');
      const unseen = await page.evaluate(() => {
        const { activeElement: element, body } = document;
        // Past the last one lies the browser's own frame.
        if (!element || element === body) return '';
        const { outlineStyle, boxShadow } = getComputedStyle(element);
        return outlineStyle === 'none' && boxShadow === 'none' ? element.outerHTML : '';
      });
      expect(unseen, 'has the focus and does not show it').toBe('');
    }
  }

  async function activate(wanted: Locator) {
    await tabTo(wanted);
    await page.keyboard.press('Enter');
  }

  /** The focus is on something, and not where the browser puts it when it is lost. */
  async function expectFocus() {
    await expect.poll(() => page.evaluate(() => document.activeElement?.tagName)).not.toBe('BODY');
  }

  const button = (name: string | RegExp) => page.getByRole('button', { name }).first();

  it(
    'goes from a folder to a picture that is tried',
    async () => {
      await press('g', 'd');
      await page.getByRole('heading', { name: 'Datasets', exact: true }).waitFor();
      const add = button(/^Add a folder/);
      await activate(add);
      await page.getByRole('dialog').waitFor();
      await page.getByRole('dialog').getByRole('listitem').first().waitFor();
      // The dialog begins at its path.
      expect(await isFocused(page.getByRole('textbox', { name: 'Path' }))).toBe(true);
      await press('Control+a');
      await page.keyboard.type(stage.dataset);
      await activate(button('Use this folder'));
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      await expectFocus();
      await page.getByRole('link', { name: /^hearts/ }).waitFor();

      await press('g', 'b');
      await page.getByRole('heading', { name: 'Backbones', exact: true }).waitFor();
      await activate(button('Add an ONNX file'));
      await page.getByRole('dialog').getByRole('listitem').first().waitFor();
      await press('Control+a');
      await page.keyboard.type(stage.backbone);
      await press('Enter');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      await activate(button('Add with this'));
      await page.getByRole('region', { name: 'vit', exact: true }).waitFor();
      await expectFocus();

      await press('g', 't');
      const backbone = page.getByLabel('Backbone');
      await expect.poll(() => backbone.inputValue()).toBe('vit');
      await tabTo(page.getByRole('radio', { name: /LAST/ }));
      await press('ArrowUp');
      expect(await page.getByRole('radio', { name: /MIET/ }).isChecked()).toBe(true);
      await press('ArrowDown');
      await activate(page.getByText('Advanced'));
      await tabTo(page.getByLabel('Epochs'));
      await page.keyboard.type('3');
      await press('Control+Enter');

      await page.waitForURL(/#\/runs\/hearts-last/);
      await expectFocus();
      await activate(button('Evaluate'));
      await page.getByRole('heading', { name: 'Confusion' }).waitFor();
      await activate(button('Export'));
      await activate(page.getByRole('dialog').getByRole('button', { name: 'Export', exact: true }));
      await page.getByText(/largest difference of a logit/).waitFor();
      await expectFocus();

      await press('Control+k');
      await page.keyboard.type('try it');
      await press('Enter');
      await page.getByRole('heading', { name: 'Try it' }).waitFor();
      await expectFocus();
      const choosing = page.waitForEvent('filechooser');
      choosing.catch(() => undefined);
      await activate(button('Choose files'));
      await (await choosing).setFiles(join(stage.dataset, 'images', 'test-00000.png'));
      await page.getByText(/decode .* ViT .* adaptor/).waitFor();
      await activate(button('Remove test-00000.png'));
      await page.getByRole('article').waitFor({ state: 'detached' });
      await expectFocus();
    },
    LONG,
  );

  it('lists every shortcut, and every page is reached by one', async () => {
    await press('?');
    const dialog = page.getByRole('dialog');
    await dialog.waitFor();
    const listed = await dialog
      .locator('dl > div')
      .evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent.trim())));
    await press('Escape');
    await dialog.waitFor({ state: 'detached' });
    const links = page.getByRole('navigation', { name: 'Pages' }).getByRole('link');
    const goes = listed.flatMap(([title, keys]) => (title!.startsWith('Go to ') ? [[title!.slice(6), keys!]] : []));
    const pages = (await links.allTextContents()).map((name) => name.trim());
    expect(goes.map(([name]) => name).sort()).toEqual(pages.sort());
    for (const [name, keys] of goes) {
      await press(...keys!.split(' '));
      await links.and(page.locator('[aria-current=page]')).filter({ hasText: name! }).waitFor();
    }
    expect(listed.map(([, keys]) => keys)).toContain('Ctrl Enter');
  });
});
