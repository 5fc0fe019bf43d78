import type { Method } from '../../training/settings.ts';
import { GROUPS, VTAB_TASKS, vtabTaskOf, type Group } from './tasks.ts';

/** A method's share of right answers on the test split of a task. */
export interface TaskScore {
  task: string;
  method: Method;
  /** Fraction. */
  top1: number;
}

/** Fractions. Of the groups, and over them, only where all 19 tasks of VTAB-1K are done. */
export interface Means extends Record<Group, number | null> {
  /** Of the three groups, as DTL, NOAH and LAST report. */
  groupMean: number | null;
  /** Of the tasks, as HST reports where these are the 19. */
  taskMean: number | null;
  /** How many tasks that is: those that all methods have done. */
  tasks: number;
}

/**
 * Means of each method, over the tasks that all of them have done: others would not compare. Two means are usual, and
 * differ by points: of the groups' means, and of all tasks.
 */
export function meansOf(scores: readonly TaskScore[], methods: readonly Method[]): Partial<Record<Method, Means>> {
  const common = [...new Set(scores.map(({ task }) => task))].filter((task) =>
    methods.every((method) => scores.some((score) => score.task === task && score.method === method)),
  );
  const known = new Set(common.flatMap((task) => vtabTaskOf(task)?.folder ?? []));
  const complete = known.size === VTAB_TASKS.length;
  return Object.fromEntries(
    methods.map((method) => {
      const own = scores.filter((score) => score.method === method && common.includes(score.task));
      const ofGroup = (group: Group): number | null =>
        complete ? mean(own.filter(({ task }) => vtabTaskOf(task)?.group === group).map(({ top1 }) => top1)) : null;
      const groups = {
        natural: ofGroup('natural'),
        specialized: ofGroup('specialized'),
        structured: ofGroup('structured'),
      };
      const of19 = complete ? own.filter(({ task }) => vtabTaskOf(task)) : own;
      const means: Means = {
        ...groups,
        groupMean: complete ? mean(GROUPS.map((group) => groups[group] ?? 0)) : null,
        taskMean: mean(of19.map(({ top1 }) => top1)),
        tasks: of19.length,
      };
      return [method, means];
    }),
  );
}

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}
