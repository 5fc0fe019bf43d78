/** Edge tuning: the ViT on a server, learning on the device. */
import type { Command } from 'commander';
import { z } from 'zod';
import { Failure } from '../../base/failure.ts';
import { ownVersion } from '../../base/version.ts';
import { describeCosts, describeRow, tradeoffTable } from '../edge-words.ts';
import { EXIT } from '../errors.ts';
import { checkFlags, realNumber, wholeNumber, wholeNumbers } from '../flags.ts';
import { byteSize } from '../format.ts';
import { describePredictions } from '../prediction-words.ts';
import type { Session } from '../session.ts';

const serveFlags = z.object({
  backbone: z.array(z.string()),
  host: z.string().min(1),
  port: wholeNumber('--port', { min: 0, max: 65535 }),
  grpcPort: wholeNumber('--grpc-port', { min: 0, max: 65535 }).optional(),
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
  addRun(edge, session);
  addExportTriton(edge, session);
  addTradeoff(edge, session);
}

function addServe(edge: Command, session: Session): void {
  edge
    .command('serve')
    .description('offer backbones over the Open Inference Protocol v2')
    .requiredOption('--backbone <names...>', 'backbones of the workspace, or paths of ONNX files')
    .option('--host <address>', 'where to listen; any but this machine itself takes a token', '127.0.0.1')
    .option('--port <n>', '0 picks a free one', '8600')
    .option('--grpc-port <n>', 'speak gRPC too, at this port (Triton has it at 8001)')
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
      const { serveEdge } = await import('../../studio/edge/serve.ts');
      const about = { version: ownVersion(), logs: session.logFolder };
      const server = await serveEdge(await session.workspace(), { backbones, ...flags }, about);
      const { url, port, grpcPort, token, models } = server;
      const lines = models.map(({ name, input }) => `  ${url}/v2/models/${name} (${input})`);
      session.answer(
        { url, port, ...(grpcPort === null ? {} : { grpcPort }), token },
        [
          `Serving, ${token === null ? 'to this machine only' : 'to whoever has the token'}:`,
          ...lines,
          ...(grpcPort === null ? [] : [`  gRPC at ${flags.host}:${grpcPort}`]),
          'Ctrl-C ends it once what was accepted is answered.',
        ].join('\n'),
      );
      session.whenInterrupted = 'The server was stopped; everything that it had accepted was answered.';
      await new Promise<void>((resolve) => session.signal.addEventListener('abort', () => resolve()));
      await server.close();
      session.signal.throwIfAborted();
    });
}

const runFlags = z.object({
  server: z.string(),
  tokenFile: z.string().optional(),
  caFile: z.string().optional(),
  backboneCard: z.string().optional(),
});

function addRun(edge: Command, session: Session): void {
  edge
    .command('run')
    .description('classify images with an exported adaptor, the features coming from a server')
    .argument('<adaptor.onnx>', 'what "sidetune export" writes')
    .argument('<images...>', 'image files, and folders of them')
    .requiredOption('--server <url>', 'http://HOST:PORT, or the address of the model on it')
    .option('--token-file <file>', 'the word that the server wants (or in SIDETUNE_EDGE_TOKEN)')
    .option('--ca-file <file>', 'the certificate to check the server by, PEM')
    .option('--backbone-card <file>', 'what ViT the server has, where it does not tell')
    .action(async (adaptor: string, images: string[], options: unknown) => {
      const { backboneCard: cardFile, ...flags } = checkFlags(runFlags, options);
      const { runOnEdge } = await import('../../studio/edge/run-adaptor.ts');
      const result = await runOnEdge({ ...flags, cardFile, adaptor, images }, session.task());
      for (const prediction of result.predictions) if ('error' in prediction) session.remark(prediction.error);
      if (result.predictions.some((prediction) => 'error' in prediction)) session.exitCode = EXIT.failed;
      session.answer(result, [describePredictions(result), ...describeCosts(result)].join('\n\n'));
    });
}

