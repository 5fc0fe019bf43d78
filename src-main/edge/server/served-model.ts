/** A model as the server offers it: what it takes and gives, and its answers. */
import { Failure } from '../../base/failure.ts';
import type { Decoder } from '../../data/decode/decoder.ts';
import type { SentTensor } from '../../engine/session-messages.ts';
import { largestHalf } from '../../features/map-scales.ts';
import { normalizePixels } from '../../features/pixels.ts';
import type { AskedOutput, InferRequest, InferResponse } from '../../oip/messages.ts';
import { fitsJson } from '../../oip/datatypes.ts';
import { gatheredName, IMAGE, PIXELS, type OutputSpec } from '../../oip/outputs.ts';
import { ProtocolError } from '../../oip/protocol-error.ts';
import { bytesOf, floatsOf, splitBytes, type WireTensor } from '../../oip/tensors.ts';
import type { GatheringVit } from '../gathering-vit.ts';
import { modelConfig, type ModelConfig } from '../model-config.ts';
import type { Batcher } from './batcher.ts';
import type { Limits } from './limits.ts';
import { HttpError } from './http-error.ts';
import { Statistics } from './statistics.ts';

export const VERSION = '1';
const PLATFORM = 'onnxruntime_onnx';

export interface ModelParts {
  name: string;
  vit: GatheringVit;
  batcher: Batcher;
  limits: Limits;
  /** For a model that takes encoded pictures. */
  decoder?: Decoder;
}

export class ServedModel {
  readonly name: string;
  readonly statistics = new Statistics();

  constructor(private readonly parts: ModelParts) {
    this.name = parts.name;
  }

  /** By k: what `gathered_k_fp16` is divided by. */
  get scales(): ReadonlyMap<number, number> {
    return this.parts.vit.scales;
  }

  /** Images that wait or are at work. */
  get load(): number {
    return this.parts.batcher.load;
  }

  /** @throws HttpError 503 where not even one image would find room */
  checkRoom(): void {
    this.parts.batcher.checkRoom(1);
  }

  get input(): string {
    return this.parts.decoder ? IMAGE : PIXELS;
  }

  metadata(): object {
    const { vit, decoder } = this.parts;
    const { imageHeight, imageWidth } = vit.backbone.structure;
    return {
      name: this.name,
      versions: [VERSION],
      platform: PLATFORM,
      inputs: [
        decoder
          ? { name: IMAGE, datatype: 'BYTES', shape: [-1] }
          : { name: PIXELS, datatype: 'FP32', shape: [-1, 3, imageHeight, imageWidth] },
      ],
      outputs: [...vit.outputs.values()].map(({ name, datatype, shape }) => ({
        name,
        datatype,
        shape: [-1, ...shape],
      })),
    };
  }

  config(): ModelConfig & { platform: string } {
    const { vit, limits, decoder } = this.parts;
    const { backbone, scales } = vit;
    const { batch, delayMs } = limits;
    const options = { backbone, scales, batch, delayMs, name: this.name, backend: 'onnxruntime' };
    // Any number of images goes: batches that are fixed are filled up here.
    const { input } = backbone.structure;
    const open = { ...backbone, structure: { ...backbone.structure, input: { ...input, batch: null } } };
    return {
      ...modelConfig({ ...options, backbone: open, encoded: decoder !== undefined }),
      platform: PLATFORM,
    };
  }

  /** The one input of a request that is nothing but its data: pixels of whole images, or one encoded picture. */
  rawRequest(body: Uint8Array): InferRequest {
    if (this.parts.decoder) {
      const data = new Uint8Array(4 + body.byteLength);
      new DataView(data.buffer).setUint32(0, body.byteLength, true);
      data.set(body, 4);
      return { inputs: [{ name: IMAGE, datatype: 'BYTES', shape: [1], data }], binaryOutput: true };
    }
    const { imageHeight, imageWidth } = this.parts.vit.backbone.structure;
    const bytes = 12 * imageHeight * imageWidth;
    if (body.byteLength === 0 || body.byteLength % bytes !== 0)
      throw new ProtocolError(`Raw pixels are ${bytes} bytes an image, and the body has ${body.byteLength}.`);
    const shape = [body.byteLength / bytes, 3, imageHeight, imageWidth];
    return { inputs: [{ name: PIXELS, datatype: 'FP32', shape, data: body }], binaryOutput: true };
  }

