import { z } from 'zod';
import { Failure } from '../base/failure.ts';
import { cacheFormatSchema } from '../features/feature-set.ts';

export const METHODS = ['linear', 'last', 'miet'] as const;
export type Method = (typeof METHODS)[number];

const rate = z.number().positive();
const fraction = z.number().min(0).lt(1);
const count = z.int().min(1);

/** Every setting of a run, complete: what config.json keeps and what `--resume` compares. */
export const settingsSchema = z.object({
  method: z.enum(METHODS),
  pool: z.enum(['cls', 'mean']),
  /** LAST and MIET: rank r of each LSA module. */
  rank: count.nullable(),
  /** LAST and MIET: LSA modules in a chain. */
  depth: count.nullable(),
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

const WHERE_IT_APPLIES: Readonly<Record<string, readonly Method[]>> = {
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
  for (const [setting, methods] of Object.entries(WHERE_IT_APPLIES)) {
    const value = choice[setting as keyof SettingsChoice];
    const given = value !== undefined && value !== null && value !== 'none' && value !== 0;
    if (given && !methods.includes(method))
      throw new Failure(
        'usage',
        `${FLAGS[setting] ?? `--${setting}`} does not apply to ${method}: it is a setting of ${methods.join(' and ')}.`,
      );
  }
  const warmStart = choice.warmStart ?? 'none';
  const learningRate = choice.learningRate ?? (method === 'miet' ? 3e-3 : 1e-3);
  const complete: Settings = {
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
    limit: choice.limit ?? null,
    cache: choice.cache ?? 'fp16',
  };
  const checked = settingsSchema.safeParse(complete);
  if (!checked.success) {
    const [issue] = checked.error.issues;
    throw new Failure(
      'usage',
      `The setting ${String(issue?.path[0])} is out of bounds: "sidetune train --help" says what it takes.`,
    );
  }
  checkAgainstBackbone(complete, backbone);
  return complete;
}

function checkAgainstBackbone(
  { pool, rank, group, upto }: Settings,
  { name, blocks, width, prefix }: BackboneFacts,
): void {
  if (rank !== null && rank > width)
    throw new Failure(
      'settings',
      `Rank ${rank} is beyond the width ${width} of backbone ${name}, where it is low no more: use at most ${width}.`,
    );
  if (pool === 'cls' && prefix === 0)
    throw new Failure('settings', `Backbone ${name} has no CLS token: use --pool mean.`);
  if (group !== null && blocks % group !== 0)
    throw new Failure(
      'settings',
      `Group ${group} does not divide the ${blocks} blocks of backbone ${name}: use a divisor of ${blocks}.`,
    );
  if (upto !== null && upto > blocks)
    throw new Failure(
      'settings',
      `--upto ${upto} is beyond the ${blocks} blocks of backbone ${name}: use 1 to ${blocks}.`,
    );
}
