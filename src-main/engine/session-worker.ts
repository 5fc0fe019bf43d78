/** The thread behind `SessionThread`: onnxruntime blocks the thread that calls it, so its sessions live here. */
import { parentPort } from 'node:worker_threads';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { createSession, toOrt } from './session.ts';
import type { SentTensor, SessionReply, SessionRequest } from './session-messages.ts';

const sessions = new Map<number, InferenceSession>();
const port = parentPort;
if (!port) throw new Error('This file is the entry of a worker thread.');

// One request at a time, in order: concurrent runs would only fight for the same cores.
let queue = Promise.resolve();
port.on('message', (request: SessionRequest) => {
  queue = queue.then(async () => {
    const reply = await answer(request).catch((error: unknown): SessionReply => ({
      id: request.id,
      kind: 'failed',
      message: error instanceof Error ? error.message : String(error),
    }));
    port.postMessage(reply);
  });
});

async function answer(request: SessionRequest): Promise<SessionReply> {
  const { id } = request;
  switch (request.kind) {
    case 'open':
      sessions.set(id, await createSession(request.model, { threads: request.threads }));
      return { id, kind: 'done', session: id };
    case 'run': {
      const session = sessions.get(request.session);
      if (!session) throw new Error('The session is closed.');
      const feeds = Object.fromEntries(
        Object.entries(request.feeds).map(([name, sent]) => [name, toOrt(sent, sent.data)]),
      );
      const results = await session.run(feeds);
      return {
        id,
        kind: 'done',
        outputs: Object.fromEntries(Object.entries(results).map(([name, result]) => [name, sent(result)])),
      };
    }
    case 'close':
      await sessions.get(request.session)?.release();
      sessions.delete(request.session);
      return { id, kind: 'done' };
  }
}

function sent({ type, dims, data }: Tensor): SentTensor {
  const view = data as unknown as ArrayBufferView;
  // Float16Array on newer Node; the bits are what travels.
  const plain =
    type === 'float16'
      ? new Uint16Array(view.buffer, view.byteOffset, view.byteLength / 2)
      : (data as SentTensor['data']);
  return { storage: type as SentTensor['storage'], shape: [...dims], data: plain };
}
