/** The thread behind `SessionThread`: onnxruntime blocks the thread that calls it, so its sessions live here. */
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { answerRequests } from '../base/asked-thread.ts';
import { createSession, toOrt } from './session.ts';
import type { SentTensor, SessionAnswer, SessionRequest } from './session-messages.ts';

const sessions = new Map<number, InferenceSession>();
let opened = 0;

// One request at a time: concurrent runs would only fight for the same cores.
answerRequests(answer, buffersOf);

async function answer(request: SessionRequest): Promise<SessionAnswer> {
  switch (request.kind) {
    case 'open': {
      const session = ++opened;
      sessions.set(session, await createSession(request.model, { threads: request.threads }));
      return { session };
    }
    case 'run': {
      const session = sessions.get(request.session);
      if (!session) throw new Error('The session is closed.');
      const feeds = Object.fromEntries(
        Object.entries(request.feeds).map(([name, given]) => [name, toOrt(given, given.data)]),
      );
      const results = await session.run(feeds);
      return { outputs: Object.fromEntries(Object.entries(results).map(([name, result]) => [name, sent(result)])) };
    }
    case 'close':
      await sessions.get(request.session)?.release();
      sessions.delete(request.session);
      return {};
  }
}

/** The outputs' memory: it goes over to the other thread and is not copied. */
function buffersOf({ outputs = {} }: SessionAnswer): ArrayBuffer[] {
  return [...new Set(Object.values(outputs).map(({ data }) => data.buffer as ArrayBuffer))];
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
