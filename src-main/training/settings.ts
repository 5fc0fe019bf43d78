import { z } from 'zod';
import { Failure } from '../base/failure.ts';
import { MOST_VIEWS } from '../data/views.ts';
import { cacheFormatSchema } from '../features/feature-set.ts';

export const METHODS = ['linear', 'last', 'miet'] as const;
export type Method = (typeof METHODS)[number];

const rate = z.number().positive();
const fraction = z.number().min(0).lt(1);
const count = z.int().min(1);

/** Modules in a chain: more than anybody has use for, and few enough for a graph of them to be built. */
export const DEEPEST = 64;

/** Every setting of a run, complete: what config.json keeps and what `--resume` compares. */
export const settingsSchema = z.object({
  method: z.enum(METHODS),
  pool: z.enum(['cls', 'mean']),
  /** LAST and MIET: rank r of each LSA module. */
  rank: count.nullable(),
  /** LAST and MIET: LSA modules in a chain. */
  depth: count.max(DEEPEST).nullable(),
  /** LAST: blocks of the ViT to a rung of the ladder. */
  group: count.nullable(),
  /** MIET: last block of the sum. */
  upto: count.nullable(),
  warmStart: z.enum(['none', 'linear']),
  learningRate: rate,
  headLearningRate: rate,
  weightDecay: z.number().min(0),
  dropPath: fraction,
  labelSmoothing: fraction,
  classWeights: z.enum(['none', 'balanced']),
  epochs: count,
  batch: count,
  seed: z.int().min(0),
  /** Looks at each training image, of which every epoch takes one: the image itself, its mirror image, crops. */
  views: count.max(MOST_VIEWS).default(1),
  /** Training images to use, stratified; null for all. */
  limit: count.nullable(),
  /** How features are kept between epochs. */
  cache: cacheFormatSchema.default('fp16'),
});
export type Settings = z.infer<typeof settingsSchema>;

/** What a user may set; the rest takes the method's defaults. */
export const settingsChoiceSchema = settingsSchema.partial().extend({ method: z.enum(METHODS) });
export type SettingsChoice = z.infer<typeof settingsChoiceSchema>;

/** The facts of a backbone that defaults depend on. */
export interface BackboneFacts {
  name: string;
  blocks: number;
  width: number;
  prefix: number;
}

/** Settings that only some methods have. */
export const METHODS_OF_SETTING: Readonly<Partial<Record<string, readonly Method[]>>> = {
  rank: ['last', 'miet'],
  depth: ['last', 'miet'],
  group: ['last'],
  upto: ['miet'],
  warmStart: ['last'],
  dropPath: ['last', 'miet'],
};

const FLAGS: Readonly<Record<string, string>> = { warmStart: '--warm-start', dropPath: '--drop-path' };

/**
 * Completes a choice with the method's defaults for a backbone.
 * @throws Failure `usage` when a setting does not belong to the method or is out of bounds; `settings` when the
 * backbone cannot serve it.
 */
export function completeSettings(choice: SettingsChoice, backbone: BackboneFacts): Settings {
  const { method } = choice;
  for (const [setting, methods = []] of Object.entries(METHODS_OF_SETTING)) {
    const value = choice[setting as keyof SettingsChoice];
    const given = value !== undefined && value !== null && value !== 'none' && value !== 0;
    if (given && !methods.includes(method))
      throw new Failure(
        'usage',
        `${FLAGS[setting] ?? `--${setting}`} does not apply to ${method}: it is a setting of ${methods.join(' and ')}.`,
      );
  }
  const complete = fillIn(choice, backbone);
  const checked = settingsSchema.safeParse(complete);
  if (!checked.success) {
    const [issue] = checked.error.issues;
    throw new Failure(
      'usage',
      `The setting ${String(issue?.path[0])} is out of bounds: "sidetune train --help" says what it takes.`,
    );
  }
  const [first] = problemsWithBackbone(complete, backbone);
  if (first) throw new Failure('settings', first[1]);
  return complete;
}

