import { describe, expect, it } from 'vitest';
import { decodeRequest, decodeResponse, encodeRequest, encodeResponse } from '../../../src-main/oip/messages.ts';
import { floatsOf, halvesOf, joinBytes, splitBytes, type WireTensor } from '../../../src-main/oip/tensors.ts';

const floats = Float32Array.of(1.5, -2, 3e-9, 4, 5, 6);
const tensor: WireTensor = {
  name: 'pixel_values',
  datatype: 'FP32',
  shape: [2, 3],
  data: new Uint8Array(floats.buffer),
};

/** A body as it arrives: one Buffer, beginning wherever its pool had room. */
function arrived({ parts, headerLength }: ReturnType<typeof encodeRequest>, offset = 1) {
  const whole = Buffer.concat([Buffer.alloc(offset), ...parts]);
  return { body: whole.subarray(offset), headerLength };
}

/** A request whose JSON is this, followed by so many bytes. */
function request(json: unknown, bytes = 0) {
  const header = Buffer.from(typeof json === 'string' ? json : JSON.stringify(json));
  return () => decodeRequest(Buffer.concat([header, Buffer.alloc(bytes)]), header.byteLength);
}

const input = (more: object) => ({ name: 'a', datatype: 'FP32', shape: [2], ...more });
const sized = (size: unknown, more: object = {}) => ({
  inputs: [input({ parameters: { binary_data_size: size }, ...more })],
});

describe('a request', () => {
  it.each([0, 1, 2, 3, 4])('carries its tensors to the bit, %i bytes off', (offset) => {
    const bytes: WireTensor = {
      name: 'image',
      datatype: 'BYTES',
      shape: [3],
      data: joinBytes([Buffer.from('ab'), Buffer.alloc(0), Buffer.from('c')]),
    };
    const { body, headerLength } = arrived(encodeRequest([tensor, bytes], ['cls']), offset);
    const { inputs, outputs } = decodeRequest(body, headerLength);
    expect(floatsOf(inputs[0]!)).toEqual(floats);
    expect(splitBytes(inputs[1]!).map((each) => Buffer.from(each).toString())).toEqual(['ab', '', 'c']);
    expect(outputs).toEqual([{ name: 'cls', binary: true }]);
  });

  it('may hold its numbers in the JSON, flat or nested, and says how outputs are wanted', () => {
    const whole = { inputs: [input({ shape: [1, 2], data: [[1, 2]] })], parameters: { binary_data_output: true } };
    const read = decodeRequest(Buffer.from(JSON.stringify({ id: 'x', ...whole })), undefined);
    expect(floatsOf(read.inputs[0]!)).toEqual(Float32Array.of(1, 2));
    expect(read).toMatchObject({ id: 'x', binaryOutput: true });
    expect(read.outputs).toBeUndefined();
    const outputs = [{ name: 'a', parameters: { binary_data: false } }, { name: 'b' }];
    expect(request({ ...whole, outputs })().outputs).toEqual([
      { name: 'a', binary: false },
      { name: 'b', binary: true },
    ]);
  });

  it.each([
    ['no JSON', request('{"inputs": ['), 'does not begin with JSON'],
    ['another kind of JSON', request({ inputs: 3 }), 'at inputs'],
    ['an unknown datatype', request({ inputs: [input({ datatype: 'FP8', data: [1, 2] })] }), 'at inputs.0.datatype'],
    ['no data', request({ inputs: [input({})] }), 'has no data'],
    ['too few numbers', request({ inputs: [input({ data: [1] })] }), 'has 1 elements'],
    ['words for numbers', request({ inputs: [input({ data: ['1', '2'] })] }), 'is no number'],
    [
      'lists in lists in lists',
      request(`{"inputs":[{"name":"a","datatype":"FP32","shape":[1],"data":${'['.repeat(5000)}1${']'.repeat(5000)}}]}`),
      'nested too deeply',
    ],
    ['half precision in the JSON', request({ inputs: [input({ datatype: 'FP16', data: [1, 2] })] }), 'as binary'],
    ['a negative dimension', request({ inputs: [input({ shape: [-1], data: [1] })] }), 'dimension -1'],
    [
      'dimensions beyond all numbers',
      request({ inputs: [input({ shape: [2 ** 40, 2 ** 40], data: [1] })] }),
      'too many',
    ],
    ['dimensions whose product wraps around', request(sized(8, { shape: [2 ** 32, 2 ** 32, 2] }), 8), 'too many'],
    ['a size that its shape denies', request(sized(12), 12), 'takes 8'],
    ['a size beyond the body', request(sized(8), 7), 'goes beyond the body'],
    ['bytes that belong to nobody', request(sized(8), 9), '1 bytes of binary data'],
    ['a size that is no number', request(sized('8'), 8), 'whole number'],
    ['a negative size', request(sized(-8), 8), 'whole number'],
    ['its data twice', request(sized(8, { data: [1, 2] }), 8), 'twice'],
    ['a byte string that is cut short', request(sized(4, { datatype: 'BYTES', shape: [1] }), 3), 'goes beyond'],
    ['fewer byte strings than it says', request(sized(4, { datatype: 'BYTES', shape: [2] }), 4), 'holds 1'],
    ['a flag that is none', request({ inputs: [], parameters: { binary_data_output: 1 } }), 'true or false'],
  ])('is refused for %s', (_, decode, sentence) => {
    expect(decode).toThrow(sentence);
  });

  it('is refused where its header is longer than it', () => {
    expect(() => decodeRequest(Buffer.from('{}'), 3)).toThrow('says 3 bytes');
  });
});

describe('a response', () => {
  const halves: WireTensor = {
    name: 'gathered_1_fp16',
    datatype: 'FP16',
    shape: [3],
    data: new Uint8Array([0, 60, 0, 124, 1, 0]),
  };

  it('carries binary tensors beside those in JSON', () => {
    const outputs = [
      { tensor: halves, binary: true },
      { tensor: { ...tensor, name: 'cls' }, binary: false },
    ];
    const { body, headerLength } = arrived(encodeResponse({ modelName: 'm', modelVersion: '1', outputs }));
    const read = decodeResponse(body, headerLength);
    expect([...halvesOf(read.outputs.get('gathered_1_fp16')!)]).toEqual([0x3c00, 0x7c00, 1]);
    expect(floatsOf(read.outputs.get('cls')!)).toEqual(floats);
  });

  it('does not put half precision into JSON', () => {
    const outputs = [{ tensor: halves, binary: false }];
    expect(() => encodeResponse({ modelName: 'm', modelVersion: '1', outputs })).toThrow(
      'FP16, which is not sent in JSON',
    );
  });
});
