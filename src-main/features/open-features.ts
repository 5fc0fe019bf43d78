import type { FeatureSet } from './feature-set.ts';
import type { FeatureNeeds, FeatureSource } from './feature-source.ts';
import { LiveFeatures } from './live-features.ts';
import { FeatureReader } from './read-features.ts';

/** Opens a set's features, wherever they come from. */
export function openFeatures(set: FeatureSet, needs: FeatureNeeds): Promise<FeatureSource> {
  return set.storage === 'none' ? LiveFeatures.open(set, needs) : FeatureReader.open(set, needs);
}
