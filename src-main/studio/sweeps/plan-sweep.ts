import { Failure } from '../../base/failure.ts';
import type { TaskOptions } from '../../base/progress.ts';
import { gridPoints, gridValues } from '../../sweep/grid.ts';
import { choiceOf, methodsOf, readSpace, type SweepSpace } from '../../sweep/read-space.ts';
import type { PrunerKind } from '../../sweep/pruner.ts';
import type { SamplerKind } from '../../sweep/sampler.ts';
import { applies, type Point, type Space, type Value } from '../../sweep/space.ts';
import type { SweepConfig } from '../../sweep/sweep-config.ts';
import { completeSettings, type Method, type Settings, type SettingsChoice } from '../../training/settings.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import { hashesOf, planRun, type RunPlan } from '../plan-run.ts';
import type { TrainRequest } from '../train-request.ts';

export interface SweepRequest extends Pick<
  TrainRequest,
  'dataset' | 'backbone' | 'noTest' | 'stepForm' | 'engine' | 'device'
> {
  /** By setting: a value, a list of values, or a range. */
  space: unknown;
  /** The same in every trial. */
  settings?: Partial<SettingsChoice>;
  sampler?: SamplerKind;
  pruner?: PrunerKind;
  /** All points of a grid, else 20, when left out. */
  trials?: number;
  /** Processes that train; as many as there are threads for when left out. */
  parallel?: number;
  /**
   * Trials that a process trains together, at most, where they differ in nothing but what a graph is fed; `auto`, also
   * when left out, for what pays on this machine.
   */
  lanes?: number | 'auto';
  /** Of each trial; `auto`, also when left out, for `threadsFor`. */
  threads?: number | 'auto';
  /** Bytes for all trials that run together. */
  memory?: number;
  deterministic?: boolean;
  retrain?: boolean;
}

/** A sweep about to begin: its config but for what only the workspace can say. */
export interface SweepPlan {
  run: RunPlan;
  space: SweepSpace;
  config: Omit<SweepConfig, 'sweep' | 'created' | 'stepForms' | 'lanes'>;
}

const DEFAULT_TRIALS = 20;
/** Points that a grid may have. */
const LARGEST_GRID = 100_000;
/**
 * With a fixed order, a trial knows of those at least so many before its own: as many can run at a time without one
 * waiting for what it may not know yet.
 */
export const FIXED_LAG = 8;

/**
 * Finds or imports what a sweep names, and checks its space against the backbone before anything is computed.
 * @throws Failure of the dataset, the backbone or the space
 */
export async function planSweep(workspace: Workspace, request: SweepRequest, options: TaskOptions): Promise<SweepPlan> {
  const {
    dataset,
    backbone,
    sampler: asked,
    pruner = 'none',
    memory,
    deterministic = false,
    retrain = false,
  } = request;
  const space = readSpace(request.space, request.settings);
  const sampler = asked ?? (canBeListed(space.space) ? 'grid' : 'tpe');
  const points = sampler === 'grid' ? checkedGrid(space.space) : undefined;
  const extremes = probes(space.space);
  const run = await planRun(workspace, { dataset, backbone, settings: choiceOf(space, extremes[0]!) }, options);
  for (const point of extremes) settingsAt(space, point, run);
  if (run.splits.val.length === 0)
    throw new Failure(
      'dataset',
      `Dataset ${run.dataset.name} has no val split, by which a sweep tells settings apart: import it with one.`,
    );
  const trials = request.trials ?? points?.length ?? DEFAULT_TRIALS;
  const { threads: wanted = 'auto' } = request;
  const threads = wanted === 'auto' ? threadsFor(Math.min(trials, points?.length ?? trials), run.threads) : wanted;
  const parallel = request.parallel ?? Math.max(1, Math.floor(run.threads / threads));
  if (deterministic && parallel > FIXED_LAG)
    throw new Failure('usage', `With --deterministic at most ${FIXED_LAG} trials run at a time, not ${parallel}.`);
  const { train, val } = hashesOf(run.splits);
  return {
    run,
    space,
    config: {
      version: 1,
      dataset: run.dataset.name,
      ...(run.dataset.edits ? { datasetEdits: run.dataset.edits } : {}),
      backbone: run.backbone.name,
      backboneSha256: run.backbone.sha256,
      data: { train, val },
      classes: run.dataset.classes,
      space: space.space,
      fixed: space.fixed,
      sampler,
      pruner,
      seed: request.settings?.seed ?? 1,
      trials,
      parallel,
      threads,
      memory: memory ?? null,
      lag: deterministic ? FIXED_LAG : null,
      retrain,
      noTest: request.noTest ?? false,
      engine: request.engine ?? 'compiled',
      device: request.device ?? 'cpu',
    },
  };
}

