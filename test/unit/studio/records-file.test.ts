import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkRecordsPath, writeRecords } from '../../../src-main/studio/records-file.ts';

let folder: string;
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'records-'))));
afterEach(() => rm(folder, { recursive: true }));

const columns = ['path', 'label', 'probability', 'correct', 'error'] as const;
const records = [
  { path: '/a, "b"/c.jpg', label: 'two\nlines', probability: 0.25, correct: true, error: null },
  { path: 'C:\\d e.png', label: 'größe, 大', probability: 1e-9, correct: false, error: 'cut\r\nshort' },
  { path: "'", label: '', probability: 1, correct: true, error: '"' },
];

describe('a file of records', () => {
  it('is CSV that others read back, whatever is in the names', async () => {
    const file = join(folder, 'deep', 'p.CSV');
    await writeRecords(file, columns, records);
    const text = await readFile(file, 'utf8');
    expect(text.split('\n')[0]).toBe('path,label,probability,correct,error');
    const rows = parse<Record<string, string>>(text, { columns: true });
    const asText = records.map((record) =>
      Object.fromEntries(Object.entries(record).map(([name, value]) => [name, value === null ? '' : String(value)])),
    );
    expect(rows).toEqual(asText);
    expect(await readdir(join(folder, 'deep'))).toEqual(['p.CSV']);
  });

  it('is a JSON list, a record a line', async () => {
    const file = join(folder, 'p.json');
    await writeRecords(file, columns, records);
    const text = await readFile(file, 'utf8');
    expect(JSON.parse(text)).toEqual(records);
    expect(text.trimEnd().split('\n')).toHaveLength(records.length + 2);
  });

  it.each(['p.csv', 'p.json'])('may be long, or empty: %s', async (name) => {
    const file = join(folder, name);
    const read = async () => {
      const text = await readFile(file, 'utf8');
      return name.endsWith('json') ? (JSON.parse(text) as unknown[]) : parse(text, { columns: true });
    };
    await writeRecords(
      file,
      ['n'],
      Array.from({ length: 25_000 }, (_, n) => ({ n })),
    );
    expect(await read()).toHaveLength(25_000);
    await writeRecords(file, ['n'], []);
    expect(await read()).toEqual([]);
  });

  it('is refused early where it cannot be', async () => {
    await expect(checkRecordsPath('p.txt')).rejects.toMatchObject({ code: 'usage' });
    await mkdir(join(folder, 'sub.csv'));
    await expect(checkRecordsPath(join(folder, 'sub.csv'))).rejects.toMatchObject({ code: 'bad-out' });
    await writeFile(join(folder, 'file'), '');
    await expect(checkRecordsPath(join(folder, 'file', 'p.csv'))).rejects.toMatchObject({ code: 'bad-out' });
    expect(await checkRecordsPath(join(folder, 'new', 'p.csv'))).toBe(join(folder, 'new', 'p.csv'));
  });
});
