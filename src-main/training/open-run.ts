import { advised, Failure } from '../base/failure.ts';
import { loadBackbone, type Backbone } from '../backbone/catalogue.ts';
import type { Network } from '../methods/network.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { buildNetwork, type FrozenFacts } from './build-network.ts';
import { findRun } from './find-run.ts';
import { ParameterLayout } from './parameters.ts';
import { readConfig, runFile, type RunConfig } from './run-folder.ts';
import { readParameters } from './checkpoint.ts';

/** A trained run, ready to be used. */
export interface OpenedRun {
  config: RunConfig;
  backbone: Backbone;
  frozen: FrozenFacts;
  /** In its plain form: the definition, whatever form it was trained in. */
  network: Network;
  layout: ParameterLayout;
  /** The parameters best on val. */
  parameters: Float32Array;
}

/** What a network stands on when it stands beside this backbone. */
export function frozenFactsOf({ structure }: Backbone, classes: number): FrozenFacts {
  const { tokens, width, prefix, blocks, finalNorm } = structure;
  const { scale, bias, epsilon } = finalNorm;
  return { layout: { tokens, width, prefix }, blocks, classes, norm: { scale, shift: bias, epsilon } };
}

/**
 * Opens a run, named as `findRun` takes it, with the best parameters so far.
 * @throws Failure `no-run`, `ambiguous-run`, `unfinished` when no epoch is done, `backbone-changed`, `damaged-file`.
 */
export async function openRun(workspace: Workspace, named: string): Promise<OpenedRun> {
  const run = await findRun(workspace, named);
  const config = await readConfig(workspace, run);
  const backbone = await loadBackbone(workspace, config.backbone);
  if (backbone.sha256 !== config.backboneSha256)
    throw new Failure(
      'backbone-changed',
      `Backbone ${config.backbone} is not the one that run ${run} was trained on: train again, or put the old file back.`,
    );
  const frozen = frozenFactsOf(backbone, config.classes.length);
  const network = buildNetwork(config.settings, frozen, 'plain');
  const layout = new ParameterLayout(network.parameters);
  const path = runFile(workspace, run, 'best');
  const parameters = await readParameters(path, layout).catch((error: unknown) => {
    if (error instanceof Failure && error.code === 'missing-file')
      throw new Failure(
        'unfinished',
        `Run ${run} has not finished its first epoch: go on with it by --resume ${run}.`,
        { cause: error },
      );
    throw advised(error, ['damaged-file'], 'put it back from a copy, or train again');
  });
  return { config, backbone, frozen, network, layout, parameters };
}
