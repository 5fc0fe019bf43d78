/** The backbones of a workspace: adding, listing, reading back. */
import { createHash } from 'node:crypto';
import { access, readFile, rm } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { advised, Failure } from '../base/failure.ts';
import type { ModelProto } from '../engine/onnx/onnx_pb.ts';
import { errorCode, writeFileAtomic } from '../workspace/atomic.ts';
import { withLock } from '../workspace/lock.ts';
import { checkName, safeName } from '../workspace/names.ts';
import { parseSealed, sealed } from '../workspace/record.ts';
import { readSafetensors, writeSafetensors } from '../workspace/safetensors.ts';
import { sweepTemporaries } from '../workspace/sweep.ts';
import type { Workspace } from '../workspace/workspace.ts';
import {
  MODEL_FILE,
  NORM_FILE,
  normTensors,
  RECORD_FILE,
  recordedStructure,
  RecordSchema,
  wholeStructure,
} from './backbone-file.ts';
import type { BackboneRecord, Served } from './backbone-file.ts';
import { inspectModel } from './measure.ts';
import type { VitStructure } from './find-blocks.ts';
import { choosePreprocessing } from './preprocessing.ts';
import type { Preprocessing, PreprocessingChoice } from './preprocessing.ts';
import { parseModel, readModelFile, readOnnxFile } from './read-model.ts';
import { statedPreprocessing } from './stated-preprocessing.ts';

/** A frozen ViT in a workspace. */
export interface Backbone {
  name: string;
  /** Path of its model.onnx. */
  modelPath: string;
  /** Path of the file that was added, or address of the model that is served. */
  source: string;
  /** Of the model file, in hexadecimal. */
  sha256: string;
  structure: VitStructure;
  preprocessing: Preprocessing;
  /** Where what was not asked for of the preprocessing was taken from; absent: the defaults. */
  preprocessingFrom?: string;
  /** Of one whose model is not here but on a server, at `source`. */
  served?: Served;
}

export interface AddBackboneOptions {
  /** Default: the file's name without `.onnx`. */
  name?: string;
  preprocessing?: PreprocessingChoice;
}

/** What `backbones add` and `backbones inspect` print. */
export interface BackboneDescription {
  name: string;
  blocks: number;
  width: number;
  tokens: number;
  prefix: number;
  heads: number | null;
  parameters: number;
  /** Names in the graph of z_0 .. z_L. */
  taps: string[];
  preprocessing: Preprocessing;
  preprocessingFrom?: string;
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

/** Does a task that changes entries while nobody else does: the files of an entry are of one backbone. */
function withEntries<T>(workspace: Workspace, task: () => Promise<T>): Promise<T> {
  return withLock(join(workspace.backbones, '.lock'), task);
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

/** Takes a backbone, be it damaged, out of the workspace. Failure `unknown-backbone` where there is none. */
export async function removeBackbone(workspace: Workspace, name: string): Promise<void> {
  if (!(await entryNames(workspace)).includes(name)) await loadBackbone(workspace, name);
  const folder = workspace.backbone(name);
  await withEntries(workspace, async () => {
    // First: what is left of an entry without its record is no entry.
    await rm(join(folder, RECORD_FILE), { force: true });
    await rm(folder, { recursive: true, force: true });
  });
}

/** Failure `unknown-backbone`, naming those there are, or `damaged-file`. */
export async function loadBackbone(workspace: Workspace, name: string): Promise<Backbone> {
  const found = await loadEntry(workspace, name);
  if (found) return found;
  const names = await entryNames(workspace);
  const known = names.length > 0 ? `it has ${names.join(', ')}` : 'it has none yet';
  throw new Failure(
    'unknown-backbone',
    `The workspace has no backbone "${name}" (${known}): add it with "sidetune backbones add FILE.onnx --name ${name}".`,
  );
}

/** What is wrong with an entry that cannot be used. */
export interface DamagedBackbone {
  name: string;
  /** For the user: what is damaged and what to do. */
  message: string;
}

/** All backbones of a workspace, by name, and those entries that are damaged. */
export async function surveyBackbones(
  workspace: Workspace,
): Promise<{ backbones: Backbone[]; damaged: DamagedBackbone[] }> {
  const backbones: Backbone[] = [];
  const damaged: DamagedBackbone[] = [];
  for (const name of await entryNames(workspace)) {
    try {
      backbones.push(await loadBackbone(workspace, name));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      damaged.push({ name, message: error.message });
    }
  }
  return { backbones, damaged };
}

/** All usable backbones of a workspace, by name. */
export async function listBackbones(workspace: Workspace): Promise<Backbone[]> {
  return (await surveyBackbones(workspace)).backbones;
}

export function describeBackbone(backbone: Backbone): BackboneDescription {
  const { name, structure, preprocessing, preprocessingFrom } = backbone;
  const { blocks, width, tokens, prefix, heads, parameters, states } = structure;
  return { name, blocks, width, tokens, prefix, heads, parameters, taps: states, preprocessing, preprocessingFrom };
}

/**
 * The backbone's ONNX model, for tap surgery. Failure `damaged-file` when it is not the file that was added, `served`
 * where it is not here.
 */
export async function readModel(backbone: Backbone): Promise<ModelProto> {
  if (backbone.served)
    throw new Failure(
      'served',
      `The model of backbone "${backbone.name}" is on a server (${backbone.source}) and not here: add its ONNX file with "sidetune backbones add FILE.onnx" for what needs it.`,
    );
  const bytes = await readModelFile(backbone.modelPath);
  if (hashOf(bytes) !== backbone.sha256) {
    throw new Failure(
      'damaged-file',
      `"${backbone.modelPath}" is no longer the file that was added as backbone "${backbone.name}": remove its folder and add it again.`,
    );
  }
  return parseModel(bytes, backbone.modelPath);
}

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

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

async function entryNames(workspace: Workspace): Promise<string[]> {
  const names = await workspace.list('backbones');
  const recorded = await Promise.all(
    names.map((name) =>
      access(join(workspace.backbone(name), RECORD_FILE)).then(
        () => true,
        () => false,
      ),
    ),
  );
  return names.filter((_, index) => recorded[index]);
}

/** Looks twice where an entry seems damaged: another process may just have taken it away, or written it anew. */
function loadEntry(workspace: Workspace, name: string): Promise<Backbone | undefined> {
  return readEntry(workspace, name).catch(() => readEntry(workspace, name));
}

async function readEntry(workspace: Workspace, name: string): Promise<Backbone | undefined> {
  const folder = workspace.backbone(name);
  const path = join(folder, RECORD_FILE);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw new Failure('damaged-file', `"${path}" cannot be read: check that it may be.`, { cause: error });
  }
  const { source, sha256, structure, preprocessing, preprocessingFrom, served } = parseRecord(text, path);
  const normPath = join(folder, NORM_FILE);
  const { tensors } = await readSafetensors(normPath).catch((error: unknown) => {
    throw advised(error, ['damaged-file', 'missing-file'], `remove the backbone's folder and add it again`);
  });
  return {
    name,
    modelPath: join(folder, MODEL_FILE),
    source,
    sha256,
    structure: wholeStructure(structure, tensors, normPath),
    preprocessing,
    ...(preprocessingFrom === undefined ? {} : { preprocessingFrom }),
    ...(served === undefined ? {} : { served }),
  };
}

function parseRecord(text: string, path: string): BackboneRecord {
  try {
    return RecordSchema.parse(parseSealed(text));
  } catch (error) {
    throw new Failure(
      'damaged-file',
      `"${path}" is damaged or from another version: remove the backbone's folder and add it again.`,
      { cause: error },
    );
  }
}
