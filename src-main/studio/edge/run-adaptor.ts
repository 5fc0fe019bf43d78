/** An adaptor alone on the device, the ViT on a server. */
import { stat } from 'node:fs/promises';
import type { Backbone } from '../../backbone/catalogue.ts';
import { Failure } from '../../base/failure.ts';
import type { TaskOptions } from '../../base/progress.ts';
import { Adaptor, type AdaptorFacts } from '../../edge/adaptor.ts';
import { alternatives, type Alternative } from '../../edge/costs.ts';
import { EnergyMeter } from '../../edge/energy.ts';
import { ServedVit } from '../../features/served-vit.ts';
import { structureOf, type BackboneCard } from '../../oip/card.ts';
import { OipClient, type RetryOptions } from '../../oip/client.ts';
import { serverAddress } from '../../oip/served-at.ts';
import { imagesToPredict } from '../images-to-predict.ts';
import { guessesOf, type Prediction } from '../predict.ts';
import { readCard, type ServedAccess } from './served-backbones.ts';

export interface EdgeRunRequest extends ServedAccess {
  /** Path of an exported adaptor.onnx. */
  adaptor: string;
  /** Address of the server, or of the model on it. */
  server: string;
  images: readonly string[];
}

export interface EdgeRunResult {
  predictions: Prediction[];
  /** Over the wire, in total. */
  bytes: { up: number; down: number };
  bytesPerImage: { up: number; down: number };
  seconds: { server: number; network: number; device: number };
  /** What this machine's processor used meanwhile, for whomever; null where the system does not tell. */
  joules: number | null;
  /** The ways to share the work, computed for this ViT and these images. */
  alternatives: Alternative[];
}

const RETRY: RetryOptions = { tryFor: 20 };

/**
 * Classifies images, in the order asked. An image that cannot be read gets an `error`.
 * @throws Failure `no-adaptor`, `no-served-model`, those of `OipClient` and of `imagesToPredict`
 */
export async function runOnEdge(
  request: EdgeRunRequest,
  { signal, onProgress }: TaskOptions = {},
): Promise<EdgeRunResult> {
  const asked = await imagesToPredict(request.images);
  const adaptor = await Adaptor.open(request.adaptor);
  try {
    const backbone = await findBackbone(request, adaptor.facts);
    const { maps, storage, base } = adaptor.facts;
    const vit = await ServedVit.open(backbone, { maps, storage, base: base !== null, retry: { ...RETRY, signal } });
    try {
      const meter = await EnergyMeter.start();
      let device = 0;
      const classify = async (paths: readonly string[]): Promise<Prediction[]> => {
        const features = await vit.tap(paths.map((path) => ({ path })));
        const begun = performance.now();
        const logits = await adaptor.logits(features, vit.scales, paths.length, backbone.structure);
        device += (performance.now() - begun) / 1000;
        const classes = adaptor.facts.labels.length;
        return paths.map((image, index) => ({
          image,
          ...guessesOf(logits.subarray(index * classes, (index + 1) * classes), adaptor.facts.labels),
        }));
      };
      const readable = asked.filter(({ error }) => error === undefined).map(({ path }) => path);
      const answers: Prediction[] = [];
      for (let first = 0; first < readable.length; first += vit.batch) {
        signal?.throwIfAborted();
        answers.push(...(await eachOrError(readable.slice(first, first + vit.batch), classify)));
        onProgress?.({ task: 'predict', done: answers.length, total: readable.length, unit: 'images' });
      }
      const joules = await meter?.joules().catch(() => undefined);
      let next = 0;
      const predictions = asked.map(({ path, error }) =>
        error === undefined ? answers[next++]! : { image: path, error },
      );
      const { up, down, seconds, images } = vit.transferred;
      const each = Math.max(1, images);
      return {
        predictions,
        bytes: { up, down },
        bytesPerImage: { up: up / each, down: down / each },
        seconds: { ...seconds, device },
        joules: joules ?? null,
        alternatives: alternatives(backbone.structure, await meanBytes(readable)),
      };
    } finally {
      await vit.close();
    }
  } finally {
    await adaptor.close();
  }
}

/** All together; where one of them cannot be read, one by one. */
async function eachOrError(
  paths: readonly string[],
  classify: (paths: readonly string[]) => Promise<Prediction[]>,
): Promise<Prediction[]> {
  try {
    return await classify(paths);
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'image') throw error;
    if (paths.length === 1) return [{ image: paths[0]!, error: error.message }];
  }
  const predictions: Prediction[] = [];
  for (const path of paths) predictions.push(...(await eachOrError([path], classify)));
  return predictions;
}

/**
 * The ViT that an adaptor was trained beside, on a server.
 * @throws Failure `usage`, `no-served-model`, and those of `OipClient`
 */
export async function findBackbone(
  { server: address, cardFile, tokenFile, caFile }: ServedAccess & { server: string },
  { backbone: wanted }: AdaptorFacts,
): Promise<Backbone> {
  const { server, model } = serverAddress(address);
  const access = { ...(tokenFile === undefined ? {} : { tokenFile }), ...(caFile === undefined ? {} : { caFile }) };
  const client = await OipClient.open(server, access);
  try {
    const names = model !== undefined ? [model] : await client.models(RETRY);
    for (const name of names) {
      const card = cardFile === undefined ? await client.card(name, RETRY) : await readCard(cardFile);
      // A model that takes pictures is found by the one that takes pixels.
      if (card?.sha256 !== wanted.sha256 || (names.length > 1 && name === `${card.name}-image`)) continue;
      const takesImages = cardFile === undefined && (await client.isReady(`${name}-image`, { tryFor: 0 }));
      return backboneOf(card, `${server}/v2/models/${name}`, { ...access, takesImages });
    }
  } finally {
    client.close();
  }
  throw new Failure(
    'no-served-model',
    `The server at ${server} does not offer backbone ${wanted.name} (sha256 ${wanted.sha256.slice(0, 12)}...), beside which the adaptor was trained: serve it there, or give another --server.`,
  );
}

function backboneOf(card: BackboneCard, source: string, reached: { takesImages: boolean }): Backbone {
  const { name, sha256, preprocessing, scales } = card;
  return {
    name,
    modelPath: '',
    source,
    sha256,
    preprocessing,
    structure: structureOf(card),
    served: { ...reached, scales },
  };
}

async function meanBytes(paths: readonly string[]): Promise<number> {
  const sizes = await Promise.all(
    paths.map((path) =>
      stat(path).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  );
  return sizes.length > 0 ? Math.round(sizes.reduce((sum, size) => sum + size, 0) / sizes.length) : 0;
}
