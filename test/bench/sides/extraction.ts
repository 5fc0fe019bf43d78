// usage: extraction.ts --part extract|bare|decode [--images N] [--maps last|miet] [--set NAME]...
// Features of the shared JPEG sets with ViT-Ti, core time of all processes: the whole extraction in its steady state;
// the ViT alone, as it was exported, on ready tensors; decoding alone. Threads come from BENCH_THREADS.
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import * as ort from 'onnxruntime-node';
import { addBackbone } from '../../../src-main/backbone/add-backbone.ts';
import type { MapRequest } from '../../../src-main/backbone/surgery.ts';
import { imagesOf, locate } from '../../../src-main/data/dataset.ts';
import { decodeImage } from '../../../src-main/data/decode/decode-image.ts';
import { startDecoder } from '../../../src-main/data/decode/start-decoder.ts';
import { importDataset } from '../../../src-main/data/import.ts';
import { createSession } from '../../../src-main/engine/session.ts';
import { extractFeatures } from '../../../src-main/features/extract.ts';
import { Workspace } from '../../../src-main/workspace/workspace.ts';
import { sharedFolder } from '../limit.ts';
import { report } from '../side.ts';

const { values } = parseArgs({
  options: {
    part: { type: 'string', default: 'extract' },
    // Whole batches: one that is not is filled up.
    images: { type: 'string', default: '168' },
    maps: { type: 'string', default: 'last' },
    set: { type: 'string', multiple: true, default: ['signs10', 'caltech101', 'clothing10'] },
  },
});
const threads = Number(process.env.BENCH_THREADS ?? 1);
const each = Math.ceil(Number(values.images) / values.set.length);
/** Batches that are not timed: memory is taken, and decoding gets ahead. */
const WARM_UP = 3;
const BATCH = 8;

const folder = await mkdtemp(join(tmpdir(), 'extraction-'));
try {
  const workspace = await Workspace.open(folder);
  const backbone = await addBackbone(workspace, join(sharedFolder, 'models/vit_tiny_patch16_224.onnx'));
  const { width, height } = backbone.preprocessing;
  if (values.part === 'bare') {
    const session = await createSession(backbone.modelPath, { threads });
    const pixels = new ort.Tensor('float32', new Float32Array(BATCH * 3 * width * height).fill(0.1), [
      BATCH,
      3,
      height,
      width,
    ]);
    const total = WARM_UP * BATCH + Number(values.images);
    await timed(total, async (mark) => {
      for (let done = 0; done < total; done += BATCH) {
        mark(done);
        await session.run({ [backbone.structure.input.name]: pixels });
      }
      mark(total);
    });
  } else {
    const images = await someImages(workspace);
    if (values.part === 'decode')
      await timed(images.length, async (mark) => {
        for (const [done, image] of images.entries()) {
          mark(done);
          await decodeImage(image, backbone.preprocessing);
        }
        mark(images.length);
      });
    else
      await timed(images.length, (mark) =>
        extractFeatures(
          workspace,
          { backbone, source: '/', lists: [images], maps: mapsOf(backbone.structure.blocks), threads },
          { onProgress: ({ done }) => mark(done) },
        ),
      );
  }
} finally {
  await rm(folder, { recursive: true });
}

/** As many of each set's images as are wanted, by absolute path. */
async function someImages(workspace: Workspace) {
  const decoder = await startDecoder();
  try {
    const images = [];
    for (const name of values.set) {
      const dataset = await importDataset(workspace, join(sharedFolder, 'data', name), {}, { decoder });
      images.push(
        ...imagesOf(dataset, 'train')
          .slice(0, each)
          .map((image) => ({ ...image, ...locate(dataset, image) })),
      );
    }
    return images;
  } finally {
    await decoder.close();
  }
}

function mapsOf(blocks: number): MapRequest[] {
  if (values.maps === 'miet') return [{ kind: 'S', index: Math.round((2 * blocks) / 3) }];
  return Array.from({ length: blocks }, (_, index) => ({ kind: 'P', group: 1, index: index + 1 }));
}

/** Reports the time between the mark after the warm-up and the last one. */
async function timed(total: number, task: (mark: (done: number) => void) => Promise<unknown>): Promise<void> {
  let from: { done: number; ms: number; coreMs: number } | undefined;
  let to = from;
  const outcome = await task((done) => {
    // Looking at all processes takes time itself.
    if (done < total && (from || done < WARM_UP * BATCH)) return;
    to = { done, ms: performance.now(), coreMs: coreMs() };
    from ??= to;
  });
  const images = to!.done - from!.done;
  const waited =
    outcome && typeof outcome === 'object' && 'vitWaited' in outcome ? { vitWaited: Number(outcome.vitWaited) } : {};
  report({ ms: [to!.ms - from!.ms], coreMs: [to!.coreMs - from!.coreMs] }, { images, figures: waited });
}

/** Core time of this process and those that it has started, as far as they are alive. */
function coreMs(): number {
  const { user, system } = process.cpuUsage();
  let ticks = 0;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (Number(fields[1]) === process.pid) ticks += Number(fields[11]) + Number(fields[12]);
    } catch {
      // It has ended.
    }
  }
  return (user + system) / 1000 + ticks * 10;
}
