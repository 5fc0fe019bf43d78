/** The thread, or process, behind `SessionThread`: onnxruntime blocks the thread that calls it, so its sessions live here. */
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { answerRequests } from '../base/asked-thread.ts';
import { peakRssBytes } from '../base/peak-memory.ts';
import { createSession, toOrt } from './session.ts';
import { buffersOf, type SentTensor, type SessionAnswer, type SessionRequest } from './session-messages.ts';

const sessions = new Map<number, InferenceSession>();
let opened = 0;

// One request at a time: concurrent runs would only fight for the same cores.
answerRequests(answer, ({ outputs, lentFeeds }: SessionAnswer) => buffersOf(outputs, lentFeeds));

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
      const { feeds, lent = { feeds: {}, outputs: {} } } = request;
      const wanted = { ...Object.fromEntries(session.outputNames.map((name) => [name, null])), ...asOrt(lent.outputs) };
      const results = await session.run({ ...asOrt(feeds), ...asOrt(lent.feeds) }, wanted);
      const outputs = Object.entries(results).map(([name, result]) => [name, lent.outputs[name] ?? sent(result)]);
      return { outputs: Object.fromEntries(outputs) as Record<string, SentTensor>, lentFeeds: lent.feeds };
    }
    case 'close':
      await sessions.get(request.session)?.release();
      sessions.delete(request.session);
      return {};
    case 'memory':
      return { peakRssBytes: peakRssBytes() };
  }
}

function asOrt(tensors: Readonly<Record<string, SentTensor>>): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(tensors).map(([name, given]) => [name, toOrt(given, given.data)]));
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
