/** The backbones of a workspace: listing, reading back, removing. */
import { createHash } from 'node:crypto';
import { access, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { advised, Failure } from '../base/failure.ts';
import type { ModelProto } from '../engine/onnx/onnx_pb.ts';
import { errorCode } from '../workspace/atomic.ts';
import { withLock } from '../workspace/lock.ts';
import { parseSealed } from '../workspace/record.ts';
import { readSafetensors } from '../workspace/safetensors.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { MODEL_FILE, NORM_FILE, RECORD_FILE, RecordSchema, wholeStructure } from './backbone-file.ts';
import type { BackboneRecord, Served } from './backbone-file.ts';
import type { VitStructure } from './find-blocks.ts';
import type { Preprocessing } from './preprocessing.ts';
import { parseModel, readModelFile } from './read-model.ts';

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

/** Does a task that changes entries while nobody else does: the files of an entry are of one backbone. */
export function withEntries<T>(workspace: Workspace, task: () => Promise<T>): Promise<T> {
  return withLock(join(workspace.backbones, '.lock'), task);
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

/** Of a model file, in hexadecimal. */
export const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

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

/**
 * Undefined where there is none. Looks twice where an entry seems damaged: another process may just have taken it away, or
 * written it anew. @throws Failure `damaged-file`
 */
export function loadEntry(workspace: Workspace, name: string): Promise<Backbone | undefined> {
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
