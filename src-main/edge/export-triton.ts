/** A backbone as a model repository of NVIDIA Triton, which KServe takes too: the same contract on another server. */
import { join, resolve } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { readModel, type Backbone } from '../backbone/catalogue.ts';
import { exists } from '../base/exists.ts';
import { Failure } from '../base/failure.ts';
import { encodeModel } from '../engine/onnx/model.ts';
import { StringStringEntryProtoSchema } from '../engine/onnx/onnx_pb.ts';
import { cardOf } from '../oip/card.ts';
import { writeFileAtomic } from '../workspace/atomic.ts';
import { GatheringVit } from './gathering-vit.ts';
import { configText, modelConfig } from './model-config.ts';
import { DEFAULT_LIMITS } from './server/limits.ts';
import { usualUpto } from './server/serve.ts';
import { wholeModel } from './served-graph.ts';

export const CARD_FILE = 'backbone-card.json';

export interface TritonExport {
  /** Absolute paths, and their bytes. */
  files: { path: string; bytes: number }[];
  upto: number[];
}

/**
 * Writes `out/NAME/config.pbtxt`, `out/NAME/1/model.onnx` and the card for devices. The configuration goes last: without
 * one, a server finds no model.
 * @param options.upto blocks that the sums go up to
 * @throws Failure `bad-out` where there is a model of this name, `usage`, `backbone`, `disk-full`
 */
export async function exportTriton(
  backbone: Backbone,
  { out, upto, threads }: { out: string; upto?: readonly number[]; threads: number },
): Promise<TritonExport> {
  const { name, structure } = backbone;
  const folder = join(resolve(out), name);
  const config = join(folder, 'config.pbtxt');
  if (await exists(config))
    throw new Failure('bad-out', `"${folder}" holds a model already: remove it, or choose another folder with --out.`);
  const blocks = [...new Set(upto ?? usualUpto(structure.blocks))].sort((a, b) => a - b);
  const vit = await GatheringVit.open(backbone, { upto: blocks, threads });
  await vit.close();
  const { scales } = vit;
  const card = `${JSON.stringify(cardOf(backbone, scales), null, 2)}\n`;
  const model = wholeModel(await readModel(backbone), structure, scales);
  model.metadataProps.push(create(StringStringEntryProtoSchema, { key: 'sidetune_card', value: card }));
  const { batch, delayMs } = DEFAULT_LIMITS;
  const settings = { backbone, name, scales, backend: 'onnxruntime', batch, delayMs };
  const contents: [string, string | Uint8Array][] = [
    [join(folder, '1', 'model.onnx'), encodeModel(model)],
    [join(folder, CARD_FILE), card],
    [config, configText(modelConfig(settings))],
  ];
  for (const [path, content] of contents) await writeFileAtomic(path, content);
  const files = contents.map(([path, content]) => ({ path, bytes: Buffer.byteLength(content) }));
  return { files, upto: blocks };
}
