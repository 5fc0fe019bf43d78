/// <reference lib="dom" />
/** Datasets in a real browser on the real server: dropped, looked through, mended and edited, by mouse and by keyboard. */
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { paint } from '../integration/paint.ts';
import { violationsOf } from './axe.ts';
import { hasChromium, openBrowser, startServer, type Server } from './open-studio.ts';

if (!hasChromium) console.warn('SKIPPED: datasets in a browser (no Chromium; set CHROMIUM to one).');

describe.skipIf(!hasChromium)('datasets in the window', () => {
  let base: string;
  let folder: string;
  let server: Server;
  let browser: Browser;
  let page: Page;
  const complaints: string[] = [];

  beforeAll(async () => {
    base = await mkdtemp(join(tmpdir(), 'datasets-'));
    folder = join(base, 'pets');
    let colour = 0;
    for (const [split, count] of [
      ['train', 24],
      ['test', 6],
    ] as const)
      for (const name of ['cat', 'dog', 'wolf'])
        for (let index = 0; index < count; index++) await paint(join(folder, split, name, `${index}.png`), colour++);
    await cp(join(folder, 'train/cat/1.png'), join(folder, 'test/cat/leaked.png'));
    await cp(join(folder, 'train/cat/2.png'), join(folder, 'train/dog/wrong.png'));
    for (const copy of ['a', 'b']) await cp(join(folder, 'test/dog/0.png'), join(folder, `test/dog/${copy}.png`));
    await writeFile(
      join(folder, 'train/cat/torn.png'),
      (await readFile(join(folder, 'train/cat/0.png'))).subarray(0, 40),
    );
    await writeFile(join(folder, 'train/dog/empty.jpg'), '');
    await writeFile(join(folder, 'train/dog/notes.txt'), 'not a picture');
    server = await startServer(join(base, 'workspace'));
    browser = await openBrowser();
    page = await open('light', 1280);
  });
  afterAll(async () => {
    await browser.close();
    await server.stop();
    await rm(base, { recursive: true, force: true });
  });

  /** A window that says what it is unhappy with. */
  async function open(colorScheme: 'light' | 'dark', width: number): Promise<Page> {
    const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme });
    const opened = await context.newPage();
    opened.setDefaultTimeout(45_000);
    opened.on('pageerror', (error) => complaints.push(error.message));
    opened.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    await opened.goto(server.url);
    return opened;
  }

  const list = () => page.getByRole('listbox', { name: 'Images of the dataset' });
  const option = (position: number) => list().getByRole('option').nth(position);
  const shown = (count: number) => page.getByText(`${count} images`, { exact: true }).waitFor();
  const selected = (count: number) => page.getByText(`${count} selected`, { exact: true }).waitFor();
  const toast = (text: RegExp) => page.getByRole('log').getByText(text).last();

  it('takes a folder from the dialog and shows what is wrong with it', async () => {
    await page.getByRole('heading', { name: 'Drop a folder of images here' }).waitFor();
    await page.getByRole('button', { name: 'Add images' }).click();
    await page.getByRole('textbox', { name: 'Path' }).fill(folder);
    await page.getByRole('textbox', { name: 'Path' }).press('Enter');
    await page.getByRole('button', { name: 'Use this folder' }).click();
    await page.getByRole('link', { name: /pets/ }).click();
    await shown(94);
    for (const kind of ['Cannot be read', 'two splits', 'two classes', 'Same picture twice'])
      await page.getByRole('heading', { name: kind }).waitFor();
    await page.getByRole('heading', { name: 'Cannot be read' }).click();
    await page.getByText(/torn\.png" cannot be read/).waitFor();
    const first = option(0).locator('img');
    await expect
      .poll(() => first.evaluate((image: HTMLImageElement) => image.naturalWidth), { timeout: 30_000 })
      .toBeGreaterThan(0);
  });

  it('mends problems with their buttons, and takes it back by a toast', async () => {
    await page.getByRole('heading', { name: 'Same picture twice' }).click();
    await page.getByRole('button', { name: 'Keep one, exclude the copies' }).click();
    await shown(92);
    await page.getByRole('button', { name: 'excluded 2' }).waitFor();
    await page.getByRole('heading', { name: 'two splits' }).click();
    await page.getByRole('button', { name: 'Keep it in test, exclude the others' }).click();
    await shown(91);
    await toast(/Excluded train\/cat\/1\.png/).waitFor();
    await page.getByRole('button', { name: 'Undo', exact: true }).last().click();
    await shown(92);
    await page.getByRole('heading', { name: 'two splits' }).waitFor();
    expect(await page.getByRole('heading', { name: 'Same picture twice' }).count()).toBe(0);
  });

  it('selects by mouse, and moves what is selected to another class and split', async () => {
    await page.getByRole('button', { name: 'test 19' }).click();
    await shown(19);
    await option(0).click();
    await selected(1);
    await option(3).click({ modifiers: ['Shift'] });
    await selected(4);
    await option(1).click({ modifiers: ['Control'] });
    await selected(3);
    await page
      .getByRole('textbox', { name: 'Move to class' })
      .or(page.getByRole('combobox', { name: 'Move to class' }))
      .fill('lynx');
    await page.getByRole('button', { name: 'Move', exact: true }).click();
    await toast(/Moved 3 images to the class lynx/).waitFor();
    await page.getByRole('button', { name: /^lynx/ }).waitFor();
    await page.getByRole('button', { name: 'Move to val' }).click();
    await shown(16);
  });

  it('is worked by keyboard alone: arrows, ranges, all, a look, exclude, undo and redo', async () => {
    await page.getByRole('button', { name: 'All', exact: true }).click();
    await shown(92);
    await list().focus();
    await page.keyboard.press('Control+Home');
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Space');
    await selected(1);
    await page.keyboard.press('Shift+ArrowDown');
    const columns = await page.evaluate(() => {
      const tops = [...document.querySelectorAll('[role=option][aria-posinset]')].map(
        (one) => one.getBoundingClientRect().top,
      );
      return tops.filter((top) => top === tops[0]).length;
    });
    await selected(columns + 1);
    await page.keyboard.press('Escape');
    await page.keyboard.press('Control+a');
    await selected(92);
    await page.keyboard.press('Escape');
    await page.keyboard.press('Enter');
    const dialog = page.getByRole('dialog');
    await dialog.getByText('SHA-256').waitFor();
    const title = await dialog.getByRole('heading').textContent();
    await page.keyboard.press('ArrowRight');
    await expect.poll(() => dialog.getByRole('heading').textContent(), { timeout: 30_000 }).not.toBe(title);
    await page.keyboard.press('Escape');
    await list().focus();
    await page.keyboard.press('Space');
    await page.keyboard.press('Delete');
    await shown(91);
    await page.keyboard.press('Control+z');
    await shown(92);
    await page.keyboard.press('Control+y');
    await shown(91);
    await page.reload();
    await shown(91);
    await page.getByRole('button', { name: 'excluded 3' }).waitFor();
  });

  it('renames and merges classes, deals the splits anew, and lists the edits', async () => {
    await page.getByRole('button', { name: 'Classes', exact: true }).click();
    await page.getByRole('checkbox', { name: 'wolf' }).check();
    await page.getByRole('textbox', { name: 'Rename to' }).fill('grey wolf');
    await page.getByRole('button', { name: 'Rename' }).click();
    await page.getByRole('button', { name: /^grey wolf/ }).waitFor();
    await page.getByRole('button', { name: 'Splits' }).click();
    await page.getByRole('spinbutton', { name: 'Part for val, in %' }).fill('40');
    await page.getByRole('button', { name: 'Deal anew' }).click();
    await toast(/Dealt the splits anew: val 0\.4, seed 1/).waitFor();
    await page.getByRole('button', { name: 'Edits' }).click();
    await page.getByRole('dialog').getByText('Renamed wolf to grey wolf').waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Undo' }).click();
    await page.getByRole('dialog').getByText('undone').waitFor();
    await page.keyboard.press('Escape');
    expect(await readdir(join(folder, 'train'))).toEqual(['cat', 'dog', 'wolf']);
  });

  it('takes in what is dropped, which in a browser is sent', async () => {
    await page.goto(`http://127.0.0.1:${server.port}/#/datasets`);
    await page.getByRole('link', { name: /pets/ }).waitFor();
    const files = await Promise.all(
      ['cat', 'dog'].flatMap((name) =>
        [0, 1, 2].map(async (index) => ({
          path: `${name}/${index}.png`,
          content: (await readFile(join(folder, 'train', name, `${index}.png`))).toString('base64'),
        })),
      ),
    );
    // A browser lets no script make the entries of a folder: these behave as its own do.
    await page.evaluate((all) => {
      const entryOf = (path: string, file: File) => ({
        ...{ isFile: true, isDirectory: false, name: file.name, fullPath: path },
        file: (done: (file: File) => void) => done(file),
      });
      const folderOf = (fullPath: string, entries: unknown[]) => ({
        ...{ isFile: false, isDirectory: true, name: fullPath.split('/').at(-1), fullPath },
        createReader: () => {
          const rest = [...entries];
          return { readEntries: (done: (some: unknown[]) => void) => done(rest.splice(0, 2)) };
        },
      });
      const classes = [...new Set(all.map(({ path }) => path.split('/')[0]!))].map((name) =>
        folderOf(
          `/dropped pets/${name}`,
          all
            .filter(({ path }) => path.startsWith(name))
            .map(({ path, content }) => {
              const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
              return entryOf(`/dropped pets/${path}`, new File([bytes], path.split('/')[1]!));
            }),
        ),
      );
      const transfer = new DataTransfer();
      transfer.items.add(new File(['x'], 'dropped pets'));
      DataTransferItem.prototype.webkitGetAsEntry = () =>
        folderOf('/dropped pets', classes) as unknown as FileSystemEntry;
      for (const type of ['dragenter', 'dragover', 'drop'])
        document.body.dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
    }, files);
    await page.getByRole('link', { name: /dropped pets.*6 images, 2 classes/s }).click();
    await shown(6);
    await page.getByText(/copied to/).waitFor();
  });

  it('has no accessibility violation and no overflow, light and dark, wide and narrow', async () => {
    for (const [scheme, width] of [
      ['light', 1280],
      ['dark', 375],
    ] as const) {
      const other = await open(scheme, width);
      for (const place of ['start', 'datasets', 'datasets/pets', 'datasets/pets?excluded=1']) {
        await other.goto(`http://127.0.0.1:${server.port}/#/${place}`);
        await other.getByRole('heading', { level: 1 }).waitFor();
        if (place.includes('pets')) {
          await other.getByRole('listbox', { name: 'Images of the dataset' }).getByRole('option').first().click();
          for (const summary of await other.locator('summary').all()) await summary.click();
        }
        await other.waitForTimeout(300);
        expect(await violationsOf(other), `${place}, ${scheme}`).toEqual([]);
        const overflow = await other.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        expect(overflow, `${place} at ${width} pixels`).toBeLessThanOrEqual(0);
      }
      await other.context().close();
    }
  });

  it('never complained', () => {
    expect(complaints).toEqual([]);
  });
});
