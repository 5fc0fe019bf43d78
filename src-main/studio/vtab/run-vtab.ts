/** The protocol of VTAB-1K over task folders: settings chosen on val200, trained again on all 1,000, test read once. */
import { join } from 'node:path';
import { Failure } from '../../base/failure.ts';
import type { TaskOptions } from '../../base/progress.ts';
import type { SweepState } from '../../sweep/sweep-state.ts';
import type { SweepEvent } from '../../sweep/sweep-events.ts';
import { readSweepConfig } from '../../sweep/sweep-folder.ts';
import type { Method } from '../../training/settings.ts';
import { takeLock } from '../../workspace/lock.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import { resolveBackbone } from '../backbones.ts';
import { resolveDataset } from '../datasets/datasets.ts';
import { planSweep, type SweepPlan, type SweepRequest } from '../sweeps/plan-sweep.ts';
import { resumeSweep, startSweep, type SweepAnswer } from '../sweeps/run-sweep.ts';
import { findTasks, taskName } from './find-tasks.ts';
import { declaredGrid, type Grids } from './grids.ts';
import { meansOf, type Means } from './means.ts';
import { entryFolder, readTaskRecord, writeTaskRecord, type TaskResult } from './records.ts';

export interface VtabRequest extends Pick<SweepRequest, 'backbone' | 'parallel' | 'threads' | 'memory'> {
  /** With a folder for each task. */
  folder: string;
  methods: readonly Method[];
  /** In place of the declared ones. */
  grids?: Grids;
  seed?: number;
}

export interface VtabAnswer {
  /** As asked for. */
  methods: readonly Method[];
  /** By task, in the order of the papers' tables, then by method as asked. */
  results: TaskResult[];
  means: Partial<Record<Method, Means>>;
  /** What could not be done, with the reason. */
  failed: { task: string; method: Method; reason: string }[];
}

export interface VtabOptions extends TaskOptions {
  /** What is about to happen, as a sentence. */
  onStep?: (sentence: string) => void;
  onEvent?: (event: SweepEvent, state: SweepState) => void;
}

/** LAST first: the other methods find all that they read in what it has extracted. */
const TRAINED: readonly Method[] = ['last', 'miet', 'linear'];

/**
 * Runs the protocol for each task folder and method. What is done is kept and never done again; what was cut short goes
 * on. A folder that is no task, or a task that cannot be done, is told and left out.
 * @throws Failure of the backbone or the grids, `no-task` without a task, `failed` where none could be done, `disk-full`;
 * the signal's reason
 */
export async function runVtab(
  workspace: Workspace,
  request: VtabRequest,
  options: VtabOptions = {},
): Promise<VtabAnswer> {
  const { folders, remarks } = await findTasks(request.folder);
  const { structure } = await resolveBackbone(workspace, request.backbone);
  for (const remark of remarks) options.onRemark?.(remark);
  const done: TaskResult[] = [];
  const failed: VtabAnswer['failed'] = [];
  const methods = TRAINED.filter((each) => request.methods.includes(each));
  /** Whether it is done, or it was told why not. */
  const attempt = async (task: string, which: readonly Method[], doing: () => Promise<unknown>): Promise<boolean> => {
    options.signal?.throwIfAborted();
    try {
      await doing();
      return true;
    } catch (error) {
      if (!(error instanceof Failure) || ENDS_ALL.includes(error.code)) throw error;
      for (const method of which) failed.push({ task, method, reason: error.message });
      options.onRemark?.(`${task}${which.length === 1 ? `, ${which[0]}` : ''} is left out: ${error.message}`);
      return false;
    }
  };
  for (const [index, folder] of folders.entries()) {
    const task = taskName(folder);
    if (!(await attempt(task, methods, () => resolveDataset(workspace, folder, options)))) continue;
    for (const method of methods) {
      options.onStep?.(`Task ${index + 1} of ${folders.length}, ${task}: ${method}.`);
      const space = request.grids?.[method] ?? declaredGrid(method, structure);
      await attempt(task, [method], async () =>
        done.push(await runTask(workspace, request, folder, method, space, options)),
      );
    }
  }
  const results = folders.flatMap((folder) =>
    request.methods.flatMap(
      (method) => done.find((result) => result.task === taskName(folder) && result.method === method) ?? [],
    ),
  );
  if (results.length === 0 && failed[0]) throw new Failure('failed', `No task could be done: ${failed[0].reason}`);
  return { methods: request.methods, results, means: meansOf(results, request.methods), failed };
}

