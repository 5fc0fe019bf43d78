/** The block up to which MIET's sum goes, chosen on val. */
import { Failure } from '../../base/failure.ts';
import { usualUpto } from '../../edge/server/serve.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import { resolveBackbone } from '../backbones.ts';
import { train, type TrainOptions } from '../train.ts';
import type { TrainRequest } from '../train-request.ts';

export interface ChosenUpto {
  upto: number;
  /** Top-1 on val of each block that was tried. */
  tried: { upto: number; val: number }[];
}

/**
 * Trains with each block that is worth trying (of a served backbone those that are offered), the test split unread, and
 * takes the one that is best on val; of equals the first, which is the cheapest to compute.
 * @throws Failure `usage` for another method, `no-split` without val, and those of `train`
 */
export async function chooseUpto(
  workspace: Workspace,
  request: TrainRequest,
  options: TrainOptions = {},
): Promise<ChosenUpto> {
  if (request.settings.method !== 'miet')
    throw new Failure('usage', `--upto does not apply to ${request.settings.method}: it is a setting of miet.`);
  const { served, structure } = await resolveBackbone(workspace, request.backbone, request.server);
  const blocks = served ? Object.keys(served.scales).map(Number) : usualUpto(structure.blocks);
  const tried: ChosenUpto['tried'] = [];
  for (const upto of blocks.sort((a, b) => a - b)) {
    const settings = { ...request.settings, upto };
    const { val } = await train(workspace, { ...request, settings, noTest: true, resume: undefined }, options);
    if (!val)
      throw new Failure('no-split', '--upto auto chooses on the val split, and the dataset has none: give a number.');
    tried.push({ upto, val: val.top1 });
  }
  const best = tried.reduce((most, each) => (each.val > most.val ? each : most));
  return { upto: best.upto, tried };
}
