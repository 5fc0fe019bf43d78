/** A picture that was shown to a run and taken for the wrong thing, added to the dataset. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { locate } from '../../../src-main/data/dataset.ts';
import { loadDataset } from '../../../src-main/data/dataset-store.ts';
import { addPicture } from '../../../src-main/studio/datasets/add-picture.ts';
import { editDataset, stepEdits } from '../../../src-main/studio/datasets/dataset-edits.ts';
import { addDataset } from '../../../src-main/studio/datasets/datasets.ts';
import { Workspace } from '../../../src-main/workspace/workspace.ts';
import { Stage } from '../stage.ts';

let stage: Stage;
let workspace: Workspace;
beforeAll(async () => {
  stage = await Stage.set();
  workspace = await Workspace.open(stage.workspace('w'));
  await addDataset(workspace, { path: stage.dataset });
});
afterAll(() => stage.clear());

it('is kept in the workspace, edited as the others are, and taken back', async () => {
  const bytes = await sharp({ create: { width: 9, height: 9, channels: 3, background: '#a40' } })
    .jpeg()
    .toBuffer();
  const before = await loadDataset(workspace, 'hearts');
  const wish = { picture: 'webcam-1.jpg', label: '090', bytes };
  const { splits } = await addPicture(workspace, 'hearts', wish);
  expect(splits.train).toBe(161);
  const after = await loadDataset(workspace, 'hearts');
  expect(after.images.slice(0, -1)).toEqual(before.images);
  const added = after.images.at(-1)!;
  expect(added).toMatchObject({ label: before.classes.indexOf('090'), split: 'train', bytes: bytes.length });
  expect(locate(after, added).path).toMatch(/\.jpg$/);
  expect(await readFile(locate(after, added).path)).toEqual(bytes);

  // Renamed, moved and excluded as any other; and the folder imported again does not lose it.
  await editDataset(workspace, 'hearts', { kind: 'rename-class', class: '090', to: 'left' });
  await editDataset(workspace, 'hearts', { kind: 'move-to-split', images: [after.images.length - 1], split: 'val' });
  await addDataset(workspace, { path: stage.dataset });
  const again = await loadDataset(workspace, 'hearts');
  expect(again.images.at(-1)).toMatchObject({ split: 'val', sha256: added.sha256 });
  expect(again.classes[again.images.at(-1)!.label]).toBe('left');

  await expect(addPicture(workspace, 'hearts', { ...wish, label: 'left' })).rejects.toThrow('already, as "left"');
  for (let step = 0; step < 3; step++) await stepEdits(workspace, 'hearts', 'undo');
  expect((await loadDataset(workspace, 'hearts')).images).toEqual(before.images);
});

it('has to be a picture, and of a class that there is', async () => {
  const picture = { picture: 'a.txt', label: '090', bytes: Buffer.from('no picture') };
  await expect(addPicture(workspace, 'hearts', picture)).rejects.toMatchObject({ code: 'image' });
  const bytes = await readFile(join(stage.dataset, 'images', 'test-00000.png'));
  await expect(addPicture(workspace, 'hearts', { picture: 'b.png', label: 'cat', bytes })).rejects.toThrow(
    'has no class "cat"',
  );
});
