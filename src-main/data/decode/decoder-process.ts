import { Failure } from '../../base/failure.ts';
import { parent } from '../../base/parent.ts';
import { checkImage, decodeImage, thumbnailOf } from './decode-image.ts';
import { requestSchema } from './messages.ts';
import type { DecodeReply } from './messages.ts';

/* The decoder's own process: a request in, a reply out, several in flight. Image libraries may crash; this may die. */

async function answer(message: unknown): Promise<void> {
  const { id, image, target, thumbnail } = requestSchema.parse(message);
  try {
    if (target) reply({ id, pixels: await decodeImage(image, target) });
    else if (thumbnail) reply({ id, jpeg: await thumbnailOf(image, thumbnail) });
    else reply({ id, sha256: await checkImage(image) });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    reply({ id, failure: { code: error.code, message: error.message } });
  }
}

function reply(message: DecodeReply): void {
  parent.tell(message);
}

parent.listen((message) => void answer(message));
parent.onGone(() => process.exit());
// These reach the whole group; the parent decides when the work here is over.
for (const signal of ['SIGINT', 'SIGHUP', 'SIGTERM'] as const) process.on(signal, () => undefined);
reply({ ready: true });
