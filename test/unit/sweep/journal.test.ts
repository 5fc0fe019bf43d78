import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Journal, JournalReader, readJournal } from '../../../src-main/sweep/journal.ts';
import type { SweepEvent } from '../../../src-main/sweep/sweep-events.ts';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'journal-'));
  path = join(folder, 'log.jsonl');
});
afterEach(() => rm(folder, { recursive: true }));

const EVENTS: SweepEvent[] = [
  { event: 'trial', trial: 0, point: { rank: 4, pool: 'cls' } },
  { event: 'epoch', trial: 0, epoch: 1, loss: 1.5, top1: 0.25, valLoss: 1.25 },
  { event: 'end', trial: 0, state: 'failed', reason: 'Der Müll: "x"', result: null },
];

async function write(events: readonly SweepEvent[]): Promise<SweepEvent[]> {
  const opened = await Journal.open(path);
  for (const event of events) opened.journal.append(event);
  await opened.journal.sync();
  await opened.journal.close();
  return opened.events;
}

it('gives back what was appended, and goes on behind it', async () => {
  expect(await write(EVENTS.slice(0, 2))).toEqual([]);
  expect(await write(EVENTS.slice(2))).toEqual(EVENTS.slice(0, 2));
  expect(await readJournal(path)).toEqual(EVENTS);
});

it('cut off at any byte, keeps every line before, and the next is whole', async () => {
  await write(EVENTS);
  const whole = await readFile(path);
  const ends = [...whole.entries()].flatMap(([at, byte]) => (byte === 0x0a ? [at + 1] : []));
  for (let bytes = 0; bytes < whole.length; bytes++) {
    await writeFile(path, whole.subarray(0, bytes));
    const left = EVENTS.slice(0, ends.filter((end) => end <= bytes).length);
    expect(await write(EVENTS.slice(0, 1))).toEqual(left);
    expect(await readJournal(path)).toEqual([...left, EVENTS[0]]);
  }
});

it('leaves out a line whose values have changed, and no other', async () => {
  await write(EVENTS);
  const text = await readFile(path, 'utf8');
  await writeFile(path, text.replace('"top1":0.25', '"top1":0.75'));
  expect(await readJournal(path)).toEqual([EVENTS[0], EVENTS[2]]);
});

it('read again, gives what was added, and all of a log that has taken its place', async () => {
  const reader = new JournalReader(path);
  expect(await reader.read()).toEqual({ events: [], isWhole: false });
  for (const event of EVENTS) {
    await write([event]);
    await appendFile(path, '{"event":"torn');
    expect((await reader.read()).events).toEqual([event]);
    expect((await reader.read()).events).toEqual([]);
  }
  const text = await readFile(path, 'utf8');
  await writeFile(path, text.replace('Der', 'Das'));
  expect(await reader.read()).toEqual({ events: EVENTS.slice(0, 2), isWhole: true });
  await rm(path);
  await write(EVENTS.slice(1));
  expect(await reader.read()).toEqual({ events: EVENTS.slice(1), isWhole: true });
});

it('finds nothing where there is no log', async () => {
  expect(await readJournal(join(folder, 'none'))).toEqual([]);
});
