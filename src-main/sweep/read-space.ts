/** Search spaces as users write them: JSON with a setting a line, or the words of `--grid`. */
import { z } from 'zod';
import { Failure } from '../base/failure.ts';
import { METHODS_OF_SETTING, settingsSchema, type Method, type SettingsChoice } from '../training/settings.ts';
import { MOST_DIMENSIONS } from './halton.ts';
import type { Dimension, Point, Range, Space, Value } from './space.ts';

/** Settings that a sweep may vary, those that others depend on first. */
export const SWEPT = [
  'method',
  'rank',
  'depth',
  'group',
  'upto',
  'pool',
  'warmStart',
  'learningRate',
  'headLearningRate',
  'weightDecay',
  'dropPath',
  'labelSmoothing',
  'classWeights',
  'batch',
  'epochs',
  'seed',
  'views',
] as const;
export type Swept = (typeof SWEPT)[number];

const WHOLE: ReadonlySet<Swept> = new Set(['rank', 'depth', 'group', 'upto', 'batch', 'epochs', 'seed', 'views']);
const WORDS: ReadonlySet<Swept> = new Set(['method', 'pool', 'warmStart', 'classWeights']);

/** How flags of `train` name settings, where they do it differently. */
const FLAG_NAMES: Readonly<Record<string, Swept>> = { lr: 'learningRate', headLr: 'headLearningRate' };

const value = z.union([z.string(), z.number()]);
const range = z.strictObject({
  min: z.number(),
  max: z.number(),
  scale: z.enum(['linear', 'log']).optional(),
});
const entrySchema = z.union([value, z.array(value).min(1), range]);
/** One value, a list of values, or a range, for each setting. */
export const spaceFileSchema = z.record(z.string(), entrySchema);
export type SpaceFile = z.infer<typeof spaceFileSchema>;

/** What varies, and settings that are the same in every trial. */
export interface SweepSpace {
  space: Space;
  fixed: Partial<SettingsChoice>;
}

/**
 * The space that a file describes, beside settings that flags have fixed.
 * @param file parsed JSON
 * @throws Failure `usage`, naming the field
 */
export function readSpace(file: unknown, flags: Partial<SettingsChoice> = {}): SweepSpace {
  if (typeof file !== 'object' || file === null || Array.isArray(file))
    throw new Failure('usage', 'A search space is a JSON object with a setting for each name: {"rank": [4, 8]}.');
  const fixed: Record<string, unknown> = { ...flags };
  const dimensions = new Map<Swept, Dimension>();
  for (const [written, entry] of Object.entries(file)) {
    const name = sweptName(written);
    if (flags[name] !== undefined)
      throw new Failure('usage', `"${name}" is both a flag and in the space: leave one of them out.`);
    const parsed = entrySchema.safeParse(entry);
    if (!parsed.success)
      throw wrong(
        name,
        'is neither a value, nor a list of values, nor {"min": A, "max": B, "scale": "linear" or "log"}',
      );
    const dimension = dimensionOf(name, parsed.data);
    if (dimension.kind === 'choice' && dimension.values.length === 1) fixed[name] = dimension.values[0];
    else dimensions.set(name, dimension);
  }
  const methods = dimensions.get('method');
  const possible =
    methods?.kind === 'choice' ? methods.values : fixed.method === undefined ? [] : [fixed.method as Value];
  if (possible.length === 0) throw new Failure('usage', 'The space names no method: give "method" in it, or --method.');
  for (const name of SWEPT) if (fixed[name] !== undefined) methodsHaving(name, possible);
  const space = SWEPT.flatMap((name) => dimensions.get(name) ?? []).map((each) => conditioned(each, possible));
  if (space.length > MOST_DIMENSIONS)
    throw new Failure('usage', `A space has at most ${MOST_DIMENSIONS} dimensions, not ${space.length}.`);
  return { space, fixed };
}

