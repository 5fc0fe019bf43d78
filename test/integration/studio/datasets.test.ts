/** A dataset looked at, edited and mended through the studio's contract, as the window does. */
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { serveOnPort, type Port } from '../../../src-main/electron/port.ts';
import type { StudioClient } from '../../../src-main/studio/service/client.ts';
import type { Job, StudioEvent } from '../../../src-main/studio/service/events.ts';
import { Studio } from '../../../src-main/studio/service/studio.ts';
import { Workspace } from '../../../src-main/workspace/workspace.ts';
import { PortClient } from '../../../src-renderer/studio/port-client.ts';
import { paint } from '../paint.ts';

let base: string;
let studio: Studio;
let client: StudioClient;
const events: StudioEvent[] = [];

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'studio-datasets-'));
  studio = await Studio.open(await Workspace.open(join(base, 'workspace')));
  const { port1, port2 } = new MessageChannel();
  const wrapped = (port: MessagePort): Port => ({
    post: (message) => port.postMessage(message),
    listen: (listener) => (port.onmessage = ({ data }) => listener(data)),
  });
  serveOnPort(studio, wrapped(port1));
  client = new PortClient(port2);
  client.subscribe((event) => events.push(event));
});
afterAll(async () => {
  await studio.close();
  await rm(base, { recursive: true, force: true });
});

/** The job when it is over, as events told it. */
async function over(job: Job): Promise<Job> {
  for (;;) {
    const last = events.findLast((event) => event.type === 'job' && event.job.id === job.id);
    if (last?.type === 'job' && last.job.ended !== null) return last.job;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

it('shows the problems of a dataset with what mends them, and takes it back', async () => {
  const folder = join(base, 'pets');
  let colour = 0;
  for (const split of ['train', 'test'])
    for (const one of ['cat', 'dog'])
      for (let index = 0; index < 4; index++) await paint(join(folder, split, one, `${index}.png`), colour++);
  await cp(join(folder, 'train/cat/1.png'), join(folder, 'test/cat/copy.png'));
  await cp(join(folder, 'train/cat/2.png'), join(folder, 'train/dog/copy.png'));
  for (const copy of ['a', 'b']) await cp(join(folder, 'test/dog/0.png'), join(folder, `test/dog/${copy}.png`));
  await writeFile(join(folder, 'train/cat/torn.png'), 'no picture');
  const imported = await over(await client.call('datasets.add', { path: folder, copy: false }));
  expect(imported.state, JSON.stringify(imported.error)).toBe('done');

  const pets = { name: 'pets' };
  const before = await client.call('datasets.show', pets);
  expect(before).toMatchObject({
    counts: { 'bad-image': 1, leak: 1, conflict: 1, duplicate: 1 },
    isThere: true,
    gone: [],
    edits: [],
  });
  for (const split of ['train', 'val', 'test'] as const)
    expect(before.balance[split].reduce((sum, count) => sum + count)).toBe(before.splits[split]);
  const problem = (kind: string) => {
    const { images, fixes } = before.problems.find((each) => each.kind === kind)!;
    return { images: images.map(({ index }) => index), fixes };
  };
  const paths = (places: number[]) =>
    Promise.all(
      places.map(async (index) =>
        (await client.call('datasets.image', { ...pets, index })).path.slice(folder.length + 1),
      ),
    );
  expect(problem('bad-image')).toMatchObject({ images: [], fixes: [] });
  // A group of three is one problem.
  expect(await paths(problem('duplicate').images)).toEqual(['0', 'a', 'b'].map((one) => `test/dog/${one}.png`));
  const leak = problem('leak');
  expect((await paths(leak.images)).sort()).toEqual(['test/cat/copy.png', 'train/cat/1.png']);
  const shown = await client.call('datasets.images', { ...pets, problem: 'leak' });
  expect(shown.images.map(({ index, problems }) => [index, problems])).toEqual(
    leak.images.map((index) => [index, ['leak']]),
  );

  // The likeliest fix of the leak leaves the test image where it is.
  const edited = await client.call('datasets.edit', { ...pets, stamp: before.stamp, edit: leak.fixes[0]!.edit });
  expect(edited).toMatchObject({ excluded: 1, changed: 1, edit: { images: 1, first: 'train/cat/1.png' } });
  expect(events.findLast(({ type }) => type === 'changed')).toMatchObject({ what: 'datasets' });
  expect((await client.call('datasets.show', pets)).counts.leak).toBeUndefined();
  expect(await paths(await client.call('datasets.select', { ...pets, excluded: true }))).toEqual(['train/cat/1.png']);
  const stale = client.call('datasets.edit', { ...pets, stamp: 'other', edit: leak.fixes[0]!.edit });
  await expect(stale).rejects.toMatchObject({ code: 'dataset-changed' });
  await expect(client.call('datasets.image', { ...pets, index: 99 })).rejects.toMatchObject({ code: 'no-image' });

  await client.call('datasets.undo', pets);
  expect({ ...(await client.call('datasets.show', pets)), edits: [] }).toEqual(before);
  await expect(client.call('datasets.undo', pets)).rejects.toMatchObject({ code: 'edit' });
  await client.call('datasets.redo', { ...pets, line: edited.line });
  for (const kind of ['conflict', 'duplicate'])
    await client.call('datasets.edit', { ...pets, edit: problem(kind).fixes[0]!.edit });
  expect((await client.call('datasets.edits', pets)).map(({ state, changed }) => [state, changed])).toEqual([
    ['done', 1],
    ['done', 1],
    ['done', 2],
  ]);
  // What an earlier edit's toast would take back is no longer the last one: nothing is.
  const late = client.call('datasets.undo', { ...pets, line: edited.line });
  await expect(late).rejects.toMatchObject({ code: 'edited-since' });
  expect(await client.call('datasets.edits', pets)).toHaveLength(3);
  await paint(join(folder, 'train/cat/torn.png'), 99);
  const refreshed = await over(await client.call('datasets.refresh', pets));
  expect(refreshed.result).toMatchObject({ name: 'pets', excluded: 4, problems: [] });
});