/** A choice with the method's defaults for a backbone; what does not belong to the method is left out. */
function fillIn(choice: SettingsChoice, backbone: BackboneFacts): Settings {
  const { method } = choice;
  const warmStart = choice.warmStart ?? 'none';
  const learningRate = choice.learningRate ?? (method === 'miet' ? 3e-3 : 1e-3);
  return {
    method,
    pool: choice.pool ?? (method === 'miet' || backbone.prefix === 0 ? 'mean' : 'cls'),
    rank: method === 'linear' ? null : (choice.rank ?? (method === 'miet' ? 16 : 8)),
    depth: method === 'linear' ? null : (choice.depth ?? (method === 'miet' ? 4 : 1)),
    group: method === 'last' ? (choice.group ?? 1) : null,
    upto: method === 'miet' ? (choice.upto ?? Math.round((2 * backbone.blocks) / 3)) : null,
    warmStart,
    learningRate,
    headLearningRate: choice.headLearningRate ?? (warmStart === 'linear' ? learningRate / 10 : learningRate),
    weightDecay: choice.weightDecay ?? 0.05,
    dropPath: choice.dropPath ?? 0,
    labelSmoothing: choice.labelSmoothing ?? 0,
    classWeights: choice.classWeights ?? 'none',
    epochs: choice.epochs ?? (method === 'linear' ? 100 : 30),
    batch: choice.batch ?? 32,
    seed: choice.seed ?? 1,
    views: choice.views ?? 1,
    limit: choice.limit ?? null,
    cache: choice.cache ?? 'fp16',
  };
}

type SettingProblem = [setting: keyof Settings, sentence: string];

/** What a backbone cannot serve. */
function problemsWithBackbone(
  { pool, rank, group, upto }: Settings,
  { name, blocks, width, prefix }: BackboneFacts,
): SettingProblem[] {
  const problems: SettingProblem[] = [];
  if (rank !== null && rank > width)
    problems.push([
      'rank',
      `Rank ${rank} is beyond the width ${width} of backbone ${name}, where it is low no more: use at most ${width}.`,
    ]);
  if (pool === 'cls' && prefix === 0) problems.push(['pool', `Backbone ${name} has no CLS token: use --pool mean.`]);
  if (group !== null && blocks % group !== 0)
    problems.push([
      'group',
      `Group ${group} does not divide the ${blocks} blocks of backbone ${name}: use a divisor of ${blocks}.`,
    ]);
  if (upto !== null && upto > blocks)
    problems.push(['upto', `--upto ${upto} is beyond the ${blocks} blocks of backbone ${name}: use 1 to ${blocks}.`]);
  return problems;
}

/** Settings as they are being typed, checked one by one. */
export interface CheckedChoice {
  /** By setting: the sentence that says what is wrong with it. */
  problems: Record<string, string>;
  /** What would be trained with, were the wrong ones left out. */
  settings: Settings;
}

/** As `completeSettings`, for a form that is not filled in yet: everything that is wrong is said, and nothing thrown. */
export function checkChoice(
  choice: Record<string, unknown> & { method: Method },
  backbone: BackboneFacts,
): CheckedChoice {
  const problems: Record<string, string> = {};
  for (const issue of settingsChoiceSchema.safeParse(choice).error?.issues ?? [])
    problems[String(issue.path[0])] ??= boundsInWords(issue);
  const sound = () =>
    settingsChoiceSchema.parse(Object.fromEntries(Object.entries(choice).filter(([name]) => !(name in problems))));
  for (const [setting, sentence] of problemsWithBackbone(fillIn(sound(), backbone), backbone))
    problems[setting] = sentence.replaceAll('--', '');
  return { problems, settings: fillIn(sound(), backbone) };
}

function boundsInWords(issue: z.core.$ZodIssue): string {
  if (issue.code === 'too_small') return `Use ${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}.`;
  if (issue.code === 'too_big') return `Use ${issue.inclusive ? 'at most' : 'less than'} ${issue.maximum}.`;
  if (issue.code === 'invalid_value') return `Use ${issue.values.join(' or ')}.`;
  return issue.code === 'invalid_type' && issue.expected === 'int' ? 'Use a whole number.' : 'Use a number.';
}
