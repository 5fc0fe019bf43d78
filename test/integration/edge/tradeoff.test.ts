import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { writePlainVit } from '../../../src-main/backbone/plain-vit.ts';
import { writeOrientationSet } from '../../../src-main/data/sample/orientation.ts';
import { chooseUpto } from '../../../src-main/studio/edge/choose-upto.ts';
import { edgeTradeoff } from '../../../src-main/studio/edge/tradeoff.ts';
import { listRuns } from '../../../src-main/studio/runs.ts';
import { Workspace } from '../../../src-main/workspace/workspace.ts';

it('accuracy against transfer, and the block that is best on val', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tradeoff '));
  try {
    const [dataset, backbone] = [join(folder, 'hearts'), join(folder, 'vit.onnx')];
    await writeOrientationSet(dataset, { train: 32, val: 16, test: 16, seed: 2 });
    await writeFile(backbone, writePlainVit({ size: 16, patch: 4, width: 24, blocks: 2, heads: 3 }));
    const workspace = await Workspace.open(join(folder, 'workspace'));
    const out = join(folder, 'tradeoff.csv');
    const settings = { epochs: 1, seed: 1 };
    const { rows } = await edgeTradeoff(workspace, { dataset, backbone, out, upto: [1], settings, threads: 1 });
    const map = 17 * 24;
    expect(
      rows.map(({ features, upto, datatype, bytesPerImage }) => [features, upto, datatype, bytesPerImage]),
    ).toEqual([
      ['cls', 2, 'fp32', 2 * 4 * 24],
      ['sum', 1, 'fp16', 2 * map],
      ['sum', 1, 'int8', map + 4 * 17],
      ['taps', 2, 'fp16', 2 * 2 * map + 2 * 4 * 24],
      ['taps', 2, 'int8', 2 * (map + 4 * 17) + 2 * 4 * 24],
    ]);
    for (const { bytesPerImage, measured, val, test } of rows) {
      // With what is said around the tensors of eight images.
      expect(measured.down).toBeGreaterThan(bytesPerImage);
      expect(measured.down).toBeLessThan(bytesPerImage + 300);
      expect(measured.up).toBeGreaterThan(0);
      expect([val?.top1, test?.top1]).toEqual([expect.any(Number), expect.any(Number)]);
    }
    const lines = (await readFile(out, 'utf8')).trimEnd().split('\n');
    expect(lines[0]).toBe('features,upto,datatype,bytesPerImage,measuredUp,measuredDown,val,test');
    expect(lines).toHaveLength(6);
    // Only the first row is trained again.
    const several = { dataset, backbone, out, upto: [1], settings: { epochs: 1 }, seeds: [1, 2], threads: 1 };
    const [mean, ...others] = (await edgeTradeoff(workspace, several, { known: rows.slice(1) })).rows;
    expect(others).toEqual(rows.slice(1));
    expect(mean!.repeats!.runs).toHaveLength(2);
    const { low, high } = mean!.repeats!.test!;
    expect((low + high) / 2).toBeCloseTo(mean!.test!.top1, 12);
    const tops = (await listRuns(workspace)).runs.flatMap((run) =>
      mean!.repeats!.runs.includes(run.run) && 'test' in run ? [run.test!.top1] : [],
    );
    expect(mean!.test!.top1).toBeCloseTo((tops[0]! + tops[1]!) / 2, 12);
    // Student's t with one degree of freedom.
    expect(high - low).toBeCloseTo(12.706 * Math.abs(tops[0]! - tops[1]!), 9);
    expect((await readFile(out, 'utf8')).split('\n')[0]).toBe(`${lines[0]!},seeds,valLow,valHigh,testLow,testHigh`);

    const request = { dataset, backbone, threads: 1, settings: { ...settings, method: 'miet' as const } };
    const { upto, tried } = await chooseUpto(workspace, request);
    expect(tried.map((each) => each.upto)).toEqual([1, 2]);
    expect(upto).toBe(tried[1]!.val > tried[0]!.val ? 2 : 1);
    const { runs } = await listRuns(workspace);
    expect(runs.slice(-2).map((run) => ('test' in run ? run.test : undefined))).toEqual([null, null]);
    const last = { ...request, settings: { ...settings, method: 'last' as const } };
    await expect(chooseUpto(workspace, last)).rejects.toMatchObject({ code: 'usage' });
  } finally {
    await rm(folder, { recursive: true });
  }
});