/**
 * Threads of each trial where nobody says how many. One gets most trials done, as long as there is a trial for every core:
 * threads of a step wait for each other, and trials do not. Fewer trials share the cores evenly.
 *
 * A rule rather than a measurement, and blind to the number of workers, because the last bits of a trial hang on its
 * threads: the same sweep has the same trials whatever its workers, and however often it is asked for on a machine.
 */
export function threadsFor(trials: number, cores: number): number {
  return Math.max(1, Math.floor(cores / trials));
}

/** Whether every point can be tried. */
function canBeListed(space: Space): boolean {
  return space.every((dimension) => gridValues(dimension) !== undefined);
}

/** @throws Failure `usage` where a grid has no end, or too many points */
function checkedGrid(space: Space): Point[] {
  for (const { name, kind } of space)
    if (kind === 'float')
      throw new Failure(
        'usage',
        `"${name}" is a range of real numbers, which a grid cannot go through: list its values.`,
      );
  const points = gridPoints(space, LARGEST_GRID + 1);
  if (points.length > LARGEST_GRID)
    throw new Failure(
      'usage',
      `The grid has more than ${LARGEST_GRID} points: list fewer values, or use another sampler.`,
    );
  return points;
}

/** Points in which each dimension takes, one after the other, each of its values, or the ends of its range. */
export function probes(space: Space): Point[] {
  const points = space.flatMap((dimension) =>
    endsOf(dimension).map((value) => {
      const point: Record<string, Value> = {};
      for (const other of space) {
        if (!applies(other, point)) continue;
        const needed = other.name === dimension.when?.name ? dimension.when.values[0] : undefined;
        point[other.name] = other === dimension ? value : (needed ?? endsOf(other)[0]!);
      }
      return point;
    }),
  );
  return points.length > 0 ? points : [{}];
}

function endsOf(dimension: Space[number]): readonly Value[] {
  if (dimension.kind === 'choice') return dimension.values;
  // Few divide the number of blocks: each is tried.
  return dimension.name === 'group' ? gridValues(dimension)! : [dimension.min, dimension.max];
}

/** The settings of a trial. @throws Failure where the backbone cannot serve them */
export function settingsAt(space: SweepSpace, point: Point, { backbone }: Pick<RunPlan, 'backbone'>): Settings {
  const { blocks, width, prefix } = backbone.structure;
  return completeSettings(choiceOf(space, point), { name: backbone.name, blocks, width, prefix });
}

/** Of each method in the space, some settings that it may have. */
export function exampleSettings(space: SweepSpace, run: Pick<RunPlan, 'backbone'>): Map<Method, Settings> {
  const examples = probes(space.space).map((point) => settingsAt(space, point, run));
  return new Map(methodsOf(space).map((method) => [method, examples.find((each) => each.method === method)!]));
}

/** Settings that together read every map that a trial may read. */
export function settingsByMaps({ space, fixed }: SweepSpace, run: Pick<RunPlan, 'backbone'>): Settings[] {
  const telling = space.filter(({ name }) => ['method', 'group', 'upto'].includes(name));
  return gridPoints(telling).map((point) => settingsAt({ space: telling, fixed }, point, run));
}

/** Epochs of the longest trial. */
export function longestEpochs(space: SweepSpace, run: Pick<RunPlan, 'backbone'>): number {
  return Math.max(...probes(space.space).map((point) => settingsAt(space, point, run).epochs));
}

/** Views of a training image that the trial with most of them learns from. */
export function mostViews(space: SweepSpace, run: Pick<RunPlan, 'backbone'>): number {
  return Math.max(...probes(space.space).map((point) => settingsAt(space, point, run).views));
}

/** Most seeds that a sweep with a limit may have: each has images, and so features, of its own. */
const MOST_SEEDS = 20;

/** The seeds of trials. @throws Failure `usage` where there are too many for a sweep whose images depend on them */
export function seedsOf({ space, fixed }: SweepSpace): number[] {
  const dimension = space.find(({ name }) => name === 'seed');
  if (!dimension || fixed.limit == null) return [fixed.seed ?? 1];
  const seeds = (gridValues(dimension) ?? []).map(Number);
  if (seeds.length > MOST_SEEDS)
    throw new Failure(
      'usage',
      `With --limit every seed has images of its own: list at most ${MOST_SEEDS} values for "seed".`,
    );
  return seeds;
}