/** What would befall every other task as well: a full disk, and grids that cannot be tried. */
const ENDS_ALL = ['disk-full', 'usage', 'settings'];

/** What is known of a task with a method, or what comes of it. */
async function runTask(
  workspace: Workspace,
  { backbone, parallel, threads, memory, seed }: VtabRequest,
  folder: string,
  method: Method,
  space: unknown,
  options: VtabOptions,
): Promise<TaskResult> {
  const asked: SweepRequest = {
    dataset: folder,
    backbone,
    space,
    settings: { method, ...(seed === undefined ? {} : { seed }) },
    sampler: 'grid',
    retrain: true,
    parallel,
    // Not as many as the machine makes likely: what is kept of a task, and the table, is the same on all.
    threads: threads ?? 1,
    memory,
  };
  const plan = await planSweep(workspace, asked, options);
  const entry = entryFolder(workspace, taskName(folder), method, plan);
  const release = await takeLock(join(entry, 'lock'));
  if (!release) throw new Failure('busy', 'Another process is at it: wait for it, and ask again.');
  try {
    const record = await readTaskRecord(entry);
    if (record?.result) return { ...record.result, task: taskName(folder) };
    const begun = record && (await isThere(workspace, record.sweep)) ? record : undefined;
    const fresh = { version: 1, task: taskName(folder), method, folder, created: new Date().toISOString() } as const;
    const answer = begun
      ? await resumeSweep(workspace, begun.sweep, { parallel }, options)
      : await startSweep(workspace, asked, {
          ...options,
          onStart: ({ sweep }) => writeTaskRecord(entry, { ...fresh, sweep, result: null }),
        });
    const result = resultOf(taskName(folder), method, plan, answer);
    await writeTaskRecord(entry, { ...(begun ?? fresh), sweep: answer.sweep, result });
    return result;
  } finally {
    await release();
  }
}

async function isThere(workspace: Workspace, sweep: string): Promise<boolean> {
  return readSweepConfig(workspace, sweep).then(
    () => true,
    () => false,
  );
}

/** @throws Failure where no trial came to its end */
function resultOf(task: string, method: Method, { run: { splits, dataset }, space }: SweepPlan, answer: SweepAnswer) {
  const { best, retrained, trials, sweep, seconds } = answer;
  if (!best?.val || !retrained?.test)
    throw new Failure(
      'failed',
      `No trial of sweep ${sweep} came to its end${trials[0]?.reason ? ` (${trials[0].reason})` : ''}.`,
    );
  const { settings, parameters, headParameters, run } = retrained;
  const peaks = [...trials, best, retrained].flatMap(({ peakRssBytes }) =>
    peakRssBytes ? [peakRssBytes.trainer, peakRssBytes.vit ?? 0] : [],
  );
  const searched = space.space.flatMap(({ name }) => {
    const value = settings[name];
    return typeof value === 'string' || typeof value === 'number' ? [[name, value] as const] : [];
  });
  return {
    task,
    method,
    top1: retrained.test.top1,
    val: best.val.top1,
    settings,
    chosen: Object.fromEntries(searched),
    seconds: seconds.total,
    parameters,
    headParameters,
    peakRssBytes: Math.max(...peaks),
    trials: trials.length,
    classes: dataset.classes.length,
    testImages: splits.test.length,
    sweep,
    run,
  } satisfies TaskResult;
}