  /**
   * @param request checked as a message, its tensors being as large as they say
   * @throws ProtocolError for what this model does not take, HttpError, the signal's reason
   */
  async infer(request: InferRequest, signal: AbortSignal): Promise<InferResponse> {
    const { batcher } = this.parts;
    const [input, ...more] = request.inputs;
    if (input?.name !== this.input || more.length > 0)
      throw new ProtocolError(`Model "${this.name}" takes one input, "${this.input}".`);
    const asked = this.asked(request);
    const count = this.checkInput(input);
    const release = batcher.reserve(count);
    try {
      const pixels = this.parts.decoder ? await this.decode(splitBytes(input), signal) : floatsOf(input);
      const names = asked.map(({ name }) => name);
      const found = await batcher.submit({ pixels, count, names, signal, statistics: this.statistics });
      const outputs = asked.map(({ name, binary }) => ({
        binary,
        tensor: this.tensor(this.parts.vit.outputs.get(name)!, found.get(name)!, count),
      }));
      return {
        ...(request.id === undefined ? {} : { id: request.id }),
        modelName: this.name,
        modelVersion: VERSION,
        outputs,
      };
    } finally {
      release();
    }
  }

  /** @throws HttpError 422 where the numbers are none, or too large for their datatype */
  private tensor({ name, datatype, shape, upto }: OutputSpec, data: SentTensor['data'], count: number): WireTensor {
    if (data instanceof Uint16Array && largestHalf(data) === Infinity)
      throw new HttpError(
        422,
        `Output "${name}" does not fit half precision, though divided by ${this.scales.get(upto!)}: ask for "${gatheredName(upto!, 'fp32')}".`,
      );
    if (data instanceof Float32Array && !data.every(Number.isFinite))
      throw new HttpError(422, `Output "${name}" has numbers that are not finite: check the pixels and the ViT.`);
    return { name, datatype, shape: [count, ...shape], data: bytesOf(data) };
  }

  /** All that there are where none is named, but for those that the answer's form cannot carry. */
  private asked({ outputs, binaryOutput }: InferRequest): AskedOutput[] {
    const known = this.parts.vit.outputs;
    if (!outputs || outputs.length === 0)
      return [...known.values()]
        .filter(({ datatype }) => binaryOutput || fitsJson(datatype))
        .map(({ name }) => ({ name, binary: binaryOutput }));
    const names = new Set<string>();
    for (const { name, binary } of outputs) {
      const spec = known.get(name);
      if (!spec)
        throw new ProtocolError(
          `Model "${this.name}" has no output "${name}": it has ${[...known.keys()].join(', ')}.`,
        );
      if (names.has(name)) throw new ProtocolError(`Output "${name}" is asked for twice.`);
      if (!binary && !fitsJson(spec.datatype))
        throw new ProtocolError(
          `Output "${name}" is ${spec.datatype}, which is not sent in JSON: ask for it as binary data, or for the FP32 output.`,
        );
      names.add(name);
    }
    return outputs;
  }

  /** @returns the number of images */
  private checkInput({ name, datatype, shape }: WireTensor): number {
    const { imageHeight, imageWidth } = this.parts.vit.backbone.structure;
    const wanted = this.parts.decoder ? 'BYTES' : 'FP32';
    if (datatype !== wanted) throw new ProtocolError(`Input "${name}" is ${wanted}, not ${datatype}.`);
    const [count = 0, ...rest] = shape;
    const form = this.parts.decoder ? [] : [3, imageHeight, imageWidth];
    const fits = rest.join() === form.join() || (this.parts.decoder !== undefined && rest.join() === '1');
    if (count < 1 || !fits)
      throw new ProtocolError(
        `Input "${name}" has the shape [${['images', ...form].join(', ')}] with at least one image, not [${shape.join(', ')}].`,
      );
    return count;
  }

  private async decode(encoded: readonly Uint8Array[], signal: AbortSignal): Promise<Float32Array> {
    const { vit, limits, decoder } = this.parts;
    const { preprocessing } = vit.backbone;
    const size = 3 * preprocessing.width * preprocessing.height;
    const pixels = new Float32Array(encoded.length * size);
    const decodeOne = async (bytes: Uint8Array, index: number) => {
      signal.throwIfAborted();
      const picture = { path: `image ${index}`, encoded: bytes, mostPixels: limits.imagePixels };
      const rgb = await decoder!.decode(picture, preprocessing);
      normalizePixels(rgb, preprocessing, pixels, index * size);
    };
    await Promise.all(encoded.map(decodeOne)).catch((error: unknown) => {
      if (error instanceof Failure && error.code === 'image') throw new ProtocolError(error.message);
      throw error;
    });
    return pixels;
  }
}
