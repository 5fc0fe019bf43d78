import { chmod, cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { csvLayout } from '../../../src-main/data/layouts/csv.ts';
import { folderLayout } from '../../../src-main/data/layouts/folder.ts';
import { idxLayout } from '../../../src-main/data/layouts/idx.ts';
import { listsLayout } from '../../../src-main/data/layouts/lists.ts';
import { parquetLayout } from '../../../src-main/data/layouts/parquet.ts';
import { chooseLayout } from '../../../src-main/data/sniff.ts';
import { idxOf } from './idx.ts';

let base: string;
let root: string;
let count = 0;
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'layouts-'));
});
beforeEach(async () => {
  root = join(base, String(count++));
  await mkdir(root);
});
afterAll(() => rm(base, { recursive: true }));

/** Files by path; a layout looks at names only, except for lists. */
async function put(files: Record<string, string> | string[]): Promise<void> {
  const entries = Array.isArray(files) ? files.map((path) => [path, ''] as const) : Object.entries(files);
  for (const [path, content] of entries) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
}

describe('class folders', () => {
  it('without splits: sorted classes, nested folders, odd names', async () => {
    await put([
      'dog/2.JPG',
      'dog/sub/1.png',
      'cat/a b "c" ü.jpeg',
      'cat/x\ny.webp',
      'cat/.hidden.png',
      'cat/Thumbs.db',
      '.git/x.png',
    ]);
    const scan = await folderLayout.scan({ root });
    expect(scan.classes).toEqual(['cat', 'dog']);
    expect(scan.images).toEqual([
      { path: 'cat/a b "c" ü.jpeg', label: 0, split: undefined },
      { path: 'cat/x\ny.webp', label: 0, split: undefined },
      { path: 'dog/2.JPG', label: 1, split: undefined },
      { path: 'dog/sub/1.png', label: 1, split: undefined },
    ]);
    expect(scan.problems).toEqual([]);
  });

  it('with train, val and test', async () => {
    await put(['Train/a/1.png', 'Train/b/1.png', 'validation/a/2.png', 'test/b/3.png', 'test/c/3.png']);
    const scan = await folderLayout.scan({ root });
    expect(scan.classes).toEqual(['a', 'b', 'c']);
    expect(scan.images.map(({ path, split }) => [path, split])).toEqual([
      ['Train/a/1.png', 'train'],
      ['Train/b/1.png', 'train'],
      ['test/b/3.png', 'test'],
      ['test/c/3.png', 'test'],
      ['validation/a/2.png', 'val'],
    ]);
  });

  it('with train and test alone: val is to be dealt', async () => {
    await put(['train/a/1.png', 'test/a/2.png']);
    const scan = await folderLayout.scan({ root });
    expect(scan.images.map(({ split }) => split)).toEqual(['test', undefined]);
  });

  it('takes a class that happens to be called train for a class', async () => {
    await put(['train/1.png', 'bus/1.png']);
    expect((await folderLayout.scan({ root })).classes).toEqual(['bus', 'train']);
  });

  it('counts what is no image or has no class, a line for each', async () => {
    await put(['a/1.png', 'a/notes.txt', 'a/more.md', 'loose.jpg', 'README.md']);
    const { images, problems } = await folderLayout.scan({ root });
    expect(images.length).toBe(1);
    expect(problems.map(({ kind, message }) => [kind, message])).toEqual([
      ['no-class', `1 file outside the class folders in "${root}" was left out: "${join(root, 'loose.jpg')}".`],
      ['not-image', expect.stringMatching(/^2 files with other endings .* were left out: ".*" and others\.$/)],
    ]);
  });

  it('follows links but no loops, and lists dead ones', async () => {
    await put(['a/1.png', 'elsewhere/in/2.png']);
    await symlink(root, join(root, 'a', 'loop'));
    await symlink(join(root, 'a', 'self'), join(root, 'a', 'self'));
    await symlink(join(root, 'nowhere'), join(root, 'a', 'dead.png'));
    await symlink(join(root, 'elsewhere', 'in'), join(root, 'a', 'linked'));
    const { images, problems } = await folderLayout.scan({ root });
    const paths = images.map(({ path }) => path);
    expect(paths).toContain('a/linked/2.png');
    expect(paths.filter((path) => path.endsWith('1.png'))).toHaveLength(1);
    expect(problems.map(({ kind }) => kind).sort()).toContain('link-loop');
    expect(problems.some(({ kind, path }) => kind === 'unreadable' && path.endsWith('dead.png'))).toBe(true);
  });

  it.skipIf(process.platform === 'win32' || process.getuid?.() === 0)(
    'lists a folder that may not be read',
    async () => {
      await put(['a/1.png', 'a/locked/2.png']);
      await chmod(join(root, 'a', 'locked'), 0);
      const { problems } = await folderLayout.scan({ root });
      await chmod(join(root, 'a', 'locked'), 0o755);
      expect(problems[0]).toMatchObject({ kind: 'unreadable', path: join(root, 'a', 'locked') });
    },
  );

  it('refuses classes that differ in case only, empty classes, and no classes', async () => {
    await put(['train/Cat/1.png', 'test/cat/2.png']);
    await expect(folderLayout.scan({ root })).rejects.toThrow(/"cat" and "Cat" differ only in case/);
    await rm(join(root, 'test'), { recursive: true });
    await mkdir(join(root, 'train', 'dog'));
    await expect(folderLayout.scan({ root })).rejects.toThrow(/class folder "dog" .* holds no images/);
    await rm(join(root, 'train'), { recursive: true });
    await expect(folderLayout.scan({ root })).rejects.toThrow(/no class folders/);
  });
});

