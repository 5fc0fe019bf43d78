/** What a model, or the files that come with it, say of its preprocessing. */
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../base/failure.ts';
import type { ModelProto } from '../engine/onnx/onnx_pb.ts';
import { errorCode } from '../workspace/atomic.ts';
import { PreprocessingSchema } from './preprocessing.ts';
import type { PreprocessingChoice } from './preprocessing.ts';

export interface StatedPreprocessing {
  choice: PreprocessingChoice;
  /** For the user: the file's name, or that it is the model's metadata. */
  from: string;
}

const channels = z.tuple([z.number(), z.number(), z.number()]);

/** Of transformers' image processors; a size is of the shorter side, or of both. */
const sizeSchema = z.union([
  z.int().transform((side) => ({ side, isShorter: true })),
  z.object({ shortest_edge: z.int() }).transform((size) => ({ side: size.shortest_edge, isShorter: true })),
  z.object({ height: z.int(), width: z.int() }).transform(({ height }) => ({ side: height, isShorter: false })),
]);
const processorSchema = z.object({
  do_normalize: z.boolean().default(true),
  image_mean: channels.nullish(),
  image_std: channels.nullish(),
  do_center_crop: z.boolean().nullish(),
  size: sizeSchema.nullish(),
  crop_size: sizeSchema.nullish(),
  /** As Pillow counts them. */
  resample: z.int().nullish(),
});

/** Of timm's config.json. */
const timmSchema = z.object({
  pretrained_cfg: z.object({
    mean: channels,
    std: channels,
    crop_pct: z.number().gt(0).lte(1).nullish(),
    crop_mode: z.string().nullish(),
    interpolation: z.string().nullish(),
    input_size: z.tuple([z.int(), z.int(), z.int()]).nullish(),
  }),
});

const METADATA_KEY = 'preprocessing';
const FILES: Readonly<Record<string, (json: unknown) => PreprocessingChoice | undefined>> = {
  'preprocessor_config.json': ofProcessor,
  'config.json': ofTimm,
};

/**
 * The model's own metadata (`preprocessing`, as our exports write it), else transformers' preprocessor_config.json or
 * timm's config.json beside the file, or above it where it lies in a folder `onnx`. Undefined where nothing is said.
 * Failure `bad-preprocessing` for a file that cannot be understood.
 */
export async function statedPreprocessing(model: ModelProto, path: string): Promise<StatedPreprocessing | undefined> {
  const metadata = model.metadataProps.find(({ key }) => key === METADATA_KEY)?.value;
  const own = metadata === undefined ? undefined : ofMetadata(metadata);
  if (own) return { choice: own, from: "the model's metadata" };
  const folder = dirname(path);
  for (const place of basename(folder) === 'onnx' ? [folder, dirname(folder)] : [folder]) {
    for (const [name, read] of Object.entries(FILES)) {
      const choice = await readChoice(join(place, name), read);
      if (choice) return { choice, from: name };
    }
  }
  return undefined;
}

async function readChoice(
  path: string,
  read: (json: unknown) => PreprocessingChoice | undefined,
): Promise<PreprocessingChoice | undefined> {
  try {
    return read(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    if (['ENOENT', 'EISDIR', 'EACCES'].includes(errorCode(error))) return undefined;
    throw new Failure(
      'bad-preprocessing',
      `"${path}" should say how images are prepared for the model beside it and cannot be understood: mend it or move it away.`,
      { cause: error },
    );
  }
}

function ofMetadata(text: string): PreprocessingChoice | undefined {
  try {
    const { width, height, ...choice } = PreprocessingSchema.parse(JSON.parse(text));
    return width === height ? { ...choice, size: width } : choice;
  } catch {
    return undefined;
  }
}

function ofProcessor(json: unknown): PreprocessingChoice {
  const { do_normalize, image_mean, image_std, do_center_crop, size, crop_size, resample } =
    processorSchema.parse(json);
  const crop = do_center_crop === true ? crop_size : undefined;
  return {
    mean: do_normalize ? (image_mean ?? undefined) : [0, 0, 0],
    std: do_normalize ? (image_std ?? undefined) : [1, 1, 1],
    fit: crop || size?.isShorter === true ? 'crop' : 'squash',
    cropPct: crop && size ? Math.min(1, crop.side / size.side) : undefined,
    interpolation: resample === 2 ? 'bilinear' : resample === 3 ? 'bicubic' : undefined,
    size: crop?.side ?? size?.side,
  };
}

/** A config.json without `pretrained_cfg` is not timm's, and says nothing here. */
function ofTimm(json: unknown): PreprocessingChoice | undefined {
  const parsed = timmSchema.safeParse(json);
  if (!parsed.success) return undefined;
  const { mean, std, crop_pct, crop_mode, interpolation, input_size } = parsed.data.pretrained_cfg;
  return {
    mean,
    std,
    fit: crop_mode === 'squash' ? 'squash' : 'crop',
    cropPct: crop_pct ?? undefined,
    interpolation: interpolation === 'bilinear' || interpolation === 'bicubic' ? interpolation : undefined,
    size: input_size?.[1],
  };
}
