import { join } from 'node:path';
import { expect, it } from 'vitest';
import { loadDataset } from '../../../src-main/data/dataset-store.ts';
import type { Prediction } from '../../../src-main/studio/predict.ts';
import { Workspace } from '../../../src-main/workspace/workspace.ts';
import { runCli } from '../cli/run-cli.ts';
import { epochsOf, Stage } from '../stage.ts';
import { startEdge } from './edge-process.ts';

const labelOf = (prediction: Prediction): string => ('error' in prediction ? prediction.error : prediction.label);

it('a device trains on the sums of a server as it would with the ViT, and goes on without the server', async () => {
  const stage = await Stage.set();
  const process = await startEdge([
    '--workspace',
    stage.workspace('server'),
    '--backbone',
    stage.backbone,
    '--upto',
    '3,4',
  ]);
  try {
    const short = [
      '--method',
      'miet',
      '--epochs',
      '2',
      '--limit',
      '40',
      '--rank',
      '4',
      '--depth',
      '1',
      '--step-form',
      'plain',
    ];
    const withVit = await stage.train('server', ...short, '--upto', '3');
    const url = `${process.url}/v2/models/vit`;
    const onDevice = await runCli([...stage.trainArgs('device', ...short), '--backbone', url]);
    expect(onDevice.code, onDevice.stderr).toBe(0);
    const run = onDevice.json as typeof withVit;
    expect(run.settings).toEqual(withVit.settings);
    const metrics = (workspace: string, id: string) => epochsOf(join(stage.runFolder(workspace, id), 'metrics.jsonl'));
    expect(await metrics('device', run.run)).toEqual(await metrics('server', withVit.run));
    expect(run.test).toEqual(withVit.test);

    // The adaptor alone decides as the run does.
    const where = ['--workspace', stage.workspace('device'), '--json'];
    const out = join(stage.folder, 'export');
    const exported = await runCli(['export', ...where, run.run, '--out', out]);
    expect(exported.code, exported.stderr).toBe(0);
    const { images } = await loadDataset(await Workspace.open(stage.workspace('device')), 'hearts');
    const asked = images.slice(0, 11).map(({ path }) => join(stage.dataset, path));
    const edge = await runCli([
      'edge',
      'run',
      '--json',
      join(out, 'adaptor.onnx'),
      '--server',
      process.url,
      ...asked,
      join(stage.folder, 'vit.onnx'),
    ]);
    expect(edge.code, edge.stderr).toBe(1);
    const { predictions, bytes } = edge.json as { predictions: Prediction[]; bytes: { up: number; down: number } };
    const predicted = (await runCli(['predict', ...where, run.run, ...asked])).json as { predictions: Prediction[] };
    expect(predictions.map(labelOf)).toEqual([
      ...predicted.predictions.map(labelOf),
      expect.stringContaining('cannot be read as an image'),
    ]);
    // Eleven sums of 65 tokens by 96 in half precision, and what is said around them.
    expect(bytes.down).toBeGreaterThan(11 * 65 * 96 * 2);
    expect(bytes.down).toBeLessThan(1.2 * 11 * 65 * 96 * 2 + 20_000);

    await process.stop('SIGTERM');
    const again = await runCli([...stage.trainArgs('device', ...short), '--backbone', url, '--lr', '1e-2']);
    expect(again.code, again.stderr).toBe(0);
    expect((again.json as typeof withVit).seconds.extract).toBe(0);
  } finally {
    await process.stop();
    await stage.clear();
  }
});
