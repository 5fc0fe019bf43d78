// usage: lanes.ts [--apart] [--images N] [--epochs N]
// Four settings of LAST on the same cached images, 17 tokens of width 192: as four lanes of one process, or in four
// processes one after the other. Time with the start of the processes, and the largest of their memory peaks.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { trainLanesInProcess } from '../../../src-main/training/start-trainer.ts';
import { randomJob } from '../random-job.ts';

const RATES = [1e-3, 2e-3, 3e-3, 4e-3];
const { values } = parseArgs({
  options: {
    apart: { type: 'boolean', default: false },
    images: { type: 'string', default: '1000' },
    epochs: { type: 'string', default: '3' },
  },
});
const folder = await mkdtemp(join(tmpdir(), 'lanes-'));
try {
  const job = await randomJob(folder, Number(values.images), 1, { epochs: Number(values.epochs) });
  const tasks = await Promise.all(
    RATES.map(async (learningRate, lane) => {
      const own = join(folder, String(lane));
      await mkdir(own);
      const settings = { ...job.config.settings, learningRate, headLearningRate: learningRate };
      return { job: { ...job, folder: own, config: { ...job.config, settings } }, listener: {} };
    }),
  );
  const begun = performance.now();
  const outcomes = [];
  for (const together of values.apart ? tasks.map((task) => [task]) : [tasks])
    outcomes.push(...(await Promise.all(trainLanesInProcess(together))));
  const ms = performance.now() - begun;
  const peakRssBytes = Math.max(...outcomes.map((outcome) => outcome.peakRssBytes));
  console.log(JSON.stringify({ ms: [ms], peakRssBytes }));
} finally {
  await rm(folder, { recursive: true });
}
