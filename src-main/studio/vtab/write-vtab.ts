import { writeRecords, type Cell } from '../records-file.ts';
import type { TaskResult } from './records.ts';
import type { VtabAnswer } from './run-vtab.ts';
import { vtabTaskOf } from './tasks.ts';

const COLUMNS = [
  'task',
  'group',
  'method',
  'test_top1',
  'val_top1',
  'settings',
  'trials',
  'parameters',
  'head_parameters',
  'peak_rss_bytes',
  'seconds',
  'classes',
  'test_images',
  'run',
  'sweep',
] as const;

/** Writes a line for each task and method, of what was done here alone. @throws Failure `disk-full` */
export async function writeVtab(file: string, { results }: Pick<VtabAnswer, 'results'>): Promise<void> {
  await writeRecords(file, COLUMNS, results.map(recordOf));
}

function recordOf(result: TaskResult): Record<(typeof COLUMNS)[number], Cell> {
  const { task, method, top1, val, chosen, trials, parameters, headParameters, peakRssBytes, seconds } = result;
  return {
    task,
    group: vtabTaskOf(task)?.group ?? null,
    method,
    test_top1: top1,
    val_top1: val,
    settings: JSON.stringify(chosen),
    trials,
    parameters,
    head_parameters: headParameters,
    peak_rss_bytes: peakRssBytes,
    seconds,
    classes: result.classes,
    test_images: result.testImages,
    run: result.run,
    sweep: result.sweep,
  };
}
