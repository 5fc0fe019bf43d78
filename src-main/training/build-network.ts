import { last } from '../methods/last.ts';
import { linear } from '../methods/linear.ts';
import { miet } from '../methods/miet.ts';
import type { FrozenNorm, Network, StepForm, TokenLayout } from '../methods/network.ts';
import type { Settings } from './settings.ts';

/** The frozen part that a network is built beside: the backbone's shape and final norm, and the number of classes. */
export interface FrozenFacts {
  layout: TokenLayout;
  blocks: number;
  norm: FrozenNorm;
  classes: number;
}

/** The network that a run's settings describe. */
export function buildNetwork(
  settings: Settings,
  { layout, blocks, norm, classes }: FrozenFacts,
  form: StepForm,
): Network {
  const { method, pool, rank, depth, group, upto } = settings;
  switch (method) {
    case 'linear':
      return linear({ layout, norm, classes });
    case 'last':
      return last({ layout, norm, classes, blocks, pool, form, rank: rank!, depth: depth!, group: group! });
    case 'miet':
      return miet({ layout, classes, pool, form, rank: rank!, depth: depth!, upto: upto! });
  }
}
