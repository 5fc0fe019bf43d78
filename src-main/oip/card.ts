/** What a device has to know of a ViT that it does not have: in a served model's config, or in a file of its own. */
import { z } from 'zod';
import { recordedStructure, structureSchema } from '../backbone/backbone-file.ts';
import type { Backbone } from '../backbone/catalogue.ts';
import type { VitStructure } from '../backbone/find-blocks.ts';
import { PreprocessingSchema } from '../backbone/preprocessing.ts';
import { bytesOf } from './tensors.ts';

/** Little-endian float32, in base64: the very bits. */
const floats = z.base64().transform((text) => {
  const bytes = new Uint8Array(Buffer.from(text, 'base64'));
  return new Float32Array(bytes.buffer, 0, Math.floor(bytes.byteLength / 4));
});

const cardSchema = z
  .object({
    format: z.literal('sidetune-backbone-card-1'),
    name: z.string(),
    /** Of the ViT's file, in hexadecimal. */
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    structure: structureSchema,
    finalNorm: z.object({ scale: floats, bias: floats }),
    preprocessing: PreprocessingSchema,
    /** Sums that can be had: for each k the power of two by which `gathered_k_fp16` is divided. */
    scales: z.record(z.string().regex(/^\d+$/), z.number().positive()),
  })
  .refine(
    ({ structure: { width }, finalNorm: { scale, bias } }) => scale.length === width && bias.length === width,
    'The final LayerNorm has another width than the ViT.',
  );

export type BackboneCard = z.output<typeof cardSchema>;

/** As JSON holds it. */
export type WrittenCard = z.input<typeof cardSchema>;

export function cardOf(backbone: Backbone, scales: ReadonlyMap<number, number>): WrittenCard {
  const { name, sha256, structure, preprocessing } = backbone;
  const base64 = (values: Float32Array) => Buffer.from(bytesOf(values)).toString('base64');
  return {
    format: 'sidetune-backbone-card-1',
    name,
    sha256,
    structure: recordedStructure(structure),
    finalNorm: { scale: base64(structure.finalNorm.scale), bias: base64(structure.finalNorm.bias) },
    preprocessing,
    scales: Object.fromEntries(scales),
  };
}

/** @throws z.ZodError, SyntaxError */
export function parseCard(text: string): BackboneCard {
  return cardSchema.parse(JSON.parse(text));
}

/** The ViT that a card tells of. */
export function structureOf({ structure, finalNorm }: BackboneCard): VitStructure {
  return { ...structure, finalNorm: { ...structure.finalNorm, ...finalNorm } };
}

/* In a model's config a card is spread over parameters, each a string: JSON, but for what is a word. */

const PREFIX = 'sidetune_';

/** Parameters of a model's config, in Triton's form. */
export type ConfigParameters = Record<string, { string_value: string }>;

export function cardParameters(card: WrittenCard): ConfigParameters {
  return Object.fromEntries(
    Object.entries(card).map(([key, value]) => [
      `${PREFIX}${key}`,
      { string_value: typeof value === 'string' ? value : JSON.stringify(value) },
    ]),
  );
}

/** The card in a config's parameters; undefined where they hold none. @throws z.ZodError, SyntaxError */
export function cardFromParameters(parameters: ConfigParameters): BackboneCard | undefined {
  const words = ['format', 'name', 'sha256'];
  const entries = Object.entries(parameters).flatMap(([key, { string_value: value }]) => {
    if (!key.startsWith(PREFIX)) return [];
    const name = key.slice(PREFIX.length);
    return [[name, words.includes(name) ? value : (JSON.parse(value) as unknown)]];
  });
  return entries.length > 0 ? cardSchema.parse(Object.fromEntries(entries)) : undefined;
}