function addExportTriton(edge: Command, session: Session): void {
  edge
    .command('export-triton')
    .description('write a backbone as a model repository for NVIDIA Triton or KServe')
    .requiredOption('--backbone <name>', 'a backbone of the workspace, or the path of an ONNX file')
    .requiredOption('--out <dir>', 'folder of the repository')
    .option('--upto <k,k,...>', 'blocks that the sums go up to (default: at 1/4, 1/2, 2/3, 3/4 and all of them)')
    .action(async (options: unknown) => {
      const flags = checkFlags(exportFlags, options);
      const { exportForTriton } = await import('../../studio/edge/serve.ts');
      const { files, upto } = await exportForTriton(await session.workspace(), flags);
      session.answer(
        { files: files.map(({ path }) => path), bytes: files.map(({ bytes }) => bytes), upto },
        files.map(({ path, bytes }) => `Wrote ${path} (${byteSize(bytes)})`).join('\n'),
      );
    });
}

const exportFlags = z.object({
  backbone: z.string(),
  out: z.string(),
  upto: wholeNumbers('--upto', { min: 1 }).optional(),
});

const tradeoffFlags = z.object({
  dataset: z.string(),
  backbone: z.string(),
  out: z.string(),
  upto: wholeNumbers('--upto', { min: 1 }).optional(),
  epochs: wholeNumber('--epochs', { min: 1 }).optional(),
  batch: wholeNumber('--batch', { min: 1 }).optional(),
  seed: wholeNumber('--seed', { min: 0 }).optional(),
  seeds: wholeNumbers('--seeds', { min: 0 }).optional(),
  limit: wholeNumber('--limit', { min: 1 }).optional(),
  taps: z.boolean(),
  threads: wholeNumber('--threads', { min: 1 }).optional(),
  tokenFile: z.string().optional(),
  caFile: z.string().optional(),
});

function addTradeoff(edge: Command, session: Session): void {
  edge
    .command('tradeoff')
    .description('accuracy against transfer: the CLS row, sums up to several blocks, all taps; fp16 and int8')
    .requiredOption('--dataset <name>', 'a dataset of the workspace, or the path of a folder')
    .requiredOption('--backbone <name>', 'a backbone of the workspace, the path of an ONNX file, or a served model')
    .requiredOption('--out <file>', 'a .csv or .json file to write')
    .option('--upto <k,k,...>', 'blocks that the sums go up to (default: at 1/4, 1/2, 2/3, 3/4 and all of them)')
    .option('--epochs <n>', "of every run (default: the method's own)")
    .option('--batch <n>', 'images in a step (default: 32)')
    .option('--seed <n>', 'default: 1')
    .option('--seeds <n,n,...>', 'train with each of them, for means with their 95 % intervals')
    .option('--limit <n>', 'train on so many images only, stratified')
    .option('--no-taps', 'leave out LAST on all taps, which takes longest')
    .option('--threads <n>', 'default: all cores')
    .option('--token-file <file>', 'a served backbone: the word that its server wants')
    .option('--ca-file <file>', 'a served backbone: the certificate to check its server by, PEM')
    .action(async (options: unknown) => {
      const flags = checkFlags(tradeoffFlags, options);
      const { dataset, backbone, out, upto, seeds, taps, threads, tokenFile, caFile, ...settings } = flags;
      if (seeds && settings.seed !== undefined)
        throw new Failure('usage', '--seed and --seeds say the same: give one of them.');
      const { edgeTradeoff } = await import('../../studio/edge/tradeoff.ts');
      const server = tokenFile || caFile ? { tokenFile, caFile } : undefined;
      const request = { dataset, backbone, out, upto, noTaps: !taps, threads, server, settings, seeds };
      const result = await edgeTradeoff(await session.workspace(), request, {
        ...session.task(),
        onEpoch: (metrics, epochs) => session.progress.epoch(metrics, epochs),
        onRow: (row, done, total) => session.remark(`${done} of ${total}: ${describeRow(row)}`),
      });
      session.answer(result, `${tradeoffTable(result.rows)}\nWrote ${result.out}`);
    });
}
