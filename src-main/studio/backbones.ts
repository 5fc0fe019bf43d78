/** What a user can ask about backbones. */
import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { addBackbone as addToCatalogue, examine, type AddBackboneOptions } from '../backbone/add-backbone.ts';
import * as catalogue from '../backbone/catalogue.ts';
import type { Backbone, BackboneDescription, DamagedBackbone } from '../backbone/catalogue.ts';
import { aboutEmbedded, EMBEDDED_BACKBONE, embeddedFile, readEmbedded } from '../backbone/embedded.ts';
import { inspectModel } from '../backbone/measure.ts';
import { choosePreprocessing } from '../backbone/preprocessing.ts';
import { readOnnxFile } from '../backbone/read-model.ts';
import { exists } from '../base/exists.ts';
import { Failure } from '../base/failure.ts';
import type { ModelProto } from '../engine/onnx/onnx_pb.ts';
import { listRuns as listConfigs } from '../training/run-folder.ts';
import { listSweepConfigs } from '../sweep/find-sweep.ts';
import { isAddress } from '../oip/served-at.ts';
import { isSafeName } from '../workspace/names.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { resolveServed, type ServedAccess } from './edge/served-backbones.ts';

export { EMBEDDED_BACKBONE };

export interface AddBackboneRequest extends AddBackboneOptions {
  file: string;
}

/** A backbone and its size on the disk; one that is built in takes no room in the workspace. */
export type DescribedBackbone = BackboneDescription & { bytes: number; builtIn?: true };

/** One that was added, with the names of others that are the same file prepared alike, and so share its features. */
export type AddedBackbone = DescribedBackbone & { sameAs?: string[] };

/** Takes a ViT's ONNX file into the workspace. Failures of the catalogue's `addBackbone`. */
export async function addBackbone(
  workspace: Workspace,
  { file, ...options }: AddBackboneRequest,
): Promise<AddedBackbone> {
  const added = await addToCatalogue(workspace, file, options);
  const same = (await catalogue.listBackbones(workspace)).filter(
    ({ name, sha256, preprocessing }) =>
      name !== added.name && sha256 === added.sha256 && isDeepStrictEqual(preprocessing, added.preprocessing),
  );
  const sameAs = same.map(({ name }) => name);
  return { ...(await describe(added)), ...(sameAs.length > 0 ? { sameAs } : {}) };
}

async function describe(backbone: Backbone): Promise<DescribedBackbone> {
  const { size } = await stat(backbone.modelPath).catch(() => ({ size: 0 }));
  return { ...catalogue.describeBackbone(backbone), bytes: size };
}

/**
 * Takes a backbone out of the workspace. The file that it was added from, the runs and sweeps made with it and its
 * features stay.
 * @throws Failure `unknown-backbone`, and `in-use` where runs or sweeps need it, unless `force`
 */
export async function removeBackbone(workspace: Workspace, name: string, { force = false } = {}): Promise<void> {
  if (name === EMBEDDED_BACKBONE && !(await hasBackbone(workspace, name)))
    throw new Failure(
      'built-in',
      `Backbone "${name}" is built in and takes no room in the workspace, so it cannot be removed.`,
    );
  const users = force ? [] : (await listConfigs(workspace)).filter(({ backbone }) => backbone === name);
  const [first] = users;
  if (first) {
    const runs =
      users.length === 1 ? `run "${first.run}" was` : `${users.length} runs were, "${first.run}" among them,`;
    throw new Failure(
      'in-use',
      `Backbone "${name}" was not removed: ${runs} made with it and could no longer predict, be evaluated or be exported; --force removes it all the same.`,
    );
  }
  const sweeps = force ? [] : (await listSweepConfigs(workspace)).filter(({ backbone }) => backbone === name);
  if (sweeps[0])
    throw new Failure(
      'in-use',
      `Backbone "${name}" was not removed: ${sweeps.length === 1 ? 'sweep' : `${sweeps.length} sweeps, among them`} "${sweeps[0].sweep}" could no longer go on or be retrained; --force removes it all the same.`,
    );
  await catalogue.removeBackbone(workspace, name);
}

/** The backbones of the workspace and the embedded one, and apart from them those that are damaged. */
export async function listBackbones(
  workspace: Workspace,
): Promise<{ backbones: DescribedBackbone[]; damaged: DamagedBackbone[] }> {
  const { backbones, damaged } = await catalogue.surveyBackbones(workspace);
  const described = await Promise.all(backbones.map(describe));
  const taken = [...backbones, ...damaged].some(({ name }) => name === EMBEDDED_BACKBONE);
  return { backbones: taken ? described : [...described, await describeEmbedded(await readEmbedded())], damaged };
}

/** A backbone, and what the embedded one was made from. */
export type InspectedBackbone = DescribedBackbone & { about?: string };

/** What a backbone of the workspace is, the embedded one, or what a file would be as one; nothing is added. */
export async function inspectBackbone(workspace: Workspace, nameOrPath: string): Promise<InspectedBackbone> {
  if (await hasBackbone(workspace, nameOrPath)) {
    const backbone = await catalogue.loadBackbone(workspace, nameOrPath);
    const about = nameOrPath === EMBEDDED_BACKBONE && aboutEmbedded(await catalogue.readModel(backbone));
    return { ...(await describe(backbone)), ...(about ? { about } : {}) };
  }
  if (nameOrPath === EMBEDDED_BACKBONE) {
    const model = await readEmbedded();
    return { ...(await describeEmbedded(model)), about: aboutEmbedded(model) };
  }
  const modelPath = resolve(nameOrPath);
  if (!(await exists(modelPath))) throw neither(nameOrPath);
  const { model } = await readOnnxFile(modelPath);
  const name = basename(modelPath).replace(/\.onnx$/i, '');
  return describe({ name, modelPath, source: modelPath, sha256: '', ...(await examine(model, modelPath)) });
}

/**
 * The backbone of a name in the workspace; else the embedded one, which is copied into it; else that of an ONNX file,
 * which is added under its own name or found as the entry that it was added as before; else that of a served model.
 * @throws Failure `unknown-backbone` where it is neither, `name-taken`, and those of the catalogue's `addBackbone`
 */
export async function resolveBackbone(
  workspace: Workspace,
  nameOrPath: string,
  server?: ServedAccess,
): Promise<Backbone> {
  if (isAddress(nameOrPath)) return resolveServed(workspace, nameOrPath, server);
  if (await hasBackbone(workspace, nameOrPath)) return catalogue.loadBackbone(workspace, nameOrPath);
  if (nameOrPath === EMBEDDED_BACKBONE) {
    return addToCatalogue(workspace, embeddedFile(), { name: EMBEDDED_BACKBONE });
  }
  if (!(await exists(nameOrPath))) throw neither(nameOrPath);
  try {
    return await addToCatalogue(workspace, nameOrPath);
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
async function describeEmbedded(model: ModelProto): Promise<DescribedBackbone> {
  const structure = await inspectModel(model);
  const file = embeddedFile();
  const preprocessing = choosePreprocessing(structure);
  const entry = { name: EMBEDDED_BACKBONE, modelPath: file, source: file, sha256: '', structure, preprocessing };
  return { ...(await describe(entry)), builtIn: true };
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
