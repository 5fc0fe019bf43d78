/** What the ways to share the work cost, for a backbone and a dataset of the workspace. */
import type { DatasetImage } from '../../data/dataset.ts';
import { alternatives, type Alternative } from '../../edge/costs.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import { resolveBackbone } from '../backbones.ts';

export interface EdgeCosts {
  /** Of an encoded picture, on average. */
  imageBytes: number;
  alternatives: Alternative[];
}

/** @throws Failure of `resolveBackbone` */
export async function edgeCosts(
  workspace: Workspace,
  backbone: string,
  images: readonly DatasetImage[],
): Promise<EdgeCosts> {
  const { structure } = await resolveBackbone(workspace, backbone);
  const bytes = images.reduce((sum, image) => sum + image.bytes, 0);
  const imageBytes = Math.round(bytes / Math.max(1, images.length));
  return { imageBytes, alternatives: alternatives(structure, imageBytes) };
}
