import { z } from 'zod';
import type { FrozenFacts } from '../build-network.ts';
import type { Settings } from '../settings.ts';

/** What the choice depends on, besides the machine. */
export interface StepQuestion {
  settings: Settings;
  frozen: FrozenFacts;
  threads: number;
  engine: 'compiled' | 'eager';
}

/** What a gradient takes, computed in a certain way. */
export const timedStepSchema = z.object({
  stepForm: z.enum(['plain', 'low-rank']),
  microBatch: z.int().min(1),
  /** Of one core, for forward and backward. */
  msPerImage: z.number().positive(),
});
export type TimedStep = z.infer<typeof timedStepSchema>;
