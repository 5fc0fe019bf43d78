import { Failure } from '../base/failure.ts';
import { locate } from '../data/dataset.ts';
import { LateDecoder } from '../data/decode/late-decoder.ts';
import type { LoadedDatasets } from './datasets/loaded-datasets.ts';

/** Small pictures of a dataset's images, by its name and their place in it: no path ever comes from outside. */
export class Pictures {
  private readonly decoder = new LateDecoder();

  constructor(private readonly datasets: LoadedDatasets) {}

  /**
   * @param longest side in pixels
   * @returns JPEG
   * @throws Failure `no-image` where there is none at that place, `no-dataset`, `image`
   */
  async thumbnail(dataset: string, index: number, longest: number): Promise<Uint8Array> {
    const loaded = await this.datasets.get(dataset);
    const image = loaded.images[index];
    if (!image) throw new Failure('no-image', `Dataset ${dataset} has no image ${index}.`);
    return this.decoder.thumbnail(locate(loaded, image), longest);
  }

  close(): Promise<void> {
    return this.decoder.close();
  }
}
