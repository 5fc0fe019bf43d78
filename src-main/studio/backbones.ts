/** What a user can ask about backbones. */
import { readFile, stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import * as catalogue from '../backbone/catalogue.ts';
import type { AddBackboneOptions, Backbone, BackboneDescription, DamagedBackbone } from '../backbone/catalogue.ts';
import { aboutEmbedded, EMBEDDED_BACKBONE, embeddedFile, readEmbedded } from '../backbone/embedded.ts';
import { inspectModel } from '../backbone/measure.ts';
import { choosePreprocessing } from '../backbone/preprocessing.ts';
import { parseModel } from '../backbone/read-model.ts';
import { Failure } from '../base/failure.ts';
import type { ModelProto } from '../engine/onnx/onnx_pb.ts';
import { errorCode } from '../workspace/atomic.ts';
import { isSafeName } from '../workspace/names.ts';
import type { Workspace } from '../workspace/workspace.ts';

export { EMBEDDED_BACKBONE };

export interface AddBackboneRequest extends AddBackboneOptions {
  file: string;
}

/** Takes a ViT's ONNX file into the workspace. Failures of the catalogue's `addBackbone`. */
export async function addBackbone(
  workspace: Workspace,
  { file, ...options }: AddBackboneRequest,
): Promise<BackboneDescription> {
  return catalogue.describeBackbone(await catalogue.addBackbone(workspace, file, options));
}

/** The backbones of the workspace and the embedded one, and apart from them those that are damaged. */
export async function listBackbones(
  workspace: Workspace,
): Promise<{ backbones: BackboneDescription[]; damaged: DamagedBackbone[] }> {
  const { backbones, damaged } = await catalogue.surveyBackbones(workspace);
  const described = backbones.map(catalogue.describeBackbone);
  const taken = [...backbones, ...damaged].some(({ name }) => name === EMBEDDED_BACKBONE);
  return { backbones: taken ? described : [...described, await describeEmbedded(await readEmbedded())], damaged };
}

/** A backbone, and what the embedded one was made from. */
export type InspectedBackbone = BackboneDescription & { about?: string };

/** What a backbone of the workspace is, the embedded one, or what a file would be as one; nothing is added. */
export async function inspectBackbone(workspace: Workspace, nameOrPath: string): Promise<InspectedBackbone> {
  if (await hasBackbone(workspace, nameOrPath)) {
    const backbone = await catalogue.loadBackbone(workspace, nameOrPath);
    const about = nameOrPath === EMBEDDED_BACKBONE && aboutEmbedded(await catalogue.readModel(backbone));
    return { ...catalogue.describeBackbone(backbone), ...(about ? { about } : {}) };
  }
  if (nameOrPath === EMBEDDED_BACKBONE) {
    const model = await readEmbedded();
    return { ...(await describeEmbedded(model)), about: aboutEmbedded(model) };
  }
  const modelPath = resolve(nameOrPath);
  const bytes = await readFile(modelPath).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') throw neither(nameOrPath);
    const why = errorCode(error) === 'EISDIR' ? 'is a folder, not an ONNX file' : 'cannot be read';
    throw new Failure(
      'missing-file',
      `"${modelPath}" ${why}: give a backbone's name or the path of a ViT's .onnx file.`,
    );
  });
  const structure = await inspectModel(parseModel(bytes, modelPath));
  const preprocessing = choosePreprocessing(structure);
  const name = basename(modelPath).replace(/\.onnx$/i, '');
  return catalogue.describeBackbone({ name, modelPath, source: modelPath, sha256: '', structure, preprocessing });
}

/**
 * The backbone of a name in the workspace; else the embedded one, which is copied into it; else that of an ONNX file,
 * which is added under its own name or found as the entry that it was added as before.
 * @throws Failure `unknown-backbone` where it is neither, `name-taken`, and those of the catalogue's `addBackbone`
 */
export async function resolveBackbone(workspace: Workspace, nameOrPath: string): Promise<Backbone> {
  if (await hasBackbone(workspace, nameOrPath)) return catalogue.loadBackbone(workspace, nameOrPath);
  if (nameOrPath === EMBEDDED_BACKBONE) {
    return catalogue.addBackbone(workspace, embeddedFile(), { name: EMBEDDED_BACKBONE });
  }
  const exists = await stat(nameOrPath).then(
    () => true,
    () => false,
  );
  if (!exists) throw neither(nameOrPath);
  try {
    return await catalogue.addBackbone(workspace, nameOrPath);
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'name-taken') throw error;
    throw new Failure(
      'name-taken',
      `"${resolve(nameOrPath)}" cannot be taken in under its own name, which another backbone or an older version of the file has: add it first with "sidetune backbones add FILE.onnx --name NAME".`,
      { cause: error },
    );
  }
}

/** The embedded backbone as it would be in the workspace. */
async function describeEmbedded(model: ModelProto): Promise<BackboneDescription> {
  const structure = await inspectModel(model);
  const file = embeddedFile();
  const preprocessing = choosePreprocessing(structure);
  const entry = { name: EMBEDDED_BACKBONE, modelPath: file, source: file, sha256: '', structure, preprocessing };
  return catalogue.describeBackbone(entry);
}

async function hasBackbone(workspace: Workspace, name: string): Promise<boolean> {
  if (!isSafeName(name)) return false;
  return catalogue.loadBackbone(workspace, name).then(
    () => true,
    (error: unknown) => {
      if (error instanceof Failure && error.code === 'unknown-backbone') return false;
      throw error;
    },
  );
}

function neither(nameOrPath: string): Failure {
  return new Failure(
    'unknown-backbone',
    `"${nameOrPath}" is neither a backbone in the workspace nor a file: see "sidetune backbones list", or give the path of a ViT's .onnx file.`,
  );
}
