/**
 * An adaptor at work in the browser, on a thread of its own. WebAssembly is compiled here and nowhere else: this file is
 * served under a policy of its own that allows it (src-main/host/pages.ts), and the page's stays as strict as it is.
 */
import { env, InferenceSession, Tensor } from 'onnxruntime-web/wasm';
import wasm from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url';
import type { AdaptorAnswer, AdaptorRequest, Feed } from './adaptor-messages.ts';

env.wasm.wasmPaths = { wasm };
// More threads want memory that is shared, which pages have only in isolation; an adaptor needs none of it.
env.wasm.numThreads = 1;

let session: InferenceSession | undefined;

onmessage = ({ data }: MessageEvent<AdaptorRequest>) => {
  void answer(data).then(
    (logits) => reply({ id: data.id, logits }),
    (error: unknown) => reply({ id: data.id, problem: error instanceof Error ? error.message : String(error) }),
  );
};

const reply = (answer: AdaptorAnswer) => postMessage(answer);

async function answer(request: AdaptorRequest): Promise<Float32Array | undefined> {
  if ('model' in request) {
    session = await InferenceSession.create(request.model, { executionProviders: ['wasm'] });
    return undefined;
  }
  const feeds = Object.fromEntries(Object.entries(request.feeds).map(([name, feed]) => [name, tensorOf(feed)]));
  const { logits } = await session!.run(feeds);
  return logits!.data as Float32Array;
}

function tensorOf({ storage, shape, data }: Feed): Tensor {
  return storage === 'float16'
    ? new Tensor('float16', new Uint16Array(data), shape)
    : new Tensor('float32', new Float32Array(data), shape);
}
