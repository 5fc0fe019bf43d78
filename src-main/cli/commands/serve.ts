import type { Command } from 'commander';
import { z } from 'zod';
import { checkFlags, wholeNumber } from '../flags.ts';
import { openAddress } from '../open-address.ts';
import type { Session } from '../session.ts';

const serveFlags = z.object({
  port: wholeNumber('--port', { min: 0, max: 65535 }),
  open: z.boolean().default(false),
});

export function addServeCommand(program: Command, session: Session): void {
  program
    .command('serve')
    .description('the studio window in a browser, on this machine')
    .option('--port <n>', 'where to listen (0 picks a free one)', '8500')
    .option('--open', 'open it in the browser')
    .action(async (options: unknown) => {
      const { port, open } = checkFlags(serveFlags, options);
      const { serveStudio } = await import('../../host/serve-studio.ts');
      const host = await serveStudio(await session.workspace(), port);
      const { url, token } = host;
      session.answer(
        { url, port: host.port, token },
        `The studio is at ${url}\nCtrl-C ends it; what is running can be resumed.`,
      );
      if (open) openAddress(url);
      session.whenInterrupted = 'The studio was closed; what was running can be resumed.';
      await new Promise<void>((resolve) => session.signal.addEventListener('abort', () => resolve()));
      await host.close();
      session.signal.throwIfAborted();
    });
}
