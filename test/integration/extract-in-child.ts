/** A process that extracts features and may be killed while it does: workspace, backbone, a file of images and a folder of theirs. */
import { readFile } from 'node:fs/promises';
import { loadBackbone } from '../../src-main/backbone/catalogue.ts';
import type { DatasetImage } from '../../src-main/data/dataset.ts';
import { extractFeatures } from '../../src-main/features/extract.ts';
import { Workspace } from '../../src-main/workspace/workspace.ts';

const [root, name, list, source] = process.argv.slice(2) as [string, string, string, string];
const workspace = await Workspace.open(root);
const backbone = await loadBackbone(workspace, name);
const images = JSON.parse(await readFile(list, 'utf8')) as DatasetImage[];
await extractFeatures(
  workspace,
  { backbone, source, lists: [images], maps: [{ kind: 'P', group: 1, index: 1 }], threads: 1 },
  { onProgress: ({ done }) => process.send?.(done) },
);
