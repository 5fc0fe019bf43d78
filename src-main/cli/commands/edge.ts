/** Edge tuning: the ViT on a server, learning on the device. */
import type { Command } from 'commander';
import { z } from 'zod';
import { Failure } from '../../base/failure.ts';
import { ownVersion } from '../../base/version.ts';
import { checkFlags, realNumber, wholeNumber, wholeNumbers } from '../flags.ts';
import type { Session } from '../session.ts';

const serveFlags = z.object({
  backbone: z.array(z.string()),
  host: z.string().min(1),
  port: wholeNumber('--port', { min: 0, max: 65535 }),
  upto: wholeNumbers('--upto', { min: 1 }).optional(),
  tokenFile: z.string().optional(),
  tlsCert: z.string().optional(),
  tlsKey: z.string().optional(),
  threads: wholeNumber('--threads', { min: 1 }).optional(),
  batch: wholeNumber('--batch', { min: 1, max: 1024 }).optional(),
  delayMs: realNumber('--delay-ms', { min: 0, max: 10_000 }).optional(),
  queue: wholeNumber('--queue', { min: 1 }).optional(),
});

export function addEdgeCommands(program: Command, session: Session): void {
  const edge = program.command('edge').description('the ViT on a server, learning and deciding on the device (MIET)');
  addServe(edge, session);
}

function addServe(edge: Command, session: Session): void {
  edge
    .command('serve')
    .description('offer backbones over the Open Inference Protocol v2')
    .requiredOption('--backbone <names...>', 'backbones of the workspace, or paths of ONNX files')
    .option('--host <address>', 'where to listen; any but this machine itself takes a token', '127.0.0.1')
    .option('--port <n>', '0 picks a free one', '8600')
    .option('--upto <k,k,...>', 'blocks that the sums go up to (default: at 1/4, 1/2, 2/3, 3/4 and all of them)')
    .option('--token-file <file>', 'a file with the word that clients have to send')
    .option('--tls-cert <file>', "the server's certificate, PEM")
    .option('--tls-key <file>', 'its key, PEM')
    .option('--threads <n>', 'default: all cores')
    .option('--batch <n>', 'images that go through the ViT together (default: 8)')
    .option('--delay-ms <n>', 'longest that an image waits for others (default: 4)')
    .option('--queue <n>', 'images that may wait, beyond which clients are told to come back (default: 256)')
    .action(async (options: unknown) => {
      const { backbone: backbones, ...flags } = checkFlags(serveFlags, options);
      if ((flags.tlsCert === undefined) !== (flags.tlsKey === undefined))
        throw new Failure('usage', '--tls-cert and --tls-key go together: give both.');
      const { serveEdge } = await import('../../studio/edge-serve.ts');
      const about = { version: ownVersion(), logs: session.logFolder };
      const server = await serveEdge(await session.workspace(), { backbones, ...flags }, about);
      const { url, port, token, models } = server;
      const lines = models.map(({ name, input }) => `  ${url}/v2/models/${name} (${input})`);
      session.answer(
        { url, port, token },
        [
          `Serving, ${token === null ? 'to this machine only' : 'to whoever has the token'}:`,
          ...lines,
          'Ctrl-C ends it once what was accepted is answered.',
        ].join('\n'),
      );
      session.whenInterrupted = 'The server was stopped; everything that it had accepted was answered.';
      await new Promise<void>((resolve) => session.signal.addEventListener('abort', () => resolve()));
      await server.close();
      session.signal.throwIfAborted();
    });
}
