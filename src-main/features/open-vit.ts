import type { Backbone } from '../backbone/catalogue.ts';
import type { MapRequest, MapStorage } from '../backbone/surgery.ts';
import { FrozenVit } from './frozen-vit.ts';
import { ServedVit } from './served-vit.ts';

/** A frozen ViT that is given pixels, wherever it is. */
export type Vit = Pick<FrozenVit, 'batch' | 'runFitting' | 'close'>;

/**
 * @param options.base whether the base vectors are read: a ViT that is here gives them anyway
 * @throws Failure of `FrozenVit.open` or `ServedVit.open`
 */
export function openVit(
  backbone: Backbone,
  maps: readonly MapRequest[],
  options: { threads: number; storage?: MapStorage; batch?: number; base?: boolean },
): Promise<Vit> {
  if (!backbone.served) return FrozenVit.open(backbone, maps, options);
  const { storage = 'fp16', batch, base = true } = options;
  // Somebody waits for the answer: a server that is not there is no reason to wait long.
  return ServedVit.open(backbone, { maps, storage, batch, base, retry: { tryFor: 10 } });
}
