import { afterAll, expect, it } from 'vitest';
import { AskedThread } from '../../../src-main/base/asked-thread.ts';
import { Failure } from '../../../src-main/base/failure.ts';
import { startThread } from '../../../src-main/base/start-thread.ts';
import type { EchoRequest } from './echo-thread.ts';

const thread = new AskedThread<EchoRequest, string>(startThread('./echo-thread', import.meta.url), 'echo');
afterAll(() => thread.close());

it('answers in the order of the requests, each with its own answer', async () => {
  const order: string[] = [];
  const asked = ['slow', 'quick'].map(async (say) =>
    order.push(await thread.ask({ say, after: say === 'slow' ? 50 : 0 })),
  );
  await Promise.all(asked);
  expect(order).toEqual(['slow', 'quick']);
});

it('brings failures over with their code, errors with their message, and goes on', async () => {
  await expect(thread.ask({ fail: 'no memory' })).rejects.toThrow('no memory');
  const refused = await thread.ask({ refuse: 'Not that one.' }).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(Failure);
  expect(refused).toMatchObject({ code: 'refused', message: 'Not that one.' });
  await expect(thread.ask({ say: 'still here', after: 0 })).resolves.toBe('still here');
});

it('ends after the request that it is at, and leaves out those after it', async () => {
  const closed = new AskedThread<EchoRequest, string>(startThread('./echo-thread', import.meta.url), 'closed');
  await closed.ask({ say: 'ready', after: 0 });
  const asked = [closed.ask({ say: 'under way', after: 200 }), closed.ask({ say: 'next', after: 60_000 })];
  const settled = Promise.allSettled(asked);
  await closed.close();
  expect(await settled).toMatchObject([
    { status: 'fulfilled', value: 'under way' },
    { status: 'rejected', reason: { message: 'The closed thread ended.' } },
  ]);
  await closed.close();
});

it('fails what is asked of a thread that ends, and afterwards', async () => {
  const pending = [thread.ask({ end: true }), thread.ask({ say: 'too late', after: 0 })];
  for (const { status } of await Promise.allSettled(pending)) expect(status).toBe('rejected');
  await expect(thread.ask({ say: 'gone', after: 0 })).rejects.toThrow('The echo thread ended.');
});
