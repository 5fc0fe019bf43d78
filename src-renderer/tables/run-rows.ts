/** Runs as rows of a table: what each column holds, and which rows fit what is typed. */
import type { ReplyOf } from '../../src-main/studio/service/calls.ts';
import type { SortValue } from './sorting.ts';

export type Run = ReplyOf<'runs.list'>[number];
export type RunColumn = 'run' | 'method' | 'dataset' | 'backbone' | 'val' | 'test' | 'time' | 'parameters' | 'state';

export function valueOf(run: Run, column: RunColumn): SortValue {
  switch (column) {
    case 'run':
      return run.run;
    case 'method':
    case 'dataset':
    case 'backbone':
      return run[column];
    case 'val':
      return run.state === 'damaged' ? null : run.val?.top1;
    case 'test':
      return run.state === 'done' ? run.test?.top1 : null;
    case 'time':
      return run.state === 'done' ? run.seconds.total : null;
    case 'parameters':
      return run.parameters === undefined ? null : run.parameters + (run.headParameters ?? 0);
    case 'state':
      return run.state;
  }
}

/** Whether every word that is typed is somewhere in what is said of a run, in any case. */
export function fits(run: Run, typed: string): boolean {
  const note = run.state === 'damaged' ? '' : (run.note ?? '');
  const said = [run.run, run.method, run.dataset, run.backbone, run.state, note].join(' ').toLowerCase();
  return typed
    .toLowerCase()
    .split(/\s+/)
    .every((word) => said.includes(word));
}
