import { z } from 'zod';
import { peakRssBytes } from '../../src-main/base/peak-memory.ts';

/**
 * What a side prints as the last line of its stdout: milliseconds of each timed step, core-milliseconds (user + system
 * time of the whole process) of each, the peak of its resident memory, images per step.
 */
export const SideReport = z.looseObject({
  ms: z.array(z.number().nonnegative()).min(1),
  coreMs: z.array(z.number().nonnegative()).optional(),
  peakRssBytes: z.number().positive(),
  images: z.number().positive().optional(),
  /** Figures of the side's own, by name: the less the better. */
  figures: z.record(z.string(), z.number()).optional(),
});
export type SideReport = z.infer<typeof SideReport>;

/** Runs `step` `warmUps` times unseen, then `steps` times with the clock on. */
export async function timeSteps(
  step: () => unknown,
  { warmUps = 2, steps }: { warmUps?: number; steps: number },
): Promise<{ ms: number[]; coreMs: number[] }> {
  const ms: number[] = [];
  const coreMs: number[] = [];
  for (let i = -warmUps; i < steps; i++) {
    const [wall, core] = [performance.now(), process.cpuUsage()];
    await step();
    const used = process.cpuUsage(core);
    if (i < 0) continue;
    ms.push(performance.now() - wall);
    coreMs.push((used.user + used.system) / 1000);
  }
  return { ms, coreMs };
}

/** Prints a side's report; its last act. */
export function report(times: { ms: number[]; coreMs: number[] }, more: Record<string, unknown> = {}): void {
  console.log(JSON.stringify({ ...times, peakRssBytes: peakRssBytes(), ...more } satisfies SideReport));
}