describe('VTAB-1K lists', () => {
  const lists = {
    'train800.txt': 'images/a b.jpg 0\nimages/c.jpg 1\r\n',
    'val200.txt': 'images/d.jpg 1\n',
    'train800val200.txt': 'images/a b.jpg 0\nimages/c.jpg 1\nimages/d.jpg 1\n',
    'test.txt': 'images/e.jpg 0\n\n',
    'classes.txt': 'zebra\nant\n',
  };

  it('splits at the last space and names the classes', async () => {
    await put(lists);
    expect(await listsLayout.scan({ root })).toEqual({
      classes: ['zebra', 'ant'],
      images: [
        { path: 'images/a b.jpg', label: 0, split: 'train' },
        { path: 'images/c.jpg', label: 1, split: 'train' },
        { path: 'images/d.jpg', label: 1, split: 'val' },
        { path: 'images/e.jpg', label: 0, split: 'test' },
      ],
      problems: [],
    });
  });

  it('names classes by number without classes.txt, and reports those without images', async () => {
    await put({ 'train800val200.txt': 'x.jpg 0\ny.jpg 2\n' });
    const scan = await listsLayout.scan({ root });
    expect(scan.classes).toEqual(['0', '1', '2']);
    expect(scan.images.map(({ split }) => split)).toEqual([undefined, undefined]);
    expect(scan.problems).toMatchObject([{ kind: 'empty-class' }]);
  });

  it.each([
    ['x.jpg 2', /label 2 in line 3 of ".*train800.txt" is out of range: classes.txt names 2 classes/],
    ['x.jpg -1', /line 3/],
    ['x.jpg', /line 3/],
    ['x.jpg 1.5', /line 3/],
    ['x.jpg 99999999999999999999', /out of range/],
    [' 1', /line 3/],
  ])('refuses the line "%s"', async (line, message) => {
    await put({ ...lists, 'train800.txt': `a.jpg 0\nb.jpg 1\n${line}\n` });
    await expect(listsLayout.scan({ root })).rejects.toThrow(message);
  });

  it('refuses class names that appear twice', async () => {
    await put({ ...lists, 'classes.txt': 'ant\nAnt\n' });
    await expect(listsLayout.scan({ root })).rejects.toThrow(/differ only in case/);
  });
});

