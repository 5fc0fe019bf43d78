/**
 * IEEE 754 binary16 in a Uint16Array, as onnxruntime and safetensors hold it.
 * Node 20 has no Float16Array, so both directions are written out; round to nearest, ties to even.
 */

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

export function toHalf(value: number): number {
  float[0] = value;
  const word = bits[0]!;
  const sign = (word >>> 16) & 0x8000;
  const exponent = (word >>> 23) & 0xff;
  const mantissa = word & 0x7fffff;
  if (exponent === 0xff) return sign | 0x7c00 | (mantissa ? 0x200 : 0);
  const half = exponent - 127 + 15;
  if (half >= 0x1f) return sign | 0x7c00;
  if (half <= 0) {
    if (half < -10) return sign;
    return sign | roundShift(mantissa | 0x800000, 14 - half);
  }
  // A carry out of the mantissa moves into the exponent, up to infinity, as it should.
  return sign | ((half << 10) + roundShift(mantissa, 13));
}

function roundShift(value: number, shift: number): number {
  const kept = value >>> shift;
  const rest = value & ((1 << shift) - 1);
  const middle = 1 << (shift - 1);
  return rest > middle || (rest === middle && kept & 1) ? kept + 1 : kept;
}

let table: Float32Array | undefined;

/** Value of every bit pattern, made once: 256 KB. */
function halfTable(): Float32Array {
  if (table) return table;
  table = new Float32Array(65536);
  for (let half = 0; half < 65536; half++) {
    const sign = half & 0x8000 ? -1 : 1;
    const exponent = (half >>> 10) & 0x1f;
    const mantissa = half & 0x3ff;
    if (exponent === 0) table[half] = sign * mantissa * 2 ** -24;
    else if (exponent === 31) table[half] = mantissa ? NaN : sign * Infinity;
    else table[half] = sign * (1024 + mantissa) * 2 ** (exponent - 25);
  }
  return table;
}

export function fromHalf(half: number): number {
  return halfTable()[half]!;
}

export function halvesToFloats(halves: Uint16Array, into = new Float32Array(halves.length)): Float32Array {
  const values = halfTable();
  for (let i = 0; i < halves.length; i++) into[i] = values[halves[i]!]!;
  return into;
}

export function floatsToHalves(floats: ArrayLike<number>, into = new Uint16Array(floats.length)): Uint16Array {
  for (let i = 0; i < floats.length; i++) into[i] = toHalf(floats[i]!);
  return into;
}
