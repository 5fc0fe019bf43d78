// One float32 product of two 1024 x 1024 matrices in onnxruntime: how fast this machine's kernels are, and so what a
// peer's BLAS has to reach to count as a fair baseline.
import * as ort from 'onnxruntime-node';
import { createSession } from '../../../src-main/engine/session.ts';
import { DataType, encodeModel, model, node, valueInfo } from '../../../src-main/engine/onnx/model.ts';
import { report, timeSteps } from '../side.ts';

const size = 1024;
const matrix = (name: string) => valueInfo(name, DataType.FLOAT, [size, size]);
const product = model({
  name: 'matmul',
  nodes: [node('MatMul', ['a', 'b'], ['c'])],
  inputs: [matrix('a'), matrix('b')],
  outputs: [matrix('c')],
  initializers: [],
});
const session = await createSession(encodeModel(product), { threads: Number(process.env.BENCH_THREADS ?? 2) });
const values = () => new ort.Tensor('float32', Float32Array.from({ length: size * size }, Math.random), [size, size]);
const feeds = { a: values(), b: values() };
const fetches = { c: new ort.Tensor('float32', new Float32Array(size * size), [size, size]) };
const times = await timeSteps(() => session.run(feeds, fetches), { warmUps: 3, steps: 30 });
report(times, { gflops: (2 * size ** 3) / Math.min(...times.ms) / 1e6 });
