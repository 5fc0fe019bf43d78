/** What a user can ask about the feature cache. */
import { dirname, sep } from 'node:path';
import { Failure } from '../base/failure.ts';
import { datasetSource } from '../data/dataset-store.ts';
import { clearKeptFeatures, listKeptFeatures, type KeptFeatures } from '../features/kept-features.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { usedFeatures } from './used-features.ts';

/** The features that one backbone has of one dataset: of all its splits and limits, in all formats. */
export interface CachedFeatures {
  /** Null where no dataset of the workspace has these images any more. */
  dataset: string | null;
  /** Folder of the images; null for features that were begun and never finished. */
  source: string | null;
  backbone: string | null;
  bytes: number;
  /** Of them, those that nothing refers to any more, see `usedFeatures`; 0 where that cannot be told. */
  unusedBytes: number;
  /** Whether a running task needs some of them. */
  inUse: boolean;
  /** Names of the folders below `features`. */
  keys: string[];
}

export interface ClearedFeatures {
  /** What was deleted. */
  bytes: number;
  cleared: CachedFeatures[];
  /** What a running task needs, and was left. */
  inUse: CachedFeatures[];
}

/** Which features to clear; those that fit all that is said. */
export interface FeatureChoice {
  dataset?: string | undefined;
  backbone?: string | undefined;
  /** Of folders, as listed. */
  keys?: readonly string[] | undefined;
  /** Only what nothing refers to any more. */
  unused?: boolean | undefined;
  all?: boolean | undefined;
}

/** Largest first. */
export async function listFeatures(workspace: Workspace): Promise<{ features: CachedFeatures[]; bytes: number }> {
  const used = await usedFeatures(workspace).catch(() => undefined);
  const features = grouped(await listKeptFeatures(workspace), await datasetsByFolder(workspace), used);
  return { features, bytes: features.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/**
 * Deletes features, but for what a running task needs; they are extracted again when they are needed.
 * @throws Failure `usage` where nothing says which
 */
export async function clearFeatures(
  workspace: Workspace,
  { dataset, backbone, keys, unused = false, all = false }: FeatureChoice,
): Promise<ClearedFeatures> {
  if (!all && !unused && dataset === undefined && backbone === undefined && keys === undefined)
    throw new Failure(
      'usage',
      'Say which features to clear: --dataset NAME, --backbone NAME, both, --unused, or --all.',
    );
  const used = unused ? await usedFeatures(workspace) : new Set<string>();
  const { features } = await listFeatures(workspace);
  const chosen = features
    .map((one) => ({ ...one, keys: one.keys.filter((key) => !used.has(key)) }))
    .filter(
      (one) =>
        one.keys.length > 0 &&
        (dataset === undefined || one.dataset === dataset) &&
        (backbone === undefined || one.backbone === backbone) &&
        (keys === undefined || one.keys.some((key) => keys.includes(key))),
    );
  const gone = new Set(
    await clearKeptFeatures(
      workspace,
      chosen.flatMap((one) => one.keys),
    ),
  );
  const left = (await listFeatures(workspace)).features;
  const isGone = (one: CachedFeatures) => one.keys.every((key) => gone.has(key));
  const bytes = (some: readonly CachedFeatures[]) => some.reduce((sum, one) => sum + one.bytes, 0);
  return {
    bytes: Math.max(0, bytes(features) - bytes(left)),
    cleared: chosen.filter(isGone),
    inUse: chosen.filter((one) => !isGone(one)),
  };
}

/** Names of datasets by the folder that their images lie in; copies lie in the workspace. */
async function datasetsByFolder(workspace: Workspace): Promise<(folder: string) => string | null> {
  const names = await workspace.list('datasets');
  const places = await Promise.all(
    names.map(async (name) => ({ name, path: await datasetSource(workspace, name).catch(() => undefined) })),
  );
  return (folder) => {
    const copied = names.find((name) => folder.startsWith(`${workspace.dataset(name)}${sep}`));
    const imported = places.find(({ path }) => path !== undefined && (path === folder || dirname(path) === folder));
    return copied ?? imported?.name ?? null;
  };
}

function grouped(
  kept: readonly KeptFeatures[],
  datasetOf: (folder: string) => string | null,
  used: ReadonlySet<string> | undefined,
): CachedFeatures[] {
  const groups = new Map<string, CachedFeatures>();
  for (const { key, bytes, source, backbone, inUse } of kept) {
    const id = JSON.stringify([source, backbone]);
    const dataset = source === null ? null : datasetOf(source);
    const group = groups.get(id) ?? { dataset, source, backbone, bytes: 0, unusedBytes: 0, inUse: false, keys: [] };
    const isUnused = used !== undefined && !used.has(key);
    groups.set(id, {
      ...group,
      bytes: group.bytes + bytes,
      unusedBytes: group.unusedBytes + (isUnused ? bytes : 0),
      inUse: group.inUse || inUse,
      keys: [...group.keys, key],
    });
  }
  return [...groups.values()].sort((a, b) => b.bytes - a.bytes);
}
