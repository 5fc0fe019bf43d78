import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';

const LimitReport = z.object({
  coreMsPerImage: z.object({ median: z.number(), min: z.number(), max: z.number() }),
  batch: z.number(),
});
export type LimitReport = z.infer<typeof LimitReport>;

/** The folder of real data and yardsticks that lies beside a checkout, or where SIDETUNE_SHARED says. */
export const sharedFolder = process.env.SIDETUNE_SHARED ?? path.resolve(import.meta.dirname, '../../../shared');

/** Interpreters that may have numpy: that of the peers' environment first. */
const interpreters = [path.resolve(import.meta.dirname, '../../.venv/peers/bin/python'), '/usr/bin/python3', 'python3'];

/**
 * Runs the C yardstick (LAST forward + backward, ViT-Ti shape, rank 8, one core; shared/limit): core-milliseconds an
 * image, or the reason why it cannot run here.
 */
export function measureLimit(batch: number): LimitReport | string {
  const script = path.join(sharedFolder, 'limit/time_it.py');
  if (!existsSync(script)) return `there is no limit/time_it.py in ${sharedFolder} (set SIDETUNE_SHARED)`;
  if (!processorHas('avx512f')) return 'this processor has no AVX-512';
  if (spawnSync('gcc', ['--version']).status !== 0) return 'gcc is not installed';
  const python = interpreters.find((name) => spawnSync(name, ['-c', 'import numpy']).status === 0);
  if (python === undefined) return 'no Python with numpy was found';
  const run = spawnSync(python, [script, String(batch), '7'], { encoding: 'utf8' });
  if (run.status !== 0)
    return `time_it.py failed: ${run.stderr.trim().split('\n').at(-1) ?? ''} (is libopenblas-dev there?)`;
  return LimitReport.parse(JSON.parse(run.stdout.trim().split('\n').at(-1)!));
}

function processorHas(flag: string): boolean {
  try {
    return new RegExp(`^flags\\s*:.*\\b${flag}\\b`, 'm').test(readFileSync('/proc/cpuinfo', 'utf8'));
  } catch {
    return false;
  }
}
