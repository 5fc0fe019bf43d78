/** Taking a backbone into a workspace. */
import { basename, join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { Failure } from '../base/failure.ts';
import type { ModelProto } from '../engine/onnx/onnx_pb.ts';
import { writeFileAtomic } from '../workspace/atomic.ts';
import { checkName, safeName } from '../workspace/names.ts';
import { sealed } from '../workspace/record.ts';
import { writeSafetensors } from '../workspace/safetensors.ts';
import { sweepTemporaries } from '../workspace/sweep.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { MODEL_FILE, NORM_FILE, normTensors, RECORD_FILE, recordedStructure } from './backbone-file.ts';
import type { BackboneRecord, Served } from './backbone-file.ts';
import { hashOf, listBackbones, loadEntry, withEntries, type Backbone } from './catalogue.ts';
import { inspectModel } from './measure.ts';
import { choosePreprocessing } from './preprocessing.ts';
import type { PreprocessingChoice } from './preprocessing.ts';
import { readOnnxFile } from './read-model.ts';
import { statedPreprocessing } from './stated-preprocessing.ts';

export interface AddBackboneOptions {
  /** Default: the file's name without `.onnx`. */
  name?: string;
  preprocessing?: PreprocessingChoice;
}

/**
 * Copies an ONNX file into the workspace and records what its graph says. The same path with the same content again
 * gives the entry that is there.
 * Failure when the file is no ONNX or no plain ViT, or the name is taken by another file or other preprocessing.
 */
export async function addBackbone(
  workspace: Workspace,
  file: string,
  { name, preprocessing: choice = {} }: AddBackboneOptions = {},
): Promise<Backbone> {
  const source = resolve(file);
  const { bytes, model } = await readOnnxFile(source);
  const sha256 = hashOf(bytes);
  const ownName = name === undefined ? nameOf(source) : checkName('backbone', name);
  const reused = async (): Promise<Backbone | undefined> => {
    const existing = await findEntry(workspace, { name: ownName, anyName: name === undefined, source, sha256 });
    if (!existing) return undefined;
    const stated = await statedPreprocessing(model, source);
    return reuse(existing, { source, sha256, choice, stated: stated?.choice });
  };
  const before = await reused();
  if (before) return before;
  const found = await examine(model, source, choice);
  const { structure, ...prepared } = found;
  const record: BackboneRecord = { format: 1, source, sha256, structure: recordedStructure(structure), ...prepared };
  const folder = workspace.backbone(ownName);
  const modelPath = join(folder, MODEL_FILE);
  return withEntries(workspace, async () => {
    // Another process may have added it meanwhile.
    const meanwhile = await reused();
    if (meanwhile) return meanwhile;
    await sweepTemporaries(folder);
    await writeFileAtomic(modelPath, bytes);
    await writeSafetensors(join(folder, NORM_FILE), normTensors(structure));
    // Last: an entry is one once it has its record.
    await writeFileAtomic(join(folder, RECORD_FILE), `${JSON.stringify(sealed(record), null, 2)}\n`);
    return { name: ownName, modelPath, source, sha256, ...found };
  });
}

/** A backbone that is on a server, taken into the workspace without its model, or its entry brought up to date. */
export async function keepServedBackbone(
  workspace: Workspace,
  backbone: Omit<Backbone, 'modelPath'> & { served: Served },
): Promise<Backbone> {
  const { name, source, sha256, structure, preprocessing, served } = backbone;
  const folder = workspace.backbone(checkName('backbone', name));
  const record: BackboneRecord = {
    format: 1,
    source,
    sha256,
    structure: recordedStructure(structure),
    preprocessing,
    served,
  };
  return withEntries(workspace, async () => {
    const existing = await loadEntry(workspace, name);
    if (existing && existing.source !== source)
      throw new Failure('name-taken', `The name "${name}" is taken by the backbone from "${existing.source}".`);
    await writeSafetensors(join(folder, NORM_FILE), normTensors(structure));
    await writeFileAtomic(join(folder, RECORD_FILE), `${JSON.stringify(sealed(record), null, 2)}\n`);
    return { ...backbone, modelPath: join(folder, MODEL_FILE) };
  });
}

/**
 * What the model of a file is, and its preprocessing: what was asked for, else what the model or the files beside it say,
 * else the defaults.
 */
export async function examine(
  model: ModelProto,
  source: string,
  choice: PreprocessingChoice = {},
): Promise<Pick<Backbone, 'structure' | 'preprocessing' | 'preprocessingFrom'>> {
  const stated = await statedPreprocessing(model, source);
  const structure = await inspectModel(model, { size: choice.size, hint: stated?.choice.size });
  const preprocessing = choosePreprocessing(structure, withStated(choice, stated?.choice));
  return { structure, preprocessing, ...(stated ? { preprocessingFrom: stated.from } : {}) };
}

/** A choice, completed from what the file's maker says but for the size, which the model knows better. */
function withStated(choice: PreprocessingChoice, stated: PreprocessingChoice = {}): PreprocessingChoice {
  const asked = Object.fromEntries(Object.entries<unknown>(choice).filter(([, value]) => value !== undefined));
  return { ...stated, size: undefined, ...asked };
}

function nameOf(path: string): string {
  return checkName('backbone', safeName(basename(path).replace(/\.onnx$/i, '')) || 'backbone');
}

interface Sought {
  name: string;
  /** Whether an entry of the same file under another name will do. */
  anyName: boolean;
  source: string;
  sha256: string;
}

async function findEntry(workspace: Workspace, sought: Sought): Promise<Backbone | undefined> {
  const named = await loadEntry(workspace, sought.name);
  if (named || !sought.anyName) return named;
  const all = await listBackbones(workspace);
  return all.find(({ source, sha256 }) => source === sought.source && sha256 === sought.sha256);
}

function reuse(
  existing: Backbone,
  {
    source,
    sha256,
    choice,
    stated,
  }: { source: string; sha256: string; choice: PreprocessingChoice; stated?: PreprocessingChoice },
): Backbone {
  const { name } = existing;
  if (existing.source !== source) {
    throw new Failure(
      'name-taken',
      `The name "${name}" is taken by the backbone from "${existing.source}": give another with --name.`,
    );
  }
  if (existing.sha256 !== sha256) {
    throw new Failure(
      'name-taken',
      `"${source}" has changed since it was added as backbone "${name}": add the new one under another name with --name.`,
    );
  }
  const changes = Object.values<unknown>(choice).some((value) => value !== undefined);
  if (
    changes &&
    !isDeepStrictEqual(choosePreprocessing(existing.structure, withStated(choice, stated)), existing.preprocessing)
  ) {
    throw new Failure(
      'name-taken',
      `Backbone "${name}" is already there with other preprocessing: add it under another name with --name.`,
    );
  }
  return existing;
}
