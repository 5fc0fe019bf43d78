/** A served model's configuration in the terms of Triton's model_config.proto, as JSON and as protobuf text. */
import type { Backbone } from '../backbone/catalogue.ts';
import { cardOf, cardParameters, type ConfigParameters } from '../oip/card.ts';
import { IMAGE, outputSpecs, PIXELS } from '../oip/outputs.ts';

interface ConfigTensor {
  name: string;
  data_type: string;
  dims: number[];
}

export interface ModelConfig {
  name: string;
  backend: string;
  /** Images at a time; 0 where the model takes a fixed number, which its dimensions then hold. */
  max_batch_size: number;
  input: ConfigTensor[];
  output: ConfigTensor[];
  dynamic_batching?: { max_queue_delay_microseconds: number };
  parameters: ConfigParameters;
}

export interface ConfigOptions {
  backbone: Backbone;
  name: string;
  scales: ReadonlyMap<number, number>;
  backend: string;
  batch: number;
  delayMs: number;
  /** Whether it takes encoded pictures. */
  encoded?: boolean;
}

export function modelConfig({ backbone, name, scales, backend, batch, delayMs, encoded }: ConfigOptions): ModelConfig {
  const { structure } = backbone;
  const { input, imageHeight, imageWidth } = structure;
  const fixed = encoded ? null : input.batch;
  const dims = (shape: readonly number[]) => (fixed === null ? [...shape] : [fixed, ...shape]);
  const typed = (datatype: string) => `TYPE_${datatype === 'BYTES' ? 'STRING' : datatype}`;
  return {
    name,
    backend,
    max_batch_size: fixed === null ? batch : 0,
    input: [
      encoded
        ? { name: IMAGE, data_type: typed('BYTES'), dims: [1] }
        : { name: PIXELS, data_type: typed('FP32'), dims: dims([3, imageHeight, imageWidth]) },
    ],
    output: outputSpecs(structure, [...scales.keys()]).map(({ name: output, datatype, shape }) => ({
      name: output,
      data_type: typed(datatype),
      dims: dims(shape),
    })),
    ...(fixed === null ? { dynamic_batching: { max_queue_delay_microseconds: Math.round(delayMs * 1000) } } : {}),
    parameters: cardParameters(cardOf(backbone, scales)),
  };
}

/** Protobuf's text format of a configuration: config.pbtxt. */
export function configText(config: ModelConfig): string {
  const tensors = (field: string, list: readonly ConfigTensor[]) =>
    list.map(
      ({ name, data_type, dims }) =>
        `${field} {\n  name: ${quoted(name)}\n  data_type: ${data_type}\n  dims: [${dims.join(', ')}]\n}\n`,
    );
  const { dynamic_batching: dynamic } = config;
  return [
    `name: ${quoted(config.name)}\n`,
    `backend: ${quoted(config.backend)}\n`,
    `max_batch_size: ${config.max_batch_size}\n`,
    ...tensors('input', config.input),
    ...tensors('output', config.output),
    dynamic ? `dynamic_batching {\n  max_queue_delay_microseconds: ${dynamic.max_queue_delay_microseconds}\n}\n` : '',
    ...Object.entries(config.parameters).map(
      ([key, { string_value }]) =>
        `parameters {\n  key: ${quoted(key)}\n  value {\n    string_value: ${quoted(string_value)}\n  }\n}\n`,
    ),
  ].join('');
}

/** A string literal of protobuf's text format, which takes UTF-8 as it is. */
function quoted(text: string): string {
  const escapes: Record<string, string> = { '\\': '\\\\', '"': '\\"', '\n': '\\n', '\r': '\\r', '\t': '\\t' };
  return `"${text.replaceAll(/[\\"\n\r\t]/g, (character) => escapes[character]!)}"`;
}
