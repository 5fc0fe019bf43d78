import { appendFile, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CheckJournal, checkJournalOf, sweepCheckJournals } from '../../../src-main/data/check-journal.ts';
import { Workspace } from '../../../src-main/workspace/workspace.ts';

let workspace: Workspace;
beforeAll(async () => {
  workspace = await Workspace.open(await mkdtemp(join(tmpdir(), 'journal-')));
});
afterAll(() => rm(workspace.root, { recursive: true }));

const sha256 = 'ab'.repeat(32);

it('gives back what was written, for files of that size and time only', async () => {
  const path = checkJournalOf(workspace, 'pets');
  const journal = await CheckJournal.open(path);
  journal.add({ path: '/p/a "x"\n.png', bytes: 10, mtimeMs: 1.5, sha256 });
  journal.add({ path: '/p/b', entry: 3, bytes: 20, mtimeMs: 2, sha256 });
  await journal.flush();
  const again = await CheckJournal.open(path);
  expect(again.hashOf({ path: '/p/a "x"\n.png' }, 10, 1.5)).toBe(sha256);
  expect(again.hashOf({ path: '/p/a "x"\n.png' }, 11, 1.5)).toBeUndefined();
  expect(again.hashOf({ path: '/p/a "x"\n.png' }, 10, 2.5)).toBeUndefined();
  expect(again.hashOf({ path: '/p/b', entry: 3 }, 20, 2)).toBe(sha256);
  expect(again.hashOf({ path: '/p/b', entry: 4 }, 20, 2)).toBeUndefined();
});

it('passes over lines that a kill has cut, also where it goes on behind them', async () => {
  const path = checkJournalOf(workspace, 'cut');
  const whole = JSON.stringify({ path: '/a', bytes: 1, mtimeMs: 1, sha256 });
  await writeFile(path, `${whole}\n\0\0\n${whole.replace('/a', '/b').slice(0, -9)}`);
  const journal = await CheckJournal.open(path);
  journal.add({ path: '/c', bytes: 1, mtimeMs: 1, sha256 });
  await journal.flush();
  await appendFile(path, 'no JSON');
  const again = await CheckJournal.open(path);
  const found = ['/a', '/b', '/c'].map((image) => again.hashOf({ path: image }, 1, 1));
  expect(found).toEqual([sha256, undefined, sha256]);
});

it('does without a disk that takes nothing', async () => {
  await writeFile(join(workspace.root, 'file'), '');
  const journal = await CheckJournal.open(join(workspace.root, 'file', 'journal'));
  journal.add({ path: '/a', bytes: 1, mtimeMs: 1, sha256 });
  await expect(journal.flush()).resolves.toBeUndefined();
});

it('is swept after a week', async () => {
  await sweepCheckJournals(workspace);
  expect(await readdir(workspace.datasets)).toContain('.pets.checked.jsonl');
  const old = Date.now() / 1000 - 8 * 24 * 3600;
  await utimes(checkJournalOf(workspace, 'pets'), old, old);
  await sweepCheckJournals(workspace);
  expect(await readdir(workspace.datasets)).toEqual(['.cut.checked.jsonl']);
});
