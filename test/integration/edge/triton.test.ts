import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { addBackbone } from '../../../src-main/backbone/add-backbone.ts';
import { type Backbone } from '../../../src-main/backbone/catalogue.ts';
import { writePlainVit } from '../../../src-main/backbone/plain-vit.ts';
import { CARD_FILE, exportTriton } from '../../../src-main/edge/export-triton.ts';
import { GatheringVit } from '../../../src-main/edge/gathering-vit.ts';
import { createSession, toOrt } from '../../../src-main/engine/session.ts';
import { cardFromParameters, parseCard, structureOf } from '../../../src-main/oip/card.ts';
import { outputSpecs } from '../../../src-main/oip/outputs.ts';
import { bytesOf } from '../../../src-main/oip/tensors.ts';
import { Workspace } from '../../../src-main/workspace/workspace.ts';

const SIZE = 16;
const UPTO = [1, 3];
let folder: string;
let workspace: Workspace;
let backbone: Backbone;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'triton '));
  workspace = await Workspace.open(join(folder, 'workspace'));
  backbone = await add('small "quoted"', {});
});
afterAll(() => rm(folder, { recursive: true }));

async function add(made: string, options: { batch?: number }): Promise<Backbone> {
  const file = join(folder, `${made}.onnx`);
  await writeFile(file, writePlainVit({ size: SIZE, patch: 4, width: 12, blocks: 3, heads: 3, ...options }));
  return addBackbone(workspace, file, { name: options.batch === undefined ? 'small' : 'fixed' });
}

type Field = string | number | Message | (string | number)[];
interface Message {
  [field: string]: Field[];
}

/** Protobuf's text format, as far as a model's configuration needs it; anything else is an error. */
function parseText(text: string): Message {
  const tokens = text.match(/"(?:[^"\\\n]|\\.)*"|[\w.+-]+|[{}:[\],]|\S/g) ?? [];
  let at = 0;
  const take = (wanted?: string): string => {
    const token = tokens[at++];
    if (token === undefined || (wanted !== undefined && token !== wanted))
      throw new Error(`${wanted} and not ${token}`);
    return token;
  };
  const scalar = (): string | number => {
    const token = take();
    if (token.startsWith('"')) return JSON.parse(token) as string;
    if (/^-?\d+$/.test(token)) return Number(token);
    if (/^[A-Z_0-9]+$/.test(token)) return token;
    throw new Error(`${token} is no value`);
  };
  const message = (end?: string): Message => {
    const fields: Message = {};
    while (at < tokens.length && tokens[at] !== end) {
      const name = take();
      expect(name).toMatch(/^[a-z_]+$/);
      let value: Field;
      if (tokens[at] === '{') {
        take('{');
        value = message('}');
        take('}');
      } else {
        take(':');
        if (tokens[at] !== '[') value = scalar();
        else {
          take('[');
          const values = [scalar()];
          while (tokens[at] === ',') {
            take(',');
            values.push(scalar());
          }
          take(']');
          value = values;
        }
      }
      (fields[name] ??= []).push(value);
    }
    return fields;
  };
  return message();
}

it('a model repository: its configuration, the card in it, and a graph that gives what our server gives', async () => {
  const out = join(folder, 'repository');
  const { upto } = await exportTriton(backbone, { out, upto: UPTO, threads: 1 });
  expect(upto).toEqual(UPTO);
  const config = parseText(await readFile(join(out, 'small', 'config.pbtxt'), 'utf8'));
  expect(config).toMatchObject({
    name: ['small'],
    backend: ['onnxruntime'],
    max_batch_size: [8],
    dynamic_batching: [{ max_queue_delay_microseconds: [4000] }],
    input: [{ name: ['pixel_values'], data_type: ['TYPE_FP32'], dims: [[3, SIZE, SIZE]] }],
  });
  const specs = outputSpecs(backbone.structure, UPTO);
  expect(config.output).toEqual(
    specs.map(({ name, datatype, shape }) => ({ name: [name], data_type: [`TYPE_${datatype}`], dims: [[...shape]] })),
  );
  const parameters = Object.fromEntries(
    (config.parameters as Message[]).map(({ key, value }) => [
      key![0] as string,
      { string_value: (value![0] as Message).string_value![0] as string },
    ]),
  );
  const card = parseCard(await readFile(join(out, 'small', CARD_FILE), 'utf8'));
  expect(cardFromParameters(parameters)).toEqual(card);
  expect(card).toMatchObject({
    sha256: backbone.sha256,
    preprocessing: backbone.preprocessing,
    scales: { 1: 1, 3: 1 },
  });
  expect(structureOf(card)).toEqual(backbone.structure);

  const images = 3;
  const pixels = Float32Array.from({ length: images * 3 * SIZE * SIZE }, (_, i) => Math.sin(i * (1 + i)));
  const session = await createSession(join(out, 'small', '1', 'model.onnx'), { threads: 1 });
  const vit = await GatheringVit.open(backbone, { upto: UPTO, threads: 1 });
  try {
    const shape = [images, 3, SIZE, SIZE];
    const outputs = await session.run({ pixel_values: toOrt({ storage: 'float32', shape }, pixels) });
    const names = specs.map(({ name }) => name);
    expect(Object.keys(outputs).sort()).toEqual([...names].sort());
    const found = await vit.run(pixels, images, new Set(names));
    for (const { name, shape: each } of specs) {
      expect(outputs[name]!.dims, name).toEqual([images, ...each]);
      const whole = outputs[name]!.data as unknown as ArrayBufferView;
      expect(Buffer.from(bytesOf(found.get(name)!)).equals(bytesOf(whole)), name).toBe(true);
    }
  } finally {
    await vit.close();
    await session.release();
  }
  await expect(exportTriton(backbone, { out, threads: 1 })).rejects.toMatchObject({ code: 'bad-out' });
  await expect(exportTriton(backbone, { out: join(folder, 'other'), upto: [4], threads: 1 })).rejects.toMatchObject({
    code: 'usage',
  });
});

it('a backbone of a fixed batch has it in its dimensions, and no batches made for it', async () => {
  const out = join(folder, 'repository');
  await exportTriton(await add('fixed', { batch: 2 }), { out, upto: [2], threads: 1 });
  const config = parseText(await readFile(join(out, 'fixed', 'config.pbtxt'), 'utf8'));
  expect(config).toMatchObject({ max_batch_size: [0], input: [{ dims: [[2, 3, SIZE, SIZE]] }] });
  expect(config).not.toHaveProperty('dynamic_batching');
});