describe('CSV', () => {
  const scanOf = (text: string, name = 'all.csv') =>
    put({ [name]: text }).then(() => csvLayout.scan({ root, file: name }));

  it('by header, in any order, with quotes, a byte order mark and CRLF', async () => {
    const text =
      '\ufeffsplit,Class,id,"File"\r\ntrain,cat,1,"a ""b"", c.png"\r\nval,dog,2,"x\r\ny.png"\r\n\r\ntest,cat,3,d.png\r\n';
    expect(await scanOf(text)).toEqual({
      classes: ['cat', 'dog'],
      images: [
        { path: 'a "b", c.png', label: 0, split: 'train' },
        { path: 'x\r\ny.png', label: 1, split: 'val' },
        { path: 'd.png', label: 0, split: 'test' },
      ],
      problems: [],
    });
  });

  it('with semicolons or tabs, numbers as classes, Windows paths, and no val: dealt', async () => {
    const semicolons = await scanOf('path;label;split\nin\\a.png;10;train\nb, c.png;9;test\n');
    expect(semicolons.classes).toEqual(['9', '10']);
    expect(semicolons.images).toEqual([
      { path: 'in/a.png', label: 1, split: undefined },
      { path: 'b, c.png', label: 0, split: 'test' },
    ]);
    expect((await scanOf('image\tlabel\na.png\tx\n', 'tabs.tsv')).classes).toEqual(['x']);
  });

  it('goes before class folders, and says so where there are some', async () => {
    await put({ 'labels.csv': 'path,label\ncat/a,x\n', 'cat/a': '', 'train/b': '' });
    expect((await csvLayout.scan({ root })).remark).toBeUndefined();
    await put({ 'dog/a': '' });
    expect((await csvLayout.scan({ root })).remark).toMatch(/read as labels.csv says, and not by its 2 folders/);
    expect((await csvLayout.scan({ root, file: 'labels.csv' })).remark).toBeUndefined();
  });

  it('several files are splits by their names', async () => {
    await put({ 'train.csv': 'path,label\na,x\n', 'valid.csv': 'path,label\nb,x\n', 'other.csv': 'id,score\n1,2\n' });
    const { layout } = await chooseLayout(root, 'auto');
    expect(layout.format).toBe('csv');
    expect((await layout.scan({ root })).images.map(({ split }) => split)).toEqual(['train', 'val']);
    await put({ 'more.csv': 'path,label\nc,x\n' });
    await expect(layout.scan({ root })).rejects.toThrow(/several CSV files \(more.csv, train.csv, valid.csv\)/);
  });

  it.each([
    ['a.png,cat\n', /has to name a column "path" and one "label", but it is "a.png,cat"/],
    ['', /has to name a column/],
    ['path,label\na.png\n', /no label in line 2 of/],
    ['path,label\n\n,cat\n', /no path of an image in line 3 of/],
    [
      'path,label,split\na,b,holdout\n',
      /split "holdout" in line 2 of .* is none of train, val \(or validation\) and test/,
    ],
    ['path,label,split\na,b,validation\nb,b,testing\n', /split "testing" in line 3 of/],
    ['path,label\n"a,b\n', /not well-formed CSV: Quote Not Closed/],
    ['path,label\na,cat\nb,Cat\n', /differ only in case/],
  ])('refuses %j', async (text, message) => {
    await expect(scanOf(text)).rejects.toThrow(message);
  });
});

describe('Hugging Face parquet', () => {
  const parquet = join(import.meta.dirname, 'fixtures/parquet');

  it('names classes and splits, in a folder with data/', async () => {
    const { layout, place } = await chooseLayout(parquet, 'auto');
    expect([layout.format, place]).toEqual(['parquet', { root: parquet }]);
    // A file beside data/ goes before it, and says no split.
    await cp(join(parquet, 'data'), join(root, 'data'), { recursive: true });
    const scan = await parquetLayout.scan({ root });
    expect(scan.classes).toEqual(['red', 'green', 'blue']);
    expect(scan.problems).toEqual([]);
    const at = (index: number) => scan.images[index];
    expect(scan.images).toHaveLength(24);
    expect(at(0)).toEqual({ path: 'data/test-00000-of-00001.parquet', entry: 0, label: 0, split: 'test' });
    expect(at(23)).toEqual({ path: 'data/train-00001-of-00002.parquet', entry: 7, label: 2, split: undefined });
    expect((await parquetLayout.scan({ root: join(root, 'data') })).images).toHaveLength(24);
  });

  it('takes one file, and says which rows have no label', async () => {
    const { classes, images, problems } = await parquetLayout.scan({ root: parquet, file: 'odd.parquet' });
    expect(classes).toEqual(['red', 'green', 'blue']);
    expect(images.map(({ entry, label, split }) => [entry, label, split])).toEqual([
      [0, 1, undefined],
      [3, 1, undefined],
      [4, 2, undefined],
    ]);
    expect(problems.map(({ message }) => message)).toEqual([
      `2 of 5 rows of "${join(parquet, 'odd.parquet')}" have no label and were left out.`,
      `No image in "${parquet}" is of the class "red".`,
    ]);
  });

  it('misses shards, and refuses what is no parquet', async () => {
    const shard = 'train-00000-of-00002.parquet';
    await cp(join(parquet, 'data', shard), join(root, shard));
    expect((await parquetLayout.scan({ root })).problems).toMatchObject([{ kind: 'missing-file' }]);
    await put({ 'x.parquet': 'PAR1 no' });
    await expect(parquetLayout.scan({ root, file: 'x.parquet' })).rejects.toThrow(/not a whole parquet file/);
    await put({ 'y.parquet': 'version https://git-lfs.github.com/spec/v1\noid sha256:1\n' });
    await expect(parquetLayout.scan({ root, file: 'y.parquet' })).rejects.toThrow(/git lfs pull/);
  });
});

