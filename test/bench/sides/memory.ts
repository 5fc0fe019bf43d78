// usage: memory.ts --images N
// An epoch of LAST by a trainer in its own process, on so many cached images of 17 tokens, width 192: the trainer's
// peak of resident memory. Threads come from BENCH_THREADS.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { trainInProcess } from '../../../src-main/training/start-trainer.ts';
import { randomJob } from '../random-job.ts';

const { values } = parseArgs({ options: { images: { type: 'string', default: '1000' } } });
const [images, threads] = [Number(values.images), Number(process.env.BENCH_THREADS ?? 2)];

const folder = await mkdtemp(join(tmpdir(), 'memory-'));
try {
  const { seconds, peakRssBytes } = await trainInProcess(await randomJob(folder, images, threads, { epochs: 1 }));
  console.log(JSON.stringify({ ms: [1000 * seconds], peakRssBytes, images }));
} finally {
  await rm(folder, { recursive: true });
}