/** Words such as `lr=1e-3,3e-3`, also several of them between semicolons. @throws Failure `usage` */
export function readGrid(words: readonly string[]): SpaceFile {
  const file: Record<string, Value[]> = {};
  for (const word of words.flatMap((each) => each.split(/[;\s]+/)).filter((each) => each !== '')) {
    const [, written, listed] = /^(?:--)?([\w-]+)=(.+)$/.exec(word) ?? [];
    if (written === undefined || listed === undefined)
      throw new Failure('usage', `--grid takes a setting and its values, such as rank=4,8, not "${word}".`);
    const name = sweptName(written.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase()));
    if (file[name]) throw wrong(name, 'is there twice');
    file[name] = listed
      .split(',')
      .map((text) => (WORDS.has(name) || !Number.isFinite(Number(text)) ? text : Number(text)));
  }
  return file;
}

/** The choice of settings that a trial's point stands for. */
export function choiceOf({ fixed }: SweepSpace, point: Point): SettingsChoice {
  const method = (fixed.method ?? point.method) as Method;
  // What is fixed for all trials has no meaning in those of other methods.
  const having = Object.entries(fixed).filter(([name]) => METHODS_OF_SETTING[name]?.includes(method) ?? true);
  return { ...Object.fromEntries(having), ...point, method };
}

/** Methods that trials may have. */
export function methodsOf({ space, fixed }: SweepSpace): Method[] {
  if (fixed.method) return [fixed.method];
  const dimension = space.find(({ name }) => name === 'method');
  return dimension?.kind === 'choice' ? dimension.values.map((each) => each as Method) : [];
}

function sweptName(written: string): Swept {
  const name = FLAG_NAMES[written] ?? SWEPT.find((known) => known === written);
  if (name === undefined)
    throw new Failure('usage', `"${written}" is no setting that a sweep can vary: there are ${SWEPT.join(', ')}.`);
  return name;
}

function dimensionOf(name: Swept, entry: z.infer<typeof entrySchema>): Dimension {
  if (typeof entry === 'object' && !Array.isArray(entry)) return rangeOf(name, entry);
  const values = Array.isArray(entry) ? entry : [entry];
  for (const each of values) checkValue(name, each);
  if (new Set(values).size < values.length) throw wrong(name, 'has a value twice');
  return { kind: 'choice', name, values };
}

function rangeOf(name: Swept, { min, max, scale = 'linear' }: z.infer<typeof range>): Range {
  if (WORDS.has(name)) throw wrong(name, 'takes a list of words, not a range');
  if (min >= max) throw wrong(name, `has a range whose min ${min} is not below its max ${max}`);
  checkValue(name, min);
  checkValue(name, max);
  if (scale === 'log' && min <= 0) throw wrong(name, 'has a range on a log scale, so its min has to be above 0');
  return { kind: WHOLE.has(name) ? 'int' : 'float', name, min, max, scale };
}

function checkValue(name: Swept, given: Value): void {
  const checked = settingsSchema.shape[name].safeParse(given);
  if (checked.success) return;
  const [issue] = checked.error.issues;
  throw wrong(name, `does not take ${JSON.stringify(given)} (${issue?.message.toLowerCase() ?? 'out of bounds'})`);
}

/** Says where a dimension applies: only where the method has that setting. */
function conditioned(dimension: Dimension, possible: readonly Value[]): Dimension {
  const having = methodsHaving(dimension.name as Swept, possible);
  return having.length === possible.length ? dimension : { ...dimension, when: { name: 'method', values: having } };
}

/** Of the methods that are possible, those that have a setting. @throws Failure `usage` where none has */
function methodsHaving(name: Swept, possible: readonly Value[]): readonly Value[] {
  const methods = METHODS_OF_SETTING[name];
  if (!methods) return possible;
  const having = possible.filter((method) => methods.some((each) => each === method));
  if (having.length === 0)
    throw wrong(name, `is a setting of ${methods.join(' and ')}, and the method is ${possible.join(' or ')}`);
  return having;
}

function wrong(name: string, what: string): Failure {
  return new Failure('usage', `The search space cannot be used: "${name}" ${what}.`);
}
