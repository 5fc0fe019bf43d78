/** The thread that asked-thread.test.ts asks. */
import { answerRequests } from '../../../src-main/base/asked-thread.ts';
import { Failure } from '../../../src-main/base/failure.ts';

export type EchoRequest = { say: string; after: number } | { fail: string } | { refuse: string } | { end: true };

answerRequests(async (request: EchoRequest): Promise<string> => {
  if ('fail' in request) throw new Error(request.fail);
  if ('refuse' in request) throw new Failure('refused', request.refuse);
  if ('end' in request) process.exit(3);
  await new Promise((resolve) => setTimeout(resolve, request.after));
  return request.say;
});