describe('IDX', () => {
  const put3 = (prefix: string, labels: number[], ending = '') => {
    const pack = (bytes: Buffer) => (ending === '.gz' ? gzipSync(bytes) : bytes);
    const pixels = idxOf([labels.length, 2, 2], new Uint8Array(labels.length * 4));
    return Promise.all([
      writeFile(join(root, `${prefix}-images-idx3-ubyte${ending}`), pack(pixels)),
      writeFile(
        join(root, `${prefix}-labels-idx1-ubyte${ending}`),
        pack(idxOf([labels.length], Uint8Array.from(labels))),
      ),
    ]);
  };

  it('pairs pictures with labels, gzipped or not', async () => {
    await put3('train', [2, 0, 1], '.gz');
    await put3('t10k', [1]);
    const { layout } = await chooseLayout(root, 'auto');
    const scan = await layout.scan({ root });
    expect(scan).toEqual({
      classes: ['0', '1', '2'],
      images: [
        { path: 't10k-images-idx3-ubyte', entry: 0, label: 1, split: 'test' },
        ...[2, 0, 1].map((label, entry) => ({ path: 'train-images-idx3-ubyte.gz', entry, label, split: undefined })),
      ],
      problems: [],
    });
    await put({ 'classes.txt': 'shirt\nshoe\nbag\n' });
    const { images, classes } = await layout.scan({ root, file: 't10k-images-idx3-ubyte' });
    expect([classes[1], images[0]?.split]).toEqual(['shoe', undefined]);
    await put({ 'classes.txt': 'shirt\nshoe\n' });
    await expect(layout.scan({ root })).rejects.toThrow(
      /label 2 in row 0 of ".*" is out of range: classes.txt names 2/,
    );
  });

  it('says what does not fit', async () => {
    await put3('train', [1, 0]);
    await writeFile(join(root, 'train-labels-idx1-ubyte'), idxOf([3], Uint8Array.of(1, 0, 1)));
    await expect(idxLayout.scan({ root })).rejects.toThrow(/holds 2 pictures, but their file of labels 3/);
    await rm(join(root, 'train-labels-idx1-ubyte'));
    await expect(idxLayout.scan({ root })).rejects.toThrow(/lacks its labels: "train-labels-idx1-ubyte" was expected/);
  });
});

describe('chooseLayout', () => {
  it('finds the surest sign first, and takes what is asked for', async () => {
    await put({ 'train800.txt': '', 'images/a.png': '', 'labels.csv': 'path,label\n' });
    for (const format of ['lists', 'csv', 'folder'] as const)
      expect((await chooseLayout(root, format)).layout.format).toBe(format);
    expect((await chooseLayout(root, 'auto')).layout.format).toBe('lists');
    await rm(join(root, 'train800.txt'));
    expect((await chooseLayout(root, 'auto')).layout.format).toBe('csv');
    await rm(join(root, 'labels.csv'));
    expect((await chooseLayout(root, 'auto')).layout.format).toBe('folder');
    await put({ 'one.csv': 'path,label\n' });
    expect(await chooseLayout(join(root, 'one.csv'), 'auto')).toMatchObject({ place: { root, file: 'one.csv' } });
  });

  it.each([
    ['nothing', [], '', /is no dataset: the folder is empty\. Accepted are a folder with/],
    ['loose images', ['a.png', 'b.jpg'], '', /holds 2 images that no folder gives a class/],
    ['other files', ['a.txt'], '', /none of its files is a list/],
    ['a text file', ['a.txt'], 'a.txt', /it is a file ending in \.txt/],
    ['no such path', [], 'none', /There is nothing at/],
  ])('says what was found: %s', async (_, files, path, message) => {
    await put(files);
    await expect(chooseLayout(join(root, path), 'auto')).rejects.toThrow(message);
  });

  it('sees a dataset inside a folder, and folders without images', async () => {
    await put(['set/cat/1.png', 'set/dog/2.png']);
    const { layout } = await chooseLayout(root, 'auto');
    await expect(layout.scan({ root })).rejects.toThrow(`give "${join(root, 'set')}" instead`);
    await rm(join(root, 'set'), { recursive: true });
    await put(['a/b/c/x.txt', 'd/e/f/y.txt']);
    await expect(layout.scan({ root })).rejects.toThrow(/hold no images: files ending in \.jpg/);
    await expect(chooseLayout(join(root, 'a/b/c/x.txt'), 'folder')).rejects.toThrow(
      /that of a folder: give its folder/,
    );
  });
});
